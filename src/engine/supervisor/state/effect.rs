//! What a step asks for: processes, work for them, and events of the build.

use crate::ids::{SegmentId, WorkerId};
use crate::report::{BuildEvent, Ending};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    Spawn {
        worker: WorkerId,
        generation: u32,
        target: EncoderTarget,
    },
    /// Give the worker a segment, behind those it has.
    Assign {
        worker: WorkerId,
        segment: SegmentId,
        handling: Handling,
    },
    /// Ask the worker for a graceful shutdown.
    Stop {
        worker: WorkerId,
    },
    Kill {
        worker: WorkerId,
    },
    /// Ask the worker to release unused device memory.
    ReleaseMemory {
        worker: WorkerId,
    },
    /// All files of the segment are in its segment file: it can be loaded.
    Load(SegmentId),
    /// Report that what was committed of the segment is encoded again, on the CPU.
    Undo(SegmentId),
    /// Report that this file of the segment is skipped from now on.
    Quarantine {
        segment: SegmentId,
        /// Position in the segment's files.
        file: u32,
        reason: String,
    },
    Emit(BuildEvent),
    Finish(Ending),
}

/// Where a process runs its encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EncoderTarget {
    /// On the devices of the settings.
    #[default]
    Configured,
    Cpu,
}

/// How to work on a segment, given what happened to it before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handling {
    /// One file at a time, each announced.
    pub careful: bool,
    /// Positions of the files to skip, with the reasons.
    pub quarantined: Vec<(u32, String)>,
    /// Number of the segment file to write. Raised when a worker that cannot be killed still holds the last one.
    pub attempt: u32,
}

/// A step in progress: its time, and the effects so far.
#[derive(Debug)]
pub(super) struct Step {
    pub now: Duration,
    pub effects: Vec<Effect>,
}

impl Step {
    pub fn new(now: Duration) -> Self {
        Self {
            now,
            effects: Vec::new(),
        }
    }

    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub fn emit(&mut self, event: BuildEvent) {
        self.push(Effect::Emit(event));
    }

    pub fn warn(&mut self, text: String) {
        self.emit(BuildEvent::Warning { text });
    }
}
