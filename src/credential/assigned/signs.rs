//! Values behind what is not a sign of assignment in most languages: alternatives, arrows, dashes, parentheses.

use super::super::Style;
use super::super::forms::floor;
use super::super::values::How;
use super::KeyInText;
use std::ops::Range;

/// Arrows and dashes of notes; what stands behind them must look drawn by lot, since code has them too.
const ARROWS: [&str; 5] = ["->", "=>", "\u{2014}", "\u{2013}", "-"];

/// Assignments that also read, as Ruby, make, PHP, Go and others write them; and those whose other side is code as a rule.
const COMPOUND: [&str; 7] = ["||=", "??=", "&&=", "?=", "::=", ":==", "?:="];
const OF_CODE: [&str; 4] = ["|=", ".=", "~=", "&="];

impl KeyInText<'_> {
    /// `KEY ||= "x"`, `KEY ?= x`, `KEY in ("x",)`, `val key by lazy { "x" }`.
    pub(super) fn behind_operator(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..];
        let behind = |signs: &[&str]| {
            let sign = signs.iter().find(|sign| rest.starts_with(**sign))?;
            Some(at + sign.len())
        };
        if let Some(at) = behind(&COMPOUND) {
            return self.literal(at);
        }
        let is_apart = at > self.name.end;
        if let Some(at) = behind(&["~ "]).filter(|_| is_apart) {
            // A pattern, or joined to a text.
            let found = self.quoted(at)?;
            let is_pattern = self.text[found.0.clone()].contains(['^', '$', '[', '*', '\\']);
            return (!is_pattern).then_some(found);
        }
        self.quoted(
            behind(&OF_CODE)
                .or_else(|| behind(&["in (", "in [", "by lazy {"]).filter(|_| is_apart))?,
        )
    }

    /// `KEY || "x"`, `get("KEY") or "x"`, `key -> x`, and the colon of Chinese and Japanese. `gap` is where the
    /// key ends, `at` where the next character stands.
    pub(super) fn behind_sign(
        &self,
        at: usize,
        gap: usize,
        is_quoted: bool,
    ) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..];
        for colon in ["\u{ff1a}", "\u{662f}"] {
            if rest.starts_with(colon) {
                return self.literal(at + colon.len());
            }
        }
        if is_quoted && rest.starts_with([')', ']']) {
            let at = self.skip_blanks(at + 1);
            // Ruby's `ENV.fetch("KEY") { "x" }`.
            return match self.text[at..].starts_with('{') {
                true => self.quoted(at + 1),
                false => self.behind_operator(at).or_else(|| self.otherwise(at)),
            };
        }
        if let Some(behind) = rest.strip_prefix('\u{2192}') {
            let start = self.skip_blanks(self.text.len() - behind.len());
            return match self.in_quotes(start) {
                Some(range) => Some((range, How::Quoted)),
                None => self.word(start).map(|range| (range, How::Inside)),
            };
        }
        if at == gap {
            return None;
        }
        if let Some(found) = self.otherwise(at) {
            return Some(found);
        }
        for arrow in ARROWS {
            let Some(behind) = rest.strip_prefix(arrow) else {
                continue;
            };
            let start = self.skip_blanks(at + arrow.len());
            if !behind.starts_with([' ', '\t']) {
                return None;
            }
            if let Some(range) = self.in_quotes(start) {
                // Code has the others, with texts behind them.
                return (!arrow.is_ascii()).then_some((range, How::Quoted));
            }
            return self.word(start).map(|range| (range, How::Inside));
        }
        None
    }

    /// `|| "x"`, `?? "x"`, `?: "x"`, `or "x"`.
    fn otherwise(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..];
        let mark = ["||", "??", "?:", "or "]
            .iter()
            .find(|mark| rest.starts_with(**mark))?;
        self.quoted(at + mark.len())
    }

    /// `password for bob is x`, `password (bob): x`.
    pub(super) fn of_whom(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + 60)];
        let begins = ["for ", "of ", "to ", "on ", "("];
        begins.iter().find(|begin| rest.starts_with(**begin))?;
        let line = rest.lines().next()?;
        let end = [" is ", ": ", " = "]
            .iter()
            .filter_map(|sign| Some(line.find(sign)? + sign.len()))
            .min()?;
        let start = self.skip_blanks(at + end);
        match self.in_quotes(start) {
            Some(range) => Some((range, How::Said)),
            None => self.word(start).map(|range| (range, How::Said)),
        }
    }

    /// Return what is opened before a value: `(`, `[`, and the backslash before the end of a line.
    pub(super) fn opened(&self, at: usize) -> Option<(Range<usize>, How)> {
        let bytes = self.text.as_bytes();
        match bytes[at] {
            // Elixir's and Ruby's `pass: ["text/*"]`: what is let through.
            b'[' if &self.text[self.name.clone()] == "pass" && self.style == Style::Any => None,
            b'(' | b'[' => self.quoted(at + 1),
            b'\\' if bytes.get(at + 1).is_some_and(|b| b"\r\n".contains(b)) => self
                .quoted(at + 1)
                .or_else(|| self.lone_word(self.skip_space(at + 1))),
            _ => None,
        }
    }
}
