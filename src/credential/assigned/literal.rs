//! How values are written: in quotes, behind wrappers, bare, in elements and blocks.

use super::super::forms::floor;
use super::super::letters;
use super::super::values::How;
use super::super::{Style, documents};
use super::{KeyInText, MAX_VALUE_BYTES};
use std::ops::Range;

impl KeyInText<'_> {
    /// Return the text in the quotes that open at `at`, raw and prefixed strings included.
    pub(super) fn in_quotes(&self, at: usize) -> Option<Range<usize>> {
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
        if let Some(found) = in_delimiters(quotes) {
            return Some(at + open + found.start..at + open + found.end);
        }
        // Quoted once more for each text that it was put into: `\"x\"`, `\\\"x\\\"`.
        let slashes = quotes.bytes().take_while(|byte| *byte == b'\\').count();
        if slashes > 0 && quotes[slashes..].starts_with(['"', '\'']) {
            let close = &quotes[..=slashes];
            let start = at + open + close.len();
            let length = quotes[close.len()..].find(close)?;
            return Some(start..start + length);
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

    pub(super) fn trimmed(&self, range: Range<usize>) -> Range<usize> {
        let text = &self.text[range.clone()];
        let start = range.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }

    /// `Bearer x`: `x`.
    pub(super) fn without_scheme(&self, range: Range<usize>) -> Range<usize> {
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
    pub(super) fn wrapped(&self, at: usize) -> Option<(Range<usize>, How)> {
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

    /// `env.KEY || "x"`, `getenv("KEY") or "x"`.
    pub(super) fn alternative(&self, at: usize) -> Option<(Range<usize>, How)> {
        let line = self.text[at..floor(self.text, at + 200)].lines().next()?;
        let ends = ["|| ", "?? ", " or ", "?: "]
            .iter()
            .filter_map(|mark| Some(line.find(mark)? + mark.len()));
        ends.min().and_then(|end| self.quoted(at + end))
    }

    /// `variable "KEY" { default = "x" }`.
    pub(super) fn block_default(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + 600)];
        let body = &rest[..rest.find("\n}").unwrap_or(rest.len())];
        let fields = body
            .match_indices("default")
            .chain(body.match_indices("value"));
        fields.into_iter().find_map(|(start, name)| {
            let sign = self.skip_blanks(at + start + name.len());
            let is_field = body[..start].ends_with([' ', '\t', '\n', '{']);
            let is_set = is_field && self.text.as_bytes().get(sign) == Some(&b'=');
            is_set.then(|| self.quoted(sign + 1))?
        })
    }

    /// Return the only word of a line below its key.
    pub(super) fn lone_word(&self, at: usize) -> Option<(Range<usize>, How)> {
        let word = self.word(at)?;
        let is_lone = self.text[word.end..]
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .is_empty();
        let value = &self.text[word.clone()];
        // What reads like a word may be one.
        let how = match may_stand_alone(value) {
            true => How::Line,
            false => How::Joined,
        };
        (is_lone && word.len() >= 6).then_some((word, how))
    }

    /// `Type = "x"`.
    pub(super) fn typed(&self, at: usize) -> Option<(Range<usize>, How)> {
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

    /// Return what is joined to a literal: `"a" + "x"`.
    pub(super) fn joined_to(
        &self,
        literal: Option<&(Range<usize>, How)>,
    ) -> Vec<(Range<usize>, How)> {
        const MAX_PIECES: usize = 8;
        let mut pieces = Vec::new();
        let Some((range, How::Quoted)) = literal else {
            return pieces;
        };
        let mut end = range.end;
        while pieces.len() < MAX_PIECES {
            let rest = &self.text[end..floor(self.text, end + 40)];
            let Some(behind) = rest.strip_prefix(['"', '\'']) else {
                break;
            };
            let behind = behind.trim_start();
            let sign = ["+", ".. ", ". ", "& ", "||", "\\\n"];
            let next = sign.iter().find_map(|sign| behind.strip_prefix(sign));
            let Some(next) = next else {
                break;
            };
            let start = end + (rest.len() - next.len()) + (next.len() - next.trim_start().len());
            let Some(piece) = self.in_quotes(start) else {
                break;
            };
            end = piece.end;
            pieces.push((piece, How::Quoted));
        }
        pieces
    }

    /// Return the first line of a document, or the text of a string, that is read from behind the name: `KEY=$(cat <<EOF`,
    /// `read KEY <<< "x"`.
    pub(super) fn document(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + 40)];
        let open = rest.find("<<")?;
        let between = rest[..open].trim_matches([' ', '\t', '=', ':', '$', '(']);
        if !matches!(between, "" | "cat") {
            return None;
        }
        let open = at + open;
        if let Some(line) = documents::first_line(self.text, open) {
            return Some((line, How::Line));
        }
        if !self.text[open..].starts_with("<<<") {
            return None;
        }
        let at = self.skip_blanks(open + 3);
        match self.in_quotes(at) {
            Some(range) => Some((range, How::Quoted)),
            None => self.word(at).map(|range| (range, How::Argument)),
        }
    }

    /// `${KEY:-x}`.
    pub(super) fn expansion(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let length = rest.find(['}', '\n'])?;
        Some((at..at + length, How::Quoted))
    }

    /// Return the line below `key: |`.
    pub(super) fn block(&self, at: usize) -> Option<(Range<usize>, How)> {
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

    /// Up to the next blank, without what closes around it.
    pub(super) fn word(&self, at: usize) -> Option<Range<usize>> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let ends = |c: char| c.is_whitespace() || "\"'`<>".contains(c);
        let length = rest.find(ends).unwrap_or(rest.len());
        let word = rest[..length].trim_end_matches([',', ';', ')', '}', ']', '.', ':', '\\']);
        (!word.is_empty()).then_some(at..at + word.len())
    }

    /// Return a value without quotes.
    pub(super) fn bare(&self, at: usize) -> Option<(Range<usize>, How)> {
        let rest = &self.text[at..floor(self.text, at + MAX_VALUE_BYTES)];
        let line = rest.lines().next().unwrap_or(rest);
        let comment = [" #", "\t#", " //", " ;"]
            .iter()
            .filter_map(|mark| line.find(mark))
            .min();
        let line = comment.map_or(line, |end| &line[..end]).trim_end();
        // `"KEY=x"`.
        let line = match self.text[..self.name.start].ends_with(['"', '\'']) {
            true => line.trim_end_matches(['"', '\'', ',', ' ']),
            false => line,
        };
        if line.is_empty() {
            return None;
        }
        let scheme = self.without_scheme(at..at + line.len());
        let line = &self.text[scheme.clone()];
        let at = scheme.start;
        let word = self.word(at)?;
        let length = cut(&self.text[word.clone()]);
        // `KEY=x command`, `key=x, other=y`.
        let is_joined = self.text[..at].ends_with(['=', ':']);
        let is_word = is_joined && line.contains(' ') && may_stand_alone(&self.text[word.clone()]);
        if self.style == Style::Settings && self.begins_line() && !is_list(line) && !is_word {
            return Some((at..at + cut(line), How::Line));
        }
        let before = self.line_before().trim_end();
        let is_setting = self.begins_line() && length == line.len()
            || before.ends_with(" -e")
            || before.ends_with(" --env");
        let begins = self.line_before().trim_start();
        let is_variable = is_joined && self.text[..at].ends_with('=')
            || begins.starts_with("export ")
            || before.ends_with(['e', 'v']);
        let how = match is_setting {
            true if is_variable => How::Variable,
            true => How::Line,
            false if is_joined => How::Joined,
            false => How::Inside,
        };
        (length > 0).then_some((at..at + length, how))
    }

    /// Return whether nothing but what stands before settings stands before the key.
    pub(super) fn begins_line(&self) -> bool {
        let before = self.line_before().trim_start();
        let before =
            before.trim_end_matches(['"', '\'', '`', '$', '_', '-', '*', '>', '#', '/', ' ']);
        matches!(
            before.to_ascii_lowercase().as_str(),
            "" | "export" | "set" | "setx" | "env" | "arg" | "declare" | "- name"
        )
    }
}

