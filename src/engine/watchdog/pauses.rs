//! Pauses in which no process ran, and which batches they cover.

use crate::batch::Batch;
use std::time::Duration;

/// The time that the supervisor's clock has skipped.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    total: Duration,
    /// When the last pause ended, all pauses included.
    end: Option<Duration>,
}

impl Pauses {
    /// The clock has just skipped `lasted`.
    pub fn add(&mut self, now: Duration, lasted: Duration) {
        self.total += lasted;
        self.end = Some(now + self.total);
    }

    /// Whether a batch that ends now began before the last pause ended. Its duration, as the worker measured it, means
    /// nothing then.
    pub fn are_in(&self, now: Duration, batch: &Batch) -> bool {
        self.end
            .is_some_and(|end| (now + self.total).saturating_sub(batch.duration) < end)
    }
}
