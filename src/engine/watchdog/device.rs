//! What the watchdog knows of one device: its memory, its speed, and what was done about it.
//!
//! All workers of a device share its memory, so the first two rungs are taken for all of them, and count for every
//! shard in work there. Holds state; decides nothing.

use super::detector::Baseline;
use super::ladder::{Ladder, Rung};
use super::probe::{Probe, ProbeChange};
use super::restart::RollingRestart;
use crate::batch::EncoderKind;
use crate::device::DeviceMemory;
use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A memory reading older than this is ignored. Readings come every second or so, and one that hangs times out sooner.
/// Doubled, memory that was released long ago could still count as full.
const MAX_READING_AGE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct DeviceState {
    pub baselines: BTreeMap<EncoderKind, Baseline>,
    reading: Option<(Duration, DeviceMemory)>,
    pub probe: Probe,
    ladders: BTreeMap<ShardId, Ladder>,
    /// The rung taken last, until the device has recovered. During an incident the cause is known: slow batches count
    /// whatever the memory reads, since releasing memory does not heal a context that has spilled.
    pub incident: Option<Rung>,
    /// Healthy batches in a row, of all workers.
    pub healthy_batches: u32,
    pub restart: Option<RollingRestart>,
    /// Failures of the device with no batch in between.
    pub failures: u32,
    pub is_given_up: bool,
}

impl DeviceState {
    /// Note a memory reading, and return whether the probe went silent or came back.
    pub fn memory_read(
        &mut self,
        now: Duration,
        answer: Result<DeviceMemory, String>,
    ) -> Option<ProbeChange> {
        self.reading = answer.as_ref().ok().map(|memory| (now, *memory));
        self.probe.record(answer.err())
    }

    /// The memory in use, if it is known.
    pub fn memory(&self, now: Duration) -> Option<DeviceMemory> {
        let (at, memory) = self.reading?;
        (now.saturating_sub(at) <= MAX_READING_AGE).then_some(memory)
    }

    /// Whether slow batches are ignored: the device is given up, or its workers are being replaced one by one, which
    /// changes the speed of the others.
    pub fn is_disarmed(&self) -> bool {
        self.is_given_up || self.restart.is_some()
    }

    /// The shard's ladder. A new shard begins at the rung of the device's incident. Otherwise many small shards would
    /// never get beyond the first rung.
    pub fn ladder(&mut self, shard: ShardId) -> &mut Ladder {
        let incident = self.incident;
        self.ladders
            .entry(shard)
            .or_insert_with(|| Ladder::at(incident))
    }

    /// The rung was taken for the whole device.
    pub fn climb(&mut self, rung: Rung) {
        self.incident = Some(rung);
        for ladder in self.ladders.values_mut() {
            ladder.climb(rung);
        }
    }

    pub fn rearm(&mut self) {
        for ladder in self.ladders.values_mut() {
            ladder.rearm();
        }
    }

    pub fn forget(&mut self, shard: ShardId) {
        self.ladders.remove(&shard);
    }
}
