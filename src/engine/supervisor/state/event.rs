//! What the state of a build learns from outside.

use crate::device::{DeviceId, DeviceMemory};
use crate::ids::WorkerId;
use crate::protocol::FromWorker;
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
