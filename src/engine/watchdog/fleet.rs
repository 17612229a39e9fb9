//! All workers and devices of a build, as the watchdog knows them.
//!
//! Holds state and answers questions about it. The rules are in the modules that extend [`Fleet`]: `batches`,
//! `failures`, `memory`, `stall` and `response`.

use super::config::CrawlConfig;
use super::detector::Stream;
use super::device::DeviceState;
use super::pauses::Pauses;
use super::worker::WorkerState;
use crate::batch::EncoderKind;
use crate::device::{DeviceId, DeviceMemory};
use crate::ids::{ShardId, WorkerId};
use crate::report::{WatchdogEvent, WatchdogEventKind, WatchdogResponse};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What an event is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub worker: WorkerId,
    /// `None` if it is not about one encoder.
    pub encoder: Option<EncoderKind>,
    /// The device's memory, if it is known.
    pub memory: Option<DeviceMemory>,
}

#[derive(Debug)]
pub(super) struct Fleet {
    pub config: CrawlConfig,
    /// Longest time for any batch, whatever the baseline.
    pub stall_ceiling: Duration,
    labels: BTreeMap<ShardId, String>,
    pub devices: BTreeMap<DeviceId, DeviceState>,
    /// Workers that have an encoder on a device.
    pub workers: BTreeMap<WorkerId, WorkerState>,
    /// Shards that are encoded on the CPU.
    pub demoted: BTreeSet<ShardId>,
    pub pauses: Pauses,
}

impl Fleet {
    pub fn new(
        config: CrawlConfig,
        stall_ceiling: Duration,
        labels: impl IntoIterator<Item = (ShardId, String)>,
    ) -> Self {
        Self {
            config,
            stall_ceiling,
            labels: labels.into_iter().collect(),
            devices: BTreeMap::new(),
            workers: BTreeMap::new(),
            demoted: BTreeSet::new(),
            pauses: Pauses::default(),
        }
    }

    pub fn shard_finished(&mut self, shard: ShardId) {
        for device in self.devices.values_mut() {
            device.forget(shard);
        }
        self.demoted.remove(&shard);
    }

    /// The device of a worker's encoder, or the worker's first device if `encoder` is `None`.
    pub fn device_of(&self, worker: WorkerId, encoder: Option<EncoderKind>) -> Option<DeviceId> {
        let devices = &self.workers.get(&worker)?.devices;
        match encoder {
            Some(encoder) => devices.get(encoder).cloned(),
            None => devices.distinct().first().map(|id| (*id).clone()),
        }
    }

    pub fn workers_on<'a>(
        &'a self,
        device: &'a DeviceId,
    ) -> impl Iterator<Item = (WorkerId, &'a WorkerState)> {
        let workers = self.workers.iter().map(|(id, worker)| (*id, worker));
        workers.filter(|(_, worker)| worker.devices.uses(device))
    }

    /// The rate that each worker of the device should reach at least, in tokens per second; `None` if it is not known
    /// yet.
    pub fn expected(&self, id: &DeviceId, encoder: EncoderKind) -> Option<f64> {
        let sharers = self.workers_on(id).count();
        let baseline = self.devices.get(id)?.baselines.get(&encoder)?;
        baseline.expected(sharers as u32)
    }

    /// Make an event without a response.
    pub fn event(
        &self,
        now: Duration,
        subject: &Subject,
        kind: WatchdogEventKind,
    ) -> WatchdogEvent {
        let Subject {
            worker,
            encoder,
            memory,
        } = *subject;
        let state = self.workers.get(&worker);
        let shard = state.and_then(|state| state.shard);
        let label = |shard| match self.labels.get(&shard) {
            Some(label) => label.clone(),
            None => shard.to_string(),
        };
        let device = self.device_of(worker, encoder);
        let stream = state.and_then(|state| state.streams.get(&encoder?));
        let mut figures = stream.map(Stream::figures).unwrap_or_default();
        // A stream that has just begun has no figures; what it should reach is known.
        if figures.baseline.is_none()
            && let (Some(id), Some(encoder)) = (&device, encoder)
        {
            figures.baseline = self.expected(id, encoder);
            figures.threshold = figures.baseline.map(|rate| rate / self.config.factor);
        }
        WatchdogEvent {
            at_s: now.as_secs_f64(),
            kind,
            action: WatchdogResponse::None,
            shard: shard.map(label),
            worker: Some(worker),
            device: device.unwrap_or_else(|| DeviceId(String::new())),
            encoder,
            figures,
            memory,
            waited_s: None,
            deadline_s: None,
            reason: None,
        }
    }
}
