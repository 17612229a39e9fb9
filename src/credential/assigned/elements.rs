//! Values in elements of XML and HTML, and in rows of SQL.

use super::super::forms::floor;
use super::super::values::How;
use super::{KeyInText, MAX_VALUE_BYTES};
use std::ops::Range;

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
        if range.is_empty() {
            return match rest[length..].starts_with("</") {
                true => None,
                false => self.next_element(at + length),
            };
        }
        Some((range, How::Quoted))
    }

    /// `<password kind="x">x</password>`: `at` is where the attributes begin.
    pub(super) fn element_of(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + 200)];
        let end = rest.find(['>', '<', '\n'])?;
        let is_open = rest[end..].starts_with('>') && !rest[..end].ends_with('/');
        is_open.then(|| self.element(at + end + 1))?
    }

    /// `<key>password</key> <string>x</string>`, `<name>password</name><value>x</value>`.
    pub(super) fn next_element(&self, at: usize) -> Option<(Range<usize>, How)> {
        const NAMES: [&str; 5] = ["string", "value", "code", "td", "dd"];
        let rest = &self.text[at..floor(self.text, at + 80)];
        let open = rest.match_indices('<').find_map(|(open, _)| {
            let name = &rest[open + 1..];
            let name = &name[..name.find('>')?];
            let is_value =
                !name.starts_with('/') && NAMES.iter().any(|known| name.ends_with(known));
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
