//! Settings in a chunk as `key=value`, where the text has a literal value.
//!
//! Numbers, truth values and quoted text count anywhere, bare text only in configuration files. Never
//! copies credentials, see [`crate::credential`].

use super::dictionary::Role;
use super::fields::clean;
use super::format::Family;
use super::lexer::Shape;
use super::lines::{Line, LineKind};
use super::literal::{
    Bare, Literal, MAX_KEY_BYTES, MAX_VALUE_BYTES, argument, floor, literal, skip_blanks,
};
use super::outline::Outline;
use crate::credential::is_guarded;

const MAX_PAIRS: usize = 15;
/// The format's limit is "shorter than 200" for the whole string.
const MAX_CHARS: usize = 199;
/// Longest type between a key and its value, as in `NAME: Option<u32> = 5`.
const MAX_TYPE_BYTES: usize = 48;

/// Return at most 15 distinct pairs in text order.
pub(super) fn key_values(outline: &Outline) -> Vec<String> {
    let mut pairs: Vec<String> = Vec::new();
    for line in &outline.lines {
        if matches!(
            line.kind,
            LineKind::Comment | LineKind::Heading | LineKind::Import
        ) {
            continue;
        }
        let mut done = line.start;
        for word in line.words.clone() {
            if outline.words[word].start < done {
                continue;
            }
            let Some(found) = pair_at(outline, line, word) else {
                continue;
            };
            done = found.end;
            if let Some(pair) = found.spelled()
                && !pairs.contains(&pair)
            {
                pairs.push(pair);
                if pairs.len() == MAX_PAIRS {
                    return pairs;
                }
            }
        }
    }
    pairs
}

struct Pair<'a> {
    key: &'a str,
    value: Literal<'a>,
    end: usize,
}

impl Pair<'_> {
    /// Return `key=value`; `None` for credentials, empty values and pairs that are too long.
    fn spelled(&self) -> Option<String> {
        if is_guarded(self.key, self.value.text, self.value.is_text) {
            return None;
        }
        if !self.value.text.contains(char::is_alphanumeric) {
            return None;
        }
        let value = clean(self.value.text, MAX_CHARS + 1);
        let n_chars = self.key.chars().count() + 1 + value.chars().count();
        (!value.is_empty() && n_chars <= MAX_CHARS).then(|| format!("{}={value}", self.key))
    }
}

/// Return the pair whose key ends with `word`.
fn pair_at<'a>(outline: &Outline<'a>, line: &Line, word: usize) -> Option<Pair<'a>> {
    let bytes = &outline.text.as_bytes()[..line.end];
    let key_end = outline.words[word].end;
    // Nearly every word ends here.
    let quote = bytes
        .get(key_end)
        .copied()
        .filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    let sign = skip_blanks(bytes, key_end + usize::from(quote.is_some()));
    let sign_byte = *bytes.get(sign)?;
    let is_flag = outline.byte_before(word) == b'-' && sign > key_end && quote.is_none();
    if !matches!(sign_byte, b'=' | b':' | b',') && !is_flag {
        return None;
    }
    let key_start = key_start(outline, line, word, quote);
    if quote.is_some() && bytes.get(key_start.wrapping_sub(1)).copied() != quote {
        return None;
    }
    let key = &outline.text[key_start..key_end];
    if !is_key(outline, line, word, key) {
        return None;
    }
    let bare = Bare::of(outline, line);
    let (value, end) = match sign_byte {
        b'=' => after_equals(outline.text, line.end, sign, bare)?,
        b':' => after_colon(outline.text, line.end, sign, bare)?,
        // `getenv("NAME", "default")`.
        b',' if quote.is_some() && is_variable(key) => {
            literal(outline.text, line.end, sign + 1, Bare::No)?
        }
        _ if is_flag && outline.text[..key_start].ends_with("--") => {
            argument(outline.text, line.end, sign)?
        }
        _ => return None,
    };
    Some(Pair { key, value, end })
}

impl Bare {
    fn of(outline: &Outline, line: &Line) -> Self {
        let is_shell = outline.format.name == "shell" && line.indent == 0;
        if outline.format.family == Family::Config || is_shell {
            Self::Yes
        } else {
            Self::No
        }
    }
}

/// Return where the key begins that ends with `word`. Keys in quotes and in configuration files may have dashes and
/// dots.
fn key_start(outline: &Outline, line: &Line, word: usize, quote: Option<u8>) -> usize {
    let bytes = outline.text.as_bytes();
    let mut start = outline.words[word].start;
    if quote.is_none() && !outline.format.is_config() {
        return start;
    }
    let first = line.start.max(start.saturating_sub(MAX_KEY_BYTES));
    while start > first
        && (bytes[start - 1].is_ascii_alphanumeric() || b"_-.".contains(&bytes[start - 1]))
    {
        start -= 1;
    }
    // A dash before it belongs to a list, not to the key.
    start
        + outline.text[start..]
            .bytes()
            .take_while(|b| *b == b'-' || *b == b'.')
            .count()
}

fn is_key(outline: &Outline, line: &Line, word: usize, key: &str) -> bool {
    let term = outline.term(word);
    let is_name = key.len() >= 2
        && key.len() <= MAX_KEY_BYTES
        && key.is_ascii()
        && term.shape.has_letter()
        && !key.starts_with(|c: char| c.is_ascii_digit());
    let is_keyword = matches!(term.meaning.role, Role::Keyword | Role::Import)
        && !outline.format.is_config()
        && !matches!(
            key,
            "timeout" | "text" | "copy" | "cap" | "auto" | "len" | "range"
        );
    // In prose `max_size: 5` is a setting, `Note: 5` is not.
    let is_setting = line.is_code
        || outline.format.is_config()
        || outline.format.family == Family::Markup
        || term.shape.has(Shape::UNDERSCORE)
        || term.shape.is_camel()
        || outline.byte_before(word) == b'-';
    is_name && !is_keyword && is_setting
}

