//! Fills chunks: cuts a text at given boundaries so that no chunk exceeds the limit.
//!
//! Independent of grammars. Where boundaries are missing or too far apart, it cuts at paragraphs, lines,
//! sentences or words, and in the end between any two characters. Linear in the text's length.

use super::chars::CharIndex;
use super::{Chunk, is_space, trim};
use std::borrow::Cow;
use std::ops::Range;

/// How good a place to cut is; the smallest rank is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u8);

impl Rank {
    /// Between two items on one line: better than inside a sentence, worse than the end of a line.
    pub const WITHIN_LINE: Self = Self(u8::MAX);

    /// Before an item that begins a line, `depth` levels down.
    pub fn item(depth: usize, after_blank_line: bool) -> Self {
        let rank = depth * 2 + usize::from(!after_blank_line);
        Self(rank.min(usize::from(u8::MAX - 1)) as u8)
    }

    /// Return the number of levels that [`Self::item`] was given, if it was not too large.
    pub fn depth(self) -> usize {
        usize::from(self.0 / 2)
    }
}

/// A place where the text may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Byte position; a character boundary, not 0.
    pub at: usize,
    pub rank: Rank,
}

/// Cut the text into chunks of at most `limit` characters (at least 1). `boundaries` ascend.
pub fn pack<'a>(chars: &CharIndex<'a>, boundaries: &[Boundary], limit: usize) -> Vec<Chunk<'a>> {
    let text = chars.text;
    let mut chunks = Vec::new();
    let mut left = boundaries;
    let mut rest = trim(text, 0..text.len());
    let mut begins_within_line = false;
    while !rest.is_empty() {
        left = &left[left.partition_point(|boundary| boundary.at <= rest.start)..];
        let cut = Window::new(chars, left, rest.clone(), limit).cut();
        let range = trim(text, rest.start..cut);
        rest.start = range.end + leading_space(&text[range.end..rest.end]);
        let ends_within_line = !rest.is_empty() && !text[range.end..rest.start].contains('\n');
        let chunk = Chunk::new(
            Cow::Borrowed(&text[range.clone()]),
            chunks.len() as u32,
            begins_within_line || ends_within_line,
        );
        chunks.push(chunk.cut_from(&range));
        begins_within_line = ends_within_line;
    }
    chunks
}

/// The part of the text that the next chunk may take.
struct Window<'a> {
    chars: &'a CharIndex<'a>,
    /// The boundaries after the window's start.
    boundaries: &'a [Boundary],
    limit: usize,
    rest: Range<usize>,
    /// Where a full chunk ends, including the white space after it.
    end: usize,
    /// Where a chunk is half full. A better place does not make a chunk shorter than this.
    half: usize,
}

impl<'a> Window<'a> {
    fn new(
        chars: &'a CharIndex<'a>,
        boundaries: &'a [Boundary],
        rest: Range<usize>,
        limit: usize,
    ) -> Self {
        let full = chars.advance(rest.start, limit).min(rest.end);
        Self {
            chars,
            boundaries,
            limit,
            end: full + leading_space(&chars.text[full..rest.end]),
            half: chars.advance(rest.start, limit.div_ceil(2)).min(full),
            rest,
        }
    }

    /// Return where the chunk ends: after the window's start, at most at its end.
    fn cut(&self) -> usize {
        if self.end >= self.rest.end {
            return self.rest.end;
        }
        let reachable = self
            .boundaries
            .partition_point(|boundary| boundary.at <= self.end);
        let (near, far) = self.boundaries.split_at(reachable);
        self.best_item(near)
            .or_else(|| self.before_whole_item(near, far))
            .unwrap_or_else(|| self.cut_text(near))
    }

    /// Return the start of the outermost item that begins in the window's second half; the last one of several.
    fn best_item(&self, near: &[Boundary]) -> Option<usize> {
        let candidates = near.iter().rev();
        candidates
            .take_while(|boundary| boundary.at >= self.half)
            .filter(|boundary| boundary.rank < Rank::WITHIN_LINE)
            .min_by_key(|boundary| boundary.rank)
            .map(|boundary| boundary.at)
    }

    /// Return the start of an item that does not fit here but fits whole into the next chunk.
    fn before_whole_item(&self, near: &[Boundary], far: &[Boundary]) -> Option<usize> {
        let begins_line = |boundary: &&Boundary| boundary.rank < Rank::WITHIN_LINE;
        let last = near.iter().rev().find(begins_line)?.at;
        let next = far
            .iter()
            .find(begins_line)
            .map_or(self.rest.end, |boundary| boundary.at);
        let item = trim(self.chars.text, last..next);
        (self.chars.count(item) <= self.limit).then_some(last)
    }

    /// Return a place inside an item that is larger than a chunk.
    fn cut_text(&self, near: &[Boundary]) -> usize {
        let text = &self.chars.text[self.half..self.end];
        let within_line = || {
            near.last()
                .map(|boundary| boundary.at)
                .filter(|at| *at >= self.half)
        };
        paragraph_end(text)
            .or_else(|| text.rfind('\n').map(|at| at + 1))
            .map(|at| self.half + at)
            .or_else(within_line)
            .or_else(|| {
                sentence_end(text)
                    .or_else(|| word_end(text))
                    .map(|at| self.half + at)
            })
            .unwrap_or(self.end)
    }
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

/// Return the end of the last blank line.
fn paragraph_end(text: &str) -> Option<usize> {
    let mut end = text.rfind('\n')?;
    while let Some(newline) = text[..end].rfind('\n') {
        if text[newline..end].chars().all(is_space) {
            return Some(end + 1);
        }
        end = newline;
    }
    None
}

/// Return the end of the last full stop, question mark or exclamation mark before white space, or of a wide form
/// of one.
fn sentence_end(text: &str) -> Option<usize> {
    let mut next = 'x';
    for (at, c) in text.char_indices().rev() {
        let is_end = match c {
            '.' | '!' | '?' => is_space(next),
            '\u{3002}' | '\u{ff01}' | '\u{ff1f}' => true,
            _ => false,
        };
        if is_end {
            return Some(at + c.len_utf8());
        }
        next = c;
    }
    None
}

/// Return the end of the last white space.
fn word_end(text: &str) -> Option<usize> {
    let at = text.rfind(is_space)?;
    text[at..].chars().next().map(|space| at + space.len_utf8())
}
