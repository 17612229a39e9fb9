//! Exit codes: the contract with scripts.
//!
//! docs/cli.md lists the numbers; they never change their meaning.

use crate::engine::{BuildError, ErrorKind};

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Complete and checked.
    Success = 0,
    /// Failed unexpectedly.
    Failure = 1,
    /// A flag, a profile or a setting is wrong.
    Usage = 2,
    /// Complete, but some inputs could not be read or were quarantined; the manifest lists them.
    Incomplete = 3,
    /// No root, or no eligible file.
    NothingToIndex = 4,
    /// There is no index at that path.
    NoSuchOutput = 10,
    /// Another build is writing that output.
    Locked = 11,
    /// The output was built with other models or settings.
    FingerprintMismatch = 12,
    /// Model, runtime or device cannot be used.
    Unavailable = 13,
    /// `verify` found a fault.
    VerifyFailed = 14,
    /// Stopped cleanly; run again to go on.
    Paused = 75,
    /// Stopped at once by a second interrupt.
    Forced = 130,
}

/// An error that ends the process with a certain code. Carried inside `anyhow::Error`.
#[derive(Debug)]
pub struct Exit {
    pub code: ExitCode,
    pub message: String,
}

impl Exit {
    /// An `anyhow` error with an exit code.
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
    /// The profile that it was about, if it was about one.
    pub profile: Option<String>,
}

impl Failed {
    /// The error concerns this profile.
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
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
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
        Self::Paused,
        Self::Forced,
    ];

    /// One sentence for the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "Complete and checked.",
            Self::Failure => "Failed; the message says why. A full disk is one reason.",
            Self::Usage => {
                "A flag, a profile or a setting is wrong, or a file of another program is in the way."
            }
            Self::Incomplete => {
                "Complete, but some files were unreadable or quarantined, or a root was missing or away."
            }
            Self::NothingToIndex => "No root exists, or no file is eligible.",
            Self::NoSuchOutput => "There is no index at that path.",
            Self::Locked => "Another build is writing that output.",
            Self::FingerprintMismatch => {
                "The index was built with other models or settings, or has a format that this version does not know."
            }
            Self::Unavailable => "A model, the runtime or a device cannot be used.",
            Self::VerifyFailed => "verify found a fault.",
            Self::Paused => "Paused by a signal; run the same command again to continue.",
            Self::Forced => "Stopped at once by a second interrupt.",
        }
    }

    /// Whether the output is complete.
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Success | Self::Incomplete)
    }

    /// Of two parts of one run, the code that stands for both: the first error; else that something is incomplete.
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

    /// The code for an error that reached `main`: its own, or [`ExitCode::Failure`].
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
            ErrorKind::DiskFull | ErrorKind::Failed => Self::Failure,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
