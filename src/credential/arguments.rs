//! Passwords among arguments: of commands, of calls that log in, of SQL's `IDENTIFIED BY`, of addresses.
//!
//! Only what is certain counts here, since what stands before says less than a key does.

use super::forms::{Form, floor};
use super::keys::Key;
use super::values::{self, How};
use super::{Found, Style, documents};
use std::ops::Range;

/// What each begins with, and the rule for it.
pub(super) const ARGUMENTS: &[(&str, Form)] = &[
    ("identified ", identified),
    ("credentials: ", pair),
    ("creds: ", pair),
    ("login: ", pair),
    ("auth(", second),
    ("auth=(", second),
    ("login(", second),
    ("credential(", second),
    ("credentials(", second),
    ("authentication(", second),
    ("getconnection(", third),
    ("mysql_connect(", third),
    ("mysqli_connect(", third),
    ("new mysqli(", third),
    ("new pdo(", third),
    ("send \"", sent),
    ("send -- \"", sent),
    ("securestring ", secure_string),
    ("-stdin", piped),
    ("--with-token", piped),
    ("sudo -s", piped),
    ("chpasswd", piped),
    ("| passwd", piped),
    ("kinit ", piped),
    ("gh secret set", piped),
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
    match values::judge(key, value, how, Style::Any) {
        Some(true) => found.push(Found::certain(range, "password among arguments")),
        Some(false) => found.push(Found::doubtful(range)),
        None => {}
    }
}

/// Return the text in the quotes that open `rest`, which ends with `text[..end]`.
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
    let end = start + line.len();
    match in_quotes(rest, end) {
        Some(range) => add(text, range, How::Quoted, Key::Password, found),
        None => word(text, end - rest.len(), end, found),
    }
}

/// `credentials: user / x` in notes.
fn pair(text: &str, start: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let Some((_, rest)) = line.split_once(": ") else {
        return;
    };
    let of_users = |c: char| c.is_ascii_alphanumeric() || "_-.@\\`*\"' ".contains(c);
    let length = rest.find(|c| !of_users(c)).unwrap_or(rest.len());
    let is_word = rest[..length].split_ascii_whitespace().count() == 1;
    let Some(behind) = rest[length..].strip_prefix(['/', ':', '|']) else {
        return;
    };
    if is_word && !behind.starts_with('/') {
        let end = start + line.len();
        let at = end - behind.len();
        word(text, at + blanks(behind), end, found);
    }
}

/// `login("user", "x")`, `auth=("user", "x")`, `basic_auth("user", Some("x"))`.
fn second(text: &str, start: usize, found: &mut Vec<Found>) {
    nth(text, start, 1, found);
}

/// `getConnection(url, "user", "x")`.
fn third(text: &str, start: usize, found: &mut Vec<Found>) {
    nth(text, start, 2, found);
}

fn nth(text: &str, start: usize, n: usize, found: &mut Vec<Found>) {
    let line = line_at(text, start);
    let Some((comma, _)) = line.match_indices(',').nth(n - 1) else {
        return;
    };
    let rest = line[comma + 1..].trim_start();
    let rest = rest.strip_prefix("Some(").unwrap_or(rest);
    if let Some(range) = in_quotes(rest, start + line.len()) {
        add(text, range, How::Quoted, Key::Password, found);
    }
}

/// `expect "*?assword:"`, and then `send "x\r"`.
fn sent(text: &str, start: usize, found: &mut Vec<Found>) {
    let asked = &text[text.floor_char_boundary(start.saturating_sub(MAX_BYTES))..start];
    if !asked.to_ascii_lowercase().contains("assword") {
        return;
    }
    let line = line_at(text, start);
    let open = line.find('"').unwrap_or_default();
    let Some(range) = in_quotes(&line[open..], start + line.len()) else {
        return;
    };
    let value = text[range.clone()]
        .trim_end_matches("\\n")
        .trim_end_matches("\\r");
    if !value.is_empty() {
        let range = range.start..range.start + value.len();
        add(text, range, How::Quoted, Key::Password, found);
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
    } else if let Some(at) = behind.find("<<")
        && let Some(line) = documents::first_line(text, start + at)
    {
        word(text, line.start, line.end, found);
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
        let inside = first.trim_start_matches(['"', '\'']);
        if !inside.starts_with(['-', '%']) {
            break;
        }
        at += first.len();
    }
    word(text, at, end, found);
}

/// The words that begin at `start`, one to a line of `echo -e`, without its quotes and the user before a colon.
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
