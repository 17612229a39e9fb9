//! Whole words of a chunk, for routing.
//!
//! A sparse vector consists of word pieces; a router compares whole words. So a rare identifier that WordPiece splits is
//! joined again, with the sum of the weights of its pieces.

use super::sparse::units;
use super::text::{TokenizedText, Windows};
use super::tokenizer::Word;
use crate::credential::is_random;

/// Most words of a chunk. The router's table has one list per chunk, and readers scan all of it.
const MAX_WORDS: usize = 24;
/// Fewest characters of a word. Readers ask for no shorter ones.
const MIN_CHARS: usize = 3;
/// Most characters of a word. Longer runs are data (hashes, base64).
const MAX_CHARS: usize = 64;

/// Return the heaviest words of a text by `weights` (`[V]`) of the vocabulary: lower case, distinct, heaviest first. An
/// identifier such as `foo_bar` is listed as well as its parts, after the heaviest of them.
pub(super) fn route_words(text: &TokenizedText, windows: &Windows, weights: &[f32]) -> Vec<String> {
    let scores = text.words.iter();
    let scores: Vec<u32> = scores.map(|word| score(word, windows, weights)).collect();
    heaviest_words(&text.text, &text.words, &scores)
}

/// The same, with the scores of the words given.
pub(super) fn heaviest_words(text: &str, words: &[Word], scores: &[u32]) -> Vec<String> {
    let mut candidates = Vec::with_capacity(scores.len() * 2);
    let mut add = |score: u32, start: u32, end: u32| {
        if score > 0 && end - start >= MIN_CHARS as u32 {
            candidates.push((u32::MAX - score, start, end));
        }
    };
    for (word, score) in words.iter().zip(scores) {
        add(*score, word.text.start, word.text.end);
    }
    let mut first = 0;
    for group in words.chunk_by(|a, b| joined(text, a, b)) {
        let heaviest = scores[first..first + group.len()].iter().max();
        first += group.len();
        if let (Some(heaviest), [start, .., end]) = (heaviest, group) {
            // One unit less than its heaviest part, so it comes right after.
            add(heaviest.saturating_sub(1), start.text.start, end.text.end);
        }
    }
    candidates.sort_unstable();
    distinct(text, &candidates)
}

fn score(word: &Word, windows: &Windows, weights: &[f32]) -> u32 {
    let weight = |position: u32| {
        let id = windows.text_id(position as usize)?;
        weights.get(usize::try_from(id).ok()?)
    };
    word.pieces
        .clone()
        .filter_map(weight)
        .fold(0, |sum, weight| u32::saturating_add(sum, units(*weight)))
}

/// Whether only `_` lies between two neighbours. A hyphen does not join: mostly it is a minus sign or prose.
fn joined(text: &str, a: &Word, b: &Word) -> bool {
    text.get(a.text.end as usize..b.text.start as usize)
        .is_some_and(|gap| !gap.is_empty() && gap.bytes().all(|byte| byte == b'_'))
}

fn distinct(text: &str, candidates: &[(u32, u32, u32)]) -> Vec<String> {
    let mut words: Vec<String> = Vec::with_capacity(MAX_WORDS);
    for (_, start, end) in candidates {
        let Some(word) = text.get(*start as usize..*end as usize) else {
            continue;
        };
        if words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            continue;
        }
        let n_chars = word.chars().count();
        if !(MIN_CHARS..=MAX_CHARS).contains(&n_chars) || !word.chars().any(char::is_alphabetic) {
            continue;
        }
        // Keys and hashes.
        if is_random(word) {
            continue;
        }
        let lower = word.to_lowercase();
        // Compare again: letters beyond ASCII may have changed.
        if !words.contains(&lower) {
            words.push(lower);
        }
        if words.len() == MAX_WORDS {
            break;
        }
    }
    words
}
