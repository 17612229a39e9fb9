//! How long one batch may take before its worker counts as hung.
//!
//! Each running batch has a deadline, computed from the device's baseline. It needs no memory reading and knows nothing
//! of shards: a shard may take as long as it likes.

use super::config::CrawlConfig;
use super::fleet::{Fleet, Subject};
use super::input::Step;
use super::ladder::Anomaly;
use super::response::{Detection, Wait};
use crate::ids::WorkerId;
use std::time::Duration;

/// Shortest deadline. A driver that resets itself, or searches for the best algorithm for a new shape, takes seconds.
/// Half would still do; doubled, a hung worker waits a minute longer.
const FLOOR: Duration = Duration::from_secs(60);

/// How long a batch of `n_slots` tokens, padding included, may take if the baseline is `expected` tokens a second. A
/// crawl just below the threshold would be found by its rate after the same time, so whatever is slower is found sooner
/// by its deadline. Never longer than `ceiling`.
pub(super) fn deadline(
    expected: f64,
    n_slots: u64,
    config: &CrawlConfig,
    ceiling: Duration,
) -> Duration {
    let should_take = n_slots as f64 / expected;
    let allowed = should_take * config.factor * f64::from(config.window);
    // Results that are not a number or infinite (a baseline of zero) become the ceiling.
    Duration::try_from_secs_f64(allowed)
        .map_or(ceiling, |allowed| allowed.max(FLOOR))
        .min(ceiling)
}

impl Fleet {
    /// Respond to batches that run past their deadline.
    pub fn find_stalls(&mut self, step: &mut Step) {
        let workers: Vec<_> = self.workers.keys().copied().collect();
        for worker in workers {
            if let Some(detection) = self.stall(step.now, worker) {
                self.respond(step, &detection);
            }
        }
    }

    fn stall(&self, now: Duration, worker: WorkerId) -> Option<Detection> {
        let state = self.workers.get(&worker)?;
        let batch = state.running?;
        let id = state.devices.get(batch.encoder)?;
        let device = self.devices.get(id)?;
        let is_demoted = state.shard.is_some_and(|s| self.demoted.contains(&s));
        let stream = state.streams.get(&batch.encoder);
        let is_reported = stream.is_some_and(|stream| stream.is_reported);
        if device.is_disarmed() || is_demoted || is_reported {
            return None;
        }
        // Without a baseline, as for the first batches of a build, the ceiling applies.
        let expected = self.expected(id, batch.encoder);
        let allowed = expected.map_or(self.stall_ceiling, |expected| {
            deadline(expected, batch.n_slots, &self.config, self.stall_ceiling)
        });
        let waited = now.saturating_sub(batch.since);
        (waited > allowed).then(|| Detection {
            subject: Subject {
                worker,
                encoder: Some(batch.encoder),
                memory: device.memory(now),
            },
            anomaly: Anomaly::Stall,
            wait: Some(Wait { waited, allowed }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: Duration = Duration::from_secs(300);

    fn seconds(expected: f64, n_slots: u64) -> f64 {
        deadline(expected, n_slots, &CrawlConfig::default(), CEILING).as_secs_f64()
    }

    #[test]
    fn the_deadline_grows_with_the_batch_between_floor_and_ceiling() {
        // 32 chunks of 200 tokens at 15.3 chunks a second: 2.1 s, times 5 times 8.
        assert!((seconds(3060.0, 6400) - 83.66).abs() < 0.01);
        assert_eq!(seconds(3060.0, 64), 60.0);
        assert_eq!(seconds(3060.0, 64_000), 300.0);
    }

    #[test]
    fn odd_baselines_do_no_harm() {
        for expected in [0.0, -0.0, 1e-320, f64::NAN, f64::INFINITY] {
            let seconds = seconds(expected, 100);
            assert!((60.0..=300.0).contains(&seconds), "{expected}: {seconds}");
        }
        let short = Duration::from_secs(2);
        assert_eq!(deadline(1.0, 1, &CrawlConfig::default(), short), short);
    }
}
