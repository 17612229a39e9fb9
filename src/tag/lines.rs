//! The lines of a chunk, and what each of them is.

use super::format::{Family, Format};
use std::ops::Range;

/// A line without its indentation and trailing white space.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub start: usize,
    pub end: usize,
    /// Bytes of white space before it.
    pub indent: usize,
    /// Positions in the words of the outline.
    pub words: Range<usize>,
    pub kind: LineKind,
    /// Code, in a source file or in a fenced block of a document.
    pub is_code: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// Empty, or only a rule, a fence or an image.
    Blank,
    Comment,
    Heading,
    /// An item of a numbered list.
    Step,
    /// An item of a bulleted list.
    Item,
    /// `[name]` of a configuration file.
    Section,
    Import,
    Definition,
    Plain,
}

/// Cut `text` into lines. Their words, and whether they define or import, are found later.
pub(super) fn lines(text: &str, format: Format) -> Vec<Line> {
    let mut reader = Reader {
        format,
        comment_until: None,
        is_fenced: format.family == Family::Prose && starts_fenced(text),
    };
    let mut lines: Vec<Line> = Vec::with_capacity(text.len() / 32 + 4);
    let mut start = 0;
    for raw in text.split('\n') {
        let trimmed = raw.trim_start();
        let indent = raw.len() - trimmed.len();
        let trimmed = trimmed.trim_end();
        let mut kind = reader.kind(trimmed);
        if kind == LineKind::Plain && is_rule(trimmed) {
            kind = LineKind::Blank;
            underline(format, lines.last_mut());
        }
        lines.push(Line {
            start: start + indent,
            end: start + indent + trimmed.len(),
            indent,
            words: 0..0,
            kind,
            is_code: reader.is_fenced || format.is_code() || format.name.is_empty(),
        });
        start += raw.len() + 1;
    }
    lines
}

/// Whether a document's chunk begins inside a fenced block. A fence that names a language opens a block, so an odd
/// number of fences before it means yes. Without such a fence, assume no.
fn starts_fenced(text: &str) -> bool {
    let fences = text
        .split('\n')
        .map(str::trim)
        .filter(|line| is_fence(line));
    let opening = fences
        .enumerate()
        .find(|(_, line)| line.bytes().any(|b| b.is_ascii_alphanumeric()));
    opening.is_some_and(|(n_before, _)| n_before % 2 == 1)
}

fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

/// Whether the line is like `=====`.
fn is_rule(line: &str) -> bool {
    line.len() >= 3 && line.bytes().all(|b| b"=-~*^#_+".contains(&b))
}

/// In prose, make the line above a rule a heading.
fn underline(format: Format, above: Option<&mut Line>) {
    if let Some(above) = above
        && format.family == Family::Prose
        && above.kind == LineKind::Plain
    {
        above.kind = LineKind::Heading;
    }
}

struct Reader {
    format: Format,
    /// What ends the open comment.
    comment_until: Option<&'static str>,
    is_fenced: bool,
}

impl Reader {
    /// Return the kind of `line`, trimmed, by its first and last characters.
    fn kind(&mut self, line: &str) -> LineKind {
        if let Some(end) = self.comment_until {
            if has(line, end) {
                self.comment_until = None;
            }
            return LineKind::Comment;
        }
        if line.is_empty() {
            return LineKind::Blank;
        }
        if let Some(kind) = self.comment(line) {
            return kind;
        }
        match self.format.family {
            Family::Prose => self.prose(line),
            Family::Config => config(line),
            _ => LineKind::Plain,
        }
    }

    fn comment(&mut self, line: &str) -> Option<LineKind> {
        if let Some((open, close)) = self.format.block_comment()
            && let Some(rest) = line.strip_prefix(open)
        {
            if !has(rest, close) {
                self.comment_until = Some(close);
            }
            return Some(LineKind::Comment);
        }
        if self
            .format
            .line_comments()
            .iter()
            .any(|open| line.starts_with(open))
        {
            return Some(LineKind::Comment);
        }
        // The middle of a block comment whose start lies in an earlier chunk.
        let is_continued = line == "*" || line.starts_with("* ") || line.starts_with("*/");
        if self.format.family == Family::Brace && is_continued {
            return Some(LineKind::Comment);
        }
        (self.format.name == "python").then(|| self.docstring(line))?
    }

