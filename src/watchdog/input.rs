//! What the watchdog is told, and what it answers.

use super::detector::{Batch, Encoder};
use super::event::WatchdogEvent;
use crate::ids::{ShardId, WorkerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Share of device memory beyond which it counts as full. Both incidents stood at 0.99; a card whose
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

/// The devices of a worker's encoders, of those that are watched. Empty: everything is on the CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lanes(BTreeMap<Encoder, DeviceId>);

impl Lanes {
    /// Both kinds on one device.
    pub fn both(device: &DeviceId) -> Self {
        [Encoder::Sparse, Encoder::Dense]
            .into_iter()
            .map(|encoder| (encoder, device.clone()))
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where this encoder runs; `None`: on the CPU.
    pub fn device(&self, encoder: Encoder) -> Option<&DeviceId> {
        self.0.get(&encoder)
    }

    pub fn uses(&self, device: &DeviceId) -> bool {
        self.0.values().any(|known| known == device)
    }

    /// Each device once, that of the sparse encoder first.
    pub fn devices(&self) -> Vec<&DeviceId> {
        let mut devices: Vec<_> = self.0.values().collect();
        devices.dedup();
        devices
    }
}

impl FromIterator<(Encoder, DeviceId)> for Lanes {
    fn from_iter<T: IntoIterator<Item = (Encoder, DeviceId)>>(lanes: T) -> Self {
        Self(lanes.into_iter().collect())
    }
}

/// A reading of a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub used_bytes: u64,
    pub total_bytes: u64,
}

impl Memory {
    /// `None` for what no device can have: that is no reading.
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

/// What the supervisor saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A worker is ready.
    WorkerStarted {
        worker: WorkerId,
        lanes: Lanes,
    },
    /// Its process is gone, for whatever reason.
    WorkerEnded {
        worker: WorkerId,
    },
    /// A run began. `n_slots` as in [`Batch`].
    BatchBegun {
        worker: WorkerId,
        shard: ShardId,
        encoder: Encoder,
        n_slots: u64,
    },
    /// The run is over.
    BatchDone {
        worker: WorkerId,
        batch: Batch,
    },
    /// The worker says that the device failed it, and ends.
    DeviceFailed {
        worker: WorkerId,
        failure: DeviceFailure,
    },
    /// The error says, for people, why it could not be read.
    MemoryRead {
        device: DeviceId,
        answer: Result<Memory, String>,
    },
    ShardFinished {
        shard: ShardId,
    },
    /// The supervisor's clock has just left out so much time, in which nobody ran.
    Paused {
        lasted: Duration,
    },
    Tick,
    /// The build is about to end.
    Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFailure {
    OutOfMemory,
    DeviceLost,
    /// The process ended in the middle of a batch and said nothing.
    Crash,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The worker shall give unused device memory back with its next run.
    ReleaseMemory {
        worker: WorkerId,
    },
    /// The worker's process shall be replaced by a fresh one, which goes on behind the last committed file.
    Respawn {
        worker: WorkerId,
    },
    /// What is left of the shard is encoded on the CPU; segments not finished are done again from their
    /// start, so that none mixes devices. Workers that are on it are to be killed: one of them may hang.
    Demote {
        shard: ShardId,
    },
    /// Nothing more runs on this device.
    GiveUp {
        device: DeviceId,
    },
    Report(Box<WatchdogEvent>),
}
