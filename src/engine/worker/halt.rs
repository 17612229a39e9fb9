//! Why a worker ends before it is told to, and how its stages tell each other.
//!
//! Values; decides nothing about what follows, which is the supervisor's.

use crate::credential::{self, Style};
use crate::failure::{Failure, FailureKind};
use crate::protocol::{FromWorker, InputCrash};
use crate::store::StoreError;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a stage ends early.
#[derive(Clone, Debug)]
pub(super) enum Halt {
    /// It cannot go on.
    Failed(Failure),
    /// A file has brought it down.
    Fell(InputCrash),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Halt> for FromWorker {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(failure) => Self::Failed(failure),
            Halt::Fell(crash) => Self::InputCrashed(crash),
        }
    }
}

/// The first halt of any stage, for the others to see.
#[derive(Clone, Default)]
pub(super) struct Halting(Arc<Mutex<Option<Halt>>>);

impl Halting {
    pub fn set(&self, halt: Halt) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(halt);
    }

    pub fn get(&self) -> Option<Halt> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> Failure {
    Failure {
        kind: FailureKind::Internal,
        text: error.to_string(),
    }
}

pub(super) fn output(error: StoreError) -> Failure {
    let kind = match error {
        // An earlier worker is still letting go of the file: a fresh try finds it free.
        StoreError::Busy { .. } => FailureKind::Internal,
        StoreError::Full { .. } => FailureKind::DiskFull,
        _ => FailureKind::Output,
    };
    Failure::new(kind, &error)
}

/// What a panic said.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    // Such texts quote what was worked on.
    let (text, _) = credential::redact(text, Style::Any);
    format!("its worker panicked: {text}")
}
