//! Why a worker ends before it is told to, and how its stages tell each other.
//!
//! Values and one channel; decides nothing about what follows, which is the supervisor's.

use crate::protocol::{Failure, FailureKind, Fall, FromWorker};
use crate::store::StoreError;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a stage ends early.
#[derive(Clone, Debug)]
pub(super) enum Halt {
    /// It cannot go on.
    Failed(Failure),
    /// A file has brought it down.
    Fell(Fall),
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
            Halt::Fell(fall) => Self::Fell(fall),
        }
    }
}

/// The first halt of any stage, for the others to see.
#[derive(Clone)]
pub(super) struct Halting {
    first: Arc<Mutex<Option<Halt>>>,
    /// Wakes the dispatcher, which may be waiting for its next segment.
    bell: Sender<()>,
}

impl Halting {
    /// The other end rings once a stage has halted.
    pub fn new() -> (Self, Receiver<()>) {
        let (bell, rung) = bounded(1);
        let first = Arc::default();
        (Self { first, bell }, rung)
    }

    pub fn set(&self, halt: Halt) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(halt);
        // Full: it has rung already.
        let _ = self.bell.try_send(());
    }

    pub fn get(&self) -> Option<Halt> {
        self.first
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
    Failure {
        kind: match error {
            // An earlier worker is still letting go of the file: a fresh try finds it free.
            StoreError::Busy { .. } => FailureKind::Internal,
            _ => FailureKind::Output,
        },
        text: format!("{:#}", anyhow::Error::new(error)),
    }
}

/// What a panic said.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    format!("its worker panicked: {text}")
}
