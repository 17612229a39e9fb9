//! What the state of a build learns from outside.

use crate::device::{DeviceId, DeviceMemory};
use crate::ids::{SegmentId, WorkerId};
use crate::protocol::{FromWorker, Work};
use crate::report::PublishOutcome;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Message {
        worker: WorkerId,
        /// Number of the worker's process. Messages of earlier processes are ignored.
        generation: u32,
        message: FromWorker,
    },
    Exited {
        worker: WorkerId,
        generation: u32,
        /// Exit status or signal, for people.
        status: String,
    },
    /// The segment file that an earlier run left has been read: what it holds if it is complete.
    Checked {
        segment: SegmentId,
        complete: Option<Work>,
    },
    /// No more segments will be checked.
    ChecksEnded,
    Publisher(PublishOutcome),
    /// A reading of a device's memory, or why it failed.
    Memory {
        device: DeviceId,
        answer: Result<DeviceMemory, String>,
    },
    /// The clock skipped this much time, in which no process ran.
    Paused {
        lasted: Duration,
    },
    /// Someone asked the build to stop.
    Interrupt,
    Tick,
}
