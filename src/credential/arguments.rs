//! Passwords among arguments: of commands, of calls that log in, of SQL's `IDENTIFIED BY`, of addresses.
//!
//! Only what is certain counts here, since what stands before says less than a key does.

use super::forms::{Form, floor};
use super::keys::Key;
use super::values::{self, How};
use super::{Found, Style};
use std::ops::Range;

/// What each begins with, and the rule for it.
pub(super) const ARGUMENTS: &[(&str, Form)] = &[
    ("identified ", identified),
    ("auth(", second),
    ("auth=(", second),
    ("login(", second),
    ("credential(", second),
    ("mysql", flag),
    ("redis-cli", flag),
    ("docker login", flag),
    ("podman login", flag),
    ("securestring ", secure_string),
    ("-stdin", piped),
    ("--with-token", piped),
    ("sudo -s", piped),
    ("chpasswd", piped),
    ("?key=", query),
    ("&key=", query),
    ("?sig=", query),
    ("&sig=", query),
];

/// What is looked at behind a command or a call.
const MAX_BYTES: usize = 256;

fn line_at(text: &str, start: usize) -> &str {
    let rest = &text[start..floor(text, start + MAX_BYTES)];
    rest.lines().next().unwrap_or_default()
}

fn add(text: &str, range: Range<usize>, how: How, key: Key, found: &mut Vec<Found>) {
    let value = &text[range.clone()];
    if values::judge(key, value, how, Style::Any) == Some(true) {
        found.push(Found::certain(range, "password among arguments"));
    }
}

/// The text in the quotes that open `rest`, which ends with `text[..end]`.
fn in_quotes(rest: &str, end: usize) -> Option<Range<usize>> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let length = rest[1..].find(quote)?;
    let start = end - rest.len() + 1;
    Some(start..start + length)
}

/// `IDENTIFIED BY 'x'`, `IDENTIFIED WITH plugin BY 'x'`.
fn identified(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let lower = line.to_ascii_lowercase();
    let Some(by) = lower.find(" by ") else {
        return;
    };
    let rest = line[by + 4..].trim_start();
    if let Some(range) = in_quotes(rest, start + line.len()) {
        add(text, range, How::Quoted, Key::Password, found);
    }
}

/// `login("user", "x")`, `auth=("user", "x")`, `basic_auth("user", Some("x"))`.
fn second(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let Some(comma) = line.find(',') else {
        return;
    };
    let rest = line[comma + 1..].trim_start();
    let rest = rest.strip_prefix("Some(").unwrap_or(rest);
    if let Some(range) = in_quotes(rest, start + line.len()) {
        add(text, range, How::Quoted, Key::Password, found);
    }
}

/// `mysql -px`, `redis-cli -a x`, `docker login -p x`.
fn flag(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let (mark, least) = match line.as_bytes()[0] {
        b'r' | b'R' => (" -a ", 4),
        b'm' | b'M' => (" -p", 3),
        _ => (" -p ", 4),
    };
    let Some(at) = line.find(mark) else {
        return;
    };
    let rest = line[at + least..].trim_start_matches(['"', '\'']);
    let length = rest.find(|c: char| c.is_whitespace() || "\"'|;".contains(c));
    let length = length.unwrap_or(rest.len());
    let begin = start + line.len() - rest.len();
    if length > 0 {
        add(
            text,
            begin..begin + length,
            How::Argument,
            Key::Password,
            found,
        );
    }
}

/// `echo x | docker login --password-stdin`, `printf '%s' x | gh auth login --with-token`, `... <<< x`.
fn piped(text: &str, start: usize, found: &mut Vec<Found>) {
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_start = text.ceil_char_boundary(line_start.max(start.saturating_sub(MAX_BYTES)));
    let before = &text[line_start..start];
    let behind = line_at(text, start);
    if let Some(at) = behind.find("<<<") {
        let at = start + at + 3;
        word(text, at + blanks(&text[at..]), start + behind.len(), found);
    }
    let Some(pipe) = before.rfind('|') else {
        return;
    };
    let words = &before[..pipe];
    let Some((at, command)) = ["echo ", "printf "]
        .iter()
        .filter_map(|command| Some((words.rfind(command)?, command)))
        .max()
    else {
        return;
    };
    let mut at = line_start + at + command.len();
    let end = line_start + pipe;
    loop {
        at += blanks(&text[at..end]);
        let rest = &text[at..end];
        let first = rest.split([' ', '\t']).next().unwrap_or(rest);
        if !first.starts_with('-') && !first.contains('%') {
            break;
        }
        at += first.len();
    }
    word(text, at, end, found);
}

/// The word that begins at `start`, without its quotes and the user before a colon.
fn word(text: &str, start: usize, end: usize, found: &mut Vec<Found>) {
    let rest = &text[start..end];
    let inside = rest.trim_start_matches(['"', '\'']);
    let length = inside.find(|c: char| c.is_whitespace() || "\"'|;".contains(c));
    let value = &inside[..length.unwrap_or(inside.len())];
    let password = value
        .split_once(':')
        .map_or(value, |(_, password)| password);
    let at = start + (rest.len() - inside.len()) + (value.len() - password.len());
    if !password.is_empty() {
        let range = at..at + password.len();
        add(text, range, How::Argument, Key::Password, found);
    }
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t']).len()
}

/// PowerShell's `ConvertTo-SecureString "x"`.
fn secure_string(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let rest = line["securestring ".len()..].trim_start();
    let rest = rest.strip_prefix("-String ").unwrap_or(rest);
    if let Some(range) = in_quotes(rest, start + line.len()) {
        add(text, range, How::Quoted, Key::Password, found);
    }
}

/// `https://host/path?key=x`, `&sig=x`.
fn query(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start + "?key=".len());
    let of_key = |c: char| c.is_ascii_alphanumeric() || "_-.~".contains(c);
    let length = line.find(|c| !of_key(c)).unwrap_or(line.len());
    let begin = start + "?key=".len();
    if length >= 16 {
        add(text, begin..begin + length, How::Joined, Key::Token, found);
    }
}
