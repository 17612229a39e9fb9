//! What counts as a crawl: slow batches while memory is full.

use super::*;
use crate::batch::{Batch, EncoderKind};

#[test]
fn neither_slow_batches_nor_full_memory_alone_are_a_crawl() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    for memory in [Some(0.92), None] {
        driver.memory = memory;
        assert_eq!(driver.crawl(0), (100, vec![], vec![]), "{memory:?}");
    }
    driver.memory = Some(1.0);
    // Exactly a fifth of the baseline is not below the threshold.
    for _ in 0..100 {
        assert_eq!(driver.batch(0, GOOD / 5), []);
    }
}

#[test]
fn unknown_memory_neither_counts_nor_clears_and_free_memory_clears() {
    for (memory, left) in [(None, 1), (Some(0.5), 8)] {
        let mut driver = Driver::new(CrawlConfig::default(), 1);
        for _ in 1..FIRST_CRAWL {
            assert_eq!(driver.batch(0, BAD), []);
        }
        driver.memory = memory;
        assert_eq!(driver.batch(0, BAD), []);
        driver.memory = Some(0.99);
        assert_eq!(driver.crawl(0).0, left, "{memory:?}");
    }
}

/// A worker that empties its cache after each batch shows little memory in use whenever it is idle.
#[test]
fn the_fullest_reading_since_the_last_batch_counts() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    let mut batches = 0;
    for n in 1..=20 {
        driver.now += SECOND;
        driver.read(Some(0.99));
        driver.read(Some(0.4));
        if !driver.bare_batch(0, BAD).is_empty() {
            batches = n;
            break;
        }
    }
    assert_eq!(batches, FIRST_CRAWL);
}

#[test]
fn an_old_reading_is_ignored() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    driver.batch(0, BAD);
    for _ in 0..100 {
        driver.now += SECOND * 11;
        assert_eq!(driver.bare_batch(0, BAD), []);
    }
}

#[test]
fn a_batch_that_covers_a_pause_is_ignored() {
    let mut driver = Driver::new(CrawlConfig::default(), 1);
    let mut paused_batch = |healthy: bool| {
        let lasted = Duration::from_secs(1000);
        driver.now += SECOND;
        driver.read(Some(0.99));
        driver.feed(Input::Paused { lasted });
        driver.now += SECOND;
        let batch = Batch {
            encoder: EncoderKind::Sparse,
            n_tokens: GOOD,
            n_slots: GOOD,
            n_windows: 1,
            duration: lasted + SECOND,
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
        if healthy {
            assert_eq!(driver.batch(0, GOOD), []);
        }
    };
    for n in 0..50 {
        paused_batch(n % 2 == 0);
    }
    for _ in 0..50 {
        paused_batch(false);
    }
    // Later batches count again.
    assert_eq!(driver.crawl(0).0, FIRST_CRAWL);
}
