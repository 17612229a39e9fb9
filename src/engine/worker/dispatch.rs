//! Feeds the stages, one segment after the other, without a gap between them.
//!
//! Opens the segment file, leaves out what it holds already, and sends the rest down the line. Never
//! looks at a file's content.

use super::Reporter;
use super::encode_stage::EncodeStage;
use super::halt::{Halt, Halting, internal, output, panic_text};
use super::prepare::{PreparedFile, Preparer, left_out};
use super::sink;
use crate::encode::Encoders;
use crate::failpoint::failpoint;
use crate::failure::Failure;
use crate::file::{FileEntry, FileOutcome, FileRecord, SkipReason};
use crate::ids::SegmentId;
use crate::protocol::{FromWorker, SegmentTask, ToWorker, Work, WorkerSetup};
use crate::store::segment::{SegmentHeader, SegmentWriter};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select, unbounded};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Files between the pool and the encoder, per pool thread. Enough that one slow file does not starve
/// the encoder; doubling it doubles the memory held in prepared text (at most 200 KB a file).
const SLOTS_PER_FILE_WORKER: usize = 4;

/// The same for a device, which takes a thousand chunks together while the next thousand are prepared; a file is some
/// ten, and small ones are one.
const SLOTS_PER_FILE_WORKER_OF_A_DEVICE: usize = 32;
const LEAST_SLOTS_OF_A_DEVICE: usize = 256;

/// Stack of a pool thread. Parsing a section of a file may need 5 MiB; with less it takes a new stack
/// for each, which costs more than the parsing of a small one. Only touched pages count.
const FILE_WORKER_STACK: usize = 16 << 20;

/// How often a wait looks whether the worker was told to stop.
pub(super) const STOP_CHECK: Duration = Duration::from_millis(50);

/// What travels down the line, in order.
pub(super) enum Item<F> {
    /// Boxed: it is rare, and much larger than the others.
    Begin(Box<Opened>),
    File(F),
    /// Everything of the segment was sent.
    End,
}

/// A segment whose file is open for writing.
pub(super) struct Opened {
    pub task: Arc<SegmentTask>,
    pub writer: SegmentWriter,
    /// Told after each commit, in careful mode.
    pub committed: Option<Sender<()>>,
}

/// A file on its way through the pool.
pub(super) struct Slot {
    pub file: (SegmentId, u32),
    /// Holds one value once the file is prepared; an error is the text of a panic.
    pub filled: Receiver<Result<PreparedFile, String>>,
}

/// Tells the dispatcher when a stage's thread ends, be it by a panic. None does before the dispatcher
/// lets go of it, unless it failed.
struct Ended(Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // A dispatcher that is gone did not wait for it.
        let _ = self.0.send(());
    }
}

/// Works on segments until the inbox ends or `stop` is set; returns when all that was encoded is
/// committed.
pub(super) fn serve(
    setup: WorkerSetup,
    encoders: Encoders,
    inbox: &Receiver<ToWorker>,
    reporter: &Reporter,
    stop: &Arc<AtomicBool>,
) -> Result<(), Halt> {
    let file_workers = setup.file_workers.max(1) as usize;
    let pool = start_pool(file_workers);
    let preparer = Arc::new(Preparer {
        recipe: setup.recipe.clone(),
        limits: setup.limits,
        texts: encoders.tokenizer(),
    });
    let device_name = encoders.device_name();
    let device = device_name.as_str();
    // The slots are the bound on prepared files; the sink's queue holds encoded ones.
    let slots = match encoders.is_batched() {
        true => (file_workers * SLOTS_PER_FILE_WORKER_OF_A_DEVICE).max(LEAST_SLOTS_OF_A_DEVICE),
        false => file_workers * SLOTS_PER_FILE_WORKER,
    };
    let (to_encoder, slots) = bounded(slots);
    let (to_sink, encoded) = bounded(8);
    let halting = Halting::default();
    // One word a stage.
    let (ended, stage_ended) = unbounded();

    thread::scope(|scope| {
        let encoder_stop = Arc::clone(stop);
        let encoder_halting = halting.clone();
        let encoder_reporter = reporter.clone();
        let encoder_ended = Ended(ended.clone());
        let setup_ref = &setup;
        scope.spawn(move || {
            let _ended = encoder_ended;
            let stage = EncodeStage::new(encoders, setup_ref, encoder_reporter);
            if let Err(halt) = stage.run(&slots, &to_sink, &encoder_stop) {
                encoder_halting.set(halt);
            }
        });
        let sink_reporter = reporter.clone();
        let sink_halting = halting.clone();
        let sink_ended = Ended(ended);
        scope.spawn(move || {
            let _ended = sink_ended;
            if let Err(failure) = sink::run(&encoded, &sink_reporter, device) {
                sink_halting.set(failure.into());
            }
        });
        let dispatcher = Dispatcher {
            setup: &setup,
            pool: pool.as_ref(),
            preparer,
            device,
            to_encoder,
            reporter,
            stop,
            stage_ended,
        };
        // Dropping the dispatcher ends the encoder, which ends the sink.
        dispatcher.run(inbox).or_else(|error| match halting.get() {
            Some(_) => Ok(()),
            None => Err(error),
        })
    })?;
    halting.get().map_or(Ok(()), Err)
}

