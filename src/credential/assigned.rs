//! Values behind a key that announces a credential: `password: x`, `token = "x"`, `--secret x`,
//! `<password>x</password>`, `{"name": "API_KEY", "value": "x"}`, `the password is x`.
//!
//! Formats are not known here; how key and value stand on their line says enough. See [`super::keys`] for keys
//! and [`mod@super::values`] for what counts as a value.

mod before;
mod below;
mod blank;
mod elements;
mod literal;
mod signs;
mod table;

use super::forms::floor;
use super::keys::{self, Key};
use super::values::{self, How};
use super::{Found, Style, random, stand_ins};
use std::ops::Range;

/// Longer names are generated.
const MAX_KEY_BYTES: usize = 60;
/// Fields of an object that are looked at.
const MAX_FIELDS: usize = 4;
/// Longer values are files of their own.
const MAX_VALUE_BYTES: usize = 1024;

/// Judge what follows the key around `start..end`. Where the key ends.
pub(super) fn value(
    text: &str,
    start: usize,
    end: usize,
    style: Style,
    found: &mut Vec<Found>,
) -> usize {
    let name = with_kind(text, name_around(text, start, end));
    let Some(key) = keys::key(&text[name.clone()]) else {
        return name.end;
    };
    // The working directory of a shell; `PWD=x` without the sign is also a password of ODBC.
    let is_folder = text[..name.start].ends_with(['$', '{']) && &text[name.clone()] == "PWD";
    if is_folder || &text[name.clone()] == "OLDPWD" {
        return name.end;
    }
    // Part of a value that is one for certain: `secret=password=password=...`.
    let is_judged =
        |one: &Found| one.is_certain && one.range.start <= start && end <= one.range.end;
    if found.last().is_some_and(is_judged) {
        return name.end;
    }
    // Encoded bytes have `PW` in them as well.
    if !random::is_random(&text[name.clone()]) {
        judge(text, &name, key, style, found);
    }
    name.end
}

/// The same for a word that means a password in another language, at `start..end`.
pub(super) fn foreign(text: &str, start: usize, end: usize, style: Style, found: &mut Vec<Found>) {
    let is_inside = |c: char| c.is_alphanumeric();
    // Chinese and Japanese have no blanks between words.
    let is_letter = text[start..end].chars().all(|c| u32::from(c) < 0x2e80);
    let begins = !is_letter || !text[..start].ends_with(is_inside);
    let ends = !is_letter || !text[end..].starts_with(is_inside);
    if !begins || !ends {
        return;
    }
    // `has\u{142}o_bazy`: judged like `password_bazy`.
    let of_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let near = &text[end..floor(text, end + MAX_KEY_BYTES)];
    let length = near.find(|c| !of_name(c)).unwrap_or(near.len());
    let behind = near[..length].trim_end_matches(['-', '.']);
    if keys::key(&["password", behind].concat()) == Some(Key::Password) {
        judge(
            text,
            &(start..end + behind.len()),
            Key::Password,
            style,
            found,
        );
    }
}

/// `API key`, `access key`: the name with the word before it, if that makes it a key's.
fn with_kind(text: &str, name: Range<usize>) -> Range<usize> {
    let word = text[name.clone()].trim_end_matches(|c: char| c.is_ascii_digit());
    let is_key = word.eq_ignore_ascii_case("key") || word.eq_ignore_ascii_case("keys");
    let Some(before) = text[..name.start].strip_suffix(' ').filter(|_| is_key) else {
        return name;
    };
    let letters = before.bytes().rev().take_while(u8::is_ascii_alphabetic);
    let start = before.len() - letters.count();
    match keys::key(&text[start..name.end]) {
        Some(_) => start..name.end,
        None => name,
    }
}

fn judge(text: &str, name: &Range<usize>, key: Key, style: Style, found: &mut Vec<Found>) {
    let named = KeyInText { text, name, style };
    let known = found.len();
    let value = named.value();
    let more = named.joined_to(value.as_ref());
    let values = value.into_iter().chain(more).chain(named.column());
    for (range, how) in values {
        let Some(is_certain) = values::judge(key, &text[range.clone()], how, style) else {
            continue;
        };
        let what = match key {
            Key::Password => "password",
            Key::Token => "token or key",
        };
        found.push(Found {
            range,
            is_certain,
            what,
        });
    }
    found.extend(named.before(key));
    let is_found = found[known..].iter().any(|one| one.is_certain);
    if key == Key::Password && !is_found {
        found.extend(named.drawn());
    }
}

