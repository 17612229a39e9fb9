//! Whether a chunk defines a name. Pure.

use super::weights;

/// Words before the name that they define, in some language or other.
const KEYWORDS: &str = " class struct interface trait enum union protocol extension impl module mod namespace object record \
type typedef newtype data def defp defmodule defmacro defprotocol defimpl fn func fun function sub proc macro macro_rules \
const constexpr let var val static instance actor concept using package alias define ";

/// Return how surely a chunk defines a name, 0 to 1. `defined` are the definitions that a parser or the tagger found.
pub fn degree(name: &str, defined: &[String], text: &str) -> f64 {
    if defined.iter().any(|known| known == name) {
        return 1.0;
    }
    if shows(name, text) {
        return weights::SEEN_DEFINITION;
    }
    let name = name.to_lowercase();
    match defined.iter().any(|known| known.to_lowercase() == name) {
        true => weights::OTHER_CASE,
        false => 0.0,
    }
}

/// Return whether a text shows the name behind a word that defines, or as a function of a shell.
fn shows(name: &str, text: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        if after.starts_with(is_letter) || before.ends_with(is_letter) {
            return false;
        }
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.trim().is_empty()
            && after.starts_with("()")
            && after[2..].trim_start().starts_with('{')
        {
            return true;
        }
        // `macro_rules! name` has a sign behind the word.
        let words = line.trim_end();
        let word = words.trim_end_matches('!');
        let start = word.rfind(|c: char| !is_letter(c)).map_or(0, |at| {
            at + word[at..].chars().next().map_or(1, char::len_utf8)
        });
        let keyword = &word[start..];
        words.len() < line.len()
            && !keyword.is_empty()
            && KEYWORDS.contains(&format!(" {keyword} "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_shows_its_definitions() {
        for text in [
            "data class Router(val x: Int)",
            "pub struct Router<S> {",
            "  #define Router 1",
            "newtype Router = Router Int",
            "Router() {\n  echo\n}",
            "macro_rules! Router {",
        ] {
            assert!(shows("Router", text), "{text}");
        }
        for text in [
            "let x = Router::new()",
            "struct RouterBuilder",
            "return Router",
            "Router() + 1",
            "class MyRouter",
            "",
        ] {
            assert!(!shows("Router", text), "{text}");
        }
    }

    #[test]
    fn a_parsed_definition_counts_most() {
        let defined = ["Router".to_owned()];
        assert_eq!(degree("Router", &defined, ""), 1.0);
        assert_eq!(degree("router", &defined, ""), weights::OTHER_CASE);
        assert_eq!(
            degree("route", &defined, "fn route("),
            weights::SEEN_DEFINITION
        );
        assert_eq!(degree("serve", &defined, "serve()"), 0.0);
    }
}
