//! Why a worker or the publisher failed, in a form that can be sent to the supervisor.
//!
//! Values only. `encode` and `store` have their own error types; a thread or process converts them when it reports.

use crate::device::DeviceFailure;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt::Write as _;

/// Why a worker or the publisher failed: `kind` for decisions, `text` for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub text: String,
}

impl Failure {
    /// Describe `error` with all its causes.
    pub fn new(kind: FailureKind, error: &dyn Error) -> Self {
        Self {
            kind,
            text: with_causes(error),
        }
    }
}

/// Return the message of `error` followed by those of its causes, separated by `: `.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// What the supervisor may do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// Model, runtime or device cannot be used: no other worker will fare better.
    Unavailable,
    /// Models or settings are not those the build started with.
    FingerprintMismatch,
    /// The output cannot be written: read-only, no permission, a broken disk.
    Output,
    /// There is no space left for the output.
    DiskFull,
    /// A device failed this process.
    Device(DeviceFailure),
    /// One process after the other died over the same input, and nothing tells which file is to blame.
    Deaths,
    /// Anything else: worth one more try in a fresh process.
    Internal,
}
