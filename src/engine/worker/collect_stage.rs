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
