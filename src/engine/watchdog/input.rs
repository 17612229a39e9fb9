//! The watchdog's input and output.

use crate::batch::{Batch, EncoderKind};
use crate::device::{DeviceFailure, DeviceId, DeviceMemory};
use crate::ids::{ShardId, WorkerId};
use crate::report::WatchdogEvent;
use std::collections::BTreeMap;
use std::time::Duration;

/// The watched device of each of a worker's encoders. Empty: everything runs on the CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EncoderDevices(BTreeMap<EncoderKind, DeviceId>);

impl EncoderDevices {
    /// Both encoders on one device.
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

    /// Each device once, the sparse encoder's first.
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
pub(crate) enum Input {
    /// A worker is ready.
    WorkerStarted {
        worker: WorkerId,
        devices: EncoderDevices,
    },
    /// A worker's process has ended, for whatever reason.
    WorkerEnded {
        worker: WorkerId,
    },
    /// `n_slots` as in [`Batch`].
    BatchStarted {
        worker: WorkerId,
        shard: ShardId,
        encoder: EncoderKind,
        n_slots: u64,
    },
    BatchFinished {
        worker: WorkerId,
        shard: ShardId,
        batch: Batch,
    },
    /// The worker ends because its device failed it.
    DeviceFailed {
        worker: WorkerId,
        failure: DeviceFailure,
    },
    /// The error says, for people, why memory could not be read.
    MemoryRead {
        device: DeviceId,
        answer: Result<DeviceMemory, String>,
    },
    ShardFinished {
        shard: ShardId,
    },
    /// The supervisor's clock has just skipped this much time, in which no process ran.
    Paused {
        lasted: Duration,
    },
    Tick,
    /// The build is about to end.
    Ending,
}

/// What the supervisor has to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Ask the worker to release unused device memory with its next batch.
    ReleaseMemory {
        worker: WorkerId,
    },
    /// Replace the worker's process. The new one continues after the last committed file.
    Respawn {
        worker: WorkerId,
    },
    /// Encode the rest of the shard on the CPU. Start unfinished segments from their beginning, so that no segment mixes
    /// devices, and kill the workers that have one: they may hang.
    Demote {
        shard: ShardId,
    },
    /// Run nothing more on this device.
    GiveUp {
        device: DeviceId,
    },
    Report(Box<WatchdogEvent>),
}

/// A step in progress: its time, and the actions so far.
pub(super) struct Step {
    pub now: Duration,
    pub actions: Vec<Action>,
}

impl Step {
    pub fn new(now: Duration) -> Self {
        Self {
            now,
            actions: Vec::new(),
        }
    }

    pub fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub fn report(&mut self, event: WatchdogEvent) {
        self.push(Action::Report(Box::new(event)));
    }
}
