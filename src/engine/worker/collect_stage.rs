//! For a device: collects the files that are ready, so that batches are full.
//!
//! While the sessions run over one collection, the next one is collected.

use super::collection::Collection;
use super::items::{Collected, Item, NextGone, PendingFile};
use super::look_up::LookUp;
use super::stage_error::StageError;
use crate::failure::Failure;
use crossbeam_channel::{Receiver, Select, Sender};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(super) struct CollectStage {
    look_up: LookUp,
    file_timeout: Duration,
    collection: Collection,
    /// Whether the last segment that began is done one file at a time: its next file comes after this one's commit.
    is_careful: bool,
}

impl CollectStage {
    pub fn new(look_up: LookUp, file_timeout: Duration) -> Self {
        Self {
            look_up,
            file_timeout,
            collection: Collection::default(),
            is_careful: false,
        }
    }

    /// Run until the dispatcher is done. After a stop, drops the files that come.
    ///
    /// `to_run` has no capacity: a collection is passed on when the sessions are ready for it.
    pub fn run(
        &mut self,
        pending: &Receiver<Item<PendingFile>>,
        to_run: &Sender<Collected>,
        stop: &AtomicBool,
    ) -> Result<(), StageError> {
        loop {
            if self.is_due_before(pending, to_run) && self.pass_on(to_run)?.is_err() {
                return Ok(());
            }
            let Ok(item) = pending.recv() else { break };
            match &item {
                Item::End | Item::File(_) if stop.load(Ordering::Relaxed) => continue,
                Item::Begin(segment) => self.is_careful = segment.task.careful,
                Item::File(file) => {
                    let is_late = self.is_due_before(&file.prepared, to_run);
                    if is_late && self.pass_on(to_run)?.is_err() {
                        return Ok(());
                    }
                }
                Item::End => {}
            }
            let item = item
                .try_map(|file| file.wait(self.file_timeout))
                .map_err(StageError::InputCrash)?;
            self.collection.push(item);
            if self.collection.is_full() && self.pass_on(to_run)?.is_err() {
                return Ok(());
            }
        }
        // A stage that is gone has reported its own error.
        let _ = self.pass_on(to_run)?;
        Ok(())
    }

    /// Wait until `source` has something, or until the collection must go on without it: its time is up and the sessions have
    /// nothing to do. Return whether it must.
    fn is_due_before<T>(&self, source: &Receiver<T>, to_run: &Sender<Collected>) -> bool {
        // With nothing collected there is nothing to hold up.
        let Some(deadline) = self.collection.deadline() else {
            return false;
        };
        let deadline = match self.is_careful {
            true => Instant::now(),
            false => deadline,
        };
        let mut select = Select::new();
        select.recv(source);
        if select.ready_deadline(deadline).is_ok() {
            return false;
        }
        let sessions = select.send(to_run);
        select.ready() == sessions
    }

    fn pass_on(&mut self, to_run: &Sender<Collected>) -> Result<Result<(), NextGone>, Failure> {
        let items = self.collection.take();
        if items.is_empty() {
            return Ok(Ok(()));
        }
        let collected = self.look_up.collected(items)?;
        Ok(to_run.send(collected).map_err(|_| NextGone))
    }
}

#[cfg(test)]
mod tests {
    use super::super::items::samples::{file, names, pending, prepared};
    use super::*;
    use crossbeam_channel::{RecvTimeoutError, bounded, unbounded};
    use std::thread;

    const LONGER_THAN_COLLECTING: Duration = Duration::from_millis(300);
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Run the stage over what `feed` sends, which also takes the collections and may stop the worker. Return how the stage ended.
    fn collect(
        feed: impl FnOnce(Sender<Item<PendingFile>>, Receiver<Collected>, &AtomicBool),
    ) -> Result<(), StageError> {
        let (to_stage, items) = unbounded();
        let (to_run, collections) = bounded(0);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let stop = &stop;
            let stage = scope.spawn(move || {
                CollectStage::new(LookUp::in_nothing(), PATIENCE).run(&items, &to_run, stop)
            });
            feed(to_stage, collections, stop);
            stage.join().expect("does not panic")
        })
    }

    fn files_of(collected: Result<Collected, RecvTimeoutError>) -> Vec<String> {
        let collected = collected.expect("a collection");
        names(&collected.items, |file| &file.file.record)
    }

    #[test]
    fn a_collection_grows_while_the_sessions_are_at_work() {
        let ended = collect(|to_stage, collections, _| {
            to_stage.send(prepared(0)).expect("sent");
            thread::sleep(LONGER_THAN_COLLECTING);
            to_stage.send(prepared(1)).expect("sent");
            to_stage.send(prepared(2)).expect("sent");
            thread::sleep(LONGER_THAN_COLLECTING);
            assert_eq!(
                files_of(collections.recv_timeout(PATIENCE)),
                ["0", "1", "2"]
            );
            // The sessions wait now: what comes goes on without the rest.
            to_stage.send(prepared(3)).expect("sent");
            assert_eq!(files_of(collections.recv_timeout(PATIENCE)), ["3"]);
        });
        assert!(ended.is_ok());
    }

    #[test]
    fn a_file_that_crashes_holds_up_no_file_before_it() {
        let ended = collect(|to_stage, collections, _| {
            let (crashing, crash) = pending(1);
            to_stage.send(prepared(0)).expect("sent");
            to_stage.send(Item::File(crashing)).expect("sent");
            assert_eq!(files_of(collections.recv_timeout(PATIENCE)), ["0"]);
            crash.send(Err("it panicked".to_owned())).expect("sent");
            let ended = collections.recv_timeout(PATIENCE).map(|_| ());
            assert_eq!(ended, Err(RecvTimeoutError::Disconnected));
        });
        let Err(StageError::InputCrash(crash)) = ended else {
            panic!("no crash: {ended:?}");
        };
        assert_eq!(crash.file.map(|(_, n)| n), Some(1));
        assert_eq!(crash.reason, "it panicked");
    }

    #[test]
    fn files_that_come_after_a_stop_are_dropped() {
        let ended = collect(|to_stage, collections, stop| {
            to_stage.send(prepared(0)).expect("sent");
            assert_eq!(files_of(collections.recv_timeout(PATIENCE)), ["0"]);
            stop.store(true, Ordering::Relaxed);
            let (waits, prepared_later) = pending(1);
            to_stage.send(Item::File(waits)).expect("sent");
            drop(to_stage);
            let ended = collections.recv_timeout(PATIENCE).map(|_| ());
            assert_eq!(ended, Err(RecvTimeoutError::Disconnected));
            // Nobody waited for it.
            assert!(prepared_later.send(Ok(file(1))).is_err());
        });
        assert!(ended.is_ok());
    }

    #[test]
    fn sessions_that_are_gone_end_the_stage_without_an_error() {
        let ended = collect(|to_stage, collections, _| {
            drop(collections);
            to_stage.send(prepared(0)).expect("sent");
            // The stage ends although the dispatcher's end of the queue is there.
            while to_stage.send(prepared(1)).is_ok() {
                thread::yield_now();
            }
        });
        assert!(ended.is_ok());
    }
}
