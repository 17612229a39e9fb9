//! Cuts a file's text into chunks, the units that are embedded and searched.
//!
//! Pure: text in, chunks out; nothing here reads a file or a clock. `worker` hands over the bytes
//! ([`decode()`]) and stores what comes back. A chunker is chosen by the [`Recipe`]:
//! - [`Chunker::Ast`]: at syntax boundaries where a grammar is known, else at paragraphs, lines,
//!   sentences, words. [`outline`] and [`markdown`] find the boundaries, [`pack`] fills the chunks.
//! - [`Chunker::Compat`]: the Python builder's rules, so that ids agree ([`compat`]).
//!
//! Output depends on the arguments alone: parsing is bounded by counted work, never by time.

mod bash;
mod chars;
mod compat;
mod decode;
mod grammar;
mod markdown;
mod outline;
mod pack;
mod parse;
mod sql;
#[cfg(test)]
mod tests;

pub use decode::{Decoded, decode};

use crate::file::RelPath;
use crate::profile::recipe::{Chunker, Recipe};
use chars::CharIndex;
use grammar::Syntax;
use std::borrow::Cow;
use std::ops::Range;

/// A piece of a file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The text to store and hash; never blank. Borrowed from the file's text wherever it is one
    /// slice of it (always, with [`Chunker::Ast`]).
    pub text: Cow<'a, str>,
    /// Where it lies in the file's text, in bytes. When `text` is owned (a [`Chunker::Compat`] chunk
    /// whose paragraphs were apart by more than one blank line), the range runs from its first to
    /// its last character.
    pub range: Range<usize>,
    /// Number of the chunk in its file, from 0, ascending. [`Chunker::Compat`] leaves numbers out:
    /// the Python builder counts blank chunks, which we do not emit.
    pub sequence: u32,
    /// Whether it was cut within a line: its first or last line is incomplete. With
    /// [`Chunker::Compat`]: whether it is one of the builder's slices of exactly 4,000 characters.
    pub is_fragment: bool,
}

/// Cuts `text` into chunks, in order and without overlap.
///
/// With [`Chunker::Ast`] every character that is not white space is in exactly one chunk, and a chunk
/// has at most `recipe.chunk_chars` characters (at least 1). Time is linear in the text's length.
pub fn chunk<'a>(text: &'a str, path: &RelPath, recipe: &Recipe) -> Vec<Chunk<'a>> {
    let extension = path.extension();
    match recipe.chunker {
        Chunker::Compat => compat::chunk(text, &extension),
        Chunker::Ast => {
            let chars = CharIndex::new(text);
            let limit = (recipe.chunk_chars as usize).max(1);
            let boundaries = if chars.count(0..text.len()) <= limit {
                Vec::new()
            } else {
                match grammar::syntax_of(&extension, text) {
                    Some(Syntax::Tree(grammar)) => outline::boundaries(&chars, grammar, limit),
                    Some(Syntax::Markdown) => markdown::boundaries(text),
                    None => Vec::new(),
                }
            };
            pack::pack(&chars, &boundaries, limit)
        }
    }
}

/// White space as Python's `str.isspace` has it: Unicode's plus the four information separators.
/// One notion of "blank" for both chunkers.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `range` of `text` without white space at its ends; empty (at `range.end`) when there is nothing else.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let slice = &text[range.clone()];
    let start = range.end - slice.trim_start_matches(is_space).len();
    let end = start + text[start..range.end].trim_end_matches(is_space).len();
    start..end
}
