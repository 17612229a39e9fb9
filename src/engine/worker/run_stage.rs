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

#[cfg(test)]
mod tests {
    use super::super::finish_stage::FinishStage;
    use super::super::items::Item;
    use super::super::items::samples::{file, names};
    use super::super::look_up::LookUp;
    use super::super::reporter::Reporter;
    use super::*;
    use crate::profile::encoders::EncoderChoice;
    use crossbeam_channel::unbounded;

    #[test]
    fn what_was_run_goes_on_in_order_and_a_stop_drops_the_rest() {
        let (reporter, _reports) = Reporter::channel(8);
        let mut stage = RunStage {
            encoders: Encoders::open(&EncoderChoice::default()).expect("opens"),
            batches: BatchReporter::new(reporter, false),
        };
        let mut look_up = LookUp::in_nothing();
        for (stopped, expected) in [(false, vec!["0", "1", "2"]), (true, vec![])] {
            let (to_run, collections) = unbounded();
            let (to_finish, ran) = unbounded();
            let (to_sink, encoded) = unbounded();
            for files in [0..2, 2..3] {
                let items = files.map(|n| Item::File(file(n))).chain([Item::End]);
                let collected = look_up.collected(items.collect()).expect("looks up");
                to_run.send(collected).expect("sent");
            }
            drop(to_run);
            let stop = AtomicBool::new(stopped);
            stage.run(&collections, &to_finish, &stop).expect("runs");
            drop(to_finish);
            FinishStage::default().run(&ran, &to_sink);
            drop(to_sink);
            let items: Vec<_> = encoded.iter().collect();
            assert_eq!(names(&items, |file| &file.record), expected);
            let ends = items.iter().filter(|item| matches!(item, Item::End));
            assert_eq!(ends.count(), if stopped { 0 } else { 2 });
        }
    }
}
