//! Counts characters in a text in constant time.
//!
//! Limits are in characters (Unicode scalar values), positions in bytes; this maps one to the other.
//! Values only.

use std::ops::Range;

/// Bytes between two marks. A lookup counts at most this many bytes; the marks take 1/8 of the text's memory.
const STEP: usize = 64;

/// A text with the number of characters before each of its positions.
pub struct CharIndex<'a> {
    pub text: &'a str,
    /// Characters that begin before byte `i * STEP`. Empty for ASCII text, where bytes are characters.
    marks: Vec<usize>,
}

impl<'a> CharIndex<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut marks = Vec::new();
        if !text.is_ascii() {
            let mut chars = 0;
            marks.reserve_exact(text.len() / STEP + 1);
            for block in text.as_bytes().chunks(STEP) {
                marks.push(chars);
                chars += starts(block);
            }
        }
        Self { text, marks }
    }

    /// Return the number of characters in a byte range.
    pub fn count(&self, range: Range<usize>) -> usize {
        self.before(range.end)
            .saturating_sub(self.before(range.start))
    }

    /// Return the byte position `chars` characters after the character boundary `start`, at most the end.
    pub fn advance(&self, start: usize, chars: usize) -> usize {
        if self.marks.is_empty() {
            return start.saturating_add(chars).min(self.text.len());
        }
        let target = self.before(start).saturating_add(chars);
        let block = self.marks.partition_point(|before| *before <= target) - 1;
        let mut left = target - self.marks[block];
        let at = block * STEP;
        for (offset, byte) in self.text.as_bytes()[at..].iter().enumerate() {
            if is_start(*byte) {
                if left == 0 {
                    return at + offset;
                }
                left -= 1;
            }
        }
        self.text.len()
    }

    fn before(&self, at: usize) -> usize {
        match self.marks.get(at / STEP) {
            Some(mark) => mark + starts(&self.text.as_bytes()[at / STEP * STEP..at]),
            // At the very end of a text whose length is a multiple of the step, or in ASCII.
            None => match self.marks.last() {
                Some(mark) => {
                    mark + starts(&self.text.as_bytes()[(self.marks.len() - 1) * STEP..at])
                }
                None => at,
            },
        }
    }
}

fn starts(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_start(**byte)).count()
}

/// Whether a UTF-8 byte begins a character.
fn is_start(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_agree_with_the_iterator(text in "[a-z\u{e9}\u{4e2d}\u{1f600}]{0,400}", a in 0usize..400, n in 0usize..400) {
            let index = CharIndex::new(&text);
            let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let last = offsets.len() - 1;
            let a = a.min(last);
            prop_assert_eq!(index.count(offsets[a]..text.len()), last - a);
            prop_assert_eq!(index.count(0..offsets[a]), a);
            prop_assert_eq!(index.advance(offsets[a], n), offsets[(a + n).min(last)]);
        }
    }
}
