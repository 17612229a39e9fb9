//! Which rung a crawl leads to, for which shards, and when the ladder is rearmed.

use super::*;
use crate::batch::{Batch, EncoderKind};
use crate::device::{DeviceFailure, DeviceId};
use crate::report::WatchdogResponse;

#[test]
fn each_rung_needs_its_own_window_of_slow_batches() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    let worker = WorkerId(0);
    let (batches, done, actions) = driver.crawl(0);
    assert_eq!(
        (batches, done),
        (FIRST_CRAWL, vec![WatchdogResponse::ReleaseMemory])
    );
    assert_eq!(actions, [Action::ReleaseMemory { worker }]);
    let (batches, done, actions) = driver.crawl(0);
    assert_eq!((batches, done), (8, vec![WatchdogResponse::Respawn]));
    assert_eq!(actions, [respawn(0)]);
    driver.end(0);
    assert_eq!(driver.start(0), []);
    let (batches, done, actions) = driver.crawl(0);
    assert_eq!((batches, done), (8, vec![WatchdogResponse::Cpu]));
    assert_eq!(actions, [Action::Demote { shard: SHARD }]);
    assert_eq!(driver.crawl(0), (100, vec![], vec![]), "disarmed");
    // The next shard is watched, and the baseline is still known.
    driver.shard = ShardId(1);
    let (batches, done, _) = driver.crawl(0);
    assert_eq!((batches, done), (8, vec![WatchdogResponse::ReleaseMemory]));
    let counts = driver.counts;
    assert_eq!(
        (counts.crawls, counts.cpu, counts.release_memory),
        (4, 1, 2)
    );
}

/// Releasing memory does not heal a context that has spilled, and must not hide it.
#[test]
fn after_the_first_rung_memory_need_not_be_full() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    driver.crawl(0);
    driver.memory = Some(0.3);
    assert_eq!(driver.crawl(0).1, [WatchdogResponse::Respawn]);
    driver.end(0);
    driver.start(0);
    driver.memory = None;
    assert_eq!(driver.crawl(0).1, [WatchdogResponse::Cpu]);
}

#[test]
fn after_a_recovery_memory_must_be_full_again() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    driver.crawl(0);
    driver.memory = Some(0.3);
    for n in 1..=8 {
        let actions = driver.batch(0, GOOD);
        assert_eq!(
            responses(&actions),
            vec![WatchdogResponse::None; usize::from(n == 8)]
        );
    }
    assert_eq!(driver.crawl(0), (100, vec![], vec![]));
    driver.memory = Some(0.99);
    let (batches, done, _) = driver.crawl(0);
    assert_eq!(
        (batches, done),
        (8, vec![WatchdogResponse::Respawn]),
        "the ladder goes on"
    );
}

#[test]
fn a_recovery_is_a_whole_window_in_a_row() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    driver.crawl(0);
    // Barely healthy batches leave the average low, so that a bad batch is slow at once.
    const FAIR: u64 = GOOD / 5 + 10;
    for rate in [BAD, FAIR, FAIR, BAD, FAIR, FAIR, FAIR, FAIR].repeat(5) {
        assert_eq!(driver.batch(0, rate), []);
    }
    // After good batches it is not.
    for rate in [BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD].repeat(5) {
        assert_eq!(driver.batch(0, rate), []);
    }
    for _ in 0..3 {
        assert_eq!(driver.batch(0, GOOD), []);
    }
    assert_eq!(responses(&driver.batch(0, GOOD)), [WatchdogResponse::None]);
}

#[test]
fn many_healthy_batches_rearm_the_ladder() {
    for (healthy, next) in [
        (399, WatchdogResponse::Respawn),
        (400, WatchdogResponse::ReleaseMemory),
    ] {
        let mut driver = Driver::new(CrawlConfig::default(), 1);
        driver.crawl(0);
        for _ in 0..healthy {
            driver.batch(0, GOOD);
        }
        assert_eq!(driver.crawl(0).1, [next], "{healthy}");
    }
}

#[test]
fn with_action_off_a_crawl_is_reported_once_until_it_recovers() {
    let config = CrawlConfig {
        action: CrawlAction::Off,
        ..CrawlConfig::default()
    };
    let mut driver = Driver::new(config, 1);
    assert_eq!(
        driver.crawl(0),
        (FIRST_CRAWL, vec![WatchdogResponse::None], vec![])
    );
    assert_eq!(driver.crawl(0).0, 100);
    driver.batch(0, GOOD);
    assert_eq!(driver.crawl(0).1, [WatchdogResponse::None]);
    for _ in 0..5 {
        let actions = driver.feed(Input::DeviceFailed {
            worker: WorkerId(0),
            failure: DeviceFailure::Lost,
        });
        assert_eq!(responses(&actions), [WatchdogResponse::None]);
        assert_eq!(orders(actions), []);
    }
}

/// A rung is taken for the whole device, so it counts for every shard there.
#[test]
fn shards_on_one_device_share_all_rungs_except_the_last() {
    let mut driver = Driver::new(CrawlConfig::default(), 2);
    let crawl_in = |driver: &mut Driver, shard| {
        driver.shard = ShardId(shard);
        driver.crawl(shard).1
    };
    driver.shard = ShardId(1);
    driver.batch(1, GOOD);
    assert_eq!(crawl_in(&mut driver, 0), [WatchdogResponse::ReleaseMemory]);
    assert_eq!(crawl_in(&mut driver, 1), [WatchdogResponse::Respawn]);
    for worker in [1, 0] {
        driver.end(worker);
        driver.start(worker);
    }
    assert_eq!(crawl_in(&mut driver, 0), [WatchdogResponse::Cpu]);
    driver.start(0);
    assert_eq!(crawl_in(&mut driver, 1), [WatchdogResponse::Cpu]);
}

#[test]
fn encoders_and_devices_are_judged_separately() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    let elsewhere = DeviceId("cuda:1".to_owned());
    driver.feed(Input::WorkerStarted {
        worker: WorkerId(9),
        devices: EncoderDevices::both(&elsewhere),
    });
    assert_eq!(driver.crawl(9).0, 100, "nothing is known of that device");
    // Healthy batches of a fast encoder do not hide the crawl of a slow one.
    let dense = |driver: &mut Driver| {
        let batch = Batch {
            encoder: EncoderKind::Dense,
            n_tokens: GOOD * 8,
            n_slots: GOOD * 8,
            n_windows: 1,
            duration: SECOND,
        };
        let worker = WorkerId(0);
        assert_eq!(
            driver.feed(Input::BatchFinished {
                worker,
                shard: SHARD,
                batch
            }),
            []
        );
    };
    for batches in 1..FIRST_CRAWL {
        dense(&mut driver);
        assert_eq!(driver.batch(0, BAD), [], "{batches}");
    }
    dense(&mut driver);
    assert_eq!(
        responses(&driver.batch(0, BAD)),
        [WatchdogResponse::ReleaseMemory]
    );
}
