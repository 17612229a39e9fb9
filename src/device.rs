//! Devices as every part of a build names them: identity, memory, and how they fail.
//!
//! Values only. What a user may ask for is [`profile::encoders::Device`](crate::profile::encoders::Device).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Share of device memory beyond which it counts as full. Both published incidents stood at 0.99; a card whose
/// batches fit uses less, and half of the rest is the driver's own.
const FULL: f64 = 0.92;

/// A device, by the name that people see: `cuda:0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub String);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reading of a device's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMemory {
    pub used_bytes: u64,
    pub total_bytes: u64,
}

impl DeviceMemory {
    /// `None` for what no device can have: that is not a reading.
    pub fn new(used_bytes: u64, total_bytes: u64) -> Option<Self> {
        (total_bytes > 0 && used_bytes <= total_bytes).then_some(Self {
            used_bytes,
            total_bytes,
        })
    }

    /// Used of total, 0 to 1.
    pub fn share(self) -> f64 {
        self.used_bytes as f64 / self.total_bytes as f64
    }

    pub fn is_full(self) -> bool {
        self.share() > FULL
    }
}

/// How a device fails a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceFailure {
    /// There is no memory left for the smallest run. The same device with less beside it, or another, may do.
    OutOfMemory,
    /// The device, or the process's context on it, is broken. A fresh process may work.
    Lost,
    /// The process ended in the middle of a batch without a message.
    Crash,
}
