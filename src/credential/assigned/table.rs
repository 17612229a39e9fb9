//! Values in tables: the cell beside a key, the cells below one, fields of separated values.

use super::super::forms::floor;
use super::super::values::How;
use super::{KeyInText, MAX_VALUE_BYTES};
use std::ops::Range;

/// Rows looked at below a header. A table of more is a file of data, each row of which costs.
const MAX_ROWS: usize = 200;
/// How far a table is looked at.
const MAX_TABLE_BYTES: usize = 16 << 10;

impl KeyInText<'_> {
    /// `| password | `x` |`: the next cell of a row.
    pub(super) fn cell(&self, at: usize) -> Option<(Range<usize>, How)> {
        let before = self.line_before().trim_start();
        // `| Client secret |`.
        let of_name = |c: char| c.is_ascii_alphanumeric() || "`* _-".contains(c);
        let is_row = before.starts_with('|') && before.trim_end_matches(of_name).ends_with('|');
        if !is_row || self.header().is_some() {
            return None;
        }
        let rest = &self.text[at + 1..floor(self.text, at + MAX_VALUE_BYTES)];
        let line = rest.lines().next()?;
        let length = line.find('|')?;
        self.bare_cell(at + 1..at + 1 + length)
    }

    /// `bob,password,x`: the next field.
    pub(super) fn field(&self, at: usize) -> Option<(Range<usize>, How)> {
        let separator = self.text.as_bytes()[at];
        let line = self.line();
        let name = self.name.start - line.start;
        let text = &self.text[line.clone()];
        let is_data = !text.contains(['(', ')', '{', '}', '=']);
        let begins = name == 0 || text.as_bytes()[name - 1] == separator;
        if !is_data || !begins {
            return None;
        }
        let start = at + 1;
        let rest = &self.text[start..line.end];
        let length = rest.find(char::from(separator)).unwrap_or(rest.len());
        let range = self.trimmed(start..start + length);
        // A blank behind the comma is a list's.
        (!range.is_empty() && range.start == start).then_some((range, How::Inside))
    }

    /// `"KEY","x"`: the next field, in quotes like the first.
    pub(super) fn quoted_field(&self, at: usize) -> Option<(Range<usize>, How)> {
        let before = self.line_before();
        let begins = matches!(before, "\"" | "'") || before.ends_with(",\"");
        begins.then(|| Some((self.in_quotes(at)?, How::Quoted)))?
    }

    /// Return the cells below the key, if it is a header: of a table of Markdown, or of separated values.
    pub(super) fn column(&self) -> Vec<(Range<usize>, How)> {
        let Some((separator, skipped)) = self.header() else {
            return self.html_column();
        };
        let line = self.line();
        let column = self.text[line.start..self.name.start]
            .matches(separator)
            .count();
        let mut cells = Vec::new();
        let mut start = line.end + 1;
        let end = floor(self.text, start + MAX_TABLE_BYTES);
        for (n, row) in self
            .text
            .get(start..end)
            .unwrap_or_default()
            .split_inclusive('\n')
            .enumerate()
        {
            if n > MAX_ROWS || !row.contains(separator) {
                break;
            }
            let mut at = start;
            for (m, cell) in row.split(separator).enumerate() {
                if m == column && n >= skipped {
                    cells.extend(self.bare_cell(at..at + cell.len()));
                }
                at += cell.len() + separator.len_utf8();
            }
            start += row.len();
        }
        cells
    }

    /// Return what separates the cells of the header that the key stands in, and how many lines below it hold none.
    fn header(&self) -> Option<(char, usize)> {
        let line = self.line();
        let header = &self.text[line.clone()];
        let below = self
            .text
            .get(line.end + 1..floor(self.text, line.end + 1 + MAX_VALUE_BYTES))?;
        let below = below.lines().next()?;
        if header.contains('|') {
            let is_rule = below.contains('-')
                && below.contains('|')
                && below.bytes().all(|b| b"|:- \t".contains(&b));
            return is_rule.then_some(('|', 1));
        }
        let before = header[..self.name.start - line.start].trim_end_matches(['"', '\'']);
        let behind = header[self.name.end - line.start..].trim_start_matches(['"', '\'']);
        let of_names = |c: char| c.is_ascii_alphanumeric() || "_-. \"',;\t".contains(c);
        if !header.chars().all(of_names) || header.ends_with([',', ';']) {
            return None;
        }
        [',', ';', '\t']
            .into_iter()
            .find(|separator| {
                let n = header.matches(*separator).count();
                let is_whole = (before.is_empty() || before.ends_with(*separator))
                    && (behind.is_empty() || behind.starts_with(*separator));
                n > 0
                    && is_whole
                    && below.matches(*separator).count() == n
                    && is_list_of_names(header, *separator)
            })
            .map(|separator| (separator, 0))
    }

    /// Return the line of the key, without its end.
    fn line(&self) -> Range<usize> {
        let before = self.line_before();
        let start = self.name.start - before.len();
        let rest = &self.text[self.name.end..floor(self.text, self.name.end + MAX_VALUE_BYTES)];
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        start..self.name.end + length
    }

    /// Return a cell without blanks, quotes and marks around.
    fn bare_cell(&self, range: Range<usize>) -> Option<(Range<usize>, How)> {
        let marks = |c: char| c.is_whitespace() || "`*\"'".contains(c);
        let text = &self.text[range.clone()];
        let start = range.start + (text.len() - text.trim_start_matches(marks).len());
        let range = start..start + text.trim_matches(marks).len();
        let how = match self.text[..range.start].ends_with(['`', '"', '\'']) {
            true => How::Quoted,
            false => How::Line,
        };
        (!range.is_empty()).then_some((range, how))
    }
}

/// Names alone, each a word or two: no sentence.
fn is_list_of_names(header: &str, separator: char) -> bool {
    header.split(separator).all(|name| {
        let name = name.trim();
        !name.is_empty() && name.len() <= 40 && !name.starts_with(|c: char| c.is_ascii_digit())
    })
}
