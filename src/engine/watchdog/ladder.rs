//! What is done about an anomaly, in which order, and how often.
//!
//! Pure. Each shard has a [`Ladder`] of remedies, and climbs it while the anomaly lasts.

use super::config::{CrawlAction, CrawlConfig};
use crate::report::{WatchdogEventKind, WatchdogResponse};

/// A remedy, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    /// Every worker of the device releases unused memory with its next batch.
    ReleaseMemory,
    /// Every worker of the device gets a fresh context, in a new process.
    Respawn,
    /// The rest of the shard is encoded on the CPU.
    Cpu,
}

/// What the watchdog detects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anomaly {
    /// A window of slow batches while device memory was full.
    Crawl,
    /// A batch that does not end.
    Stall,
    /// The device has no memory left for a single chunk; the worker ends.
    OutOfMemory,
    /// The driver says that the context is broken; the worker ends.
    DeviceLost,
    /// The worker's process ended in the middle of a batch, and nothing but the device can be the cause.
    Crash,
}

impl Anomaly {
    /// The mildest remedy that can work. A worker that hangs in a driver call receives no requests, and one whose context
    /// or process is gone has no memory to release. A worker that ran out of memory has already released it, while it
    /// halved its batches.
    fn first_rung(self) -> Rung {
        match self {
            Self::Crawl => Rung::ReleaseMemory,
            Self::Stall | Self::OutOfMemory | Self::DeviceLost | Self::Crash => Rung::Respawn,
        }
    }
}

/// How far a shard has climbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ladder {
    last: Option<Rung>,
}

impl Ladder {
    /// A ladder that was climbed to `last` already: what was done to the device was done to this shard.
    pub fn at(last: Option<Rung>) -> Self {
        Self { last }
    }

    /// The next rung; `None` if nothing is left to do.
    pub fn next(self, anomaly: Anomaly, action: CrawlAction) -> Option<Rung> {
        let above = match self.last {
            None => Some(Rung::ReleaseMemory),
            Some(Rung::ReleaseMemory) => Some(Rung::Respawn),
            Some(Rung::Respawn) => Some(Rung::Cpu),
            Some(Rung::Cpu) => None,
        };
        match action {
            CrawlAction::Off => None,
            CrawlAction::Cpu => above.map(|_| Rung::Cpu),
            CrawlAction::Ladder => above.map(|rung| rung.max(anomaly.first_rung())),
        }
    }

    /// The rung was taken on the shard's device. A milder rung, taken because of another shard, changes nothing.
    pub fn climb(&mut self, rung: Rung) {
        self.last = self.last.max(Some(rung));
    }

    /// Allow all rungs again.
    pub fn rearm(&mut self) {
        self.last = None;
    }
}

/// How much longer than a crawl at the threshold a device must have been healthy before the ladder is rearmed. At the
/// threshold a window of slow batches takes as long as `window * factor` healthy ones, so ten times that limits the loss
/// to a tenth. Without this, three crawls in the days that one large shard takes would leave it on the CPU. Doubled, the
/// loss is halved, and a device that crawls a little more often goes to the CPU.
const REARM_TIMES: f64 = 10.0;

/// Healthy batches in a row after which the ladder is rearmed.
pub(super) fn rearm_after(config: &CrawlConfig) -> u32 {
    // At most 10 * 1000 * 1000.
    (REARM_TIMES * f64::from(config.window) * config.factor).ceil() as u32
}

impl From<Anomaly> for WatchdogEventKind {
    fn from(anomaly: Anomaly) -> Self {
        match anomaly {
            Anomaly::Crawl => Self::Crawl,
            Anomaly::Stall => Self::Stall,
            Anomaly::OutOfMemory => Self::OutOfMemory,
            Anomaly::DeviceLost => Self::DeviceLost,
            Anomaly::Crash => Self::Crash,
        }
    }
}

