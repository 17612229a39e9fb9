//! Escapes text before it is printed on a terminal or in a log.
//!
//! File names, chunk texts and library messages may contain escape sequences (which set the title, clear the screen or
//! write to the clipboard), bidirectional control characters and line breaks (with which a name could imitate a line of
//! this program). Everything for people goes through [`line()`] in `commands/output.rs`, `progress`, `telemetry` and
//! `main`. JSON output escapes the same characters as `\u....`, so it is unchanged when read back.

use crate::credential::{self, Style};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Return `text` as one line: line breaks as `\n` and `\r`, tabs as `\t`, other control and bidirectional characters as
/// `\u` and four hexadecimal digits. Borrows the text if it needs no escapes.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // All of these have at most four digits.
            _ if is_unsafe(character) => {
                let _ = write!(shown, "\\u{:04x}", u32::from(character));
            }
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Like [`line()`], and redact credentials. For messages of the program, which quote command lines, root names and library
/// errors.
pub fn message(text: &str) -> String {
    let (text, _) = credential::redact(text, Style::Any);
    line(&text).into_owned()
}

/// Return whether a character is a control character (C0, DEL, C1), a line or paragraph separator, or a bidirectional
/// control.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped() {
        let table = [
            ("plain, naïve, 日本", "plain, naïve, 日本"),
            ("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007"),
            ("a\nerror: b\r\tc", "a\\nerror: b\\r\\tc"),
            ("\u{9b}2J\u{7f}", "\\u009b2J\\u007f"),
            ("x\u{202e}gpj.exe\u{2066}", "x\\u202egpj.exe\\u2066"),
        ];
        for (text, shown) in table {
            assert_eq!(line(text), shown);
        }
        assert!(matches!(line("plain"), Cow::Borrowed("plain")));
    }

    proptest! {
        #[test]
        fn only_unsafe_characters_are_escaped(text in any::<String>()) {
            let shown = line(&text);
            prop_assert!(!shown.contains(is_unsafe));
            prop_assert_eq!(line(&shown).into_owned(), shown.clone().into_owned());
            let safe: String = text.chars().filter(|c| !is_unsafe(*c)).collect();
            prop_assert!(shown.len() >= safe.len());
        }
    }
}
