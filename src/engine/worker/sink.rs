//! The sink's thread: commits files to their segment file, strictly in the order in which they come.
//!
//! Owns the segment writer. What it has not committed does not exist: progress is reported after the
//! commit, never before.

use super::Reporter;
use super::dispatch::{Item, Opened};
use super::encode_stage::EncodedFile;
use super::halt::{internal, output};
use crate::failpoint::failpoint;
use crate::failure::Failure;
use crate::protocol::{FromWorker, Work};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

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
        // A test may want a transaction for every file.
        let alone = failpoint!("sink::group", self.opened.task.shard_label);
        if full || alone || self.opened.committed.is_some() {
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
        failpoint!("sink::commit", self.opened.task.shard_label);
        self.opened.writer.commit(&rows).map_err(output)?;
        failpoint!("sink::committed", self.opened.task.shard_label);
        let mut work = Work::default();
        let mut last = String::new();
        for file in self.files.drain(..) {
            work += file.work;
            last = file.record.entry.path.spelling().into_owned();
        }
        reporter.tell(FromWorker::FilesCommitted {
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
        let shard = &self.opened.task.shard_label;
        failpoint!("sink::finish", shard);
        self.opened.writer.finish(device).map_err(output)?;
        failpoint!("sink::finished", shard);
        reporter.tell(FromWorker::SegmentDone { segment });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{FileEntry, FileOutcome, FileRecord, RelPath};
    use crate::ids::{Digest, SegmentId, ShardId};
    use crate::protocol::SegmentTask;
    use crate::store::segment::{ChunkRecord, SegmentHeader, SegmentReader, SegmentWriter};
    use crate::tag::Tags;
    use crossbeam_channel::{bounded, unbounded};
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;

    fn file(n: usize, chunks: usize, chunk_bytes: usize) -> EncodedFile {
        let chunk = |sequence: usize| ChunkRecord {
            sequence: sequence as u32,
            text: format!("{n} {sequence} {}", "x".repeat(chunk_bytes)),
            is_fragment: false,
            n_tokens: 1,
            tags: Tags::default(),
            sparse: None,
            dense: None,
            chromatin: 0,
            route_words: Vec::new(),
        };
        EncodedFile {
            record: FileRecord {
                entry: FileEntry {
                    path: RelPath::from_spelling(&format!("{n:05}.rs")).expect("a path"),
                    size: 1,
                    mtime_ns: 0,
                },
                hash: None,
                outcome: FileOutcome::Indexed {
                    chunks: chunks as u32,
                    credentials: 0,
                },
            },
            chunks: (0..chunks).map(chunk).collect(),
            work: Work {
                files: 1,
                ..Work::default()
            },
        }
    }

    fn opened(path: &Path) -> Box<Opened> {
        let header = SegmentHeader {
            fingerprint: Digest([0; 32]),
            identity: "s".to_owned(),
        };
        Box::new(Opened {
            task: Arc::new(SegmentTask {
                id: SegmentId {
                    shard: ShardId(0),
                    index: 0,
                },
                path: path.to_path_buf(),
                shard_label: "s".to_owned(),
                root_label: "s".to_owned(),
                root_path: path.to_path_buf(),
                files: Vec::new(),
                quarantined: Vec::new(),
                careful: false,
            }),
            writer: SegmentWriter::open(path, &header).expect("opens"),
            committed: None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// However files fall into transactions, and wherever the line ends: what was sent is committed,
        /// in the order in which it was sent, and told after it is there.
        #[test]
        fn what_is_sent_is_committed_oldest_first(
            sizes in proptest::collection::vec((1usize..4, 0usize..120_000), 0..20),
            ends in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("0.seg");
            let (to_sink, encoded) = bounded(sizes.len() + 2);
            let (reports, told) = unbounded();
            to_sink.send(Item::Begin(opened(&path))).expect("sent");
            for (n, (chunks, bytes)) in sizes.iter().enumerate() {
                to_sink.send(Item::File(file(n, *chunks, *bytes))).expect("sent");
            }
            if ends {
                to_sink.send(Item::End).expect("sent");
            }
            drop(to_sink);
            run(&encoded, &Reporter(reports), "cpu").expect("runs");
            let reader = SegmentReader::open(&path).expect("a segment");
            let names: Vec<_> = reader
                .ledger()
                .expect("readable")
                .iter()
                .map(|record| record.entry.path.to_string())
                .collect();
            let sent: Vec<_> = (0..sizes.len()).map(|n| format!("{n:05}.rs")).collect();
            prop_assert_eq!(names, sent);
            prop_assert_eq!(reader.device().is_some(), ends);
            let mut files = 0;
            let mut done = false;
            for report in told {
                match report.message {
                    FromWorker::FilesCommitted { work, .. } => {
                        prop_assert!(!done);
                        files += work.files;
                    }
                    FromWorker::SegmentDone { .. } => done = true,
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!((files, done), (sizes.len() as u64, ends));
        }
    }
}
