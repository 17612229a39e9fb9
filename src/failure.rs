//! Why a part of a build gave up, for decisions and for people.
//!
//! Values only. `encode` and `store` have errors of their own; they become one of these where a process or a thread
//! tells another.

use crate::device::DeviceFailure;
use serde::{Deserialize, Serialize};

/// Why a worker or the publisher gave up: `kind` decides, `text` is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub text: String,
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
    /// Anything else: worth one more try in a fresh process.
    Internal,
}
