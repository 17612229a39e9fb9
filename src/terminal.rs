//! Escapes text before it is printed on a terminal or in a log.
//!
//! File names, chunk texts and library messages may contain escape sequences (which set the title, clear the screen or
//! write to the clipboard), bidirectional control characters and line breaks (with which a name could imitate a line of
//! this program). Everything for people goes through [`line()`] in `commands/output.rs`, `progress`, `telemetry` and
//! `main`. JSON output escapes the same characters as `\u....`, so it is unchanged when read back.

use crate::credential::{self, Style};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

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
    line(&redacted(text)).into_owned()
}

/// Redact the credentials of a message. A path keeps its name, whatever the text beside it announces: `password=` in one
/// path does not make a credential of the next. What a path announces itself is redacted.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let found = credential::find_certain(text, Style::Any);
    let paths: Vec<Range<usize>> = match found.is_empty() {
        true => return Cow::Borrowed(text),
        false => paths(text).collect(),
    };
    let is_path = |range: &Range<usize>| {
        let mut around = paths.iter();
        around.any(|path| path.start <= range.start && range.end <= path.end)
    };
    if !found.iter().any(|one| is_path(&one.range)) {
        return credential::redact(text, Style::Any).0;
    }
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for one in found.iter().filter(|one| !is_path(&one.range)) {
        shown.push_str(&text[end..one.range.start]);
        shown.push_str(credential::REDACTED);
        end = one.range.end;
    }
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

/// Return the absolute paths in `text` that begin in a folder of this machine and hold no credential by themselves.
fn paths(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_end = |c: char| c.is_whitespace() || "\"'`()[]<>,;".contains(c);
    let words = text.split(is_end).map(move |word| {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        (start, word.trim_end_matches([':', '.']))
    });
    let is_path = |word: &str| {
        let path = Path::new(word);
        // The root itself, then a folder in it.
        let top = path
            .ancestors()
            .filter(|above| above.parent().is_some())
            .last();
        path.is_absolute()
            && top.is_some_and(Path::is_dir)
            && credential::find_certain(word, Style::Any).is_empty()
    };
    let paths = words.filter(move |(_, word)| is_path(word));
    paths.map(|(start, word)| start..start + word.len())
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

    #[test]
    fn a_path_is_not_the_credential_that_its_neighbour_announces() {
        let folder = std::env::temp_dir().join("tmp.tWzhe9OTv4");
        let folder = folder.display();
        let text = format!("{folder}/b/password=x.txt is outside the roots of a ({folder}/a)");
        assert_ne!(
            credential::redact(&text, Style::Any).1,
            0,
            "a text that shows the rule"
        );
        assert!(
            redacted(&text).ends_with(&format!("({folder}/a)")),
            "{}",
            redacted(&text)
        );
        let text = "password: \"tWzhe9OTv4xQ\", or https://me:tWzhe9OTv4xQ@host";
        assert_eq!(redacted(text), credential::redact(text, Style::Any).0);
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
