//! Why a stage of the worker ends early.
//!
//! Values only. The supervisor decides what follows.

use crate::credential::{self, Style};
use crate::failure::{Failure, FailureKind};
use crate::protocol::{FromWorker, InputCrash};
use crate::store::StoreError;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a stage ends early.
#[derive(Clone, Debug)]
pub(super) enum StageError {
    /// The stage cannot go on.
    Failed(Failure),
    /// A file made the stage fail.
    InputCrash(InputCrash),
}

impl From<Failure> for StageError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StageError> for FromWorker {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Failed(failure) => Self::Failed(failure),
            StageError::InputCrash(crash) => Self::InputCrashed(crash),
        }
    }
}

/// The first error of any stage, shared by all.
#[derive(Clone, Default)]
pub(super) struct FirstError(Arc<Mutex<Option<StageError>>>);

impl FirstError {
    /// Keep the error, unless there is one already.
    pub fn set(&self, error: StageError) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
    }

    pub fn get(&self) -> Option<StageError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

pub(super) fn internal_failure(error: impl std::fmt::Display) -> Failure {
    Failure {
        kind: FailureKind::Internal,
        text: error.to_string(),
    }
}

pub(super) fn store_failure(error: StoreError) -> Failure {
    let kind = match error {
        // An earlier worker still holds the file. A new process will find it free.
        StoreError::Busy { .. } => FailureKind::Internal,
        StoreError::Full { .. } => FailureKind::DiskFull,
        _ => FailureKind::Output,
    };
    Failure::new(kind, &error)
}

/// Return the message of a panic.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    // Panics often quote the input.
    let (text, _) = credential::redact(text, Style::Any);
    format!("its worker panicked: {text}")
}