/// Return the name that the stem is part of, with the dots and dashes inside.
fn name_around(text: &str, start: usize, end: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let before = bytes[..start].iter().rev().take(MAX_KEY_BYTES);
    let start = start - before.take_while(|byte| of_name(byte)).count();
    let behind = bytes[end..].iter().take(MAX_KEY_BYTES);
    let mut end = end + behind.take_while(|byte| of_name(byte)).count();
    while b"-.".contains(&bytes[end - 1]) {
        end -= 1;
    }
    let lead = bytes[start..end]
        .iter()
        .take_while(|byte| b"-.".contains(byte))
        .count();
    start + lead..end
}

/// A key in a text.
struct KeyInText<'t> {
    text: &'t str,
    name: &'t Range<usize>,
    style: Style,
}

impl KeyInText<'_> {
    /// Return where the value stands, and how.
    fn value(&self) -> Option<(Range<usize>, How)> {
        let bytes = self.text.as_bytes();
        let (mut at, is_quoted) = self.closed_name();
        let gap = at;
        if bytes.get(at) == Some(&b'\t')
            && let Some(found) = self.field(at)
        {
            return Some(found);
        }
        at = self.skip_blanks(at);
        if let Some(found) = self.document(at) {
            return Some(found);
        }
        let next = |n: usize| bytes.get(at + n).copied().unwrap_or(b'\n');
        if let Some(found) = self.behind_operator(at) {
            return Some(found);
        }
        if let Some(found) = self.behind_sign(at, gap, is_quoted) {
            return Some(found);
        }
        match next(0) {
            b'=' | b'!' if next(1) == b'=' => self.quoted(at + 2 + usize::from(next(2) == b'=')),
            b'=' if next(1) == b'>' => self.literal(at + 2),
            b'=' if next(1) != b'~' => self.literal(at + 1),
            b':' if next(1) == b'=' => self.literal(at + 2),
            b':' if next(1) == b'-' => self.expansion(at + 2),
            b':' if next(1) != b':' => self.typed(at + 1).or_else(|| self.literal(at + 1)),
            b'+' if next(1) == b'=' => self.literal(at + 2),
            b'-' if next(1) == b'>' => self.quoted(at + 2),
            b'<' if next(1) == b'-' => self.literal(at + 2),
            b'{' if is_quoted => self.block_default(at + 1),
            b'>' if self.is_element() || is_quoted => self.element(at + 1),
            _ if at > gap && self.is_element() => {
                self.attribute(gap).or_else(|| self.element_of(at))
            }
            b'/' if next(1) == b'>' => None,
            b'<' if next(1) == b'/' => self.next_element(at),
            b',' if is_quoted => self
                .argument(at + 1)
                .or_else(|| self.sibling(at + 1))
                .or_else(|| self.quoted_field(at + 1)),
            b',' if self.is_compared() || self.is_symbol() => self.quoted(at + 1),
            b',' | b')' if let Some(found) = self.inserted(at) => Some(found),
            b'|' => self.cell(at),
            b',' if gap == at => self.field(at).or_else(|| self.sibling(at)),
            b';' if gap == at => self.field(at),
            b'(' if gap == at && !is_quoted && self.is_setter() => {
                let is_lent = next(1) == b'&';
                self.quoted(at + 1 + usize::from(is_lent))
            }
            b'\n' | b'\r' if self.line_before().trim() == "?" => {
                let at = self.skip_space(at);
                self.text[at..]
                    .starts_with(": ")
                    .then(|| Some((self.literal(at + 2)?.0, How::Line)))?
            }
            b'\n' | b'\r' => self
                .sibling(at)
                .or_else(|| self.is_heading().then(|| self.below(at))?),
            _ if at > gap => self.behind_blank(at),
            _ => None,
        }
    }

    /// Return the first text on the rest of the line that looks drawn by lot, whatever is written between.
    fn drawn(&self) -> Option<Found> {
        const MAX_BYTES: usize = 120;
        let start = self.name.end;
        let rest = &self.text[start..floor(self.text, start + MAX_BYTES)];
        let line = rest.lines().next()?;
        let mut runs = Vec::new();
        random::runs(line, &mut runs);
        let range = runs.first()?.range.clone();
        let run = &line[range.clone()];
        // Cut off, a digest looks like no digest.
        let behind = &self.text[start + range.end..];
        let is_cut = range.end == line.len() && behind.starts_with(|c: char| c.is_alphanumeric());
        if is_cut {
            return None;
        }
        let is_sure = !stand_ins::is_example(run) && !values::is_name_of_constant(run);
        is_sure.then(|| Found::certain(start + range.start..start + range.end, "password"))
    }

    /// Return the end of the name with its closing quote and bracket, and whether there is a quote.
    fn closed_name(&self) -> (usize, bool) {
        let bytes = self.text.as_bytes();
        let mut at = self.name.end;
        let mut is_quoted = false;
        // Quoted once more for each text that it was put into.
        at += bytes[at..]
            .iter()
            .take_while(|byte| **byte == b'\\')
            .count();
        if bytes.get(at).is_some_and(|byte| b"\"'`".contains(byte)) {
            at += 1;
            is_quoted = true;
        } else {
            at = self.name.end;
        }
        // `char password[32]`.
        if bytes.get(at) == Some(&b'[') {
            let inside = bytes[at + 1..].iter().take(6);
            let digits = inside.take_while(|byte| byte.is_ascii_digit()).count();
            if bytes.get(at + 1 + digits) == Some(&b']') {
                at += 1 + digits;
            }
        }
        while bytes.get(at).is_some_and(|byte| b"]?!".contains(byte))
            && bytes.get(at + 1) != Some(&b'=')
        {
            at += 1;
        }
        if bytes.get(at) == Some(&b']') {
            at += 1;
        }
        // `**Password**: x`.
        let stars = bytes[at..].iter().take_while(|byte| **byte == b'*').count();
        // Also around several words: `**Client secret**`.
        if self.line_before().matches("**").count() % 2 == 1 {
            at += stars;
        }
        (at, is_quoted)
    }

    fn skip_blanks(&self, at: usize) -> usize {
        let blanks = self.text.as_bytes()[at..].iter();
        at + blanks.take_while(|byte| b" \t".contains(byte)).count()
    }

    fn skip_space(&self, at: usize) -> usize {
        let blanks = self.text.as_bytes()[at..].iter().take(80);
        at + blanks.take_while(|byte| byte.is_ascii_whitespace()).count()
    }

    /// `<password>`, `<db:password>`.
    fn is_element(&self) -> bool {
        let before = self.text[..self.name.start]
            .trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == ':');
        before.ends_with('<')
    }

    /// `.password("x")`, `set_password("x")`; not `password.encode("x")`, `t.pass("x")`.
    fn is_setter(&self) -> bool {
        let name = &self.text[self.name.clone()];
        let last = name.rsplit('.').next().unwrap_or(name);
        last != "pass" && keys::key(last).is_some() || last.starts_with("equals")
    }

    /// `strcmp(password, "x")`, `assertEquals(password, "x")`.
    fn is_compared(&self) -> bool {
        let before = self.line_before();
        let Some(call) = before.trim_end_matches(['$', '&', '*']).strip_suffix('(') else {
            return false;
        };
        let call = call.to_ascii_lowercase();
        ["cmp", "equal", "equals", "compare", "digest"]
            .iter()
            .any(|name| call.ends_with(name))
    }

    /// Ruby's `:password, "x"`.
    fn is_symbol(&self) -> bool {
        let before = self.text[..self.name.start].strip_suffix(':');
        before.is_some_and(|before| before.ends_with([' ', '(', '[', '{']))
    }

    /// Return the next argument or element behind a name that stands alone in its quotes: `("KEY", "x")`.
    fn argument(&self, at: usize) -> Option<(Range<usize>, How)> {
        let named = &self.text[..self.name.start];
        let before = named.trim_end_matches('-').strip_suffix(['"', '\'', '`'])?;
        let is_first = named.ends_with("--") || before.trim_end().ends_with(['(', '[']);
        let at = self.skip_blanks(at);
        is_first.then(|| Some((self.in_quotes(at)?, How::Quoted)))?
    }

    /// Return whether `at` stands further to the right than the line of the key begins.
    fn is_indented(&self, at: usize) -> bool {
        let before = self.line_before();
        let of_key = before.len() - before.trim_start().len();
        let line = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        at - line > of_key
    }

    fn line_before(&self) -> &str {
        // Long lines are data; their beginning says nothing.
        let start = floor(self.text, self.name.start.saturating_sub(200));
        let before = &self.text[start..self.name.start];
        &before[before.rfind('\n').map_or(0, |at| at + 1)..]
    }

    /// Text in quotes only.
    fn quoted(&self, at: usize) -> Option<(Range<usize>, How)> {
        let at = self.skip_space(at);
        self.in_quotes(at).map(|range| (range, How::Quoted))
    }

    /// Return a literal in quotes, behind a wrapper or a scheme perhaps, or bare.
    fn literal(&self, at: usize) -> Option<(Range<usize>, How)> {
        let bytes = self.text.as_bytes();
        let colon = at;
        let marks = bytes[at..].iter().take_while(|byte| **byte == b'*').count();
        let at = match self.text[..self.name.start].ends_with("**") {
            true => self.skip_blanks(at + marks),
            false => self.skip_blanks(at),
        };
        let at = at + literal::marks(&self.text[at..floor(self.text, at + 80)]);
        if let Some(range) = self.in_quotes(at) {
            return Some((self.without_scheme(range), How::Quoted));
        }
        match bytes.get(at)? {
            b'\n' | b'\r' => {
                // The first of a list.
                let at = self.skip_space(at);
                let is_item = self.text[at..].starts_with("- ");
                let at = at + if is_item { 2 } else { 0 };
                if self.text[at..].starts_with("```") {
                    return self.below(colon);
                }
                let found = self.quoted(at).or_else(|| self.lone_word(at));
                let found = found.or_else(|| self.is_indented(at).then(|| self.nested(at))?);
                found.or_else(|| self.below(colon))
            }
            // A remark, and the value below it.
            b'#' if matches!(bytes.get(at + 1), Some(b' ')) => self.below(at),
            b'|' | b'>' => self.block(at),
            b'{' if self.text[at + 1..]
                .trim_start()
                .starts_with(['"', '\'', 'v', 'd', 't']) =>
            {
                self.nested(at + 1).or_else(|| self.bare(at))
            }
            b'<' => self.marked_up(at).or_else(|| self.bare(at)),
            _ => self
                .opened(at)
                .or_else(|| self.wrapped(at))
                .or_else(|| self.alternative(at))
                .or_else(|| self.bare(at)),
        }
    }

    /// Return whether the key is the value of a label for names: `name: KEY`, `"key": "KEY"`.
    fn is_named(&self) -> bool {
        let marks = |c: char| c.is_whitespace() || "\"'`:=".contains(c);
        let before = self.line_before().trim_end_matches(marks);
        let of_label = |c: char| c.is_ascii_alphanumeric();
        let label = before[before.trim_end_matches(of_label).len()..].to_ascii_lowercase();
        label.ends_with("name")
            || label.ends_with("key")
            || label.ends_with("field")
            || label == "id"
    }

    /// `"value": x` or `value: x` beside `name: KEY`, with a few other fields between perhaps.
    fn sibling(&self, at: usize) -> Option<(Range<usize>, How)> {
        let is_far = self.is_named();
        self.field_of(at, &["value", "val"], if is_far { MAX_FIELDS } else { 1 })
    }

    /// `KEY: {"value": x}`, `key:` and below it `default: x`: the fields of an object that is the key's value. `at` is where
    /// they begin.
    fn nested(&self, at: usize) -> Option<(Range<usize>, How)> {
        self.field_of(at, &["value", "val", "default"], MAX_FIELDS)
    }

    /// Return the value of the first of at most `most` fields whose label ends like one of `labels`.
    fn field_of(&self, at: usize, labels: &[&str], most: usize) -> Option<(Range<usize>, How)> {
        const MAX_BYTES: usize = 240;
        let marks = |c: char| c.is_whitespace() || "\"'`,".contains(c);
        let end = floor(self.text, at + MAX_BYTES);
        let mut rest = &self.text[at..end];
        for _ in 0..most {
            rest = rest.trim_start_matches(marks);
            let of_label = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = rest.find(|c| !of_label(c)).unwrap_or(rest.len());
            let label = rest[..length].to_ascii_lowercase();
            rest = rest[length..].trim_start_matches(['"', '\'', '`', ' ', '\t']);
            if label.is_empty() || !rest.starts_with([':', '=']) {
                return None;
            }
            if labels.iter().any(|known| label.ends_with(known)) {
                let (range, how) = self.literal(end - rest.len() + 1)?;
                let how = if how == How::Inside { How::Line } else { how };
                return Some((range, how));
            }
            if label.ends_with("name") || label.ends_with("key") {
                return None;
            }
            // The next field; what is nested is not looked into.
            let next = rest.find([',', '\n'])?;
            if rest[..next].contains(['{', '[']) {
                return None;
            }
            rest = &rest[next..];
        }
        None
    }
}
