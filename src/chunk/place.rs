//! Where a chunk stands in its file: bytes and lines.
//!
//! Pure. Chunkers give places in the text that they cut; an [`Origin`] leads from there back to the bytes and lines of
//! the file on disk. [`super::decode()`] makes it, and steps that rewrite the text keep it true.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Where a chunk stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From the chunk's first byte to behind its last. Chunkers count in the text that they cut, the index in the file on
    /// disk; `None` there when the file is not UTF-8 or its text was rewritten.
    pub bytes: Option<Range<u64>>,
    /// First and last line, from 1.
    pub lines: (u32, u32),
    /// Names of the definitions around the chunk, outermost first: module, class, function.
    pub symbols: Vec<String>,
}

impl Default for Place {
    /// Somewhere in the first line.
    fn default() -> Self {
        Self {
            bytes: None,
            lines: (1, 1),
            symbols: Vec::new(),
        }
    }
}

/// How a text came from the bytes of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    bytes: Option<ByteMap>,
    /// For each line of the text its line in the file, from 1; `None` when they are the same.
    lines: Option<Vec<u32>>,
}

/// How a UTF-8 text differs from the bytes of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ByteMap {
    /// Bytes of the mark before the text.
    mark: u64,
    /// Where the text has a line feed in place of the file's CRLF; ascending.
    shortened: Vec<u32>,
}

impl Origin {
    /// The origin of a UTF-8 text behind `mark` bytes of a byte order mark. `decoded` has the line ends of the file.
    pub fn utf8(mark: usize, decoded: &str) -> Self {
        let returns = decoded.match_indices("\r\n").enumerate();
        Self {
            bytes: Some(ByteMap {
                mark: mark as u64,
                // Each earlier pair has become one byte shorter. Files are far smaller than 4 GiB.
                shortened: returns.map(|(n, (at, _))| (at - n) as u32).collect(),
            }),
            lines: None,
        }
    }

    /// The origin of a text in another encoding: its lines are the file's, its bytes are not.
    pub fn of_lines() -> Self {
        Self {
            bytes: None,
            lines: None,
        }
    }

    /// The origin of another text made from this one. `lines` has for each of its lines the line of this text, from 1;
    /// `None` when they are the same.
    #[must_use]
    pub fn rewritten(self, lines: Option<Vec<u32>>) -> Self {
        let lines = match (self.lines.as_deref(), lines) {
            (Some(_), Some(lines)) => Some(lines.iter().map(|line| self.line(*line)).collect()),
            (_, Some(lines)) => Some(lines),
            (_, None) => self.lines,
        };
        Self { bytes: None, lines }
    }

    /// Return `place`, which is in the text, as a place in the file.
    pub fn trace(&self, place: Place) -> Place {
        Place {
            bytes: place.bytes.and_then(|bytes| {
                let map = self.bytes.as_ref()?;
                Some(map.trace(bytes.start)..map.trace(bytes.end))
            }),
            lines: (self.line(place.lines.0), self.line(place.lines.1)),
            symbols: place.symbols,
        }
    }

    /// Return the line of the file for a line of the text; for one behind its end the last.
    fn line(&self, line: u32) -> u32 {
        match &self.lines {
            None => line,
            Some(lines) => {
                let known = lines
                    .get((line as usize).saturating_sub(1))
                    .or(lines.last());
                known.copied().unwrap_or(line)
            }
        }
    }
}

impl ByteMap {
    fn trace(&self, at: u64) -> u64 {
        let shortened = self.shortened.partition_point(|end| u64::from(*end) < at);
        self.mark + at + shortened as u64
    }
}

/// Counts lines from one position of a text to a later one.
pub struct LineCounter<'a> {
    text: &'a str,
    at: usize,
    line: u32,
}

impl<'a> LineCounter<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
        }
    }

    /// Return the first and the last line of a range that is not empty and begins where an earlier one began, or later.
    pub fn lines(&mut self, range: &Range<usize>) -> (u32, u32) {
        self.line += newlines(&self.text[self.at..range.start]);
        self.at = range.start;
        let inside = &self.text[range.clone()];
        let inside = inside.strip_suffix('\n').unwrap_or(inside);
        (self.line, self.line + newlines(inside))
    }
}

fn newlines(text: &str) -> u32 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(bytes: Range<u64>, lines: (u32, u32)) -> Place {
        Place {
            bytes: Some(bytes),
            lines,
            ..Place::default()
        }
    }

    #[test]
    fn a_text_in_another_encoding_keeps_its_lines_alone() {
        let traced = Origin::of_lines().trace(place(3..5, (2, 4)));
        assert_eq!((traced.bytes, traced.lines), (None, (2, 4)));
    }

    #[test]
    fn rewriting_twice_leads_back_to_the_file() {
        let origin = Origin::utf8(0, "a\nb\nc\nd\ne");
        let once = origin.rewritten(Some(vec![1, 3, 4, 5]));
        assert_eq!(once.trace(place(0..1, (2, 4))).lines, (3, 5));
        let twice = once.rewritten(Some(vec![1, 4]));
        let traced = twice.trace(place(0..1, (1, 2)));
        assert_eq!((traced.bytes, traced.lines), (None, (1, 5)));
        assert_eq!(
            twice.rewritten(None).trace(place(0..1, (2, 2))).lines,
            (5, 5)
        );
    }
}
