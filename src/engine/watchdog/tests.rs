//! The watchdog as a whole: single rules through the driver in this file, incidents from files, and properties of random
//! scenarios.

use super::config::CrawlAction;
use super::*;
use crate::batch::{Batch, EncoderKind};
use crate::device::{DeviceId, DeviceMemory};
use crate::report::{WatchdogCounts, WatchdogEventKind, WatchdogResponse};

mod evidence;
mod incidents;
mod probes;
mod rungs;
mod scenarios;
mod two_devices;
mod workers;

const SHARD: ShardId = ShardId(0);
const SECOND: Duration = Duration::from_secs(1);

/// Rates of healthy and of crawling batches, in tokens per second.
const GOOD: u64 = 3000;
const BAD: u64 = 300;

/// Feeds a watchdog by hand. Each batch takes one second of the clock, whatever its rate, so that the watchdog sees only
/// what a test says.
struct Driver {
    watchdog: Watchdog,
    now: Duration,
    /// The share of memory that each reading shows from now on; `None`: readings fail.
    memory: Option<f64>,
    shard: ShardId,
    counts: WatchdogCounts,
    /// Events about the probe.
    probe_events: Vec<WatchdogEventKind>,
}

fn device() -> DeviceId {
    DeviceId("cuda:0".to_owned())
}

fn reading(share: f64) -> Option<DeviceMemory> {
    DeviceMemory::new((share * 12e9) as u64, 12_000_000_000)
}

impl Driver {
    /// Start workers and finish 20 good batches of each.
    fn new(config: CrawlConfig, workers: u32) -> Self {
        let ceiling = Duration::from_secs(300);
        let mut driver = Self {
            watchdog: Watchdog::new(config, ceiling, [(SHARD, "docs".to_owned())]),
            now: Duration::ZERO,
            memory: Some(0.99),
            shard: SHARD,
            counts: WatchdogCounts::default(),
            probe_events: Vec::new(),
        };
        for worker in 0..workers {
            assert_eq!(driver.start(worker), []);
        }
        for _ in 0..20 {
            for worker in 0..workers {
                assert_eq!(driver.batch(worker, GOOD), []);
            }
        }
        driver
    }

    fn feed(&mut self, input: Input) -> Vec<Action> {
        let actions = self.watchdog.step(self.now, input);
        for action in &actions {
            if let Action::Report(event) = action {
                self.counts.add(event);
            }
        }
        actions
    }

    fn start(&mut self, worker: u32) -> Vec<Action> {
        self.feed(Input::WorkerStarted {
            worker: WorkerId(worker),
            devices: EncoderDevices::both(&device()),
        })
    }

    fn end(&mut self, worker: u32) {
        let worker = WorkerId(worker);
        assert_eq!(self.feed(Input::WorkerEnded { worker }), []);
    }

    fn read(&mut self, share: Option<f64>) {
        let answer = share.and_then(reading).ok_or("no answer".to_owned());
        let device = device();
        for action in self.feed(Input::MemoryRead { device, answer }) {
            match action {
                Action::Report(event) => self.probe_events.push(event.kind),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Let a second pass, read memory, and finish a batch.
    fn batch(&mut self, worker: u32, rate: u64) -> Vec<Action> {
        self.now += SECOND;
        self.read(self.memory);
        self.bare_batch(worker, rate)
    }

    fn bare_batch(&mut self, worker: u32, rate: u64) -> Vec<Action> {
        let batch = Batch {
            encoder: EncoderKind::Sparse,
            n_tokens: rate,
            n_slots: rate,
            n_windows: 1,
            duration: SECOND,
        };
        let worker = WorkerId(worker);
        let shard = self.shard;
        self.feed(Input::BatchFinished {
            worker,
            shard,
            batch,
        })
    }

    fn begin(&mut self, worker: u32) {
        let begun = Input::BatchStarted {
            worker: WorkerId(worker),
            shard: self.shard,
            encoder: EncoderKind::Sparse,
            n_slots: GOOD,
        };
        assert_eq!(self.feed(begun), []);
    }

    /// Finish bad batches of one worker until the watchdog acts. Returns how many it took.
    fn crawl(&mut self, worker: u32) -> (u32, Vec<WatchdogResponse>, Vec<Action>) {
        for n in 1..=100 {
            let actions = self.batch(worker, BAD);
            if !actions.is_empty() {
                return (n, responses(&actions), orders(actions));
            }
        }
        (100, Vec::new(), Vec::new())
    }
}

fn responses(actions: &[Action]) -> Vec<WatchdogResponse> {
    let events = actions.iter().filter_map(|action| match action {
        Action::Report(event) => Some(event.action),
        _ => None,
    });
    events.collect()
}

fn orders(mut actions: Vec<Action>) -> Vec<Action> {
    actions.retain(|action| !matches!(action, Action::Report(_)));
    actions
}

fn respawn(worker: u32) -> Action {
    Action::Respawn {
        worker: WorkerId(worker),
    }
}

/// From 3000 to 300 tokens/s: the average falls below 600 with the 7th batch, and 8 slow batches are a window.
const FIRST_CRAWL: u32 = 14;
