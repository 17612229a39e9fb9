//! Feeds the stages of a worker, one segment after the other, without a gap between them.
//!
//! Opens the segment file, skips the files it already holds, and sends the rest down the line. Never
//! looks at a file's content.

use super::encode_stage;
use super::file_pipeline::{FilePipeline, PreparedFile, skip_unread};
use super::items::{Item, OpenSegment, PendingFile, STOP_CHECK};
use super::pool::FilePool;
use super::reporter::Reporter;
use super::resume::{self, reconcile};
use super::sink;
use super::stage_error::{FirstError, StageError, internal_failure, panic_text, store_failure};
use super::stage_threads::StageThreads;
use crate::encode::Encoders;
use crate::failpoint::failpoint;
use crate::failure::Failure;
use crate::file::{FileEntry, SkipReason};
use crate::protocol::{FromWorker, SegmentTask, ToWorker, WorkerSetup};
use crate::store::segment::SegmentWriter;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select, unbounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Files between the pool and the encoder, per pool thread: enough that one slow file does not starve the
/// encoder. Twice as many hold twice the memory in prepared text (at most 200 KB a file).
const FILES_PER_THREAD: usize = 4;

/// The same for a device. It takes a thousand chunks together while the pool prepares the next thousand; a file
/// has about ten, a small one has one.
const FILES_PER_THREAD_OF_A_DEVICE: usize = 32;
const LEAST_FILES_OF_A_DEVICE: usize = 256;

/// Files between the encoder and the sink. They hold vectors, so they are larger than prepared files.
const ENCODED_FILES: usize = 8;

/// The same for a device: about a collection. While the sink waits for the disk at the end of a segment, a device encodes
/// hundreds of files.
const ENCODED_FILES_OF_A_DEVICE: usize = 256;

/// Work on segments until the inbox ends or `stop` is set. Returns when everything encoded is committed.
pub(super) fn serve(
    setup: WorkerSetup,
    encoders: Encoders,
    inbox: &Receiver<ToWorker>,
    reporter: &Reporter,
    stop: &AtomicBool,
) -> Result<(), StageError> {
    let threads = setup.file_workers.max(1) as usize;
    let pool = FilePool::start(threads);
    let pipeline = Arc::new(FilePipeline {
        recipe: setup.recipe.clone(),
        limits: setup.limits,
        tokenizers: encoders.tokenizer(),
    });
    let device_name = encoders.device_name();
    let device = device_name.as_str();
    let (pending_files, encoded_files) = match encoders.is_batched() {
        true => (
            (threads * FILES_PER_THREAD_OF_A_DEVICE).max(LEAST_FILES_OF_A_DEVICE),
            ENCODED_FILES_OF_A_DEVICE,
        ),
        false => (threads * FILES_PER_THREAD, ENCODED_FILES),
    };
    let (to_encoder, pending) = bounded(pending_files);
    let (to_sink, encoded) = bounded(encoded_files);
    let first_error = FirstError::default();
    // One message a stage.
    let (ended, stage_ended) = unbounded();

    thread::scope(|scope| {
        let threads = StageThreads {
            scope,
            first_error: first_error.clone(),
            ended,
        };
        let queues = (pending, to_sink);
        encode_stage::start(&threads, encoders, (&setup, reporter.clone()), queues, stop);
        let sink_reporter = reporter.clone();
        threads.start(move || Ok(sink::run(&encoded, &sink_reporter, device)?));
        let dispatcher = Dispatcher {
            setup: &setup,
            pool: &pool,
            pipeline,
            device,
            to_encoder,
            reporter,
            stop,
            stage_ended,
        };
        // The end of the dispatcher ends the encoder, stage by stage, which ends the sink.
        dispatcher
            .run(inbox)
            .or_else(|error| match first_error.get() {
                Some(_) => Ok(()),
                None => Err(error),
            })
    })?;
    first_error.get().map_or(Ok(()), Err)
}

struct Dispatcher<'a> {
    setup: &'a WorkerSetup,
    pool: &'a FilePool,
    pipeline: Arc<FilePipeline>,
    /// Where this worker's encoders run.
    device: &'a str,
    to_encoder: Sender<Item<PendingFile>>,
    reporter: &'a Reporter,
    stop: &'a AtomicBool,
    stage_ended: Receiver<()>,
}

