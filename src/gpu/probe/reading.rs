//! Readings of device memory, and the channel that carries them.

use super::error::ProbeError;
use crate::device::{DeviceId, DeviceMemory};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::time::Duration;

/// The memory of a device, or why there is no reading.
pub type Answer = Result<DeviceMemory, ProbeError>;

/// The answer of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub device: DeviceId,
    pub answer: Answer,
}

/// When to read, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the end of one reading to the start of the next.
    pub interval: Duration,
    pub timeout: Duration,
}

/// A crawl takes minutes, so a reading each second is enough. NVML answers in a millisecond, a command in about ten.
/// Interval and timeout together stay well below the age at which the watchdog ignores a reading.
impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
        }
    }
}

/// Readings of a device that may wait. More would only be old.
const BACKLOG: usize = 4;

/// Most devices that a build watches: one for each kind of encoder.
const MAX_DEVICES: usize = 2;

/// The channel for readings of all devices of a build.
#[derive(Clone, Debug)]
pub struct Channel {
    pub(super) sender: Sender<Reading>,
    readings: Receiver<Reading>,
}

impl Channel {
    pub fn new() -> Self {
        let (sender, readings) = bounded(BACKLOG * MAX_DEVICES);
        Self { sender, readings }
    }

    /// Return the receiver of all readings. It stays open while this lives.
    pub fn readings(&self) -> &Receiver<Reading> {
        &self.readings
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}
