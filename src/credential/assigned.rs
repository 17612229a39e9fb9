//! Values behind a key that announces a credential: `password: x`, `token = "x"`, `--secret x`,
//! `<password>x</password>`, `{"name": "API_KEY", "value": "x"}`, `the password is x`.
//!
//! Formats are not known here; how key and value stand on their line says enough. See [`super::keys`] for keys
//! and [`super::values`] for what counts as a value.

use super::forms::floor;
use super::keys::{self, Key};
use super::values::{self, How};
use super::{Found, Style};
use std::ops::Range;

/// Longer names are generated.
const MAX_KEY_BYTES: usize = 60;
/// Longer values are files of their own.
const MAX_VALUE_BYTES: usize = 1024;

/// Judges what follows the key around `start..end`. Where the key ends.
pub(super) fn value(
    text: &str,
    start: usize,
    end: usize,
    style: Style,
    found: &mut Vec<Found>,
) -> usize {
    let name = name_around(text, start, end);
    let Some(key) = keys::key(&text[name.clone()]) else {
        return name.end;
    };
    let place = Place {
        text,
        name: &name,
        style,
    };
    if let Some((range, how)) = place.value()
        && let Some(is_certain) = values::judge(key, &text[range.clone()], how, style)
    {
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
    name.end
}

/// The name that the stem is part of, with the dots and dashes inside.
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
struct Place<'t> {
    text: &'t str,
    name: &'t Range<usize>,
    style: Style,
}

