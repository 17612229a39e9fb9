//! The engine's error type: a kind for decisions, and a message for people.

use crate::encode::EncodeError;
use crate::plan::CoverageError;
use crate::profile::ProfileError;
use crate::scan::ScanError;
use crate::store::{self, StoreError};
use std::fmt;
use std::io;

/// What a caller may do about a [`BuildError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request, the profile or the output folder is invalid: change it.
    InvalidRequest,
    /// No root exists, or no root has an eligible file.
    NothingToIndex,
    /// Another build is writing this output: wait for it.
    Locked,
    /// The output was built with other models or settings: rebuild it, or choose another output.
    FingerprintMismatch,
    /// A model, the runtime or a device cannot be used.
    Unavailable,
    /// The disk is full. Committed work is kept: free some space, and the same request resumes.
    DiskFull,
    /// A part of a build over many machines fails wherever it runs: do not try it again.
    Poisoned,
    /// A build over many machines lacks parts: run their tasks.
    MissingParts,
    /// There is no build of this plan, or no such index.
    NotFound,
    /// Anything else. Committed work is kept, and the same request resumes.
    Failed,
}

/// Why a build failed.
///
/// `{}` prints the outermost message, `{:#}` also the causes. Messages name the file or setting and the fix.
#[derive(Debug)]
pub struct BuildError {
    kind: ErrorKind,
    error: anyhow::Error,
}

/// A result of the engine.
pub type Result<T, E = BuildError> = std::result::Result<T, E>;

impl BuildError {
    /// Create an error with this message and no cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            error: anyhow::Error::msg(message.into()),
        }
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        let kind = match store::is_full(&error) {
            true => ErrorKind::DiskFull,
            false => ErrorKind::Failed,
        };
        let error = error.into();
        Self { kind, error }
    }
}

impl From<StoreError> for BuildError {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Full { .. } => ErrorKind::DiskFull,
            _ => ErrorKind::Failed,
        };
        let error = error.into();
        Self { kind, error }
    }
}

impl From<ProfileError> for BuildError {
    fn from(error: ProfileError) -> Self {
        let kind = match error {
            ProfileError::NoRoots { .. } => ErrorKind::NothingToIndex,
            _ => ErrorKind::InvalidRequest,
        };
        let error = error.into();
        Self { kind, error }
    }
}

impl From<EncodeError> for BuildError {
    fn from(error: EncodeError) -> Self {
        let kind = ErrorKind::Unavailable;
        let error = error.into();
        Self { kind, error }
    }
}

/// Converts error types that callers treat alike.
macro_rules! failed {
    ($($error:ty),*) => {$(
        impl From<$error> for BuildError {
            fn from(error: $error) -> Self {
                let kind = ErrorKind::Failed;
                let error = error.into();
                Self { kind, error }
            }
        }
    )*};
}

failed!(CoverageError, ScanError, serde_json::Error);

/// Adds the attempted action to an error, as `anyhow` does, and keeps its kind.
pub(super) trait Context<T> {
    fn context(self, attempt: &'static str) -> Result<T>;
    fn with_context(self, attempt: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<BuildError>> Context<T> for std::result::Result<T, E> {
    fn context(self, attempt: &'static str) -> Result<T> {
        self.with_context(|| attempt.to_owned())
    }

    fn with_context(self, attempt: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let BuildError { kind, error } = error.into();
            let error = error.context(attempt());
            BuildError { kind, error }
        })
    }
}
