//! Reports about a probe that does not answer.

use super::*;
use crate::report::WatchdogEventKind;

#[test]
fn a_silent_probe_is_reported_once_and_so_is_its_return() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    driver.read(None);
    driver.read(None);
    assert_eq!(driver.probe_events, [], "a driver may be busy");
    driver.read(Some(0.5));
    for _ in 0..100 {
        driver.read(None);
    }
    assert_eq!(driver.probe_events, [WatchdogEventKind::ProbeSilent]);
    for _ in 0..10 {
        driver.read(Some(0.5));
    }
    let expected = [WatchdogEventKind::ProbeSilent, WatchdogEventKind::ProbeBack];
    assert_eq!(driver.probe_events, expected);
    for _ in 0..10 {
        driver.read(None);
    }
    assert_eq!(driver.probe_events.len(), 3, "and the next silence");
    assert_eq!(driver.feed(Input::Ending), [], "it was reported already");
    let counts = driver.counts;
    assert_eq!((counts.probe_silent, counts.probe_back), (2, 1));
}

/// A build may end before three readings.
#[test]
fn a_probe_that_never_answered_is_reported_at_the_end() {
    let mut driver = Driver::new(CrawlConfig::default(), 0);
    driver.read(None);
    assert_eq!(driver.probe_events, []);
    let actions = driver.feed(Input::Ending);
    let [Action::Report(event)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert_eq!(event.kind, WatchdogEventKind::ProbeSilent);
    assert_eq!(event.reason.as_deref(), Some("no answer"));
    assert_eq!((event.worker, event.memory), (None, None));
    // A probe that has answered is not reported.
    let mut driver = Driver::new(CrawlConfig::default(), 0);
    driver.read(Some(0.5));
    driver.read(None);
    assert_eq!(driver.feed(Input::Ending), []);
}
