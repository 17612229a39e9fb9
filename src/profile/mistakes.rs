//! Finds all mistakes of a profile, not the first alone.
//!
//! Reading a profile ends at its first mistake. This module blanks what the mistake is about and reads the rest again, so
//! that both ways know the same mistakes. Pure but for the folders that reading looks for.

use super::error::ProfileError;
use super::expand::Env;
use super::parse::ProfileFile;
use super::resolved::Profile;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// More mistakes than these are one: the file is something else.
const MOST: usize = 50;

/// Put before a text that names no roots, to look at the rest.
const SOME_ROOTS: &str = "roots = ['.']\n";

impl Profile {
    /// Return all mistakes of the profile with this `text`, in the order in which reading finds them; none if it is valid.
    /// What stands on a line with a mistake is not looked at again.
    pub fn mistakes(path: &Path, text: &str, env: Env<'_>) -> Vec<ProfileError> {
        let mut mistakes: Vec<ProfileError> = Vec::new();
        let mut left = text.to_owned();
        let mut before = 0;
        while mistakes.len() < MOST {
            let read = ProfileFile::parse(path, &left)
                .and_then(|typed| Self::resolve(typed, path, &left, env));
            let (line, message) = match read {
                Ok(_) => break,
                Err(ProfileError::Invalid { line, message, .. }) => (line, message),
                // About no line of the text: the folders are away.
                Err(error) => {
                    if before == 0 {
                        mistakes.push(error);
                    }
                    break;
                }
            };
            let is_about_roots = message.starts_with("roots is ");
            let place = line.saturating_sub(before).max(1);
            mistakes.push(ProfileError::Invalid {
                path: path.to_path_buf(),
                line: place,
                message,
            });
            let blanked = blanked(&left, line);
            let is_stuck = blanked == left;
            left = blanked;
            if is_about_roots && before == 0 {
                left.insert_str(0, SOME_ROOTS);
                before = 1;
            } else if is_stuck {
                break;
            }
        }
        mistakes
    }
}

/// Return the text without the entry on this line, with as many lines as before. An entry of a list becomes another one.
fn blanked(text: &str, line: usize) -> String {
    let lines = line_of(text, line);
    let table = DeTable::parse(text);
    let found = table
        .as_ref()
        .ok()
        .and_then(|table| entry(table.get_ref(), text, &lines));
    let (range, instead) = found.unwrap_or((lines, ""));
    let mut blanked = String::with_capacity(text.len());
    blanked.push_str(&text[..range.start]);
    blanked.push_str(instead);
    let behind = text[range.clone()].chars().skip(instead.len());
    blanked.extend(behind.map(|c| if c == '\n' { '\n' } else { ' ' }));
    blanked.push_str(&text[range.end..]);
    blanked
}

/// Return the innermost entry that has a part on the line, and what to put in its place.
fn entry(
    table: &DeTable<'_>,
    text: &str,
    line: &Range<usize>,
) -> Option<(Range<usize>, &'static str)> {
    for (key, value) in table {
        let range = start_of_line(text, key.span().start)..value.span().end;
        let is_header = text[range.start..].trim_start().starts_with('[');
        match value.get_ref() {
            DeValue::Array(entries) if !is_header => {
                // All that stand on the line: which of them is wrong is not known.
                let mut on_line = entries
                    .iter()
                    .map(Spanned::span)
                    .filter(|span| meets(span, line));
                if let Some(first) = on_line.next() {
                    let end = on_line.next_back().map_or(first.end, |last| last.end);
                    return Some((first.start..end, "'.'"));
                }
            }
            DeValue::Array(entries) => {
                let tables = entries.iter().filter_map(|one| one.get_ref().as_table());
                let found = tables.filter_map(|table| entry(table, text, line)).next();
                if found.is_some() {
                    return found;
                }
            }
            DeValue::Table(inner) if is_header => {
                let found = entry(inner, text, line);
                if found.is_some() {
                    return found;
                }
            }
            _ => {}
        }
        if !is_header && meets(&range, line) {
            return Some((range, ""));
        }
    }
    None
}

fn meets(one: &Range<usize>, line: &Range<usize>) -> bool {
    one.start < line.end && one.end > line.start
}

fn start_of_line(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// Return where line number `line` stands, from 1, without its end.
fn line_of(text: &str, line: usize) -> Range<usize> {
    let mut start = 0;
    for (n, one) in text.split('\n').enumerate() {
        if n + 1 == line {
            return start..start + one.len();
        }
        start += one.len() + 1;
    }
    text.len()..text.len()
}
