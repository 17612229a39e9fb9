//! The distinct words of a text, ignoring ASCII case, with their dictionary entries.

use super::dictionary::{self, Meaning};
use super::lexer::{Shape, Word};

/// A distinct word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// Byte range of the first spelling that looks most like a name.
    pub start: usize,
    pub end: usize,
    pub hash: u32,
    pub shape: Shape,
    pub count: u32,
    pub meaning: Meaning,
}

/// Distinct words in order of their first occurrence.
pub(super) type Terms = Vec<Term>;

/// Find the distinct words, and set each word's term.
pub(super) fn terms(text: &str, words: &mut [Word]) -> Terms {
    let n_slots = (words.len() * 2).next_power_of_two().max(64);
    // 1 + position of a term; 0 when free.
    let mut slots = vec![0_u32; n_slots];
    let mut terms = Terms::with_capacity(words.len() / 2 + 8);
    for word in words {
        let spelling = &text[word.start..word.end];
        let mut slot = (word.hash ^ word.hash >> 15) as usize & (n_slots - 1);
        let found = loop {
            let Some(at) = slots[slot].checked_sub(1) else {
                break None;
            };
            let term = &terms[at as usize];
            if term.hash == word.hash && text[term.start..term.end].eq_ignore_ascii_case(spelling) {
                break Some(at);
            }
            slot = (slot + 1) & (n_slots - 1);
        };
        word.term = match found {
            Some(at) => {
                count(&mut terms[at as usize], word);
                at
            }
            None => {
                terms.push(Term {
                    start: word.start,
                    end: word.end,
                    hash: word.hash,
                    shape: word.shape,
                    count: 1,
                    meaning: dictionary::meaning(spelling, word.hash),
                });
                slots[slot] = terms.len() as u32;
                terms.len() as u32 - 1
            }
        };
    }
    terms
}

/// Count an occurrence, and keep the spelling that looks more like a name.
fn count(term: &mut Term, word: &Word) {
    term.count = term.count.saturating_add(1);
    if word.shape != term.shape && word.shape.is_camel() && !term.shape.is_camel() {
        (term.start, term.end, term.shape) = (word.start, word.end, word.shape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::lexer;
    use proptest::prelude::*;

    #[test]
    fn spellings_that_differ_in_case_are_one_term() {
        let text = "diskcache Disk diskCache disk";
        let terms = terms(text, &mut lexer::words(text));
        let found: Vec<_> = terms
            .iter()
            .map(|t| (&text[t.start..t.end], t.count))
            .collect();
        assert_eq!(found, [("diskCache", 2), ("Disk", 2)]);
    }

    proptest! {
        #[test]
        fn every_word_has_its_term(text in "[aAbB_ ]{0,80}|\\PC{0,40}") {
            let mut words = lexer::words(&text);
            let terms = terms(&text, &mut words);
            for word in &words {
                let term = &terms[word.term as usize];
                prop_assert!(text[term.start..term.end].eq_ignore_ascii_case(&text[word.start..word.end]));
            }
            let n: u32 = terms.iter().map(|t| t.count).sum();
            prop_assert_eq!(n as usize, words.len());
        }
    }
}
