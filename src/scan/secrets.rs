//! Names under which people keep keys and credentials.
//!
//! Judged by names alone; contents are never looked at. The list would rather miss an odd name than
//! hide sources: a word such as `secrets` counts only in front of a data format's extension, so
//! `secrets.rs` is a source like any other. Upper and lower case are alike.

use crate::file::RelPath;
use std::collections::HashSet;
use std::sync::LazyLock;

mod names;

use names::{
    COPIES, DATA, EXTENSIONS, FOLDERS, IN_FOLDER, KEY_ENDINGS, KINDS_IN_FOLDER, LAST_WORDS,
    MIDDLES, NAMES, NOTES, PROGRAMS, SHAPES, SSH_KEYS, STAGES, TEMPLATES, WORDS,
};

/// Return the pattern by which a file's name says that it holds secrets.
pub fn secret_pattern(path: &RelPath) -> Option<String> {
    let (folder, name) = last_two(path);
    let original = COPIES.iter().find_map(|copy| name.strip_suffix(copy));
    pattern(&folder, &name).or_else(|| pattern(&folder, original?))
}

/// Of a name and the folder above it, both in lower case.
fn pattern(folder: &str, name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    if is_template(name) || is_template(stem) {
        return None;
    }
    static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| NAMES.split_whitespace().collect());
    if KNOWN.contains(name) {
        return Some(name.to_owned());
    }
    if [".env.", ".env-", ".env_"]
        .iter()
        .any(|first| name.starts_with(first))
    {
        return Some(".env.*".into());
    }
    // `.key` alone is a hidden file of that name, not a file of that kind.
    if !stem.is_empty() && EXTENSIONS.contains(&extension) && !is_public(stem) {
        return Some(format!("*.{extension}"));
    }
    if DATA.contains(&extension) && says_secrets(stem) {
        return Some(name.to_owned());
    }
    if extension == "txt" && is_note(stem) {
        return Some(name.to_owned());
    }
    if let Some(key) = SSH_KEYS.iter().find(|key| is_ssh_key(name, key)) {
        return Some(format!("{key}*"));
    }
    if let Some(end) = KEY_ENDINGS
        .iter()
        .find(|end| extension.is_empty() && name.ends_with(**end))
    {
        return Some(format!("*{end}"));
    }
    if stem.strip_prefix("wg").is_some_and(is_number) && extension == "conf" {
        return Some("wg*.conf".into());
    }
    let within = IN_FOLDER
        .iter()
        .find(|(above, last)| folder == *above && name == *last);
    if let Some((above, last)) = within {
        return Some(format!("{above}/{last}"));
    }
    let kind = KINDS_IN_FOLDER
        .iter()
        .find(|(above, last)| folder == *above && extension == *last);
    if let Some((above, last)) = kind {
        return Some(format!("{above}/*.{last}"));
    }
    let shape = SHAPES
        .iter()
        .find(|(first, last)| name.starts_with(first) && name.ends_with(last));
    if let Some((first, last)) = shape {
        return Some(format!("{first}*{last}"));
    }
    let middle = MIDDLES
        .iter()
        .find(|(middle, last)| name.contains(middle) && name.ends_with(last));
    middle.map(|(middle, last)| format!("*{middle}*{last}"))
}

/// `.env.example`, `.env-example`; the stem of `example.env`.
fn is_template(name: &str) -> bool {
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name);
    TEMPLATES.contains(&last)
}

/// Keys that are made to be shown.
fn is_public(stem: &str) -> bool {
    let mut words = stem.split(['-', '_', '.']);
    words.any(|word| matches!(word, "public" | "pub" | "pubkey"))
}

/// Of a name in front of a data format's extension.
fn says_secrets(stem: &str) -> bool {
    let stem = stem.trim_start_matches('.');
    if WORDS.contains(&stem) || is_of_stage(stem) {
        return true;
    }
    let last = stem.rsplit(['-', '_', '.']).next().unwrap_or(stem);
    let is_after_dot = stem
        .strip_suffix(last)
        .is_some_and(|rest| rest.ends_with('.'));
    !PROGRAMS.iter().any(|program| stem.ends_with(program))
        && (LAST_WORDS.contains(&last) || is_after_dot && WORDS.contains(&last))
}

/// `secrets.prod`, `credentials-staging`.
fn is_of_stage(stem: &str) -> bool {
    let parts = stem.split_once(['-', '_', '.']);
    parts.is_some_and(|(word, stage)| LAST_WORDS.contains(&word) && STAGES.contains(&stage))
}

/// `api_key`, `github-token`: a note's name, alone or behind another word.
fn is_note(stem: &str) -> bool {
    let stem = stem.replace('_', "-");
    NOTES.iter().any(|note| {
        stem.strip_suffix(note)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
    })
}

/// Return whether this is the key's name, alone or with words behind it, without an extension that makes it something
/// else.
fn is_ssh_key(name: &str, key: &str) -> bool {
    name.strip_prefix(key).is_some_and(|rest| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        rest.is_empty() || rest.starts_with(['_', '-']) && rest.chars().all(is_word)
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Return the pattern by which a folder's name, and those above it, say that it holds secrets.
pub fn folder_pattern(path: &RelPath) -> Option<String> {
    let path = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    folder_ending(&path)
}

/// Of a path in lower case.
fn folder_ending(path: &str) -> Option<String> {
    let ends_path = |folder: &&&str| {
        let above = path.strip_suffix(**folder);
        above.is_some_and(|above| above.is_empty() || above.ends_with('/'))
    };
    let folder = FOLDERS.iter().find(ends_path)?;
    Some(format!("{folder}/"))
}

/// Return the pattern by which a file, or any folder above it, says so.
pub fn pattern_on_the_way(path: &RelPath) -> Option<String> {
    let lower = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    let mut ends = lower
        .match_indices('/')
        .map(|(end, _)| end)
        .chain([lower.len()]);
    ends.find_map(|end| folder_ending(&lower[..end]))
        .or_else(|| secret_pattern(path))
}

/// Return the names of the folder above and of the path itself, in lower case; empty where there is none.
fn last_two(path: &RelPath) -> (String, String) {
    let lower = |name: Option<&[u8]>| {
        String::from_utf8_lossy(name.unwrap_or_default()).to_ascii_lowercase()
    };
    let mut names = path.as_bytes().rsplit(|byte| *byte == b'/');
    let name = lower(names.next());
    (lower(names.next()), name)
}

#[cfg(test)]
mod tests;
