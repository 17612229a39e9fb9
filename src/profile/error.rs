//! What can be wrong with a profile.

use std::path::PathBuf;

/// One variant per thing a caller may do differently.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No profile of that name in the folders searched.
    #[error("no profile `{name}`{}", found_instead(.suggestion.as_deref(), .known))]
    NotFound {
        name: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
        /// The names that exist, sorted.
        known: Vec<String>,
    },

    #[error("reading profile {}", .path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },

    /// The file does not say what it must. The message names the key and the fix.
    #[error("{}:{line}: {message}", .path.display())]
    Invalid {
        path: PathBuf,
        /// From 1.
        line: usize,
        message: String,
    },

    /// Roots are named, but none of them exists: there is nothing to index.
    #[error("{}: no root folder exists ({}){}", .path.display(), .tried.join(", "), hint_text(.hint.as_deref()))]
    NoRoots {
        path: PathBuf,
        /// The roots as typed.
        tried: Vec<String>,
        /// The profile's `missing_hint`.
        hint: Option<String>,
    },
}

fn found_instead(suggestion: Option<&str>, known: &[String]) -> String {
    match (suggestion, known) {
        (Some(meant), _) => format!("; did you mean `{meant}`? Available: {}", known.join(", ")),
        (None, []) => {
            "; there are no profiles in the folders searched: give the path of one, which ends in .toml".into()
        }
        (None, known) => format!("; available: {}", known.join(", ")),
    }
}

fn hint_text(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("; {hint}"))
}
