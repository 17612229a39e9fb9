//! Finds credentials in text: passwords, tokens, keys.
//!
//! One detector for all that is derived from text. [`find`] says where credentials stand; the tagger and the
//! encoders' routing words leave out what it finds, a build counts what is certain, and [`redact`] replaces
//! that. It has four kinds of rules: the forms of well-known issuers ([`issuers`]), private keys and passwords
//! in URLs, of commands, protocols and tools ([`forms`], [`arguments`], [`commands`], [`own_syntax`]), values behind a key that
//! announces one ([`keys`], [`mod@values`], [`letters`]), and text random ([`random`]). It never looks at a file's name (see `scan::secrets`), and says nothing about where a
//! credential is valid.
//!
//! Pure, and linear in the text: it reads every chunk of a build.

mod arguments;
mod assigned;
mod commands;
mod documents;
mod forms;
mod found;
mod issuers;
mod keys;
mod letters;
mod own_syntax;
mod patterns;
mod random;
mod stand_ins;
mod stems;
mod values;

pub use found::Found;
pub use random::is_random;

use keys::Key;
use std::borrow::Cow;

/// What stands in place of a credential.
pub const REDACTED: &str = "[redacted]";

/// How a text writes values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Settings: what follows a key is its value up to the end of the line, quoted or not.
    Settings,
    /// Code, prose, or not known.
    Any,
}

/// Return the credentials in `text`, in order, without overlap, at character boundaries.
pub fn find(text: &str, style: Style) -> Vec<Found> {
    let mut found = by_form(text, style);
    random::runs(text, &mut found);
    join(found)
}

/// The credentials of both styles, for a text whose style the caller does not know.
pub fn find_in_any_style(text: &str) -> Vec<Found> {
    let mut found = by_form(text, Style::Any);
    found.extend(by_form(text, Style::Settings));
    random::runs(text, &mut found);
    join(found)
}

/// A credential by its text, to find it again where what announced it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    text: String,
    is_certain: bool,
    what: &'static str,
}

/// Fewest bytes of a value that is looked for elsewhere: a shorter one is also part of words.
const LEAST_VALUE: usize = 6;

/// Return the values of the credentials in `text`.
pub fn values(text: &str) -> Vec<Value> {
    let value = |found: Found| Value {
        text: text[found.range].trim().to_owned(),
        is_certain: found.is_certain,
        what: found.what,
    };
    let values = find_in_any_style(text).into_iter().map(value);
    values
        .filter(|value| value.text.len() >= LEAST_VALUE)
        .collect()
}

/// Add the places of `values` in `text` to what was `found` there.
pub fn with_values(mut found: Vec<Found>, text: &str, values: &[Value]) -> Vec<Found> {
    for value in values {
        found.extend(text.match_indices(&value.text).map(|(start, _)| Found {
            range: start..start + value.text.len(),
            is_certain: value.is_certain,
            what: value.what,
        }));
    }
    join(found)
}

/// Those that are certain, without what is not certain beside them.
pub fn find_certain(text: &str, style: Style) -> Vec<Found> {
    let mut found = by_form(text, style);
    found.retain(|one| one.is_certain);
    join(found)
}

fn by_form(text: &str, style: Style) -> Vec<Found> {
    let mut found = Vec::new();
    stems::visit(text, style, &mut found);
    repeats(text, &mut found);
    found
}

/// `text` with every certain credential replaced by [`REDACTED`], and how many there were. Doing it again
/// changes nothing.
pub fn redact(text: &str, style: Style) -> (Cow<'_, str>, u32) {
    let redacted = redact_with_lines(text, style);
    (redacted.text, redacted.count)
}

/// A text without its certain credentials.
pub struct Redacted<'a> {
    pub text: Cow<'a, str>,
    /// How many there were.
    pub count: u32,
    /// For each line of `text` the line, from 1, in which it began; `None` when every line is where it was.
    pub lines: Option<Vec<u32>>,
}

/// [`redact`], with the lines that the text had.
pub fn redact_with_lines(text: &str, style: Style) -> Redacted<'_> {
    let mut redacted = Cow::Borrowed(text);
    let mut count = 0;
    let mut lines = None;
    // What is cut out may uncover another: `key = [a-z]ghp_...`. Each pass leaves less to find.
    for _ in 0..MAX_PASSES {
        let found = find_certain(&redacted, style);
        if found.is_empty() {
            break;
        }
        count += found.len() as u32;
        if found
            .iter()
            .any(|one| redacted[one.range.clone()].contains('\n'))
        {
            let before = lines.unwrap_or_else(|| all_lines(&redacted));
            lines = Some(without_lines(before, &redacted, &found));
        }
        let mut clean = String::with_capacity(redacted.len());
        let mut end = 0;
        for one in &found {
            clean.push_str(&redacted[end..one.range.start]);
            clean.push_str(REDACTED);
            end = one.range.end;
        }
        clean.push_str(&redacted[end..]);
        redacted = Cow::Owned(clean);
    }
    Redacted {
        text: redacted,
        count,
        lines,
    }
}

