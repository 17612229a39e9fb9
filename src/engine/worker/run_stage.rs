//! Runs the encoders over collections, and does nothing else: for a device all other work is done on other threads.

use super::batch_reporter::BatchReporter;
use super::items::{Collected, Ran, texts_to_encode};
use crate::device::DeviceFailure;
use crate::encode::{EncodeError, Encoders};
use crate::failure::{Failure, FailureKind};
use crossbeam_channel::{Receiver, Sender};
use std::sync::atomic::{AtomicBool, Ordering};

/// Owns the sessions.
pub(super) struct RunStage {
    pub encoders: Encoders,
    pub batches: BatchReporter,
}

impl RunStage {
    /// Run until there are no more collections. After a stop, drops those that come: their files are not in the segment, so the
    /// next run does them.
    pub fn run(
        &mut self,
        collections: &Receiver<Collected>,
        to_finish: &Sender<Ran>,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        for collected in collections {
            if stop.load(Ordering::Relaxed) {
                continue;
            }
            let ran = self.run_over(collected)?;
            if to_finish.send(ran).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Run over the texts of a collection.
    pub fn run_over(&mut self, collected: Collected) -> Result<Ran, Failure> {
        let Collected { items, shard } = collected;
        let batches = &self.batches;
        let raw = self
            .encoders
            .run_many(&texts_to_encode(&items), &|event| {
                batches.report(shard, event);
            })
            .map_err(encode_failure)?;
        Ok(Ran { items, raw })
    }
}

fn encode_failure(error: EncodeError) -> Failure {
    let kind = match error {
        EncodeError::OutOfMemory { .. } => FailureKind::Device(DeviceFailure::OutOfMemory),
        EncodeError::DeviceLost { .. } => FailureKind::Device(DeviceFailure::Lost),
        // Another worker asks the same server.
        EncodeError::ServerAway { .. } | EncodeError::ServerBad { .. } => FailureKind::Unavailable,
        EncodeError::ServerChanged { .. } => FailureKind::FingerprintMismatch,
        _ => FailureKind::Internal,
    };
    let advice = match kind {
        FailureKind::Unavailable => "; finished work is kept: run the same command again to resume",
        _ => "",
    };
    Failure {
        kind,
        text: format!("encoding: {error}{advice}"),
    }
}
