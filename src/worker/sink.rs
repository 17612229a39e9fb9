//! The sink's thread: commits files to their segment file, strictly in the order in which they come.
//!
//! Owns the segment writer. What it has not committed does not exist: progress is reported after the
//! commit, never before.

use super::Reporter;
use super::dispatch::{Item, Opened, internal, output};
use super::encode_stage::EncodedFile;
use crate::protocol::{Failure, FromWorker, Work};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    let mut open: Option<Group> = None;
    loop {
        let due = open.as_ref().and_then(Group::due);
        let item = match due {
            None => encoded.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => encoded.recv_deadline(due),
        };
        match item {
            Ok(Item::Begin(opened)) => open = Some(Group::new(opened)),
            Ok(Item::File(file)) => {
                let group = open
                    .as_mut()
                    .ok_or_else(|| internal("a file before its segment"))?;
                group.add(file, reporter)?;
            }
            Ok(Item::End) => {
                let group = open
                    .take()
                    .ok_or_else(|| internal("an end without a segment"))?;
                group.finish(device, reporter)?;
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(group) = &mut open {
                    group.commit(reporter)?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                // Stopped in the middle of a segment: what is encoded is kept.
                return open.map_or(Ok(()), |mut group| group.commit(reporter));
            }
        }
    }
}

/// Files of one segment on their way into its next transaction. A transaction writes whole pages, so
/// one for each small file would write most pages several times.
struct Group {
    opened: Box<Opened>,
    files: Vec<EncodedFile>,
    bytes: usize,
    /// When the oldest of them came.
    since: Option<Instant>,
}

/// Text in a transaction, about; four times as much gained nothing measurable.
const GROUP_BYTES: usize = 256 * 1024;

/// What a kill may cost at most, beside the file in hand.
const GROUP_TIME: Duration = Duration::from_millis(200);

impl Group {
    fn new(opened: Box<Opened>) -> Self {
        Self {
            opened,
            files: Vec::new(),
            bytes: 0,
            since: None,
        }
    }

    /// When it has to be committed, however little it holds.
    fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + GROUP_TIME)
    }

    fn add(&mut self, file: EncodedFile, reporter: &Reporter) -> Result<(), Failure> {
        self.bytes += file
            .chunks
            .iter()
            .map(|chunk| chunk.text.len())
            .sum::<usize>();
        self.files.push(file);
        let since = *self.since.get_or_insert_with(Instant::now);
        let full = self.bytes >= GROUP_BYTES || since.elapsed() >= GROUP_TIME;
        if full || self.opened.committed.is_some() {
            self.commit(reporter)?;
        }
        Ok(())
    }

    fn commit(&mut self, reporter: &Reporter) -> Result<(), Failure> {
        if self.files.is_empty() {
            return Ok(());
        }
        let rows = self
            .files
            .iter()
            .map(|file| (&file.record, file.chunks.as_slice()));
        let rows: Vec<_> = rows.collect();
        self.opened.writer.commit(&rows).map_err(output)?;
        let mut work = Work::default();
        let mut last = String::new();
        for file in self.files.drain(..) {
            work += file.work;
            last = file.record.entry.path.spelling().into_owned();
        }
        reporter.tell(FromWorker::Committed {
            segment: self.opened.task.id,
            work,
            file: last,
        });
        if let Some(committed) = &self.opened.committed {
            // The dispatcher may have been told to stop.
            let _ = committed.send(());
        }
        self.bytes = 0;
        self.since = None;
        Ok(())
    }

    fn finish(mut self, device: &str, reporter: &Reporter) -> Result<(), Failure> {
        self.commit(reporter)?;
        let segment = self.opened.task.id;
        self.opened.writer.finish(device).map_err(output)?;
        reporter.tell(FromWorker::Done { segment });
        Ok(())
    }
}
