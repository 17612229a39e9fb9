//! What happens to a build, as far as its state hears of it.

use crate::ids::WorkerId;
use crate::protocol::FromWorker;
use crate::report::PublishOutcome;
use crate::watchdog::{DeviceId, Memory};
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
    /// `None`: it could not be read.
    Memory {
        device: DeviceId,
        memory: Option<Memory>,
    },
    /// The clock has left so much time out: nobody ran.
    Paused {
        lasted: Duration,
    },
    Interrupt,
    Tick,
}