    fn docstring(&mut self, line: &str) -> Option<LineKind> {
        let line = line.trim_start_matches(['r', 'R', 'u', 'b', 'f']);
        for quotes in ["\"\"\"", "'''"] {
            if let Some(rest) = line.strip_prefix(quotes) {
                let closes = match self.format.is_standard() {
                    true => closes_string(rest),
                    false => rest.is_empty(),
                };
                if !closes && !has(rest, quotes) {
                    self.comment_until = Some(quotes);
                }
                return Some(LineKind::Comment);
            }
        }
        None
    }

    fn prose(&mut self, line: &str) -> LineKind {
        if is_fence(line) {
            self.is_fenced = !self.is_fenced;
            return LineKind::Blank;
        }
        if self.is_fenced {
            return LineKind::Plain;
        }
        // Images have no text.
        if line.starts_with("![") || line.starts_with("[![") {
            return LineKind::Blank;
        }
        let title = line.trim_start_matches('#');
        if (1..=6).contains(&(line.len() - title.len())) && title.starts_with(' ') {
            return LineKind::Heading;
        }
        if ["- ", "* ", "+ "]
            .iter()
            .any(|bullet| line.starts_with(bullet))
        {
            return LineKind::Item;
        }
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_numbered = rest.len() < line.len() && line.len() - rest.len() <= 3;
        if is_numbered && (rest.starts_with(". ") || rest.starts_with(") ")) {
            return LineKind::Step;
        }
        LineKind::Plain
    }
}

/// Whether quotes at the start of a line, with `rest` behind them, close a string: one that holds the lines above.
/// Quotes alone close more often than they open.
fn closes_string(rest: &str) -> bool {
    let mut next = rest.trim_start().bytes();
    match next.next() {
        None | Some(b')' | b']' | b'}' | b',' | b';' | b'%' | b'+') => true,
        // `""".format(..)`, but not `""".. note::`.
        Some(b'.') => next.next().is_some_and(|byte| byte.is_ascii_lowercase()),
        Some(_) => false,
    }
}

/// Whether `line` contains `mark`. On short lines this is several times as fast as the standard library's search,
/// which prepares for long texts.
fn has(line: &str, mark: &str) -> bool {
    let mut places = line.as_bytes().windows(mark.len());
    places.any(|place| place == mark.as_bytes())
}

fn config(line: &str) -> LineKind {
    if line.starts_with('[') && line.ends_with(']') && !line.contains([',', '"', '=']) {
        LineKind::Section
    } else {
        LineKind::Plain
    }
}

/// Return the text of a comment without its markers, of a heading without its `#`, of an item without its bullet.
pub(super) fn body(line: &str) -> &str {
    let line = line.strip_prefix("<!--").unwrap_or(line);
    let line = line.strip_suffix("-->").unwrap_or(line);
    let line = line.trim_start_matches(is_marker);
    let line = ["\"\"\"", "'''"].iter().fold(line, |line, quotes| {
        let line = line.strip_prefix(quotes).unwrap_or(line);
        line.strip_suffix(quotes).unwrap_or(line)
    });
    line.trim_end_matches(['*', '/', '#', '\u{2500}', '\u{2550}', ' ', '\t'])
        .trim_start()
}

/// Whether `c` opens comments or items, or belongs to lines drawn in comments.
fn is_marker(c: char) -> bool {
    matches!(
        c,
        '/' | '*' | '#' | '-' | ';' | '!' | '+' | '=' | '\u{2500}' | '\u{2550}' | ' ' | '\t'
    )
}

/// Whether the byte at `at` ends a sentence: a full stop before a blank, but not that of `2. ` or
/// `e.g. `.
pub(super) fn ends_sentence(bytes: &[u8], at: usize) -> bool {
    let is_mark = matches!(bytes[at], b'.' | b'!' | b'?');
    if !is_mark || !matches!(bytes.get(at + 1), None | Some(b' ')) || at == 0 {
        return false;
    }
    let is_short = at >= 2 && bytes[at - 2] == b'.';
    !is_short && !bytes[at - 1].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_no_markers() {
        assert_eq!(body("/// Reads a file."), "Reads a file.");
        assert_eq!(body("\"\"\"Reads.\"\"\""), "Reads.");
        assert_eq!(body("/* a */"), "a");
        assert_eq!(body("## Two ##"), "Two");
        assert_eq!(body("<!-- x -->"), "x");
    }
}
