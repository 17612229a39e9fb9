//! What the watchdog knows of one worker's process: its streams, its batch, and the memory it was seen with.

use super::detector::Stream;
use super::input::EncoderDevices;
use crate::batch::EncoderKind;
use crate::device::{DeviceId, DeviceMemory};
use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct WorkerState {
    pub devices: EncoderDevices,
    pub streams: BTreeMap<EncoderKind, Stream>,
    /// The shard of its last batch.
    pub shard: Option<ShardId>,
    pub running: Option<RunningBatch>,
    /// Per device: the fullest memory reading since the worker's last batch there.
    pub peaks: BTreeMap<DeviceId, DeviceMemory>,
    /// When its last batch ended.
    pub last_batch: Option<Duration>,
}

/// A batch that has started and not finished.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningBatch {
    pub since: Duration,
    pub encoder: EncoderKind,
    /// Tokens, padding included.
    pub n_slots: u64,
}

impl WorkerState {
    pub fn new(devices: EncoderDevices) -> Self {
        Self {
            devices,
            streams: BTreeMap::new(),
            shard: None,
            running: None,
            peaks: BTreeMap::new(),
            last_batch: None,
        }
    }

    pub fn start_batch(
        &mut self,
        now: Duration,
        shard: ShardId,
        encoder: EncoderKind,
        n_slots: u64,
    ) {
        self.shard = Some(shard);
        self.running = Some(RunningBatch {
            since: now,
            encoder,
            n_slots,
        });
    }

    pub fn finish_batch(&mut self, now: Duration, shard: ShardId) {
        self.shard = Some(shard);
        self.running = None;
        self.last_batch = Some(now);
    }

    /// Note a reading of a device's memory.
    pub fn memory_read(&mut self, device: &DeviceId, memory: DeviceMemory) {
        if self.devices.uses(device) {
            let peak = self.peaks.entry(device.clone()).or_insert(memory);
            if memory.share() > peak.share() {
                *peak = memory;
            }
        }
    }

    /// What it did on a device must not count against what it does from now on.
    pub fn restart_streams(&mut self, device: &DeviceId) {
        for (encoder, stream) in &mut self.streams {
            if self.devices.get(*encoder) == Some(device) {
                stream.restart();
            }
        }
    }
}