impl Place<'_> {
    /// Where the value stands, and how.
    fn value(&self) -> Option<(Range<usize>, How)> {
        let bytes = self.text.as_bytes();
        let (mut at, is_quoted) = self.closed_name();
        let gap = at;
        at = self.skip_blanks(at);
        let next = |n: usize| bytes.get(at + n).copied().unwrap_or(b'\n');
        match next(0) {
            b'=' | b'!' if next(1) == b'=' => self.quoted(at + 2 + usize::from(next(2) == b'=')),
            b'=' if next(1) == b'>' => self.literal(at + 2),
            b'=' if next(1) != b'~' => self.literal(at + 1),
            b':' if next(1) == b'=' => self.literal(at + 2),
            b':' if next(1) == b'-' => self.expansion(at + 2),
            b':' if next(1) != b':' => self.typed(at + 1).or_else(|| self.literal(at + 1)),
            b'+' if next(1) == b'=' => self.literal(at + 2),
            b'-' if next(1) == b'>' => self.quoted(at + 2),
            b'>' if self.is_element() || is_quoted => self.element(at + 1),
            b'/' if next(1) == b'>' => None,
            b'<' if next(1) == b'/' => self.next_element(at),
            b',' if is_quoted => self.argument(at + 1).or_else(|| self.sibling(at + 1)),
            b'(' if gap == at && !is_quoted && !self.text[..self.name.end].ends_with(".pass") => {
                self.quoted(at + 1)
            }
            b'\n' | b'\r' => self.sibling(at),
            _ if at > gap => self.behind_blank(at),
            _ => None,
        }
    }

    /// The end of the name with its closing quote and bracket, and whether there is a quote.
    fn closed_name(&self) -> (usize, bool) {
        let bytes = self.text.as_bytes();
        let mut at = self.name.end;
        let mut is_quoted = false;
        if bytes.get(at) == Some(&b'\\') {
            at += 1;
        }
        if bytes.get(at).is_some_and(|byte| b"\"'`".contains(byte)) {
            at += 1;
            is_quoted = true;
        } else {
            at = self.name.end;
        }
        while bytes.get(at).is_some_and(|byte| b"]?!".contains(byte))
            && bytes.get(at + 1) != Some(&b'=')
        {
            at += 1;
        }
        if bytes.get(at) == Some(&b']') {
            at += 1;
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

    /// The next argument or element behind a name that stands alone in its quotes: `("KEY", "x")`.
    fn argument(&self, at: usize) -> Option<(Range<usize>, How)> {
        let before = self.text[..self.name.start].strip_suffix(['"', '\'', '`'])?;
        let is_first = before.trim_end().ends_with(['(', '[']);
        let at = self.skip_blanks(at);
        is_first.then(|| Some((self.in_quotes(at)?, How::Quoted)))?
    }

    fn line_before(&self) -> &str {
        let before = &self.text[..self.name.start];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        // Long lines are data; their beginning says nothing.
        &before[self
            .text
            .floor_char_boundary(start.max(before.len().saturating_sub(200)))..]
    }

    /// Text in quotes only.
    fn quoted(&self, at: usize) -> Option<(Range<usize>, How)> {
        let at = self.skip_space(at);
        self.in_quotes(at).map(|range| (range, How::Quoted))
    }

    /// A literal in quotes, behind a wrapper or a scheme perhaps, or bare.
    fn literal(&self, at: usize) -> Option<(Range<usize>, How)> {
        let at = self.skip_blanks(at);
        let bytes = self.text.as_bytes();
        if let Some(range) = self.in_quotes(at) {
            return Some((self.without_scheme(range), How::Quoted));
        }
        match bytes.get(at)? {
            b'\n' | b'\r' => {
                let at = self.skip_space(at);
                let is_quote = bytes.get(at).is_some_and(|byte| b"\"'".contains(byte));
                is_quote.then(|| self.quoted(at))?
            }
            b'|' | b'>' => self.block(at),
            _ => self.wrapped(at).or_else(|| self.bare(at)),
        }
    }

    /// The text in the quotes that open at `at`, raw and prefixed strings included.
    fn in_quotes(&self, at: usize) -> Option<Range<usize>> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let prefix = rest
            .bytes()
            .take(3)
            .take_while(|b| b"rbufLR@$".contains(b))
            .count();
        let hashes = rest[prefix..]
            .bytes()
            .take_while(|byte| *byte == b'#')
            .count();
        let open = prefix + hashes;
        let quotes = &rest[open..];
        for (mark, close) in [
            ("\"\"\"", "\"\"\""),
            ("'''", "'''"),
            ("\\\"", "\\\""),
            ("\u{201c}", "\u{201d}"),
            ("\u{2018}", "\u{2019}"),
            ("\u{ab}", "\u{bb}"),
        ] {
            if let Some(inside) = quotes.strip_prefix(mark) {
                let start = at + open + mark.len();
                let length = inside.find(close)?;
                let is_empty = length == 0 && mark.len() == 3 && !mark.is_ascii();
                return (!is_empty).then(|| self.trimmed(start..start + length));
            }
        }
        let quote = quotes
            .bytes()
            .next()
            .filter(|byte| b"\"'`".contains(byte))?;
        let inside = &quotes.as_bytes()[1..];
        let mut length = 0;
        while *inside.get(length)? != quote {
            if inside[length] == b'\n' {
                return None;
            }
            length += 1 + usize::from(inside[length] == b'\\');
        }
        let start = at + open + 1;
        Some(start..start + length)
    }

    fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }

    /// `Bearer x`: `x`.
    fn without_scheme(&self, range: Range<usize>) -> Range<usize> {
        let value = &self.text[range.clone()];
        for scheme in [
            "Bearer ", "Basic ", "Token ", "Digest ", "ApiKey ", "SSWS ", "Key ",
        ] {
            let head = value.get(..scheme.len());
            if head.is_some_and(|head| head.eq_ignore_ascii_case(scheme)) {
                return range.start + scheme.len()..range.end;
            }
        }
        range
    }

    /// `Some("x")`, `String::from("x")`, `new Secret("x")`.
    fn wrapped(&self, at: usize) -> Option<(Range<usize>, How)> {
        const WRAPPERS: [&str; 7] = ["some", "from", "new", "secret", "string", "just", "of"];
        let rest = &self.text[at..floor(self.text, at + 60)];
        let open = rest.find('(')?;
        let name = rest[..open].trim_end();
        if name.contains(|c: char| !c.is_ascii_alphanumeric() && !"_:. ".contains(c)) {
            return None;
        }
        let last = name
            .rsplit([':', '.', ' ', '_'])
            .next()
            .unwrap_or(name)
            .to_ascii_lowercase();
        let is_wrapper = WRAPPERS.iter().any(|wrapper| last.ends_with(wrapper));
        is_wrapper.then(|| self.quoted(at + open + 1))?
    }

    /// `Type = "x"`.
    fn typed(&self, at: usize) -> Option<(Range<usize>, How)> {
        let of_type = |byte: &u8| byte.is_ascii_alphanumeric() || b"_ <>&'[]|.:?*".contains(byte);
        let bytes = &self.text.as_bytes()[at..];
        let length = bytes
            .iter()
            .take(48)
            .take_while(|byte| of_type(byte))
            .count();
        let is_set = bytes.get(length) == Some(&b'=') && bytes.get(length + 1) != Some(&b'=');
        is_set.then(|| {
            let at = self.skip_blanks(at + length + 1);
            self.quoted(at).or_else(|| self.wrapped(at))
        })?
    }

    /// `${KEY:-x}`.
    fn expansion(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let length = rest.find(['}', '\n'])?;
        Some((at..at + length, How::Quoted))
    }

    /// The line below `key: |`.
    fn block(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let (mark, below) = rest.split_once('\n')?;
        let is_mark = mark
            .trim_end()
            .bytes()
            .all(|b| b"|>-+0123456789".contains(&b));
        let line = below.lines().next()?;
        let range = self.trimmed(at + mark.len() + 1..at + mark.len() + 1 + line.len());
        (is_mark && !range.is_empty()).then_some((range, How::Line))
    }

    /// `x</password>`, `<![CDATA[x]]>`.
    fn element(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let data = "<![CDATA[";
        let (start, length) = match rest.strip_prefix(data) {
            Some(inside) => (at + data.len(), inside.find("]]>")?),
            None => (at, rest.find('<')?),
        };
        let range = self.trimmed(start..start + length);
        if range.is_empty() {
            return None;
        }
        Some((range, How::Quoted))
    }

    /// `<key>password</key> <string>x</string>`.
    fn next_element(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + 80)];
        let open = ["<string>", "<value>"]
            .iter()
            .find_map(|open| Some(rest.find(open)? + open.len()))?;
        self.element(at + open)
    }

    /// `"value": x` or `value: x` beside `name: KEY`.
    fn sibling(&self, at: usize) -> Option<(Range<usize>, How)> {
        let at = self.skip_space(at);
        let rest = &self.text[at..floor(self.text, at + 24)];
        let rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        let rest = rest.trim_start_matches(['"', '\'']);
        let value = rest
            .get(..5)
            .filter(|word| word.eq_ignore_ascii_case("value"))?;
        let rest = rest[value.len()..]
            .trim_start_matches(['"', '\''])
            .trim_start();
        let sign = rest.starts_with([':', '=']);
        let start = floor(self.text, at + 24) - rest.len();
        sign.then(|| self.literal(start + 1))?
    }

    /// What stands behind a key and a blank.
    fn behind_blank(&self, at: usize) -> Option<(Range<usize>, How)> {
        let bytes = self.text.as_bytes();
        let rest = &self.text[at..floor(self.text, at + 48)];
        let lower = |word: &str| {
            rest.get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        for attribute in ["value=", "content=", "default="] {
            if lower(attribute) {
                return self.quoted(at + attribute.len());
            }
        }
        if matches!(bytes[at], b'\'' | b'"') {
            return self.quoted(at);
        }
        let before = self.line_before();
        for verb in ["is ", "was ", "are "] {
            if lower(verb) {
                let start = self.skip_blanks(at + verb.len());
                return match self.in_quotes(start) {
                    Some(range) => Some((range, How::Said)),
                    None => self.word(start).map(|range| (range, How::Said)),
                };
            }
        }
        let is_flag = bytes[..self.name.start].ends_with(b"--")
            || self.text[self.name.clone()].eq_ignore_ascii_case("sshpass");
        if is_flag {
            let start = at + if rest.starts_with("-p") { 2 } else { 0 };
            let start = self.skip_blanks(start);
            return match self.in_quotes(start) {
                Some(range) => Some((range, How::Quoted)),
                None => self.word(start).map(|range| (range, How::Argument)),
            };
        }
        let is_netrc = ["machine ", "login ", "user ", "host "]
            .iter()
            .any(|word| before.contains(word))
            || self.style == Style::Settings && before.trim().is_empty();
        if is_netrc && !rest.starts_with(['=', ':', '{', '[', '<']) {
            return self.word(at).map(|range| (range, How::Argument));
        }
        self.typed(at)
    }

    /// Up to the next blank, without what closes around it.
    fn word(&self, at: usize) -> Option<Range<usize>> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let word = rest[..length]
            .trim_end_matches([',', ';', ')', '}', ']', '>', '"', '\'', '`', '.', ':']);
        (!word.is_empty()).then_some(at..at + word.len())
    }

    /// A value without quotes.
    fn bare(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let line = rest.lines().next().unwrap_or(rest);
        let comment = [" #", "\t#", " //", " ;"]
            .iter()
            .filter_map(|mark| line.find(mark))
            .min();
        let line = comment.map_or(line, |end| &line[..end]).trim_end();
        if line.is_empty() {
            return None;
        }
        let scheme = self.without_scheme(at..at + line.len());
        let line = &self.text[scheme.clone()];
        let at = scheme.start;
        if self.style == Style::Settings && self.begins_line() && !is_list(line) {
            return Some((at..at + cut(line), How::Line));
        }
        let word = self.word(at)?;
        let length = cut(&self.text[word.clone()]);
        let before = self.line_before().trim_end();
        let is_setting = self.begins_line() && length == line.len()
            || before.ends_with(" -e")
            || before.ends_with(" --env");
        let how = match is_setting {
            true => How::Line,
            false => How::Inside,
        };
        (length > 0).then_some((at..at + length, how))
    }

    /// Whether nothing but what stands before settings stands before the key.
    fn begins_line(&self) -> bool {
        let before = self.line_before().trim_start();
        let before =
            before.trim_end_matches(['"', '\'', '`', '$', '_', '-', '*', '>', '#', '/', ' ']);
        matches!(
            before.to_ascii_lowercase().as_str(),
            "" | "export" | "set" | "setx" | "env" | "arg" | "declare" | "- name"
        )
    }
}

/// `[a, b]`, `{a: b}`: what is in them is found by its own keys.
fn is_list(line: &str) -> bool {
    line.starts_with(['{', '[']) || line.contains(['{', '}']) && line.contains(':')
}

/// Where the value of `Password=x;Database=y` and `token=x&page=2` ends.
fn cut(value: &str) -> usize {
    for (at, _) in value.match_indices([';', ',', '&']) {
        let rest = value[at + 1..].trim_start();
        let name = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_- ".contains(c));
        let is_pair = name.is_some_and(|end| end > 0 && rest[end..].starts_with(['=', ':']));
        if is_pair || rest.is_empty() {
            return at;
        }
    }
    value.len()
}
