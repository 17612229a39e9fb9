//! One run of an encoder over a batch: the unit in which speed is measured and devices are watched.
//!
//! Values only, shared by `encode`, the protocol, the watchdog and the reports.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A batch with fewer real tokens than this share of its shape says nothing about the device: the last
/// one of a segment, or one file at a time. Doubled, it would leave out ordinary batches, whose rows
/// fill their bucket to three quarters on average.
const LEAST_FILL: f64 = 0.5;

/// The two kinds of encoders, and of the vectors they make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderKind {
    Sparse,
    Dense,
}

impl EncoderKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sparse => "sparse",
            Self::Dense => "dense",
        }
    }
}

impl fmt::Display for EncoderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A run that has ended: a batch on a device, or all windows of one text on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub encoder: EncoderKind,
    /// Real tokens: without padding and blank rows.
    pub n_tokens: u64,
    /// Tokens of the shape that was run, padding and blank rows included.
    pub n_slots: u64,
    /// Rows with text. Nearly all chunks are one window.
    pub n_windows: u64,
    /// Inside the runtime alone: waiting for files is not slowness of the encoder.
    pub duration: Duration,
}

impl Batch {
    /// Real tokens per second; `None` when the batch says nothing about the device.
    pub fn rate(&self) -> Option<f64> {
        let is_full_enough = self.n_tokens as f64 >= self.n_slots as f64 * LEAST_FILL;
        let is_real = self.n_tokens > 0 && self.duration > Duration::ZERO;
        (is_full_enough && is_real).then(|| self.n_tokens as f64 / self.duration.as_secs_f64())
    }

    pub fn windows_per_s(&self) -> f64 {
        // A batch that has a rate took some time.
        self.n_windows as f64 / self.duration.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
