//! The words by which a chunk is found, in whole, for routing.
//!
//! A sparse vector speaks in word pieces; a router compares whole words. A rare identifier that
//! WordPiece splits is therefore put together again, with the weights of its pieces added up.

use super::prepare::{Prepared, Windows};
use super::sparse::units;
use super::tokenizer::Word;
use crate::credential::is_random;

/// Words kept for a chunk at most. The router's table has one list per chunk, and the readers look
/// through all of it.
const MOST: usize = 24;
/// Characters of a word at least; the readers ask for no shorter ones.
const SHORTEST: usize = 3;
/// Characters at most: longer runs are data (hashes, base64), not words.
const LONGEST: usize = 64;

/// The heaviest words of a text, in lower case, distinct, heaviest first, by `weights` (`[V]`) of the
/// vocabulary. An identifier such as `foo_bar` is listed besides its parts, after the heaviest of
/// them.
pub(super) fn route_words(prepared: &Prepared, windows: &Windows, weights: &[f32]) -> Vec<String> {
    let scores: Vec<u32> = prepared
        .words
        .iter()
        .map(|word| score(word, windows, weights))
        .collect();
    let mut candidates = Vec::with_capacity(scores.len() * 2);
    let mut add = |score: u32, start: u32, end: u32| {
        if score > 0 && end - start >= SHORTEST as u32 {
            candidates.push((u32::MAX - score, start, end));
        }
    };
    for (word, score) in prepared.words.iter().zip(&scores) {
        add(*score, word.text.start, word.text.end);
    }
    let mut first = 0;
    for group in prepared.words.chunk_by(|a, b| joined(&prepared.text, a, b)) {
        let heaviest = scores[first..first + group.len()].iter().max();
        first += group.len();
        if let (Some(heaviest), [start, .., end]) = (heaviest, group) {
            // One unit less than its part: it comes right after.
            add(heaviest.saturating_sub(1), start.text.start, end.text.end);
        }
    }
    candidates.sort_unstable();
    distinct(&prepared.text, &candidates)
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

/// Whether only `_` lies between two neighbours. A hyphen does not join: it is mostly a minus sign
/// or prose.
fn joined(text: &str, a: &Word, b: &Word) -> bool {
    text.get(a.text.end as usize..b.text.start as usize)
        .is_some_and(|gap| !gap.is_empty() && gap.bytes().all(|byte| byte == b'_'))
}

fn distinct(text: &str, candidates: &[(u32, u32, u32)]) -> Vec<String> {
    let mut words: Vec<String> = Vec::with_capacity(MOST);
    for (_, start, end) in candidates {
        let Some(word) = text.get(*start as usize..*end as usize) else {
            continue;
        };
        if words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            continue;
        }
        let n_chars = word.chars().count();
        if !(SHORTEST..=LONGEST).contains(&n_chars) || !word.chars().any(char::is_alphabetic) {
            continue;
        }
        // Keys and hashes.
        if is_random(word) {
            continue;
        }
        let lower = word.to_lowercase();
        // Again: other letters than ASCII's may have changed.
        if !words.contains(&lower) {
            words.push(lower);
        }
        if words.len() == MOST {
            break;
        }
    }
    words
}
