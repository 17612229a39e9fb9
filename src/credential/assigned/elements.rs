//! Values in elements of XML and HTML, and in rows of SQL.

use super::super::forms::floor;
use super::super::values::How;
use super::{KeyInText, MAX_VALUE_BYTES};
use std::ops::Range;

/// How long a row of headers may be.
const MAX_ROW_BYTES: usize = 1024;
/// How far a table is looked at.
const MAX_TABLE_BYTES: usize = 16 << 10;

impl KeyInText<'_> {
    /// `x</password>`, `<![CDATA[x]]>`, `<value>x</value></property>`.
    pub(super) fn element(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let data = "<![CDATA[";
        let (start, length) = match rest.strip_prefix(data) {
            Some(inside) => (at + data.len(), inside.find("]]>")?),
            None => (at, rest.find('<')?),
        };
        let range = self.trimmed(start..start + length);
        let behind = &self.text[start + length..];
        if range.is_empty() {
            return match behind.starts_with("</") {
                true => None,
                false => self.next_element(start + length),
            };
        }
        // `#include <pwd.h>` and `Vec<Token>` open no element: none is closed.
        let is_closed = behind.starts_with("</") || behind.starts_with("]]>");
        is_closed.then_some((range, How::Quoted))
    }

    /// `<password kind="x">x</password>`: `at` is where the attributes begin.
    pub(super) fn element_of(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + 200)];
        let end = rest.find(['>', '<', '\n'])?;
        let is_open = rest[end..].starts_with('>') && !rest[..end].ends_with('/');
        is_open.then(|| self.element(at + end + 1))?
    }

    /// `<property name="password" type="text" value="x"/>`: `at` is behind the name.
    pub(super) fn attribute(&self, at: usize) -> Option<(Range<usize>, How)> {
        let before = self.line_before();
        let is_inside = before.rfind('<') > before.rfind('>');
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let rest = &rest[..rest.find('>')?];
        let value = [" value=", " Value=", " default=", " content="]
            .iter()
            .filter_map(|name| Some(rest.find(name)? + name.len()))
            .min()?;
        is_inside.then(|| self.quoted(at + value))?
    }

    /// `<setting name="KEY" kind="x">x</setting>`, `<value>x</value>` within: `at` is behind the name.
    pub(super) fn named_element(&self, at: usize) -> Option<(Range<usize>, How)> {
        const NAMES: [&str; 9] = [
            "setting", "property", "entry", "param", "env", "data", "string", "option", "secret",
        ];
        let before = self.line_before();
        let name = &before[before.rfind('<')? + 1..];
        let name = name.split([' ', '\t']).next().unwrap_or(name);
        NAMES.contains(&name).then(|| self.element_of(at))?
    }

    /// `Client secret: <code>x</code>`.
    pub(super) fn marked_up(&self, at: usize) -> Option<(Range<usize>, How)> {
        const MARKS: [&str; 7] = ["<code>", "<strong>", "<b>", "<em>", "<kbd>", "<tt>", "<i>"];
        let rest = &self.text[at..];
        let mark = MARKS.iter().find(|mark| rest.starts_with(**mark))?;
        self.element(at + mark.len())
    }

    /// Return the cells of HTML below the key, if it stands in a header cell.
    pub(super) fn html_column(&self) -> Vec<(Range<usize>, How)> {
        let mut cells = Vec::new();
        let near = floor(self.text, self.name.start.saturating_sub(MAX_ROW_BYTES));
        let before = &self.text[near..self.name.start];
        let row = &before[before.rfind("<tr").unwrap_or(before.len())..];
        let column = row.matches("<th").count();
        let end = floor(self.text, self.name.end + MAX_TABLE_BYTES);
        let table = &self.text[self.name.end..end];
        let is_header = column > 0 && !row[row.rfind("<th").unwrap_or(0)..].contains("</th");
        if !is_header {
            return cells;
        }
        let table = &table[..table.find("</table").unwrap_or(table.len())];
        let rows: Vec<_> = table.match_indices("<tr").map(|(at, _)| at).collect();
        for (n, at) in rows.iter().enumerate() {
            let row = &table[*at..rows.get(n + 1).copied().unwrap_or(table.len())];
            let Some((cell, _)) = row.match_indices("<td").nth(column - 1) else {
                continue;
            };
            let Some(open) = row[cell..].find('>') else {
                continue;
            };
            let start = self.name.end + at + cell + open + 1;
            let start =
                start + usize::from(self.text[start..].starts_with("<code>")) * "<code>".len();
            cells.extend(self.element(start));
        }
        cells
    }

    /// `<key>password</key> <string>x</string>`, `<name>password</name><value>x</value>`.
    pub(super) fn next_element(&self, at: usize) -> Option<(Range<usize>, How)> {
        const NAMES: [&str; 5] = ["string", "value", "code", "td", "dd"];
        let rest = &self.text[at..floor(self.text, at + 160)];
        let open = rest.match_indices('<').find_map(|(open, _)| {
            let name = &rest[open + 1..];
            let name = &name[..name.find('>')?];
            let element = name.split(' ').next().unwrap_or(name);
            let is_value =
                !name.starts_with('/') && NAMES.iter().any(|known| element.ends_with(known));
            is_value.then_some(open + name.len() + 2)
        })?;
        let rest = &self.text[at + open..];
        match rest.starts_with("<code>") {
            true => self.element(at + open + "<code>".len()),
            false => self.element(at + open),
        }
    }

    /// `INSERT INTO users (name, password) VALUES ('me', 'x')`: what stands behind the key has its place in the
    /// row. `at` is where the name ends.
    pub(super) fn inserted(&self, at: usize) -> Option<(Range<usize>, How)> {
        let line = self.line_before();
        let columns = &line[line.rfind('(')? + 1..];
        let of_names = |c: char| c.is_ascii_alphanumeric() || "_,`\"[] ".contains(c);
        if !columns.chars().all(of_names) {
            return None;
        }
        let rest = &self.text[at..floor(self.text, at + 300)];
        let close = rest.find(')')?;
        let values = rest[close + 1..].trim_start();
        let head = values.get(.."values".len())?;
        if !head.eq_ignore_ascii_case("values") {
            return None;
        }
        let mut at = at + rest.len() - values.len() + "values".len();
        at = self.skip_space(at);
        if self.text.as_bytes().get(at) != Some(&b'(') {
            return None;
        }
        at += 1;
        for _ in 0..columns.matches(',').count() {
            at = self.skip_space(at);
            let from = self.in_quotes(at).map_or(at, |quoted| quoted.end + 1);
            at = from + self.text[from..floor(self.text, from + 100)].find(',')? + 1;
        }
        self.quoted(at)
    }
}
