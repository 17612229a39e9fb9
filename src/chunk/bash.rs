//! Makes shell scripts safe to parse: hides braces that crash the grammar's scanner.
//!
//! At a `{` that may begin a range (`{1..9}`) the scanner asks the C library whether a digit follows.
//! glibc looks the character up in a table of 256 entries. Characters beyond it read other memory, and
//! end the process when that is not mapped (U+E0100 did).

use std::borrow::Cow;

/// Replace each `{` by an underscore where the scanner would look up a character beyond U+00FF. For a shell
/// such a brace is an ordinary letter. Keeps the length in bytes and all other characters.
pub fn without_misleading_braces(text: &str) -> Cow<'_, str> {
    let misleads = |at: &usize| looks_up_beyond_the_table(&text[at + 1..]);
    let braces = text.match_indices('{').map(|(at, _)| at).filter(misleads);
    let mut hidden = String::new();
    for at in braces {
        hidden.push_str(&text[hidden.len()..at]);
        hidden.push('_');
    }
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    hidden.push_str(&text[hidden.len()..]);
    Cow::Owned(hidden)
}

/// Whether the scanner would do so, given the text after a brace: digits, two dots, digits.
fn looks_up_beyond_the_table(range: &str) -> bool {
    let end = past_digits(range);
    let end = end.strip_prefix("..").map_or(end, past_digits);
    end.starts_with(|c| c > '\u{ff}')
}

fn past_digits(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_braces_that_mislead_are_hidden() {
        for (text, hidden) in [
            ("{\u{100}}", "_\u{100}}"),
            ("{\u{ff}}", "{\u{ff}}"),
            ("{12\u{4e2d}", "_12\u{4e2d}"),
            ("a={1..\u{4e2d}}", "a=_1..\u{4e2d}}"),
            ("{..23\u{1f600}", "_..23\u{1f600}"),
            ("{1..2}\u{4e2d}", "{1..2}\u{4e2d}"),
            ("{1.\u{4e2d}", "{1.\u{4e2d}"),
            ("{ \u{4e2d}", "{ \u{4e2d}"),
            ("{{\u{4e2d}{", "{_\u{4e2d}{"),
            ("\u{4e2d}{a}", "\u{4e2d}{a}"),
            ("{", "{"),
            ("", ""),
        ] {
            assert_eq!(without_misleading_braces(text), hidden, "{text}");
        }
    }
}
