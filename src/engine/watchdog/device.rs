//! What the watchdog knows of one device: its memory, its pace, and what has been done to it.
//!
//! Memory and contexts are the device's, so the first two rungs are done to all its workers, and count
//! for every shard that is being worked on there. Holds state; decides nothing.

use super::detector::Baseline;
use super::ladder::{Ladder, RollingRestart, Rung};
use super::probe::{Probe, ProbeNews};
use crate::batch::EncoderKind;
use crate::device::DeviceMemory;
use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A reading of memory older than this is none. Readings come every second or so, and one that hangs is
/// given up after less; doubled, memory that was given back long ago could still count as full.
const STALE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct DeviceWatch {
    pub baselines: BTreeMap<EncoderKind, Baseline>,
    reading: Option<(Duration, DeviceMemory)>,
    pub probe: Probe,
    ladders: BTreeMap<ShardId, Ladder>,
    /// The last rung, until the device has recovered from what it was taken for. While there is one, the
    /// cause is known: slow batches count whatever the memory reads, since memory that was given back
    /// does not heal a context that has spilled.
    pub episode: Option<Rung>,
    /// Healthy batches in a row, of all workers.
    pub healthy_run: u32,
    pub roll: Option<RollingRestart>,
    /// Times the device was lost with no batch in between.
    pub losses: u32,
    pub is_given_up: bool,
}

impl DeviceWatch {
    pub fn read(
        &mut self,
        now: Duration,
        answer: Result<DeviceMemory, String>,
    ) -> Option<ProbeNews> {
        self.reading = answer.as_ref().ok().map(|memory| (now, *memory));
        self.probe.hear(answer.err())
    }

    /// What memory is now, if that is known.
    pub fn memory(&self, now: Duration) -> Option<DeviceMemory> {
        let (at, memory) = self.reading?;
        (now.saturating_sub(at) <= STALE).then_some(memory)
    }

    /// The shard's ladder. One that comes to a device in anomaly begins where the device stands: else many
    /// small shards would never get beyond the first rung.
    pub fn ladder(&mut self, shard: ShardId) -> &mut Ladder {
        let episode = self.episode;
        self.ladders
            .entry(shard)
            .or_insert_with(|| Ladder::at(episode))
    }

    /// The rung was taken on the whole device.
    pub fn climb_all(&mut self, rung: Rung) {
        self.episode = Some(rung);
        for ladder in self.ladders.values_mut() {
            ladder.climb(rung);
        }
    }

    pub fn rearm_all(&mut self) {
        for ladder in self.ladders.values_mut() {
            ladder.rearm();
        }
    }

    pub fn forget(&mut self, shard: ShardId) {
        self.ladders.remove(&shard);
    }
}
