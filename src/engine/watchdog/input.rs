//! What the watchdog is told, and what it answers.

use crate::batch::{Batch, EncoderKind};
use crate::device::{DeviceFailure, DeviceId, DeviceMemory};
use crate::ids::{ShardId, WorkerId};
use crate::report::WatchdogEvent;
use std::collections::BTreeMap;
use std::time::Duration;

/// The devices of a worker's encoders, of those that are watched. Empty: everything is on the CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncoderDevices(BTreeMap<EncoderKind, DeviceId>);

impl EncoderDevices {
    /// Both kinds on one device.
    pub fn both(device: &DeviceId) -> Self {
        [EncoderKind::Sparse, EncoderKind::Dense]
            .into_iter()
            .map(|encoder| (encoder, device.clone()))
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where this encoder runs; `None`: on the CPU.
    pub fn get(&self, encoder: EncoderKind) -> Option<&DeviceId> {
        self.0.get(&encoder)
    }

    pub fn uses(&self, device: &DeviceId) -> bool {
        self.0.values().any(|known| known == device)
    }

    /// Each device once, that of the sparse encoder first.
    pub fn distinct(&self) -> Vec<&DeviceId> {
        let mut devices: Vec<_> = self.0.values().collect();
        devices.dedup();
        devices
    }
}

impl FromIterator<(EncoderKind, DeviceId)> for EncoderDevices {
    fn from_iter<T: IntoIterator<Item = (EncoderKind, DeviceId)>>(devices: T) -> Self {
        Self(devices.into_iter().collect())
    }
}

/// What the supervisor saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A worker is ready.
    WorkerStarted {
        worker: WorkerId,
        devices: EncoderDevices,
    },
    /// Its process is gone, for whatever reason.
    WorkerEnded {
        worker: WorkerId,
    },
    /// A run began. `n_slots` as in [`Batch`].
    BatchStarted {
        worker: WorkerId,
        shard: ShardId,
        encoder: EncoderKind,
        n_slots: u64,
    },
    /// The run is over.
    BatchFinished {
        worker: WorkerId,
        shard: ShardId,
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
        answer: Result<DeviceMemory, String>,
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

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
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