impl From<Rung> for WatchdogResponse {
    fn from(rung: Rung) -> Self {
        match rung {
            Rung::ReleaseMemory => Self::ReleaseMemory,
            Rung::Respawn => Self::Respawn,
            Rung::Cpu => Self::Cpu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANOMALIES: [Anomaly; 5] = [
        Anomaly::Crawl,
        Anomaly::Stall,
        Anomaly::OutOfMemory,
        Anomaly::DeviceLost,
        Anomaly::Crash,
    ];

    fn climb(ladder: &mut Ladder, anomaly: Anomaly, action: CrawlAction) -> Option<Rung> {
        let rung = ladder.next(anomaly, action);
        if let Some(rung) = rung {
            ladder.climb(rung);
        }
        rung
    }

    #[test]
    fn a_crawl_climbs_one_rung_at_a_time_to_the_end() {
        let mut ladder = Ladder::default();
        let mut step = || climb(&mut ladder, Anomaly::Crawl, CrawlAction::Ladder);
        assert_eq!(step(), Some(Rung::ReleaseMemory));
        assert_eq!(step(), Some(Rung::Respawn));
        assert_eq!(step(), Some(Rung::Cpu));
        assert_eq!(step(), None);
    }

    #[test]
    fn without_a_responsive_worker_the_first_rung_is_a_respawn() {
        for anomaly in [
            Anomaly::Stall,
            Anomaly::OutOfMemory,
            Anomaly::DeviceLost,
            Anomaly::Crash,
        ] {
            let mut ladder = Ladder::default();
            let mut step = || climb(&mut ladder, anomaly, CrawlAction::Ladder);
            assert_eq!(step(), Some(Rung::Respawn), "{anomaly:?}");
            assert_eq!(step(), Some(Rung::Cpu));
            assert_eq!(step(), None);
        }
    }

    #[test]
    fn the_configured_action_is_taken() {
        let ladder = Ladder::default();
        assert_eq!(
            ladder.next(Anomaly::Crawl, CrawlAction::Cpu),
            Some(Rung::Cpu)
        );
        assert_eq!(ladder.next(Anomaly::Crawl, CrawlAction::Off), None);
        let top = Ladder::at(Some(Rung::Cpu));
        assert_eq!(top.next(Anomaly::Crawl, CrawlAction::Cpu), None);
    }

    #[test]
    fn a_milder_rung_does_not_lower_a_shard() {
        let mut ladder = Ladder::at(Some(Rung::Respawn));
        ladder.climb(Rung::ReleaseMemory);
        assert_eq!(
            ladder.next(Anomaly::Crawl, CrawlAction::Ladder),
            Some(Rung::Cpu)
        );
    }

    #[test]
    fn rearming_follows_the_knobs() {
        assert_eq!(rearm_after(&CrawlConfig::default()), 400);
        let config = CrawlConfig {
            factor: 1.5,
            window: 1,
            ..CrawlConfig::default()
        };
        assert_eq!(rearm_after(&config), 15);
    }

    proptest! {
        /// The rungs of one shard only go up, whatever the anomaly, and are three at most.
        #[test]
        fn no_rung_is_taken_twice(
            anomalies in proptest::collection::vec(0..ANOMALIES.len(), 0..20),
            start in proptest::option::of(0usize..2),
        ) {
            let start = start.map(|n| [Rung::ReleaseMemory, Rung::Respawn][n]);
            let mut ladder = Ladder::at(start);
            let mut taken = Vec::from_iter(start);
            for n in anomalies {
                let anomaly = ANOMALIES[n];
                let before = ladder.last;
                if let Some(rung) = climb(&mut ladder, anomaly, CrawlAction::Ladder) {
                    prop_assert!(before < Some(rung));
                    let successor = match before {
                        None => Rung::ReleaseMemory,
                        Some(Rung::ReleaseMemory) => Rung::Respawn,
                        Some(_) => Rung::Cpu,
                    };
                    prop_assert!(anomaly != Anomaly::Crawl || rung == successor);
                    taken.push(rung);
                }
            }
            prop_assert!(taken.is_sorted() && taken.len() <= 3);
        }
    }
}
