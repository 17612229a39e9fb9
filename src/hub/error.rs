//! What can go wrong while a model is fetched.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Failure of [`super::fetch`]. What was downloaded stays for the next try unless it was wrong.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The name of a model is no name.
    #[error("{0}")]
    Name(String),
    /// The server says no, and asking again does not help.
    #[error("{url} cannot be fetched: {reason}")]
    Refused { url: String, reason: String },
    /// Every try failed; a later run may succeed, and continues where this one ended.
    #[error(
        "{url} cannot be fetched after {tries} tries: {reason}; run the command again to continue"
    )]
    Unavailable {
        url: String,
        tries: u32,
        reason: String,
    },
    /// The repository lacks what a model needs.
    #[error("{repository} cannot be used: {reason}")]
    Repository { repository: String, reason: String },
    /// A file that was fetched is not the one that the server announced.
    #[error(
        "{file} is not the file that the server announced ({reason}); it was removed, run the command again"
    )]
    Wrong { file: String, reason: String },
    /// The directory cannot be written.
    #[error("{path} cannot be written: {reason}")]
    Unwritten { path: PathBuf, reason: String },
}

impl HubError {
    pub(super) fn unwritten(path: &Path, error: impl ToString) -> Self {
        Self::Unwritten {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Try again, not before this time if the server states one.
    Later {
        reason: String,
        wait: Option<Duration>,
    },
    For(HubError),
}

impl Failed {
    pub fn later(reason: impl ToString) -> Self {
        Self::Later {
            reason: reason.to_string(),
            wait: None,
        }
    }
}

impl From<HubError> for Failed {
    fn from(error: HubError) -> Self {
        Self::For(error)
    }
}
