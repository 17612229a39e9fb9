//! Lists of glob patterns over paths below a root.
//!
//! `*` and `?` match within one component, `**` across components, `[ab]` and `{a,b}` are choices. A pattern without a slash
//! matches at any depth, one with a slash from the root; a slash at the start or end has no other effect. Case matters.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::path::Path;

/// Compiled patterns, with their text as typed.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    /// Those that are no [`ending`], each a regular expression or a name.
    set: GlobSet,
    /// Of each in the set, its place in `typed`.
    places: Vec<usize>,
    /// Endings of names and their places. Most of the default patterns are such, and a name is compared with all of
    /// them in less time than it takes to compile one as a regular expression.
    endings: Vec<(String, usize)>,
    typed: Vec<String>,
}

/// An invalid pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad pattern `{pattern}`: {reason}")]
pub struct BadPattern {
    pub pattern: String,
    pub reason: String,
}

impl Patterns {
    /// Compile `patterns`.
    ///
    /// # Errors
    /// The first invalid pattern.
    pub fn compile<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, BadPattern> {
        let mut set = GlobSetBuilder::new();
        let mut compiled = Self::default();
        for (place, pattern) in patterns.into_iter().enumerate() {
            compiled.typed.push(pattern.to_string());
            if let Some(ending) = ending(pattern) {
                compiled.endings.push((ending.to_string(), place));
                continue;
            }
            let bad = |reason: String| BadPattern {
                pattern: pattern.to_string(),
                reason,
            };
            let glob =
                GlobBuilder::new(&anchored(pattern).ok_or_else(|| bad("it is empty".into()))?)
                    .literal_separator(true)
                    .backslash_escape(true)
                    .build()
                    .map_err(|error| bad(error.kind().to_string()))?;
            set.add(glob);
            compiled.places.push(place);
        }
        compiled.set = set.build().map_err(|error| BadPattern {
            pattern: compiled.typed.join(", "),
            reason: error.kind().to_string(),
        })?;
        Ok(compiled)
    }

    pub fn is_empty(&self) -> bool {
        self.typed.is_empty()
    }

    /// Return the patterns as typed.
    pub fn typed(&self) -> &[String] {
        &self.typed
    }

    /// Return the first pattern that matches `path` itself (relative to the root), as typed.
    pub fn matching(&self, path: &Path) -> Option<&str> {
        if self.typed.is_empty() {
            return None;
        }
        let in_set = self.set.matches(path).into_iter().min();
        let in_set = in_set.map(|at| self.places[at]);
        let name = path.file_name().map_or(&[][..], OsStr::as_encoded_bytes);
        let mut endings = self.endings.iter();
        let at_end = endings.find(|(ending, _)| name.ends_with(ending.as_bytes()));
        let at_end = at_end.map(|(_, place)| *place);
        let first = in_set.into_iter().chain(at_end).min()?;
        Some(&self.typed[first])
    }

    /// Return the first pattern that matches `path` or a folder above it.
    pub fn matching_or_above(&self, path: &Path) -> Option<&str> {
        path.ancestors().find_map(|path| self.matching(path))
    }
}

/// Return the pattern that matches `text` literally.
pub fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Return how names end that match the pattern, if nothing else is asked of them: `.min.js` for `*.min.js`.
fn ending(pattern: &str) -> Option<&str> {
    let ending = pattern.strip_prefix('*')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~');
    (!ending.is_empty() && ending.chars().all(is_plain)).then_some(ending)
}

fn anchored(pattern: &str) -> Option<String> {
    let below = pattern.strip_prefix('/').unwrap_or(pattern);
    let below = below.strip_suffix('/').unwrap_or(below);
    if below.is_empty() {
        return None;
    }
    Some(if pattern.starts_with('/') || below.contains('/') {
        below.to_string()
    } else {
        format!("**/{below}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let patterns = Patterns::compile([pattern]).expect("compiles");
        patterns.matching(Path::new(path)).is_some()
    }

    #[test]
    fn a_pattern_without_a_slash_matches_at_any_depth() {
        assert!(matches("*.rs", "main.rs"));
        assert!(matches("*.rs", "a/b/main.rs"));
        assert!(matches("vendor/", "a/vendor"));
        assert!(!matches("*.rs", "a/main.rs/x"));
    }

    #[test]
    fn a_pattern_with_a_slash_matches_from_the_root() {
        assert!(matches("src/*.rs", "src/main.rs"));
        assert!(!matches("src/*.rs", "a/src/main.rs"));
        assert!(!matches("src/*.rs", "src/a/main.rs"));
        assert!(matches("src/**/*.rs", "src/main.rs"));
        assert!(matches("/main.rs", "main.rs"));
        assert!(!matches("/main.rs", "src/main.rs"));
        assert!(matches("**/a/{b,c}.md", "x/a/c.md"));
    }

    #[test]
    fn the_pattern_is_returned_as_typed() {
        let patterns = Patterns::compile(["/docs/", "*.md"]).expect("compiles");
        assert_eq!(patterns.matching(Path::new("docs")), Some("/docs/"));
        assert_eq!(
            patterns.matching_or_above(Path::new("docs/a/b.rs")),
            Some("/docs/")
        );
        assert_eq!(patterns.matching(Path::new("docs/a/b.md")), Some("*.md"));
    }

    #[test]
    fn a_literal_pattern_matches_its_text_only() {
        for text in ["a/b*c", "[x]", "{a,b}/c?", "plain", "back\\slash"] {
            assert!(matches(&literal(text), text), "{text}");
        }
        assert!(!matches(&literal("a/*"), "a/b"));
    }

    proptest! {
        /// Braces around a pattern make it a regular expression, and change nothing else.
        #[test]
        fn an_ending_matches_as_its_expression_does(
            patterns in vec("[*][.a-c]{1,3}", 1..4),
            path in "([a-c][.a-c]{0,2}/){0,2}[a-c]?[.a-c]{0,3}[a-c]",
        ) {
            let as_expressions: Vec<_> = patterns.iter().map(|it| format!("{{{it}}}")).collect();
            let compile = |list: &[String]| {
                Patterns::compile(list.iter().map(String::as_str)).expect("compiles")
            };
            let (endings, expressions) = (compile(&patterns), compile(&as_expressions));
            prop_assert_eq!(endings.endings.len(), patterns.len());
            prop_assert!(expressions.endings.is_empty());
            let place = |compiled: &Patterns| {
                let found = compiled.matching(Path::new(&path))?;
                compiled.typed.iter().position(|typed| typed == found)
            };
            prop_assert_eq!(place(&endings), place(&expressions));
        }
    }

    #[test]
    fn an_ending_and_an_expression_match_in_their_order() {
        for (patterns, wanted) in [(["a?b.js", "*.js"], "a?b.js"), (["*.js", "a?b.js"], "*.js")] {
            let patterns = Patterns::compile(patterns).expect("compiles");
            assert_eq!(patterns.matching(Path::new("x/axb.js")), Some(wanted));
            assert_eq!(patterns.matching(Path::new("x/ab.js")), Some("*.js"));
        }
    }

    #[test]
    fn bad_patterns_are_named() {
        for bad in ["a[", "{a", "", "/"] {
            let error = Patterns::compile(["ok", bad]).expect_err(bad);
            assert_eq!(error.pattern, bad);
        }
    }
}
