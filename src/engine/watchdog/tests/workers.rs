//! Workers that are respawned, die during a rolling restart, hang, or lose their device.

use super::*;
use crate::device::DeviceFailure;
use crate::report::{WatchdogEventKind, WatchdogResponse};

#[test]
fn all_workers_of_a_device_are_respawned_one_at_a_time() {
    let mut driver = Driver::new(CrawlConfig::default(), 3);
    let (_, _, actions) = driver.crawl(1);
    let released = [0, 1, 2].map(|n| Action::ReleaseMemory {
        worker: WorkerId(n),
    });
    assert_eq!(actions, released);
    assert_eq!(driver.crawl(1).2, [respawn(1)]);
    // Meanwhile no worker is judged, and no other is respawned.
    for _ in 0..20 {
        assert_eq!(driver.batch(0, BAD), []);
    }
    driver.end(1);
    assert_eq!(driver.start(1), [respawn(0)]);
    driver.end(0);
    // It has no work left and is not started again. The last worker gets its turn all the same.
    driver.now += Duration::from_secs(180);
    assert_eq!(driver.feed(Input::Tick), []);
    driver.now += SECOND;
    assert_eq!(driver.feed(Input::Tick), [respawn(2)]);
    driver.end(2);
    assert_eq!(driver.start(2), []);
    assert_eq!(driver.crawl(2).0, 8, "judged from the start");
}

#[test]
fn a_worker_that_dies_in_a_rolling_restart_is_not_respawned_twice() {
    let mut driver = Driver::new(CrawlConfig::default(), 3);
    driver.crawl(0);
    assert_eq!(driver.crawl(0).2, [respawn(0)]);
    driver.end(1);
    driver.start(1);
    let actions = driver.feed(Input::DeviceFailed {
        worker: WorkerId(2),
        failure: DeviceFailure::OutOfMemory,
    });
    assert_eq!(
        responses(&actions),
        [WatchdogResponse::Respawn],
        "no case for the CPU"
    );
    assert_eq!(orders(actions), [respawn(2)]);
    driver.end(0);
    assert_eq!(driver.start(0), []);
}

#[test]
fn a_stall_needs_no_memory_reading_and_no_deadline_runs_between_batches() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    driver.read(None);
    // No deadline runs between batches.
    driver.now += Duration::from_secs(100_000);
    assert_eq!(driver.feed(Input::Tick), []);
    driver.begin(0);
    driver.now += Duration::from_secs(60);
    assert_eq!(driver.feed(Input::Tick), []);
    driver.now += SECOND;
    let actions = driver.feed(Input::Tick);
    let Some(Action::Report(event)) = actions.first() else {
        panic!("{actions:?}");
    };
    assert_eq!((event.kind, event.memory), (WatchdogEventKind::Stall, None));
    assert_eq!((event.waited_s, event.deadline_s), (Some(61.0), Some(60.0)));
    assert_eq!(orders(actions), [respawn(0)]);
    assert_eq!(driver.feed(Input::Tick), [], "once");
    driver.end(0);
    driver.start(0);
    driver.begin(0);
    driver.now += SECOND * 61;
    let actions = driver.feed(Input::Tick);
    let figures = match actions.first() {
        Some(Action::Report(event)) => event.figures,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        figures.baseline,
        Some(GOOD as f64),
        "the expected rate is reported"
    );
    assert_eq!(orders(actions), [Action::Demote { shard: SHARD }]);
}

#[test]
fn a_device_that_is_given_up_is_no_longer_watched() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    let worker = WorkerId(0);
    let failure = DeviceFailure::Lost;
    let lose = |driver: &mut Driver| driver.feed(Input::DeviceFailed { worker, failure });
    assert_eq!(orders(lose(&mut driver)), [respawn(0)]);
    driver.end(0);
    driver.start(0);
    let given_up = lose(&mut driver);
    assert_eq!(responses(&given_up), [WatchdogResponse::GiveUpDevice]);
    assert_eq!(orders(given_up), [Action::GiveUp { device: device() }]);
    assert_eq!(driver.crawl(0).0, 100);
    assert_eq!(lose(&mut driver), []);
    // A device that worked in between is not given up: only that shard moves to the CPU.
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    assert_eq!(orders(lose(&mut driver)), [respawn(0)]);
    driver.end(0);
    driver.start(0);
    driver.batch(0, GOOD);
    assert_eq!(orders(lose(&mut driver)), [Action::Demote { shard: SHARD }]);
}
