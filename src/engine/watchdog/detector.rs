//! Whether the batches of a worker are slow.
//!
//! Pure arithmetic. A [`Stream`] holds the batches of one worker and encoder: a moving average and the number of slow
//! batches in a row. A [`Baseline`] holds the best rates that a device has reached. It outlives segments, shards and
//! processes and is only ever raised, so that a worker that starts on a spilled device is found slow as well. This module
//! does not decide what to do about a crawl.

use super::config::CrawlConfig;
use crate::batch::Batch;
use crate::ids::ShardId;
use crate::report::StreamFigures;
use std::collections::BTreeMap;
use std::time::Duration;

/// Weight of the newest batch in the moving average, as published. Seven batches later its weight is under a tenth.
const ALPHA: f64 = 0.3;

/// The rate of one worker on a device with one encoder, in tokens per second, by the number of workers that shared the
/// device when the rate was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Baseline {
    rates: BTreeMap<u32, f64>,
}

impl Baseline {
    /// Record a worker's rate while `workers` shared the device. Never lowers a known rate.
    pub fn raise(&mut self, workers: u32, rate: f64) {
        let known = self.rates.entry(workers.max(1)).or_insert(rate);
        *known = known.max(rate);
    }

    /// The least rate to expect of one of `workers` on the device: more workers than measured share the device at worst,
    /// fewer are not slower. `None` if no rate is known.
    pub fn expected(&self, workers: u32) -> Option<f64> {
        let share = |measured_with: u32| f64::from(measured_with) / f64::from(workers.max(1));
        self.rates
            .iter()
            .map(|(measured_with, rate)| rate * share(*measured_with).min(1.0))
            .reduce(f64::max)
    }
}

/// The speed of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchSpeed {
    /// No baseline is known yet.
    Unknown,
    /// The batch is above the threshold.
    Healthy,
    /// The batch is below the threshold, the moving average is not.
    Slowing,
    /// The batch and the moving average are below the threshold.
    Slow,
}

/// The batches of one worker's process with one encoder.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    shard: Option<ShardId>,
    /// Rates of the shard's first batches, up to a window; small shards before it count as well.
    early: Vec<f64>,
    /// When the first of them finished.
    early_since: Duration,
    figures: StreamFigures,
    /// This crawl was reported, and nothing is left to do about it.
    pub is_reported: bool,
}

/// The rate of a full window of early batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Learned {
    /// The median, in tokens per second.
    pub rate: f64,
    /// When the first batch finished.
    pub since: Duration,
}

impl Stream {
    /// Collect the rates of a shard's first batches, and return their median once the window is full. A shard that is too
    /// small for a window shares it with the next shard.
    pub fn learn(
        &mut self,
        now: Duration,
        shard: ShardId,
        rate: f64,
        window: u32,
    ) -> Option<Learned> {
        if self.shard != Some(shard) {
            self.shard = Some(shard);
            if self.early.len() >= window as usize {
                self.early.clear();
            }
        }
        if self.early.len() >= window as usize {
            return None;
        }
        if self.early.is_empty() {
            self.early_since = now;
        }
        self.early.push(rate);
        (self.early.len() == window as usize).then(|| Learned {
            rate: median(&self.early),
            since: self.early_since,
        })
    }

    /// Update the moving average and compare with the baseline. Every batch that is not slow ends the row of slow batches;
    /// the caller decides which slow batches count.
    pub fn judge(
        &mut self,
        batch: &Batch,
        expected: Option<f64>,
        config: &CrawlConfig,
    ) -> BatchSpeed {
        let rate = batch.rate().unwrap_or_default();
        let ema = self
            .figures
            .ema
            .map_or(rate, |ema| ALPHA * rate + (1.0 - ALPHA) * ema);
        let threshold = expected.map(|expected| expected / config.factor);
        let speed = match threshold {
            None => BatchSpeed::Unknown,
            Some(threshold) if rate >= threshold => BatchSpeed::Healthy,
            Some(threshold) if ema >= threshold => BatchSpeed::Slowing,
            Some(_) => BatchSpeed::Slow,
        };
        if speed != BatchSpeed::Slow {
            self.figures.slow_batches = 0;
        }
        self.figures = StreamFigures {
            rate: Some(rate),
            ema: Some(ema),
            baseline: expected,
            threshold,
            chunks_per_s: Some(batch.windows_per_s()),
            slow_batches: self.figures.slow_batches,
        };
        speed
    }

    /// Count a slow batch, and return how many there are in a row.
    pub fn count_slow(&mut self) -> u32 {
        self.figures.slow_batches += 1;
        self.figures.slow_batches
    }

    /// Forget the slow batches so far: memory was not their cause.
    pub fn forget_slow(&mut self) {
        self.figures.slow_batches = 0;
    }

    /// Start over, as after a rung: earlier batches must not count against later ones.
    pub fn restart(&mut self) {
        self.figures = StreamFigures::default();
        self.is_reported = false;
    }

    pub fn figures(&self) -> StreamFigures {
        self.figures
    }
}

