//! The sink's thread: commits files to their segment file, strictly in the order in which they come.
//!
//! Owns the segment writer. What it has not committed does not exist: progress is reported after the
//! commit, never before.

use super::Reporter;
use super::dispatch::{Item, Opened, internal, output};
use super::encode_stage::EncodedFile;
use crate::file::FileOutcome;
use crate::protocol::{Failure, FromWorker};
use crossbeam_channel::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

/// The first failure of any stage.
#[derive(Clone, Default)]
pub(super) struct Failing(Arc<Mutex<Option<Failure>>>);

impl Failing {
    pub fn set(&self, failure: Failure) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(failure);
    }

    pub fn get(&self) -> Option<Failure> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Runs until the encoder is done. A segment left without its `End` keeps what is committed and is
/// continued by whoever gets it next.
pub(super) fn run(
    encoded: &Receiver<Item<EncodedFile>>,
    reporter: &Reporter,
    device: &str,
) -> Result<(), Failure> {
    let mut open: Option<Box<Opened>> = None;
    for item in encoded {
        match item {
            Item::Begin(opened) => open = Some(opened),
            Item::File(file) => {
                let opened = open
                    .as_mut()
                    .ok_or_else(|| internal("a file before its segment"))?;
                commit(opened, file, reporter)?;
            }
            Item::End => {
                let opened = open
                    .take()
                    .ok_or_else(|| internal("an end without a segment"))?;
                let segment = opened.task.id;
                opened.writer.finish(device).map_err(output)?;
                reporter.tell(FromWorker::Done { segment });
            }
        }
    }
    Ok(())
}

fn commit(opened: &mut Opened, file: EncodedFile, reporter: &Reporter) -> Result<(), Failure> {
    opened
        .writer
        .commit_file(&file.record, &file.chunks)
        .map_err(output)?;
    let mut work = file.work;
    work.skipped = u64::from(matches!(file.record.outcome, FileOutcome::Skipped { .. }));
    reporter.tell(FromWorker::Committed {
        segment: opened.task.id,
        work,
        file: file.record.entry.path.spelling().into_owned(),
    });
    if let Some(committed) = &opened.committed {
        // The dispatcher may have been told to stop.
        let _ = committed.send(());
    }
    Ok(())
}
