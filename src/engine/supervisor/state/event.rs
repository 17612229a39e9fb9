//! What happens to a build, as far as its state hears of it.

use crate::device::{DeviceId, DeviceMemory};
use crate::ids::WorkerId;
use crate::protocol::FromWorker;
use crate::report::PublishOutcome;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Message {
        worker: WorkerId,
        /// Which process of the slot it came from; older ones are ignored.
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
    /// A reading of a device's memory, or why there is none.
    Memory {
        device: DeviceId,
        answer: Result<DeviceMemory, String>,
    },
    /// The clock has left so much time out: nobody ran.
    Paused {
        lasted: Duration,
    },
    Interrupt,
    Tick,
}
