//! The parts of names that capitals join: `readFile`, `HTTPServer`.
//!
//! WordPiece knows `read` and `file`, but cuts `readFile` in lower case into `read`, `##fi` and `##le`.

use std::borrow::Cow;

/// Return the text with a space before each capital (A to Z) that begins a part: it follows a small letter or a digit, or a
/// capital and has a small letter behind it. `tools/encoders/pairs.py` does the same for training.
pub(super) fn with_parts_apart(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut apart = String::new();
    let mut copied = 0;
    for at in 1..bytes.len() {
        if begins_part(bytes, at) {
            apart.push_str(&text[copied..at]);
            apart.push(' ');
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    apart.push_str(&text[copied..]);
    Cow::Owned(apart)
}

/// Whether a part of a name begins at `at`, which has a byte before it.
fn begins_part(bytes: &[u8], at: usize) -> bool {
    let before = bytes[at - 1];
    let has_small_letter_behind = || bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
    bytes[at].is_ascii_uppercase()
        && (before.is_ascii_lowercase()
            || before.is_ascii_digit()
            || before.is_ascii_uppercase() && has_small_letter_behind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_begin_parts() {
        for (text, apart) in [
            ("getElementById(x)", "get Element By Id(x)"),
            ("parseHTMLDocument", "parse HTML Document"),
            ("XMLHttpRequest", "XML Http Request"),
            ("utf8String ALL_CAPS", "utf8 String ALL_CAPS"),
            ("a1B IDs", "a1 B I Ds"),
            ("\u{e9}A\u{c9}a", "\u{e9}A\u{c9}a"),
            ("X", "X"),
            ("", ""),
        ] {
            assert_eq!(with_parts_apart(text), apart);
        }
    }

    #[test]
    fn a_text_without_such_names_is_not_copied() {
        for text in ["snake_case Title Case", "SCREAMING", "\u{65e5}\u{672c}"] {
            assert!(matches!(with_parts_apart(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
