//! Gives each chunk its vectors: looks them up, runs the encoders, finishes what they give.
//!
//! On the CPU one thread does all of it, file by file. A device waits for nothing: each step has a thread, and while the
//! sessions run over one collection, the next is collected and the one before is finished. Files stay in order. Never reads a
//! file and never writes one.

use super::batch_reporter::BatchReporter;
use super::collect_stage::CollectStage;
use super::finish_stage::FinishStage;
use super::items::{EncodedFile, Item, PendingFile};
use super::look_up::LookUp;
use super::reporter::Reporter;
use super::run_stage::RunStage;
use super::stage_error::StageError;
use super::stage_threads::StageThreads;
use crate::encode::Encoders;
use crate::protocol::WorkerSetup;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering};

/// Start the threads of the stage. They run until the dispatcher is done; after a stop they drop the files that are not
/// encoded yet.
pub(super) fn start<'scope>(
    threads: &StageThreads<'scope, '_>,
    encoders: Encoders,
    (setup, reporter): (&'scope WorkerSetup, Reporter),
    (pending, to_sink): (Receiver<Item<PendingFile>>, Sender<Item<EncodedFile>>),
    stop: &'scope AtomicBool,
) {
    let is_batched = encoders.is_batched();
    let mut sessions = RunStage {
        encoders,
        batches: BatchReporter::new(reporter, setup.plays_device),
    };
    if !is_batched {
        threads.start(move || one_by_one(setup, &mut sessions, (&pending, &to_sink), stop));
        return;
    }
    // Without capacity: at most one collection is in each stage, and none between them.
    let (to_run, collected) = bounded(0);
    let (to_finish, ran) = bounded(0);
    threads.start(move || {
        CollectStage::new(LookUp::new(setup), setup.file_timeout).run(&pending, &to_run, stop)
    });
    threads.start(move || Ok(sessions.run(&collected, &to_finish, stop)?));
    threads.start(move || {
        FinishStage::default().run(&ran, &to_sink);
        Ok(())
    });
}

/// Do all steps for one file after the other.
fn one_by_one(
    setup: &WorkerSetup,
    sessions: &mut RunStage,
    (pending, to_sink): (&Receiver<Item<PendingFile>>, &Sender<Item<EncodedFile>>),
    stop: &AtomicBool,
) -> Result<(), StageError> {
    let mut look_up = LookUp::new(setup);
    let mut finish = FinishStage::default();
    for item in pending {
        let is_dropped = !matches!(item, Item::Begin(_)) && stop.load(Ordering::Relaxed);
        if is_dropped {
            continue;
        }
        let item = item
            .try_map(|file| file.wait(setup.file_timeout))
            .map_err(StageError::InputCrash)?;
        let ran = sessions.run_over(look_up.collected(vec![item])?)?;
        // A sink that is gone has reported its own error.
        if finish.finish(ran, to_sink).is_err() {
            break;
        }
    }
    Ok(())
}
