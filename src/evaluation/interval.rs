//! How far a mean over questions can be trusted.

use crate::random::SplitMix64;
use serde::Serialize;

/// Resamples of the bootstrap. The ends of an interval of 2,000 vary by about a twentieth of its width from seed to seed.
pub const RESAMPLES: usize = 2_000;

/// Seed of the resamples: equal values give equal intervals.
const SEED: u64 = 0;

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval {
    pub mean: f64,
    /// Percentile 2.5 of the means of resamples.
    pub low: f64,
    /// Percentile 97.5.
    pub high: f64,
}

/// Return the mean of each column with its interval, by bootstrap over the rows. Columns have one value a question and equal
/// lengths; all are resampled alike. A column of differences gives the interval of a paired comparison.
pub fn intervals(columns: &[Vec<f64>]) -> Vec<Interval> {
    let n = columns.first().map_or(0, Vec::len);
    if n == 0 {
        return vec![Interval::default(); columns.len()];
    }
    let mut random = SplitMix64::new(SEED);
    let mut drawn = vec![0usize; n];
    let mut means = vec![Vec::with_capacity(RESAMPLES); columns.len()];
    for _ in 0..RESAMPLES {
        drawn.fill_with(|| random.below(n as u64) as usize);
        for (column, means) in columns.iter().zip(&mut means) {
            let sum: f64 = drawn.iter().map(|at| column[*at]).sum();
            means.push(sum / n as f64);
        }
    }
    let interval = |(column, mut means): (&Vec<f64>, Vec<f64>)| {
        means.sort_by(f64::total_cmp);
        Interval {
            mean: column.iter().sum::<f64>() / n as f64,
            low: means[RESAMPLES / 40],
            high: means[RESAMPLES - RESAMPLES / 40 - 1],
        }
    };
    columns.iter().zip(means).map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of n values of 0 or 1, half of each, has the standard error 0.5 / sqrt(n).
    #[test]
    fn an_interval_is_as_wide_as_theory_says() {
        let values: Vec<f64> = (0..400).map(|n| f64::from(n % 2)).collect();
        let of = intervals(&[values.clone(), vec![0.3; 400]]);
        let (mean, wanted) = (of[0].mean, 1.96 * 0.5 / 20.0);
        assert_eq!(mean, 0.5);
        assert!((of[0].high - mean - wanted).abs() < 0.01, "{of:?}");
        assert!((mean - of[0].low - wanted).abs() < 0.01, "{of:?}");
        assert!((of[1].high - of[1].low).abs() < 1e-9);
        assert_eq!(intervals(std::slice::from_ref(&values))[0], of[0]);
        assert_eq!(intervals(&[Vec::new()]), [Interval::default()]);
    }
}
