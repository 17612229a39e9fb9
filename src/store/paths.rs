//! What a path says about its file: tokens for the path index and the stem for the file-name index.
//!
//! Pure functions of text. The rules are the format's; the query side splits its words the same way.

use crate::tag::path::{is_noise_stem, is_noise_token};
use std::collections::BTreeSet;

/// Distinct lower-case tokens of `path` that tell files apart: pieces between separators and
/// punctuation, without single characters and without words that half of all paths hold.
pub fn path_tokens(path: &str) -> BTreeSet<String> {
    path.split(|c: char| matches!(c, '\\' | '/' | '-' | '_' | '.' | ':') || c.is_whitespace())
        .map(str::to_lowercase)
        .filter(|token| token.chars().nth(1).is_some() && !is_noise_token(token))
        .collect()
}

/// Lower-case stem of a file name, up to its first dot. `None` for names with unusual characters,
/// without a short extension, or too common to point anywhere.
pub fn filename_stem(name: &str) -> Option<String> {
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let (before, extension) = name.rsplit_once('.')?;
    let short =
        (1..=6).contains(&extension.len()) && extension.chars().all(|c| c.is_ascii_alphanumeric());
    if before.is_empty() || !short || !before.chars().all(usual) {
        return None;
    }
    let stem = before.split('.').next()?.to_ascii_lowercase();
    (stem.len() >= 2 && !is_noise_stem(&stem)).then_some(stem)
}

/// Lower-case keys of `key=value` strings, each once, in order.
pub fn keys_of(key_values: &[String]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for pair in key_values {
        let Some((key, _)) = pair.split_once('=') else {
            continue;
        };
        let key = key.trim().to_lowercase();
        if !key.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_pieces_that_tell_files_apart() {
        let tokens = path_tokens("Hades-II/src/content maps/big_map.lua");
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        assert_eq!(
            tokens,
            ["big", "content", "hades", "ii", "lua", "map", "maps"]
        );
        assert!(path_tokens("src/main.rs").is_empty());
        assert!(path_tokens("a/b/é/c").is_empty());
    }

    #[test]
    fn stems_follow_the_format() {
        let stem = |name| filename_stem(name);
        assert_eq!(stem("Hero.tsx").as_deref(), Some("hero"));
        assert_eq!(
            stem("crawl-watchdog.py.bak").as_deref(),
            Some("crawl-watchdog")
        );
        for none in [
            "README.md",
            "noextension",
            ".env.local",
            "a.py",
            "sp ace.py",
            "x.toolongext",
            "naïve.py",
            "dot.",
            "trailing.t-t",
        ] {
            assert_eq!(stem(none), None, "{none}");
        }
    }

    #[test]
    fn keys_are_lower_case_and_distinct() {
        let pairs = ["Port=80=x", "port=1", "no pair", "=v", " Host =h"].map(String::from);
        assert_eq!(keys_of(&pairs), ["port", "host"]);
    }
}
