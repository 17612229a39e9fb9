//! A worker with one device per encoder: each is judged by its own memory and baseline.

use super::*;
use crate::batch::{Batch, EncoderKind};
use crate::device::{DeviceId, DeviceMemory};
use crate::report::WatchdogResponse;

fn second() -> DeviceId {
    DeviceId("cuda:1".to_owned())
}

struct Pair {
    watchdog: Watchdog,
    now: Duration,
    /// Memory of the sparse encoder's device and of the dense one's.
    memory: [f64; 2],
}

impl Pair {
    fn new() -> Self {
        let labels = [(SHARD, "docs".to_owned())];
        let mut watchdog = Watchdog::new(CrawlConfig::default(), Duration::from_secs(300), labels);
        let devices = [
            (EncoderKind::Sparse, device()),
            (EncoderKind::Dense, second()),
        ];
        let started = Input::WorkerStarted {
            worker: WorkerId(0),
            devices: devices.into_iter().collect(),
        };
        assert_eq!(watchdog.step(Duration::ZERO, started), []);
        Self {
            watchdog,
            now: Duration::ZERO,
            memory: [0.5, 0.5],
        }
    }

    /// Let a second pass, read both memories, and finish a batch of one encoder.
    fn batch(&mut self, encoder: EncoderKind, rate: u64) -> Vec<Action> {
        self.now += SECOND;
        for (device, share) in [device(), second()].into_iter().zip(self.memory) {
            let answer = reading(share).ok_or(String::new());
            let read = Input::MemoryRead { device, answer };
            assert_eq!(self.watchdog.step(self.now, read), []);
        }
        let batch = Batch {
            encoder,
            n_tokens: rate,
            n_slots: rate,
            n_windows: 1,
            duration: SECOND,
        };
        let worker = WorkerId(0);
        self.watchdog.step(
            self.now,
            Input::BatchFinished {
                worker,
                shard: SHARD,
                batch,
            },
        )
    }

    fn healthy(&mut self) {
        for _ in 0..20 {
            assert_eq!(self.batch(EncoderKind::Sparse, GOOD), []);
            assert_eq!(self.batch(EncoderKind::Dense, GOOD * 8), []);
        }
    }
}

#[test]
fn both_devices_are_watched() {
    for (encoder, slow_on, full) in [
        (EncoderKind::Sparse, device(), [0.99, 0.5]),
        (EncoderKind::Dense, second(), [0.5, 0.99]),
    ] {
        let mut pair = Pair::new();
        pair.healthy();
        pair.memory = full;
        let mut actions = Vec::new();
        for _ in 0..FIRST_CRAWL {
            actions.extend(pair.batch(encoder, BAD));
        }
        let Some(Action::Report(event)) = actions.first() else {
            panic!("{encoder:?}: {actions:?}");
        };
        assert_eq!(event.device, slow_on);
        assert_eq!(event.encoder, Some(encoder));
        assert!(event.memory.is_some_and(DeviceMemory::is_full));
        let baseline = match encoder {
            EncoderKind::Sparse => GOOD,
            EncoderKind::Dense => GOOD * 8,
        };
        assert_eq!(event.figures.baseline, Some(baseline as f64));
    }
}

#[test]
fn full_memory_of_the_other_device_does_not_count() {
    for (encoder, full) in [
        (EncoderKind::Sparse, [0.5, 0.99]),
        (EncoderKind::Dense, [0.99, 0.5]),
    ] {
        let mut pair = Pair::new();
        pair.healthy();
        pair.memory = full;
        for _ in 0..100 {
            assert_eq!(pair.batch(encoder, BAD), []);
        }
    }
}

#[test]
fn a_rung_on_one_device_does_not_restart_the_streams_of_the_other() {
    let mut pair = Pair::new();
    pair.healthy();
    pair.memory = [0.99, 0.99];
    for _ in 1..FIRST_CRAWL {
        assert_eq!(pair.batch(EncoderKind::Dense, BAD * 8), []);
    }
    let mut sparse = Vec::new();
    for _ in 0..FIRST_CRAWL {
        sparse.extend(pair.batch(EncoderKind::Sparse, BAD));
    }
    assert_eq!(responses(&sparse), [WatchdogResponse::ReleaseMemory]);
    // One more batch is enough for the other device.
    let dense = pair.batch(EncoderKind::Dense, BAD * 8);
    assert_eq!(responses(&dense), [WatchdogResponse::ReleaseMemory]);
}
