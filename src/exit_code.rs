//! Exit codes.
//!
//! docs/cli.md lists them. They never change their meaning, since scripts depend on them.

use crate::engine::{BuildError, ErrorKind};

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Complete and checked.
    Success = 0,
    /// Failed unexpectedly.
    Failure = 1,
    /// A flag, a profile or a setting is invalid.
    Usage = 2,
    /// Complete, but some inputs could not be read or were quarantined; the manifest lists them.
    Incomplete = 3,
    /// No root, or no eligible file.
    NothingToIndex = 4,
    /// The path has no index.
    NoSuchOutput = 10,
    /// Another build is writing the output.
    Locked = 11,
    /// The output was built with other models or settings.
    FingerprintMismatch = 12,
    /// A model, the runtime or a device cannot be used.
    Unavailable = 13,
    /// `verify` found damage.
    VerifyFailed = 14,
    /// A segment fails wherever it is tried.
    Poisoned = 65,
    /// Parts of a build over many machines are missing.
    MissingParts = 66,
    /// Paused by a signal; the same command resumes.
    Paused = 75,
    /// Stopped at once by a second interrupt.
    Forced = 130,
}

/// An error with its own exit code, carried inside `anyhow::Error`.
#[derive(Debug)]
pub struct Exit {
    pub code: ExitCode,
    pub message: String,
}

impl Exit {
    /// Create an `anyhow` error with an exit code.
    pub fn error(code: ExitCode, message: impl Into<String>) -> anyhow::Error {
        Self {
            code,
            message: message.into(),
        }
        .into()
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Exit {}

/// A command that failed.
#[derive(Debug)]
pub struct Failed {
    pub error: anyhow::Error,
    /// The profile that the error is about, if any.
    pub profile: Option<String>,
}

impl Failed {
    /// Return a function that assigns an error to this profile.
    pub fn of_profile(profile: &str) -> impl FnOnce(anyhow::Error) -> Self + use<'_> {
        |error| Self {
            error,
            profile: Some(profile.to_owned()),
        }
    }

    pub fn code(&self) -> ExitCode {
        ExitCode::of(&self.error)
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            profile: None,
        }
    }
}

impl ExitCode {
    /// All codes in ascending order.
    pub const ALL: [Self; 14] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Incomplete,
        Self::NothingToIndex,
        Self::NoSuchOutput,
        Self::Locked,
        Self::FingerprintMismatch,
        Self::Unavailable,
        Self::VerifyFailed,
        Self::Poisoned,
        Self::MissingParts,
        Self::Paused,
        Self::Forced,
    ];

    /// Return the explanation for the manual, one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "Complete and checked.",
            Self::Failure => "Failed; the message says why. A full disk is one reason.",
            Self::Usage => {
                "A flag, a profile or a setting is invalid, or a file of another program is in the way."
            }
            Self::Incomplete => {
                "Complete, but some files were unreadable or quarantined, or a root was unavailable."
            }
            Self::NothingToIndex => "No root exists, or no file is eligible.",
            Self::NoSuchOutput => "The path has no index.",
            Self::Locked => "Another build is writing the output.",
            Self::FingerprintMismatch => {
                "The index was built with other models or settings, or has a format that this version does not support."
            }
            Self::Unavailable => "A model, the runtime or a device cannot be used.",
            Self::VerifyFailed => "verify found damage.",
            Self::Poisoned => {
                "A segment of a build over many machines fails wherever it is tried; do not retry it."
            }
            Self::MissingParts => {
                "Segments or shards of a build over many machines are missing; the message lists them."
            }
            Self::Paused => {
                "Paused by a signal; run the same command again to resume. A task of an array should be queued again."
            }
            Self::Forced => "Stopped at once by a second interrupt.",
        }
    }

    /// Return whether a sound index was built.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Success | Self::Incomplete)
    }

    /// Combine the codes of two parts of a run: the first error wins, then "incomplete".
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        let rank = |code| match code {
            Self::Success => 0,
            Self::Incomplete => 1,
            _ => 2,
        };
        match rank(other) > rank(self) {
            true => other,
            false => self,
        }
    }

    /// Return the exit code of an error: its own, or [`ExitCode::Failure`].
    pub fn of(error: &anyhow::Error) -> Self {
        let code = |cause: &(dyn std::error::Error + 'static)| {
            let exit = cause.downcast_ref::<Exit>().map(|exit| exit.code);
            exit.or_else(|| Some(Self::of_build(cause.downcast_ref::<BuildError>()?.kind())))
        };
        error.chain().find_map(code).unwrap_or(Self::Failure)
    }

    fn of_build(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidRequest => Self::Usage,
            ErrorKind::NothingToIndex => Self::NothingToIndex,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::FingerprintMismatch => Self::FingerprintMismatch,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Poisoned => Self::Poisoned,
            ErrorKind::MissingParts => Self::MissingParts,
            ErrorKind::NotFound => Self::NoSuchOutput,
            ErrorKind::DiskFull | ErrorKind::Failed => Self::Failure,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
