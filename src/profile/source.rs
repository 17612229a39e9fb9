//! The text of a profile, for messages with a line.

use super::error::ProfileError;
use super::expand::Env;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The text of a profile, for relative paths and for messages.
pub struct ProfileSource<'p> {
    pub path: &'p Path,
    pub text: &'p str,
    /// The profile's folder, absolute.
    pub folder: PathBuf,
    pub env: Env<'p>,
}

impl ProfileSource<'_> {
    /// Return an error at a value.
    pub fn invalid<T>(&self, value: &Spanned<T>, message: &str) -> ProfileError {
        self.invalid_at(value.span().start, message)
    }

    /// Return an error at a byte of the text.
    pub fn invalid_at(&self, at: usize, message: &str) -> ProfileError {
        ProfileError::at(self.path, self.text, at, message)
    }
}