/// The threads that prepare files. `None` where they cannot be started (a limit on processes, or on memory): then the
/// work goes on with one thread fewer, and slower.
fn start_pool(threads: usize) -> Option<rayon::ThreadPool> {
    let built = match failpoint!("worker::pool", threads) {
        true => Err("asked to fail".to_owned()),
        false => rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .stack_size(FILE_WORKER_STACK)
            .thread_name(|n| format!("file-worker-{n}"))
            .build()
            .map_err(|error| error.to_string()),
    };
    match built {
        Ok(pool) => Some(pool),
        Err(error) => {
            tracing::warn!(
                "{threads} file workers cannot be started ({error}): files are prepared one after the other; \
                 choose fewer with --shard-file-workers"
            );
            None
        }
    }
}

struct Dispatcher<'a> {
    setup: &'a WorkerSetup,
    /// Without one, files are prepared by this thread, one after the other.
    pool: Option<&'a rayon::ThreadPool>,
    preparer: Arc<Preparer>,
    /// Where this worker's encoders run.
    device: &'a str,
    to_encoder: Sender<Item<Slot>>,
    reporter: &'a Reporter,
    stop: &'a AtomicBool,
    stage_ended: Receiver<()>,
}

impl Dispatcher<'_> {
    fn run(&self, inbox: &Receiver<ToWorker>) -> Result<(), Failure> {
        loop {
            let message = select! {
                recv(inbox) -> message => message,
                // Nobody would take what comes; with no segment to come, nobody would notice either.
                recv(self.stage_ended) -> _ => return Ok(()),
            };
            match message {
                Err(_) => return Ok(()),
                Ok(_) if self.stopped() => return Ok(()),
                Ok(ToWorker::Assign(task)) => self.segment(*task)?,
                Ok(_) => return Err(internal("unexpected message after setup")),
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn segment(&self, task: SegmentTask) -> Result<(), Failure> {
        let header = SegmentHeader {
            fingerprint: self.setup.fingerprint,
            identity: format!("{}/{}", task.shard_label, task.root_label),
        };
        failpoint!("segment::open", task.shard_label);
        let mut writer = SegmentWriter::open(&task.path, &header).map_err(output)?;
        failpoint!("segment::opened", task.shard_label);
        let done = self.reconcile(&mut writer, &task)?;
        let task = Arc::new(task);
        let (committed, commits) = bounded(1);
        self.send(Item::Begin(Box::new(Opened {
            task: Arc::clone(&task),
            writer,
            committed: task.careful.then_some(committed),
        })))?;
        for (n, entry) in task.files.iter().enumerate() {
            if done.contains(&n) {
                continue;
            }
            if self.stopped() {
                return Ok(());
            }
            if task.careful {
                self.reporter.tell_first(FromWorker::FileStarted {
                    segment: task.id,
                    file: n as u32,
                });
            }
            self.file(&task, n as u32, entry)?;
            if task.careful && !wait_for_commit(&commits, self.stop) {
                return Ok(());
            }
        }
        self.send(Item::End)
    }

    /// Compares the segment file with the task: forgets what is not asked for or has changed, and
    /// returns the positions that are complete already. A segment of another device that is not complete is
    /// done again whole, so that none mixes devices.
    fn reconcile(
        &self,
        writer: &mut SegmentWriter,
        task: &SegmentTask,
    ) -> Result<std::collections::HashSet<usize>, Failure> {
        let wanted: HashMap<_, _> = task
            .files
            .iter()
            .enumerate()
            .map(|(n, entry)| (&entry.path, (n, entry)))
            .collect();
        let mut done = std::collections::HashSet::new();
        let mut work = Work::default();
        for record in writer.ledger().map_err(output)? {
            match wanted.get(&record.entry.path) {
                Some((n, entry)) if still_holds(&record, entry) => {
                    done.insert(*n);
                    add(&mut work, &record, entry);
                }
                _ => {
                    writer.forget(&record.entry.path).map_err(output)?;
                    failpoint!("segment::forgot", record.entry.path.spelling());
                }
            }
        }
        let of_another_device = writer.device().is_some_and(|device| device != self.device);
        if done.len() < task.files.len() {
            if of_another_device {
                writer.start_over().map_err(output)?;
                failpoint!("segment::forgot", task.shard_label);
                done.clear();
                work = Work::default();
            }
            writer.encode_on(self.device).map_err(output)?;
        }
        self.reporter.tell(FromWorker::SegmentOpened {
            segment: task.id,
            done: work,
        });
        Ok(done)
    }

    fn file(&self, task: &Arc<SegmentTask>, n: u32, entry: &FileEntry) -> Result<(), Failure> {
        let (filled, slot) = bounded(1);
        let slot = Slot {
            file: (task.id, n),
            filled: slot,
        };
        if let Some((_, reason)) = task.quarantined.iter().find(|(file, _)| *file == n) {
            let file = left_out(entry, SkipReason::Quarantined, reason.clone());
            let _ = filled.send(Ok(file));
            return self.send(Item::File(slot));
        }
        self.send(Item::File(slot))?;
        let task = Arc::clone(task);
        let preparer = Arc::clone(&self.preparer);
        let job = move || {
            // The worker ends after a panic, so nothing half-done is used again.
            let prepare = || preparer.prepare(&task, &task.files[n as usize]);
            let prepared = catch_unwind(AssertUnwindSafe(prepare))
                .map_err(|payload| panic_text(payload.as_ref()));
            // Nobody waits for it when the worker is stopping.
            let _ = filled.send(prepared);
        };
        match self.pool {
            Some(pool) => pool.spawn(job),
            None => job(),
        }
        Ok(())
    }

    fn send(&self, item: Item<Slot>) -> Result<(), Failure> {
        self.to_encoder
            .send(item)
            .map_err(|_| internal("the encoder has stopped"))
    }
}

/// Waits until the file in hand is committed. `false` when it will not be: the sink is gone, or the
/// worker was told to stop and the encoder has dropped the file.
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

/// Whether a committed file needs no second look. What could not be read is tried again, and what an
/// earlier run left out; what this run left out is named in the task.
fn still_holds(record: &FileRecord, entry: &FileEntry) -> bool {
    let quarantined = matches!(
        record.outcome,
        FileOutcome::Skipped {
            reason: SkipReason::Quarantined,
            ..
        }
    );
    !quarantined && record.unread().is_none() && record.entry == *entry
}

fn add(work: &mut Work, record: &FileRecord, entry: &FileEntry) {
    work.files += 1;
    work.bytes += entry.size;
    match record.outcome {
        FileOutcome::Indexed { chunks, .. } => work.chunks += u64::from(chunks),
        FileOutcome::Skipped { .. } => work.skipped += 1,
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
