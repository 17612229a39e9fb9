//! What tokenizing gives: token ids, and the words that they are part of.

use std::ops::Range;

/// A word of a text and its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Bytes in the text.
    pub text: Range<u32>,
    /// Positions in [`Pieces::ids`].
    pub pieces: Range<u32>,
}

/// A tokenized text, without special tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    pub ids: Vec<i64>,
    /// In the order of the text, without punctuation.
    pub words: Vec<Word>,
}

/// Convert a position to 32 bits. Chunks are far below 4 GiB; positions in a longer text are clamped.
pub(super) fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
