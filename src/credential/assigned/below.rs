//! Values on the lines below their key: under a heading, behind a colon, in a fenced block.

use super::super::forms::floor;
use super::super::values::How;
use super::KeyInText;
use std::ops::Range;

/// How far below a key its value may stand.
const MAX_BYTES: usize = 240;
/// Lines without a value that may stand between: blanks, the rule under a heading, the begin of a fenced block.
const MAX_LINES: usize = 4;

impl KeyInText<'_> {
    /// Return the only value of the next line that holds something; `at` is anywhere on the line of the key. A word must
    /// not read like one, since sentences stand below headings.
    pub(super) fn below(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_BYTES)];
        let mut start = at + rest.find('\n')? + 1;
        for _ in 0..=MAX_LINES {
            let line = self.text.get(start..)?.lines().next()?;
            let is_rule = line.trim().bytes().all(|byte| b"=-~`".contains(&byte));
            let is_fence = line.trim_start().starts_with("```");
            if !is_rule && !is_fence {
                let marks = |c: char| c.is_whitespace() || "-*>".contains(c);
                let begin = start + (line.len() - line.trim_start_matches(marks).len());
                return match self.in_quotes(begin) {
                    Some(range) => self
                        .ends_line(range.end + 1)
                        .then_some((range, How::Quoted)),
                    None => self.lone_word(begin),
                };
            }
            start += line.len() + 1;
            start += usize::from(self.text[start - 1..].starts_with('\r'));
        }
        None
    }

    /// Return whether the key ends a heading, or is a line of its own: `## Password`, `**Password**`, `Password`. In lists of
    /// words it is in small letters.
    pub(super) fn is_heading(&self) -> bool {
        let before = self.line_before().trim_start();
        let is_title = before
            .chars()
            .all(|c| c.is_alphanumeric() || " #*_>-".contains(c));
        let name = &self.text[self.name.clone()];
        let behind = before.trim_start_matches('#');
        // `#include` and `#define` are code.
        let is_marked =
            before.starts_with('*') || behind.len() < before.len() && behind.starts_with(' ');
        is_title && is_marked
            || before.is_empty() && name.starts_with(|c: char| c.is_ascii_uppercase())
    }

    fn ends_line(&self, at: usize) -> bool {
        let rest = self.text.get(at..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        line.trim_matches(['"', '\'', '`', '*', '.', ' ', ';', ','])
            .is_empty()
    }
}