impl Dispatcher<'_> {
    fn run(&self, inbox: &Receiver<ToWorker>) -> Result<(), Failure> {
        loop {
            let message = select! {
                recv(inbox) -> message => message,
                // No stage would take another segment.
                recv(self.stage_ended) -> _ => return Ok(()),
            };
            match message {
                Err(_) => return Ok(()),
                Ok(_) if self.stopped() => return Ok(()),
                Ok(ToWorker::Assign(task)) => self.work_on(*task)?,
                Ok(_) => return Err(internal_failure("unexpected message after setup")),
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn work_on(&self, task: SegmentTask) -> Result<(), Failure> {
        let header = resume::header(&task, self.setup.fingerprint);
        failpoint!("segment::open", task.shard_label);
        let mut writer = SegmentWriter::open(&task.path, &header).map_err(store_failure)?;
        failpoint!("segment::opened", task.shard_label);
        let done = reconcile(&mut writer, &task, &self.setup.limits, self.device)?;
        self.reporter.send(FromWorker::SegmentOpened {
            segment: task.id,
            done: done.work,
        });
        let task = Arc::new(task);
        let (committed, commits) = bounded(1);
        self.send(Item::Begin(Box::new(OpenSegment {
            task: Arc::clone(&task),
            writer,
            committed: task.careful.then_some(committed),
        })))?;
        for (n, entry) in task.files.iter().enumerate() {
            if done.files.contains(&n) {
                continue;
            }
            if self.stopped() {
                return Ok(());
            }
            if task.careful {
                self.reporter.send_and_flush(FromWorker::FileStarted {
                    segment: task.id,
                    file: n as u32,
                });
            }
            self.prepare(&task, n as u32, entry)?;
            if task.careful && !wait_for_commit(&commits, self.stop) {
                return Ok(());
            }
        }
        self.send(Item::End)
    }

    fn prepare(&self, task: &Arc<SegmentTask>, n: u32, entry: &FileEntry) -> Result<(), Failure> {
        let (prepared, waits) = bounded(1);
        let pending = PendingFile {
            file: (task.id, n),
            prepared: waits,
        };
        if let Some((_, reason)) = task.quarantined.iter().find(|(file, _)| *file == n) {
            let record = skip_unread(entry, SkipReason::Quarantined, reason.clone());
            let _ = prepared.send(Ok(PreparedFile::skipped(record)));
            return self.send(Item::File(pending));
        }
        self.send(Item::File(pending))?;
        let task = Arc::clone(task);
        let pipeline = Arc::clone(&self.pipeline);
        self.pool.run(move || {
            // The worker ends after a panic, so no half-done state is used again.
            let prepare = || pipeline.prepare(&task, n);
            let file = catch_unwind(AssertUnwindSafe(prepare))
                .map_err(|payload| panic_text(payload.as_ref()));
            // The encoder is gone when the worker is stopping.
            let _ = prepared.send(file);
        });
        Ok(())
    }

    fn send(&self, item: Item<PendingFile>) -> Result<(), Failure> {
        self.to_encoder
            .send(item)
            .map_err(|_| internal_failure("the encoder has stopped"))
    }
}

/// Wait for the commit of the file in hand. Return `false` when there will be none: the sink is gone, or the
/// worker was told to stop and the encoder dropped the file.
fn wait_for_commit(commits: &Receiver<()>, stop: &AtomicBool) -> bool {
    loop {
        match commits.recv_timeout(STOP_CHECK) {
            Ok(()) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return false,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_ends_the_wait_for_a_file_that_was_dropped() {
        let (committed, commits) = bounded(1);
        let stop = AtomicBool::new(false);
        committed.send(()).expect("room for one");
        assert!(wait_for_commit(&commits, &stop));
        stop.store(true, Ordering::Relaxed);
        // The sender lives on in the sink, so only the flag can end this.
        assert!(!wait_for_commit(&commits, &stop));
        stop.store(false, Ordering::Relaxed);
        drop(committed);
        assert!(!wait_for_commit(&commits, &stop));
    }
}
