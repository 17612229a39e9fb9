//! Values before their key: `"x" # password`, `use x as the password`, `value: x` above `name: KEY`.

use super::super::forms::floor;
use super::super::keys::Key;
use super::super::letters;
use super::super::random::{self, Mix};
use super::super::values::{self, How};
use super::super::{Found, Style, stand_ins};
use super::KeyInText;
use std::ops::Range;

/// What may stand between a value and the word for it.
const WORDS: [&str; 22] = [
    "the",
    "a",
    "my",
    "our",
    "your",
    "his",
    "her",
    "its",
    "this",
    "admin",
    "root",
    "db",
    "database",
    "user",
    "default",
    "new",
    "current",
    "old",
    "temporary",
    "initial",
    "master",
    "login",
];
/// The same in sentences and in SQL.
const VERBS: [&str; 4] = ["is", "was", "as", "be"];
/// Signs before a remark about what stands before it, and of comparisons.
const REMARKS: [&str; 9] = ["#", "//", "--", "<-", " (", "/*", "\u{2190}", ";", "REM"];
const COMPARISONS: [&str; 5] = ["===", "==", "!=", ".equals(", ":"];
/// Words that say, behind it, that a password is spoken about.
const TOPICS: [&str; 16] = [
    "hash",
    "hashing",
    "hashes",
    "encoding",
    "encryption",
    "algorithm",
    "manager",
    "type",
    "check",
    "scheme",
    "salt",
    "function",
    "format",
    "generator",
    "store",
    "field",
];

/// Shorter ones are words and numbers of versions.
const MIN_BYTES: usize = 6;
/// From this length on letters and digits together are certain.
const CERTAIN_BYTES: usize = 8;

impl KeyInText<'_> {
    /// Return what stands before the key and looks like its value.
    pub(super) fn before(&self, key: Key) -> Option<Found> {
        if let Some((range, how)) = self.sibling_before() {
            let is_certain = values::judge(key, &self.text[range.clone()], how, self.style)?;
            return Some(named(range, is_certain));
        }
        if key != Key::Password {
            return None;
        }
        let line = self.line_before();
        let line_start = self.name.start - line.len();
        let lead = line
            .trim_end_matches(['"', '\'', '`', '$', '*', ':', '@'])
            .trim_end();
        let (rest, is_said) = without_words(lead);
        let remark = REMARKS.iter().find_map(|sign| rest.strip_suffix(sign));
        let compared = || COMPARISONS.iter().find_map(|sign| rest.strip_suffix(sign));
        let is_field = line.ends_with(',') && !line.contains(['(', ')', '=']);
        let (rest, is_bare_fine) = match remark {
            Some(rest) => (rest, true),
            None if is_said => (rest, true),
            None if is_field => (&rest[..rest.len() - 1], true),
            None => match compared() {
                Some(rest) => (rest, false),
                None => (rest.strip_suffix(',')?, false),
            },
        };
        let rest = rest.trim_end().trim_end_matches([',', ';', ')', '.']);
        let (range, is_quoted) = last_value(rest, is_field)?;
        let value = &rest[range.clone()];
        let is_alone = rest[..range.start]
            .trim_matches(['"', '\'', '`', '-', '*', ' '])
            .is_empty();
        let is_drawn = random::is_random(value);
        if !is_quoted && !(is_bare_fine && (is_alone || is_said || is_field || is_drawn)) {
            return None;
        }
        if !may_be(value, is_quoted) {
            return None;
        }
        let is_last = self.ends_remark();
        let is_told = is_said && self.says_no_topic()
            || remark.is_some() && is_last && (is_alone || is_quoted);
        let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
        let is_certain = is_told
            && value.len() >= CERTAIN_BYTES
            && (has_digit || letters::is_odd(value))
            && !stand_ins::is_example(value);
        let range = line_start + range.start..line_start + range.end;
        Some(named(range, is_certain))
    }

    /// `"value": x` or `value=x` before `name: KEY`.
    fn sibling_before(&self) -> Option<(Range<usize>, How)> {
        const MAX_BYTES: usize = 200;
        const LABELS: [&str; 6] = ["name", "key", "id", "type", "var", "field"];
        let start = floor(self.text, self.name.start.saturating_sub(MAX_BYTES));
        let marks = |c: char| c.is_whitespace() || "\"'`".contains(c);
        let lead = self.text[start..self.name.start].trim_end_matches(marks);
        let lead = lead.strip_suffix([':', '='])?.trim_end_matches(marks);
        let label = lead.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
        let label = label.to_ascii_lowercase();
        LABELS.iter().find(|known| label.ends_with(**known))?;
        let lead = &lead[..lead.len() - label.len()];
        let at = lead.to_ascii_lowercase().rfind("value")? + "value".len();
        let behind = lead[at..].trim_start_matches(marks);
        let sign = behind.strip_prefix([':', '='])?;
        let (range, how) = self.literal(start + lead.len() - sign.len())?;
        let gap = self.text.get(range.end..start + lead.len())?;
        let is_next = gap
            .chars()
            .all(|c| c.is_whitespace() || "\"'`,-".contains(c));
        let how = if how == How::Inside { How::Line } else { how };
        is_next.then_some((range, how))
    }

    /// Return whether nothing follows the word for a password on its line.
    fn ends_remark(&self) -> bool {
        let rest = &self.text[self.name.end..floor(self.text, self.name.end + 40)];
        let line = rest.lines().next().unwrap_or_default();
        !line.contains(char::is_alphanumeric)
    }

    fn says_no_topic(&self) -> bool {
        let rest = self.text[self.name.end..floor(self.text, self.name.end + 24)].trim_start();
        let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let next = rest[..length].to_ascii_lowercase();
        !TOPICS.contains(&next.as_str())
    }
}