/// Return whether a word is none of a sentence: it has a digit, or letters that read like no word.
fn may_stand_alone(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
        || letters::are_letters(word) && !letters::is_ordinary(word)
}

/// Return how long the anchors and tags of YAML are that `text` begins with, the blanks behind included: `&a !!str `.
pub(super) fn marks(text: &str) -> usize {
    let mut rest = text;
    for _ in 0..2 {
        let Some(mark) = rest.strip_prefix(['&', '!']) else {
            break;
        };
        let of_mark = |c: char| c.is_ascii_alphanumeric() || "_-!.:/".contains(c);
        let length = mark.find(|c| !of_mark(c)).unwrap_or(mark.len());
        let behind = &mark[length..];
        if length == 0
            || !behind.starts_with([' ', '\t'])
            || mark.starts_with("secret")
            || mark.starts_with("vault")
        {
            break;
        }
        rest = behind.trim_start_matches([' ', '\t']);
    }
    text.len() - rest.len()
}

/// `q(x)`, `qq{x}` of Perl, `%q(x)` of Ruby.
fn in_delimiters(text: &str) -> Option<Range<usize>> {
    let sign = usize::from(text.starts_with('%'));
    let letters = text[sign..]
        .bytes()
        .take_while(|byte| b"qQ".contains(byte))
        .count();
    let open = sign + letters;
    let close = match text.as_bytes().get(open)? {
        b'(' => ')',
        b'{' => '}',
        b'[' => ']',
        _ => return None,
    };
    let is_quoted = (1..=2).contains(&letters);
    let line = text[open + 1..].lines().next()?;
    let length = line.find([';', '\n']).unwrap_or(line.len());
    let length = line[..length].rfind(close)?;
    is_quoted.then_some(open + 1..open + 1 + length)
}

/// `[a, b]`, `{a: b}`: what is in them is found by its own keys.
fn is_list(line: &str) -> bool {
    line.starts_with(['{', '[']) || line.contains(['{', '}']) && line.contains(':')
}

/// Return where the value of `Password=x;Database=y` and `token=x&page=2` ends.
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
