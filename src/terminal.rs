//! What people read on a terminal or in a log, made safe to print.
//!
//! Names of files, texts of chunks and messages of libraries may hold anything: sequences that set a terminal's
//! title, clear its screen or write to its clipboard, characters that turn the order of letters around, and ends of
//! lines, with which a name could pretend to be a line of this program's. Everything for people goes through
//! [`line()`], at the few places that print: `commands/output.rs`, `progress`, `telemetry` and `main`. Files and JSON
//! keep what they hold; JSON states the same characters as `\u....`, and so reads back as it was.

use crate::credential::{self, Style};
use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` as one line: ends of lines as `\n` and `\r`, tabs as `\t`, other characters that a terminal obeys, or that
/// hide how a text reads, as `\u` and four hexadecimal digits. A text without any comes back as it is.
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
            // All of them have four digits at most.
            _ if is_unsafe(character) => {
                let _ = write!(shown, "\\u{:04x}", u32::from(character));
            }
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// The same for what the program itself says, in a log or beside its results: without the credentials in it. Command
/// lines, names of roots and errors of libraries quote what people type.
pub fn message(text: &str) -> String {
    let (text, _) = credential::redact(text, Style::Any);
    line(&text).into_owned()
}

/// Control characters (C0, DEL, C1), the separators of lines and paragraphs, and those that set the direction of
/// writing.
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
    fn what_a_terminal_obeys_is_spelled_out() {
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
        fn nothing_unsafe_is_left_and_the_rest_stays(text in any::<String>()) {
            let shown = line(&text);
            prop_assert!(!shown.contains(is_unsafe));
            prop_assert_eq!(line(&shown).into_owned(), shown.clone().into_owned());
            let safe: String = text.chars().filter(|c| !is_unsafe(*c)).collect();
            prop_assert!(shown.len() >= safe.len());
        }
    }
}
