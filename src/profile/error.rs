//! Mistakes in profiles.

use super::patterns::BadPattern;
use std::path::{Path, PathBuf};

/// One variant for each thing that a caller may do differently.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No searched folder has a profile of that name.
    #[error("no profile `{name}`{}", found_instead(.suggestion.as_deref(), .known))]
    NotFound {
        name: String,
        /// The similar name that was probably meant.
        suggestion: Option<String>,
        /// All names, sorted.
        known: Vec<String>,
    },

    #[error("reading profile {}", .path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },

    /// The file has a mistake. The message names the key and the fix.
    #[error("{}:{line}: {message}", .path.display())]
    Invalid {
        path: PathBuf,
        /// From 1.
        line: usize,
        message: String,
    },

    /// A folder of a profile without a file is named twice.
    #[error("{} is named twice: name each folder once", .path.display())]
    Repeated { path: PathBuf },

    /// A pattern of a profile without a file.
    #[error(transparent)]
    Pattern(#[from] BadPattern),

    /// None of the roots exists, so there is nothing to index.
    #[error("{}: no root folder exists ({}){}", .path.display(), .tried.join(", "), hint_text(.hint.as_deref()))]
    NoRoots {
        path: PathBuf,
        /// The roots as typed.
        tried: Vec<String>,
        /// The profile's `missing_hint`.
        hint: Option<String>,
    },
}

impl ProfileError {
    /// Return an error at byte `at` of the profile's text.
    pub(super) fn at(path: &Path, text: &str, at: usize, message: &str) -> Self {
        let before = text.as_bytes().iter().take(at);
        Self::Invalid {
            path: path.to_path_buf(),
            line: 1 + before.filter(|byte| **byte == b'\n').count(),
            message: message.trim_end().replace('\n', ", "),
        }
    }
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