/// The middle rate, or the mean of the middle two; 0 without rates.
fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.as_slice() {
        [] => 0.0,
        sorted if sorted.len().is_multiple_of(2) => {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        }
        sorted => sorted[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::EncoderKind;
    use proptest::prelude::*;

    const SHARD: ShardId = ShardId(0);

    /// A batch of `tokens` real tokens in one second.
    fn batch(tokens: u64) -> Batch {
        Batch {
            encoder: EncoderKind::Sparse,
            n_tokens: tokens,
            n_slots: tokens,
            n_windows: 32,
            duration: Duration::from_secs(1),
        }
    }

    fn judge(stream: &mut Stream, tokens: u64) -> BatchSpeed {
        stream.judge(&batch(tokens), Some(1000.0), &CrawlConfig::default())
    }

    #[test]
    fn the_median_of_the_first_window_is_learned_once_per_shard() {
        let mut stream = Stream::default();
        let mut learned = Vec::new();
        for (n, rate) in [
            90.0, 100.0, 1.0, 110.0, 100.0, 9000.0, 104.0, 96.0, 5.0, 5.0,
        ]
        .into_iter()
        .enumerate()
        {
            let now = Duration::from_secs(n as u64 + 3);
            learned.extend(stream.learn(now, SHARD, rate, 8));
        }
        let since = Duration::from_secs(3);
        let rate = 100.0;
        assert_eq!(learned, [Learned { rate, since }]);
        // Each shard has its own early batches.
        let mut learn = |rate| stream.learn(Duration::ZERO, ShardId(1), rate, 2);
        assert_eq!(learn(2.0), None);
        assert_eq!(learn(4.0).map(|l| l.rate), Some(3.0));
        assert_eq!(learn(8.0), None);
        // Small shards share a window.
        assert_eq!(stream.learn(Duration::ZERO, ShardId(2), 5.0, 2), None);
        let learned = stream.learn(Duration::ZERO, ShardId(3), 7.0, 2);
        assert_eq!(learned.map(|l| l.rate), Some(6.0));
    }

    #[test]
    fn the_average_follows_with_the_published_weight() {
        let mut stream = Stream::default();
        assert_eq!(judge(&mut stream, 1000), BatchSpeed::Healthy);
        // 1000, 730, 541, 408.7, 316.1, 251.3, 205.9 are not below 200.
        for _ in 0..6 {
            assert_eq!(judge(&mut stream, 100), BatchSpeed::Slowing);
        }
        assert_eq!(judge(&mut stream, 100), BatchSpeed::Slow);
        let ema = stream.figures().ema.expect("has batches");
        assert!((ema - 174.118_87).abs() < 1e-4, "{ema}");
        assert_eq!(stream.figures().threshold, Some(200.0));
    }

    #[test]
    fn one_healthy_batch_ends_the_row_while_the_average_is_still_low() {
        let mut stream = Stream::default();
        for n in 1..=7 {
            assert_eq!(judge(&mut stream, 10), BatchSpeed::Slow);
            assert_eq!(stream.count_slow(), n);
        }
        assert_eq!(judge(&mut stream, 200), BatchSpeed::Healthy);
        assert!(stream.figures().ema < Some(200.0));
        assert_eq!(stream.figures().slow_batches, 0);
    }

    #[test]
    fn without_a_baseline_nothing_is_slow() {
        let mut stream = Stream::default();
        let judged = stream.judge(&batch(1), None, &CrawlConfig::default());
        assert_eq!(judged, BatchSpeed::Unknown);
        assert_eq!(stream.figures().threshold, None);
    }

    #[test]
    fn a_batch_of_padding_or_without_duration_has_no_rate() {
        let rate = |n_tokens, n_slots, seconds| {
            let duration = Duration::from_secs(seconds);
            Batch {
                n_tokens,
                n_slots,
                duration,
                ..batch(1)
            }
            .rate()
        };
        assert_eq!(rate(100, 200, 2), Some(50.0));
        assert_eq!(rate(99, 200, 2), None);
        assert_eq!(rate(0, 0, 2), None);
        assert_eq!(rate(100, 100, 0), None);
    }

    /// Long chunks are slow in chunks per second and not in tokens.
    #[test]
    fn long_chunks_are_healthy() {
        let mut stream = Stream::default();
        for _ in 0..20 {
            let long = Batch {
                n_windows: 1,
                n_tokens: 8000,
                n_slots: 8000,
                duration: Duration::from_secs(10),
                ..batch(1)
            };
            let judged = stream.judge(&long, Some(1000.0), &CrawlConfig::default());
            assert_eq!(judged, BatchSpeed::Healthy);
            assert_eq!(stream.figures().chunks_per_s, Some(0.1));
        }
    }

    #[test]
    fn a_baseline_allows_for_those_who_share_the_device() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.expected(1), None);
        baseline.raise(1, 900.0);
        assert_eq!(baseline.expected(1), Some(900.0));
        assert_eq!(baseline.expected(3), Some(300.0));
        // Three workers that do not slow each other down raise what to expect.
        baseline.raise(3, 800.0);
        assert_eq!(baseline.expected(1), Some(900.0));
        assert_eq!(baseline.expected(3), Some(800.0));
        assert_eq!(baseline.expected(6), Some(400.0));
    }

    proptest! {
        #[test]
        fn a_baseline_is_only_raised(
            notes in proptest::collection::vec((1u32..9, 0.001f64..1e6), 1..40),
            asked in 1u32..20,
        ) {
            let mut baseline = Baseline::default();
            let mut last = 0.0;
            for (workers, rate) in notes {
                baseline.raise(workers, rate);
                let expected = baseline.expected(asked).expect("something is known");
                prop_assert!(expected >= last);
                // More workers are never expected to be faster each.
                prop_assert!(baseline.expected(asked + 1) <= Some(expected));
                last = expected;
            }
        }
    }
}
