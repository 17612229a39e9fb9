//! Lists of glob patterns over paths below a root.
//!
//! `*` and `?` match within one component, `**` across components, `[ab]` and `{a,b}` are choices. A pattern without a slash
//! matches at any depth, one with a slash from the root; a slash at the start or end has no other effect. Case matters.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::path::Path;

/// Compiled patterns, with their text as typed.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    set: GlobSet,
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
        let mut typed = Vec::new();
        for pattern in patterns {
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
            typed.push(pattern.to_string());
        }
        let set = set.build().map_err(|error| BadPattern {
            pattern: typed.join(", "),
            reason: error.kind().to_string(),
        })?;
        Ok(Self { set, typed })
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
        let first = self.set.matches(path).into_iter().min()?;
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

    #[test]
    fn bad_patterns_are_named() {
        for bad in ["a[", "{a", "", "/"] {
            let error = Patterns::compile(["ok", bad]).expect_err(bad);
            assert_eq!(error.pattern, bad);
        }
    }
}
