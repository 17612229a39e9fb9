//! What the watchdog knows of one device: its memory, its pace, and what has been done to it.
//!
//! Memory and contexts are the device's, so the first two rungs are done to all its workers, and count
//! for every shard that is being worked on there. Holds state; decides nothing.

use super::Memory;
use super::detector::{Baseline, Encoder};
use super::ladder::{Ladder, Roll, Rung};
use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A reading of memory older than this is none. Readings come every second or so, and one that hangs is
/// given up after less; doubled, memory that was given back long ago could still count as full.
const STALE: Duration = Duration::from_secs(10);

/// Readings without an answer, in a row, that are told of. One may be a driver that was busy; with three, a second
/// apart, nobody answers. Doubled, a short build would not hear of it before its end.
const SILENT_READINGS: u32 = 3;

/// Whether a device's memory can be read.
#[derive(Debug, Default)]
struct Probe {
    /// Readings in a row without an answer.
    silent: u32,
    has_answered: bool,
    /// Its silence was told.
    told: bool,
    /// Why the last one had none.
    reason: String,
}

/// What there is to tell of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeNews {
    Silent { reason: String },
    Back,
}

#[derive(Debug, Default)]
pub(super) struct DeviceWatch {
    pub baselines: BTreeMap<Encoder, Baseline>,
    reading: Option<(Duration, Memory)>,
    probe: Probe,
    ladders: BTreeMap<ShardId, Ladder>,
    /// The last rung, until the device has recovered from what it was taken for. While there is one, the
    /// cause is known: slow batches count whatever the memory reads, since memory that was given back
    /// does not heal a context that has spilled.
    pub episode: Option<Rung>,
    /// Healthy batches in a row, of all workers.
    pub healthy_run: u32,
    pub roll: Option<Roll>,
    /// Times the device was lost with no batch in between.
    pub losses: u32,
    pub is_given_up: bool,
}

impl DeviceWatch {
    pub fn read(&mut self, now: Duration, answer: Result<Memory, String>) -> Option<ProbeNews> {
        let probe = &mut self.probe;
        match answer {
            Ok(memory) => {
                self.reading = Some((now, memory));
                probe.silent = 0;
                probe.has_answered = true;
                std::mem::take(&mut probe.told).then_some(ProbeNews::Back)
            }
            Err(reason) => {
                self.reading = None;
                probe.silent += 1;
                probe.reason = reason;
                (probe.silent >= SILENT_READINGS).then(|| self.tell_silence())?
            }
        }
    }

    /// At the end of a build: a probe that never answered, in a build too short for it to be told.
    pub fn last_news(&mut self) -> Option<ProbeNews> {
        let probe = &self.probe;
        let never_answered = probe.silent > 0 && !probe.has_answered;
        never_answered.then(|| self.tell_silence())?
    }

    fn tell_silence(&mut self) -> Option<ProbeNews> {
        let reason = self.probe.reason.clone();
        let was_told = std::mem::replace(&mut self.probe.told, true);
        (!was_told).then_some(ProbeNews::Silent { reason })
    }

    /// What memory is now, if that is known.
    pub fn memory(&self, now: Duration) -> Option<Memory> {
        let (at, memory) = self.reading?;
        (now.saturating_sub(at) <= STALE).then_some(memory)
    }

    /// The shard's ladder. One that comes to a device in trouble begins where the device stands: else many
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