/// Whether the key looks like `SOME_NAME`.
fn is_variable(key: &str) -> bool {
    key.contains('_')
        && key
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn after_equals(text: &str, end: usize, sign: usize, bare: Bare) -> Option<(Literal<'_>, usize)> {
    match text.as_bytes().get(sign + 1) {
        Some(b'=' | b'>' | b'~') => None,
        _ => literal(text, end, sign + 1, bare),
    }
}

/// Read `key: value`, `key := value`, `key: Type = value` or `${KEY:-value}`.
fn after_colon(text: &str, end: usize, sign: usize, bare: Bare) -> Option<(Literal<'_>, usize)> {
    match text.as_bytes().get(sign + 1)? {
        b':' => None,
        b'=' => literal(text, end, sign + 2, bare),
        b'-' if opens_expansion(text, sign) => {
            let rest = &text[sign + 2..floor(text, end.min(sign + MAX_VALUE_BYTES))];
            let close = rest.find('}')?;
            let value = Literal {
                text: &rest[..close],
                is_text: true,
            };
            Some((value, sign + 2 + close))
        }
        _ => literal(text, end, sign + 1, bare).or_else(|| after_type(text, end, sign + 1)),
    }
}

/// Whether `${` opens before the key that ends at `sign`.
fn opens_expansion(text: &str, sign: usize) -> bool {
    let before = &text.as_bytes()[sign.saturating_sub(MAX_KEY_BYTES)..sign];
    before.windows(2).any(|pair| pair == b"${")
}

fn after_type(text: &str, end: usize, start: usize) -> Option<(Literal<'_>, usize)> {
    let bytes = &text.as_bytes()[..end.min(start + MAX_TYPE_BYTES)];
    let mut at = start;
    while bytes
        .get(at)
        .is_some_and(|b| b.is_ascii_alphanumeric() || b"_ <>&'[]|.:".contains(b))
    {
        at += 1;
    }
    let is_set = bytes.get(at) == Some(&b'=') && text.as_bytes().get(at + 1) != Some(&b'=');
    is_set.then(|| literal(text, end, at + 1, Bare::No))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;
    use crate::tag::format::Format;
    use proptest::prelude::*;

    fn of(name: &str, text: &str) -> Vec<String> {
        let path = RelPath::from_spelling(name).expect("a relative path");
        key_values(&Outline::read(text, Format::of(&path)))
    }

    #[test]
    fn literals_in_code() {
        for (file, text, pairs) in [
            (
                "a.rs",
                "const MAX: usize = 64 * 1024;",
                &["MAX=64 * 1024"][..],
            ),
            (
                "a.rs",
                "timeout_ms: Option<u32> = 5, // note",
                &["timeout_ms=5"],
            ),
            (
                "a.py",
                "def f(port: int = 8080, host='local host', debug=True):",
                &["port=8080", "host=local host", "debug=True"],
            ),
            (
                "a.py",
                "os.environ.get(\"APP_PORT\", \"80\")",
                &["APP_PORT=80"],
            ),
            (
                "a.js",
                "const a = { \"max-age\": 60, name: 'x' }",
                &["max-age=60", "name=x"],
            ),
            (
                "a.sh",
                "PORT=8080\nrun --jobs 4 --name=\"x\" ${MODE:-fast}",
                &["PORT=8080", "jobs=4", "name=x", "MODE=fast"],
            ),
            ("a.go", "limit := 10", &["limit=10"]),
        ] {
            assert_eq!(of(file, text), pairs, "{text}");
        }
    }

    #[test]
    fn bare_text_in_settings() {
        assert_eq!(
            of(
                "a.ini",
                "host = db.example.org ; the main one\nempty =\nlog-level: warn # x\nlist = [1]"
            ),
            ["host=db.example.org", "log-level=warn"]
        );
        assert_eq!(
            of("a.yaml", "- image: redis:7\n  args: {aa: 1}"),
            ["image=redis:7", "aa=1"]
        );
    }

    #[test]
    fn what_is_no_setting() {
        for (file, text) in [
            ("a.rs", "if x == 5 { y != 6; z >= 7; a::b(1); p => 1 }"),
            ("a.rs", "let total = total + 5; let next = five();"),
            ("a.md", "Note: 5 apples and this: \"x\""),
            ("a.py", "password = \"hunter2\"; API_TOKEN='abc'"),
            ("a.py", "# size = 5"),
            (
                "a.py",
                "line = ', '.join(names); other = '--'; third = None",
            ),
            ("a.toml", "digest = \"9f86d081884c7d659a2feaa0c55ad015\""),
        ] {
            assert_eq!(of(file, text), Vec::<String>::new(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn pairs_keep_their_limits(text in "([a-z_\"'`=:,${}0-9 \\\\.\\n#-]|\\PC){0,300}|([ab]{1,3}(=|: )[0-9\"x]{1,250}\\n){0,20}") {
            for name in ["a.rs", "a.py", "a.md", "a.toml", "a.json", "a.sh"] {
                let pairs = of(name, &text);
                prop_assert!(pairs.len() <= MAX_PAIRS);
                for pair in pairs {
                    prop_assert!(pair.chars().count() < 200);
                    let (key, value) = pair.split_once('=').expect("key=value");
                    prop_assert!(key.len() >= 2 && !value.is_empty());
                    prop_assert!(!pair.contains(char::is_control));
                }
            }
        }
    }
}