fn named(range: Range<usize>, is_certain: bool) -> Found {
    Found {
        range,
        is_certain,
        what: "password",
    }
}

/// `text` without the words that lead to the word for a password, and whether one of them is a verb.
fn without_words(text: &str) -> (&str, bool) {
    let mut rest = text;
    let mut is_said = false;
    for _ in 0..4 {
        let length = rest
            .bytes()
            .rev()
            .take_while(u8::is_ascii_alphabetic)
            .count();
        let word = rest[rest.len() - length..].to_ascii_lowercase();
        let is_verb = VERBS.contains(&word.as_str());
        if !is_verb && !WORDS.contains(&word.as_str()) {
            break;
        }
        is_said |= is_verb;
        rest = rest[..rest.len() - length].trim_end();
    }
    (rest, is_said)
}

/// Return the text in quotes that ends `rest`, or else its last word or field.
fn last_value(rest: &str, is_field: bool) -> Option<(Range<usize>, bool)> {
    if let Some(quote) = rest.chars().next_back().filter(|c| "\"'`".contains(*c)) {
        let end = rest.len() - 1;
        let start = rest[..end].rfind(quote)? + 1;
        return Some((start..end, true));
    }
    let word = match is_field {
        true => rest.rsplit([',', ';', '\t']).next()?,
        false => rest.rsplit(char::is_whitespace).next()?,
    };
    Some((rest.len() - word.len()..rest.len(), false))
}

/// Letters and digits, and nothing that is known to be something else.
fn may_be(value: &str, is_quoted: bool) -> bool {
    let mix = Mix::of(value);
    let how = if is_quoted { How::Quoted } else { How::Line };
    let is_word = mix.digits == 0 && (!is_quoted && letters::is_ordinary(value));
    mix.len >= MIN_BYTES
        && !is_word
        && mix.upper + mix.lower > 0
        && !value.contains(char::is_whitespace)
        && !random::is_uuid(value)
        && !values::is_word_of_trade(value)
        && !values::is_place(value)
        && values::judge(Key::Password, value, how, Style::Any).is_some()
}
