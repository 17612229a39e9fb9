//! What a step asks for: processes, work for them, and what the build tells.

use crate::ids::{SegmentId, WorkerId};
use crate::report::{BuildEvent, Ending};

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
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
    /// Ask for an orderly end.
    Stop {
        worker: WorkerId,
    },
    Kill {
        worker: WorkerId,
    },
    /// Ask it to give unused device memory back.
    ReleaseMemory {
        worker: WorkerId,
    },
    /// All files of the segment are in its segment file: it can be loaded.
    Load(SegmentId),
    /// Tell that this file of the segment is left out from now on.
    Quarantine {
        segment: SegmentId,
        file: u32,
        reason: String,
    },
    Emit(BuildEvent),
    Finish(Ending),
}

/// Where a process runs its encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncoderTarget {
    /// Where the settings say.
    #[default]
    Configured,
    Cpu,
}

/// How a segment shall be worked on, after what happened to it before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// One file at a time, each announced.
    pub careful: bool,
    /// Files to leave out, with the reasons.
    pub quarantined: Vec<(u32, String)>,
    /// Raised when a worker that cannot be killed keeps the segment file: the next takes another one.
    pub attempt: u32,
}
