//! Literal values in a text: numbers, truth values, quoted and bare text.

/// Longer keys and numbers are generated.
pub(super) const MAX_KEY_BYTES: usize = 60;

/// No longer value fits the limit of a pair (fewer than 200 characters of at most 4 bytes), so the search for
/// its end stops here.
pub(super) const MAX_VALUE_BYTES: usize = 4 * 199;

/// A value in a text.
#[derive(Clone, Copy)]
pub(super) struct Literal<'a> {
    /// Without its quotes.
    pub text: &'a str,
    /// Text, and not a number or truth value.
    pub is_text: bool,
}

/// Whether values may stand without quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    No,
    Yes,
}

/// Return the literal at `start`, and where it ends.
pub(super) fn literal(
    text: &str,
    end: usize,
    start: usize,
    bare: Bare,
) -> Option<(Literal<'_>, usize)> {
    let bytes = &text.as_bytes()[..end];
    let start = skip_blanks(bytes, start);
    match *bytes.get(start)? {
        b'"' | b'\'' | b'`' => quoted(text, end, start),
        b'r' | b'b' | b'u' if matches!(bytes.get(start + 1), Some(b'"' | b'\'')) => {
            quoted(text, end, start + 1)
        }
        _ => number_or_name(text, end, start).or_else(|| match bare {
            Bare::Yes => rest_of_line(text, end, start),
            Bare::No => None,
        }),
    }
}

/// Return the argument of a flag: quoted text, or a number up to the next blank.
pub(super) fn argument(text: &str, end: usize, start: usize) -> Option<(Literal<'_>, usize)> {
    let start = skip_blanks(&text.as_bytes()[..end], start);
    if matches!(text.as_bytes()[..end].get(start), Some(b'"' | b'\'')) {
        return quoted(text, end, start);
    }
    let rest = text[start..end].bytes();
    let length = rest
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'.')
        .count();
    number_or_name(text, start + length, start)
}

fn quoted(text: &str, end: usize, open: usize) -> Option<(Literal<'_>, usize)> {
    let bytes = &text.as_bytes()[..end.min(open + MAX_VALUE_BYTES)];
    let mut at = open + 1;
    while *bytes.get(at)? != bytes[open] {
        at += 1 + usize::from(bytes[at] == b'\\');
    }
    // It is part of an expression: `", ".join(names)`, `"%s" % name`.
    if matches!(
        bytes.get(skip_blanks(bytes, at + 1)),
        Some(b'.' | b'%' | b'+' | b'[')
    ) {
        return None;
    }
    let value = Literal {
        text: &text[open + 1..at],
        is_text: true,
    };
    Some((value, at + 1))
}

/// Return a number, a product of numbers, or a truth value, if only a delimiter follows it.
fn number_or_name(text: &str, end: usize, start: usize) -> Option<(Literal<'_>, usize)> {
    let bytes = &text.as_bytes()[..end.min(start + MAX_KEY_BYTES)];
    let mut stop = start;
    while bytes
        .get(stop)
        .is_some_and(|b| b.is_ascii_alphanumeric() || b"_.+-*<% ".contains(b))
    {
        stop += 1;
    }
    let value = text[start..stop].trim_end();
    // A comment may follow.
    let is_last = match text.as_bytes()[..end].get(stop) {
        None => true,
        Some(next) => b",;)}]#/\"".contains(next),
    };
    let is_name = matches!(
        value,
        "true" | "false" | "True" | "False" | "TRUE" | "FALSE"
    );
    (is_last && (is_name || is_number(value))).then_some((
        Literal {
            text: value,
            is_text: false,
        },
        stop,
    ))
}

/// Whether `value` is like `-1.5e3`, `0xff`, `10_000u32`, `60 * 1000` or `1 << 20`, and no date or name.
fn is_number(value: &str) -> bool {
    let mut has_number = false;
    for part in value.split([' ', '*', '<']).filter(|part| !part.is_empty()) {
        let digits = part.trim_start_matches(['-', '+']);
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        has_number = true;
    }
    has_number
}

/// Return bare text up to a comment. Lists, tables and references are not literals.
fn rest_of_line(text: &str, end: usize, start: usize) -> Option<(Literal<'_>, usize)> {
    let rest = &text[start..floor(text, end.min(start + MAX_VALUE_BYTES))];
    if rest.starts_with(['{', '[', '|', '>', '&', '*', '!', '$', '(']) {
        return None;
    }
    let value = [" #", "\t#", " ;"]
        .iter()
        .filter_map(|comment| rest.find(comment))
        .min()
        .map_or(rest, |stop| &rest[..stop]);
    let value = Literal {
        text: value.trim_end(),
        is_text: true,
    };
    Some((value, end))
}

pub(super) fn skip_blanks(bytes: &[u8], start: usize) -> usize {
    let blanks = bytes.get(start..).unwrap_or_default();
    start
        + blanks
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count()
}

/// Return the last character boundary at or before `at`.
pub(super) fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
