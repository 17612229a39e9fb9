//! How long may one batch take before its worker counts as hung?
//!
//! A deadline for the batch in hand, made from what the device has shown that it can do. It needs no
//! reading of memory, and knows nothing of shards: a shard may take as long as it likes.

use super::config::CrawlConfig;
use super::ladder::Anomaly;
use super::response::Detection;
use super::{Action, Watchdog};
use crate::ids::WorkerId;
use std::time::Duration;

/// Shortest deadline. A driver that resets itself, or searches for the best algorithm for a new shape,
/// takes seconds; halved, it would still do; doubled, a hung worker waits a minute longer.
const FLOOR: Duration = Duration::from_secs(60);

/// How long a run of `n_slots` tokens, padding included, may take where `expected` tokens a second are
/// the baseline: as long as a crawl just below the threshold would take to be found by its rate,
/// so that whatever is slower is found sooner by this; and never longer than `ceiling`.
pub fn deadline(expected: f64, n_slots: u64, config: &CrawlConfig, ceiling: Duration) -> Duration {
    let should_take = n_slots as f64 / expected;
    let allowed = should_take * config.factor * f64::from(config.window);
    // Not a number and infinite (nothing is expected) are the ceiling.
    Duration::try_from_secs_f64(allowed)
        .map_or(ceiling, |allowed| allowed.max(FLOOR))
        .min(ceiling)
}

impl Watchdog {
    /// Time has passed.
    pub(super) fn tick(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let late: Vec<_> = self
            .devices
            .iter()
            .filter(|(_, device)| device.roll.as_ref().is_some_and(|roll| roll.is_due(now)))
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            self.advance_roll(now, &id, actions);
        }
        let workers: Vec<_> = self.workers.keys().copied().collect();
        for worker in workers {
            self.look_for_stall(now, worker, actions);
        }
    }

    fn look_for_stall(&mut self, now: Duration, worker: WorkerId, actions: &mut Vec<Action>) {
        let Some(watch) = self.workers.get(&worker) else {
            return;
        };
        let Some(in_hand) = watch.in_hand else {
            return;
        };
        let Some(id) = watch.devices.get(in_hand.encoder) else {
            return;
        };
        let Some(device) = self.devices.get(id) else {
            return;
        };
        let is_demoted = watch.shard.is_some_and(|s| self.demoted.contains(&s));
        let is_told = watch.streams.get(&in_hand.encoder).is_some_and(|s| s.told);
        if device.is_given_up || device.roll.is_some() || is_demoted || is_told {
            return;
        }
        // The first batches of a build have nothing to go by.
        let expected = self.expected(id, in_hand.encoder);
        let allowed = expected.map_or(self.stall_ceiling, |expected| {
            deadline(expected, in_hand.n_slots, &self.config, self.stall_ceiling)
        });
        let waited = now.saturating_sub(in_hand.since);
        if waited <= allowed {
            return;
        }
        let detection = Detection {
            anomaly: Anomaly::Stall,
            encoder: Some(in_hand.encoder),
            memory: device.memory(now),
            wait: Some((waited, allowed)),
        };
        self.respond(now, worker, &detection, actions);
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
