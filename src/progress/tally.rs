//! Progress and rates of a build, from its events.
//!
//! Pure: time comes in with each call. Draws nothing.

use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::protocol::Work;
use crate::report::{BuildEvent, PlannedShard, Totals};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The time over which rates are measured: long enough to smooth out big files, short enough to show a change of speed.
const WINDOW: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub shards: Vec<PlannedShard>,
    pub totals: Totals,
    pub total_bytes: u64,
    pub total_files: u64,
    pub published: usize,
    pub workers: BTreeMap<WorkerId, WorkerLine>,
    samples: VecDeque<(Duration, Work)>,
}

/// What a worker is doing.
#[derive(Debug, Default, Clone)]
pub(super) struct WorkerLine {
    pub segment: Option<SegmentId>,
    pub file: String,
    pub state: &'static str,
}

/// Work per second.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub chunks: f64,
    pub bytes: f64,
    pub tokens: f64,
}

impl Tally {
    pub fn add(&mut self, now: Duration, event: &BuildEvent) {
        self.totals.add(event);
        match event {
            BuildEvent::Planned { shards, .. } => {
                self.total_bytes = shards.iter().map(|s| s.bytes).sum();
                self.total_files = shards.iter().map(|s| s.files).sum();
                self.shards.clone_from(shards);
            }
            BuildEvent::WorkerStarting { worker } => self.line(*worker).state = "starting",
            BuildEvent::WorkerReady { worker, .. } => self.line(*worker).state = "ready",
            BuildEvent::SegmentOpened {
                worker, segment, ..
            } => {
                let line = self.line(*worker);
                line.segment = Some(*segment);
                line.state = "encoding";
            }
            BuildEvent::FilesCommitted {
                worker,
                segment,
                file,
                ..
            } => {
                let line = self.line(*worker);
                line.segment = Some(*segment);
                line.state = "encoding";
                line.file.clone_from(file);
                self.sample(now);
            }
            BuildEvent::WorkerLost { worker, .. } => {
                *self.line(*worker) = WorkerLine {
                    state: "restarting",
                    ..WorkerLine::default()
                };
            }
            BuildEvent::ShardPublished { .. } => self.published += 1,
            BuildEvent::DeviceMemory { .. }
            | BuildEvent::Watchdog(_)
            | BuildEvent::SegmentDone { .. }
            | BuildEvent::SegmentResumed { .. }
            | BuildEvent::SegmentUndone { .. }
            | BuildEvent::Quarantined { .. }
            | BuildEvent::Warning { .. }
            | BuildEvent::Pausing => {}
        }
    }

    fn line(&mut self, worker: WorkerId) -> &mut WorkerLine {
        self.workers.entry(worker).or_default()
    }

    fn sample(&mut self, now: Duration) {
        // Four samples a second are enough.
        let due = self
            .samples
            .back()
            .is_none_or(|(at, _)| now.saturating_sub(*at) >= Duration::from_millis(250));
        if due {
            self.samples.push_back((now, self.totals.done));
        }
        while self.samples.len() > 2 && now.saturating_sub(self.samples[1].0) >= WINDOW {
            self.samples.pop_front();
        }
    }

    pub fn rates(&self, now: Duration) -> Rates {
        let Some((since, before)) = self.samples.front() else {
            return Rates::default();
        };
        let seconds = now.saturating_sub(*since).as_secs_f64();
        if seconds < 0.2 {
            return Rates::default();
        }
        let done = &self.totals.done;
        let per_second = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Rates {
            chunks: per_second(done.chunks, before.chunks),
            bytes: per_second(done.bytes, before.bytes),
            tokens: per_second(done.tokens, before.tokens),
        }
    }

    /// Time left at the current rate, by the number of tokens to expect in the remaining bytes, or by bytes if nothing is
    /// encoded.
    pub fn eta(&self, now: Duration) -> Option<Duration> {
        let rates = self.rates(now);
        let Totals { done, resumed, .. } = &self.totals;
        let bytes_left = self.total_bytes.saturating_sub(done.bytes) as f64;
        let fresh_bytes = done.bytes.saturating_sub(resumed.bytes) as f64;
        let seconds = if rates.tokens > 0.0 && fresh_bytes > 0.0 {
            bytes_left * (done.tokens as f64 / fresh_bytes) / rates.tokens
        } else if rates.bytes > 0.0 {
            bytes_left / rates.bytes
        } else {
            return None;
        };
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Share of the bytes that are done, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.total_bytes == 0 {
            return 1.0;
        }
        (self.totals.done.bytes as f64 / self.total_bytes as f64).min(1.0)
    }

    /// A shard's label and progress: `tokio 43 %`.
    pub fn shard_line(&self, shard: ShardId) -> String {
        let Some(planned) = self.shards.iter().find(|s| s.shard == shard) else {
            return String::new();
        };
        let done = self.totals.shard_bytes(shard);
        let percent = (done.min(planned.bytes) * 100).checked_div(planned.bytes);
        format!("{} {} %", planned.label, percent.unwrap_or(100))
    }

    pub fn label(&self, segment: SegmentId) -> &str {
        self.shards
            .iter()
            .find(|s| s.shard == segment.shard)
            .map_or("", |s| &s.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(bytes: u64, tokens: u64) -> BuildEvent {
        BuildEvent::FilesCommitted {
            worker: WorkerId(0),
            segment: SegmentId {
                shard: ShardId(0),
                index: 0,
            },
            work: Work {
                files: 1,
                chunks: 10,
                bytes,
                tokens,
                ..Work::default()
            },
            file: "a.rs".to_owned(),
        }
    }

    fn planned(bytes: u64) -> BuildEvent {
        BuildEvent::Planned {
            segments: 1,
            profile: "p".to_owned(),
            shards: vec![PlannedShard {
                shard: ShardId(0),
                label: "one".to_owned(),
                files: 4,
                bytes,
            }],
            unchanged: 0,
            workers: 1,
            file_workers: 1,
        }
    }

    #[test]
    fn the_time_left_follows_the_rate_of_tokens() {
        let second = Duration::from_secs(1);
        let mut tally = Tally::default();
        tally.add(Duration::ZERO, &planned(400));
        tally.add(second, &committed(100, 50));
        tally.add(2 * second, &committed(100, 50));
        // 100 bytes and 50 tokens a second; 200 bytes left.
        assert_eq!(tally.rates(2 * second).tokens, 50.0);
        assert_eq!(tally.eta(2 * second), Some(2 * second));
        assert_eq!(tally.share(), 0.5);
        assert_eq!(tally.shard_line(ShardId(0)), "one 50 %");
    }

    #[test]
    fn without_tokens_bytes_are_counted() {
        let second = Duration::from_secs(1);
        let mut tally = Tally::default();
        tally.add(Duration::ZERO, &planned(400));
        tally.add(second, &committed(100, 0));
        tally.add(2 * second, &committed(100, 0));
        assert_eq!(tally.eta(2 * second), Some(2 * second));
    }

    #[test]
    fn a_build_without_progress_has_no_time_left() {
        let mut tally = Tally::default();
        tally.add(Duration::ZERO, &planned(400));
        assert_eq!(tally.eta(Duration::from_secs(5)), None);
    }
}
