//! Cuts a file's text into chunks, the units that are embedded and searched.
//!
//! Pure: text in, chunks out; reads no file and no clock (but see [`counting_allocator`]). `worker` passes
//! the bytes in ([`decode()`]) and stores the chunks. The [`Recipe`] chooses a chunker:
//! - [`Chunker::Ast`] cuts at syntax boundaries where it knows a grammar, else at paragraphs, lines,
//!   sentences, words. [`outline`] and [`markdown`] find the boundaries, [`pack`] fills the chunks.
//! - [`Chunker::Compat`] follows the Python builder's rules, so that chunk ids agree ([`compat`]).
//!
//! The chunks depend on the arguments alone: counted work bounds the parsing, not time.

mod bash;
mod chars;
mod compat;
mod counting_allocator;
mod decode;
mod definitions;
mod grammar;
mod indentation;
mod markdown;
mod outline;
mod pack;
mod parse;
mod place;
mod sql;
mod symbols;
#[cfg(test)]
mod tests;

pub(crate) use decode::universal_newlines;
pub use decode::{Decoded, DecodedText, decode};
pub use place::{Origin, Place};

use crate::file::RelPath;
use crate::ids::ContentHash;
use crate::language::{self, Language};
use crate::profile::recipe::{Chunker, Recipe, RuleSet};
use chars::CharIndex;
use grammar::Syntax;
use outline::Outline;
use place::LineCounter;
use std::borrow::Cow;
use std::ops::Range;
use symbols::Symbols;

/// A piece of a file's text, with what identifies it. Later stages own it and add to it: its tags
/// ([`TaggedChunk`](crate::tag::TaggedChunk)), then its vectors
/// ([`EncodedChunk`](crate::store::segment::EncodedChunk)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The text to store; never blank. The chunker borrows it from the file's text, except for
    /// [`Chunker::Compat`] chunks that join paragraphs more than one blank line apart.
    pub text: Cow<'a, str>,
    /// Of `text`. Computed once: segments carry it to the shard.
    pub hash: ContentHash,
    /// Number of the chunk in its file, from 0, ascending. [`Chunker::Compat`] skips numbers: the
    /// Python builder counts blank chunks, which we do not emit.
    pub sequence: u32,
    /// Whether the chunk's first or last line is incomplete. With [`Chunker::Compat`]: whether it is
    /// one of the builder's slices of exactly 4,000 characters.
    pub is_fragment: bool,
    /// In the text that was cut, until [`Origin::trace`] makes it a place in the file.
    pub place: Place,
}

impl<'a> Chunk<'a> {
    /// Hash the text. The place is left at the first line, without bytes.
    pub fn new(text: Cow<'a, str>, sequence: u32, is_fragment: bool) -> Self {
        Self {
            hash: ContentHash::of(&text),
            text,
            sequence,
            is_fragment,
            place: Place::default(),
        }
    }

    /// The same chunk, cut from these bytes of the text.
    fn cut_from(mut self, bytes: &Range<usize>) -> Self {
        self.place.bytes = Some(bytes.start as u64..bytes.end as u64);
        self
    }

    /// Copy the text, so that the chunk outlives its file's text.
    pub fn into_owned(self) -> Chunk<'static> {
        Chunk {
            text: Cow::Owned(self.text.into_owned()),
            hash: self.hash,
            sequence: self.sequence,
            is_fragment: self.is_fragment,
            place: self.place,
        }
    }
}

/// Cut `text` into chunks, in order and without overlap. Their [places](Place) are in `text`; those of
/// [`Chunker::Compat`] chunks that join paragraphs span what is left out between them.
///
/// With [`Chunker::Ast`] every character that is not white space is in exactly one chunk, and a chunk
/// has at most `recipe.chunk_chars` characters (at least 1). Takes time linear in the text's length.
pub fn chunk<'a>(text: &'a str, path: &RelPath, recipe: &Recipe) -> Vec<Chunk<'a>> {
    let language = match recipe.rules {
        RuleSet::Compat => None,
        RuleSet::Standard => language::of(path, text),
    };
    chunk_in(language, text, path, recipe)
}

/// [`chunk`] a text whose language is known. With compat rules the path alone decides.
pub fn chunk_in<'a>(
    language: Option<&Language>,
    text: &'a str,
    path: &RelPath,
    recipe: &Recipe,
) -> Vec<Chunk<'a>> {
    let extension = path.extension();
    let (mut chunks, outline) = match recipe.chunker {
        Chunker::Compat => (compat::chunk(text, &extension), Outline::default()),
        Chunker::Ast => {
            let chars = CharIndex::new(text);
            let limit = (recipe.chunk_chars as usize).max(1);
            let outline = if chars.count(0..text.len()) <= limit {
                Outline::default()
            } else {
                let syntax = match recipe.rules {
                    RuleSet::Compat => grammar::syntax_of(&extension, text),
                    RuleSet::Standard => language.and_then(grammar::syntax_in),
                };
                match syntax {
                    Some(Syntax::Tree(grammar)) => outline::outline(&chars, grammar, limit),
                    Some(Syntax::Markdown) => markdown::outline(text),
                    Some(Syntax::Blocks) => indentation::outline(text),
                    None => Outline::default(),
                }
            };
            (pack::pack(&chars, &outline.boundaries, limit), outline)
        }
    };
    let mut lines = LineCounter::new(text);
    let mut symbols = Symbols::new(text, &outline.definitions);
    for chunk in &mut chunks {
        if let Some(bytes) = &chunk.place.bytes {
            let bytes = bytes.start as usize..bytes.end as usize;
            chunk.place.lines = lines.lines(&bytes);
            chunk.place.symbols = symbols.around(&bytes);
        }
    }
    chunks
}

/// Whether `c` is white space by Python's `str.isspace`: Unicode's and the four information separators.
/// Both chunkers use it.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Return `range` of `text` without white space at its ends; empty (at `range.end`) when it is all white space.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let slice = &text[range.clone()];
    let start = range.end - slice.trim_start_matches(is_space).len();
    let end = start + text[start..range.end].trim_end_matches(is_space).len();
    start..end
}