/// A chain of values, each the end of the one before, takes a pass a link. Text that people or programs write takes two.
const MAX_PASSES: usize = 32;

fn all_lines(text: &str) -> Vec<u32> {
    (1..=1 + text.matches('\n').count() as u32).collect()
}

/// Return `lines` without those that begin within what is cut out of `text`.
fn without_lines(lines: Vec<u32>, text: &str, found: &[Found]) -> Vec<u32> {
    let begins = text.match_indices('\n').map(|(at, _)| at);
    let is_cut = |newline: usize| {
        let next = found.partition_point(|one| one.range.end <= newline);
        found
            .get(next)
            .is_some_and(|one| one.range.start <= newline)
    };
    let is_kept = std::iter::once(true).chain(begins.map(|newline| !is_cut(newline)));
    let kept = lines.into_iter().zip(is_kept);
    kept.filter_map(|(line, is_kept)| is_kept.then_some(line))
        .collect()
}

/// `text` with blanks in place of all that was found: the same length, lines and character boundaries elsewhere.
pub fn blank<'t>(text: &'t str, found: &[Found]) -> Cow<'t, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut end = 0;
    for one in found {
        clean.push_str(&text[end..one.range.start]);
        let hidden = text[one.range.clone()].bytes();
        clean.extend(hidden.map(|byte| match byte {
            b'\n' => '\n',
            b'\r' => '\r',
            _ => ' ',
        }));
        end = one.range.end;
    }
    clean.push_str(&text[end..]);
    Cow::Owned(clean)
}

/// Return whether the value of `key`, the text of a setting, must not be copied apart from its text. Stricter than
/// [`find`], since a setting is little without its text: any value of a key that speaks of credentials.
pub fn is_guarded(key: &str, value: &str, is_text: bool) -> bool {
    // A tokenizer is not a token.
    let lower = key.to_ascii_lowercase().replace("tokeniz", "");
    let known = keys::key(key);
    if !is_text {
        let is_number = value
            .bytes()
            .all(|b| b.is_ascii_digit() || b"_.-+".contains(&b));
        let is_short = value.len() < 4
            || value.eq_ignore_ascii_case("true")
            || value.eq_ignore_ascii_case("false");
        return match known {
            Some(Key::Password) => !is_short,
            Some(Key::Token) => !is_short && !is_number,
            None => is_random(value) && !random::is_number(value) && !is_named_digest(key, value),
        };
    }
    if known.is_none() && is_named_digest(key, value) {
        return false;
    }
    GUARDED.iter().any(|part| lower.contains(part))
        || known.is_some()
        || value.starts_with("-----BEGIN")
        || forms::has_user_info(value)
        || value
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '/' | '=')))
            .any(is_random)
        || !find_certain(value, Style::Any).is_empty()
}

/// Return whether this is the commit or checksum that its key says it is: what people look for things by.
fn is_named_digest(key: &str, value: &str) -> bool {
    const KEYS: [&str; 9] = [
        "rev",
        "revision",
        "commit",
        "sha",
        "sha1",
        "sha256",
        "checksum",
        "integrity",
        "uuid",
    ];
    let last = key.rsplit(['_', '-', '.']).next().unwrap_or(key);
    KEYS.iter().any(|known| last.eq_ignore_ascii_case(known))
        && random::is_digest(value, 0, value.len())
}

/// Parts of keys whose text values are never copied.
const GUARDED: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "private_key",
    "privatekey",
    "credential",
    "access_key",
    "authorization",
];

/// Values shorter than this are not looked for elsewhere: they are words of their own too often.
const REPEATED_BYTES: usize = 8;
/// Values looked for at most: each costs a pass over the text.
const MAX_REPEATED: usize = 16;

/// A credential that is known from its key is one wherever it stands again.
fn repeats(text: &str, found: &mut Vec<Found>) {
    let known: Vec<_> = found
        .iter()
        .filter(|one| one.is_certain && one.range.len() >= REPEATED_BYTES && one.range.len() <= 256)
        .filter(|one| {
            let value = &text[one.range.clone()];
            value.bytes().any(|byte| byte.is_ascii_digit()) || letters::is_odd(value)
        })
        .take(MAX_REPEATED)
        .cloned()
        .collect();
    for one in known {
        let value = &text[one.range.clone()];
        for (at, _) in text.match_indices(value) {
            found.push(Found {
                range: at..at + value.len(),
                ..one.clone()
            });
        }
    }
}

/// Sorted, with what overlaps joined; what is certain of a part is certain of the whole.
fn join(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_unstable_by_key(|one| (one.range.start, one.range.end));
    let mut joined: Vec<Found> = Vec::with_capacity(found.len());
    for one in found {
        match joined.last_mut() {
            Some(last) if one.range.start < last.range.end => {
                last.range.end = last.range.end.max(one.range.end);
                if one.is_certain && !last.is_certain {
                    (last.is_certain, last.what) = (true, one.what);
                }
            }
            _ => joined.push(one),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
