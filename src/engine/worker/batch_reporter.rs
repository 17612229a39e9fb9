//! Reports the encoders' progress to the supervisor: each batch on a device, and now and then a sign of
//! life on the CPU.

use super::reporter::Reporter;
use crate::batch::{Batch, EncoderKind};
use crate::encode::BatchEvent;
use crate::ids::ShardId;
use crate::protocol::FromWorker;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Least time between two signs of life: well below any deadline, and not for every chunk.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Tokens of the shortest shape on a device. A text that fills less than half of it takes nearly as long as
/// a full one, so it says nothing about the device's pace. Texts on a CPU that plays a device count the same.
const LEAST_SLOTS: u64 = 64;

pub(super) struct BatchReporter {
    reporter: Reporter,
    last_report: Mutex<Instant>,
    /// Report texts on the CPU as if they were batches on a device.
    plays_device: bool,
}

impl BatchReporter {
    pub fn new(reporter: Reporter, plays_device: bool) -> Self {
        Self {
            reporter,
            last_report: Mutex::new(Instant::now()),
            plays_device,
        }
    }

    /// Report an event of the encoders, which work for `shard`.
    pub fn report(&self, shard: ShardId, event: BatchEvent) {
        match event {
            BatchEvent::TextBegun { encoder, n_slots } if self.plays_device => {
                self.begun(shard, encoder, n_slots.max(LEAST_SLOTS));
            }
            BatchEvent::Text(batch) if self.plays_device => {
                let n_slots = batch.n_slots.max(LEAST_SLOTS);
                self.done(shard, Batch { n_slots, ..batch });
            }
            BatchEvent::TextBegun { .. } => {}
            BatchEvent::Text(_) => self.sign_of_life(),
            BatchEvent::Begun { encoder, n_slots } => self.begun(shard, encoder, n_slots),
            BatchEvent::Done(batch) => self.done(shard, batch),
        }
    }

    /// Flushes, since a driver may end the process in the middle of the batch.
    fn begun(&self, shard: ShardId, encoder: EncoderKind, n_slots: u64) {
        self.reporter.send_and_flush(FromWorker::BatchStarted {
            shard,
            encoder,
            n_slots,
        });
    }

    fn done(&self, shard: ShardId, batch: Batch) {
        self.reporter
            .send(FromWorker::BatchFinished { shard, batch });
    }

    fn sign_of_life(&self) {
        let mut last = self
            .last_report
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= REPORT_INTERVAL {
            *last = Instant::now();
            self.reporter.send(FromWorker::Progress);
        }
    }
}
