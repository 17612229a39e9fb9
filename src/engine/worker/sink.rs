//! The sink's thread: commits files to their segment file, in the order in which they come.
//!
//! Owns the segment writer. Reports progress after the commit, never before.

use super::items::{EncodedFile, Item, OpenSegment};
use super::reporter::Reporter;
use super::stage_error::{internal_failure, store_failure};
use crate::failpoint::failpoint;
use crate::failure::Failure;
use crate::protocol::{FromWorker, Work};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Run until the encoder is done. A segment without its `End` keeps what is committed; the next worker that gets
/// it continues.
pub(super) fn run(
    encoded: &Receiver<Item<EncodedFile>>,
    reporter: &Reporter,
    device: &str,
) -> Result<(), Failure> {
    let mut open: Option<CommitGroup> = None;
    loop {
        let item = match open.as_ref().and_then(CommitGroup::deadline) {
            None => encoded.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => encoded.recv_deadline(deadline),
        };
        match item {
            Ok(Item::Begin(opened)) => open = Some(CommitGroup::new(opened)),
            Ok(Item::File(file)) => {
                let group = open
                    .as_mut()
                    .ok_or_else(|| internal_failure("a file before its segment"))?;
                group.add(file, reporter)?;
            }
            Ok(Item::End) => {
                let group = open
                    .take()
                    .ok_or_else(|| internal_failure("an end without a segment"))?;
                group.finish(device, reporter)?;
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(group) = &mut open {
                    group.commit(reporter)?;
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                // Stopped in the middle of a segment: keep what is encoded.
                return open.map_or(Ok(()), |mut group| group.commit(reporter));
            }
        }
    }
}

/// Files of one segment on their way into its next write. One write for several small files saves calls and messages.
struct CommitGroup {
    opened: Box<OpenSegment>,
    files: Vec<EncodedFile>,
    bytes: usize,
    /// When the oldest of the files came.
    since: Option<Instant>,
}

/// Approximate text in a write. Four times as much gained nothing measurable when segments were SQLite databases.
const GROUP_BYTES: usize = 256 * 1024;

/// Encoded work that a kill may lose at most.
const GROUP_TIME: Duration = Duration::from_millis(200);

impl CommitGroup {
    fn new(opened: Box<OpenSegment>) -> Self {
        Self {
            opened,
            files: Vec::new(),
            bytes: 0,
            since: None,
        }
    }

    /// Return when to commit the group, however small it is.
    fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + GROUP_TIME)
    }

    fn add(&mut self, file: EncodedFile, reporter: &Reporter) -> Result<(), Failure> {
        self.bytes += file
            .chunks
            .iter()
            .map(|encoded| encoded.tagged.chunk.text.len())
            .sum::<usize>();
        self.files.push(file);
        let since = *self.since.get_or_insert_with(Instant::now);
        let full = self.bytes >= GROUP_BYTES || since.elapsed() >= GROUP_TIME;
        // A test may want a write for every file.
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
        self.opened.writer.commit(&rows).map_err(store_failure)?;
        failpoint!("sink::committed", self.opened.task.shard_label);
        let mut work = Work::default();
        let mut last = String::new();
        for file in self.files.drain(..) {
            work += file.work;
            last = file.record.entry.path.spelling().into_owned();
        }
        reporter.send(FromWorker::FilesCommitted {
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
        self.opened.writer.finish(device).map_err(store_failure)?;
        failpoint!("sink::finished", shard);
        reporter.send(FromWorker::SegmentDone { segment });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Chunk;
    use crate::file::{FileEntry, FileOutcome, FileRecord, RelPath, TextKind};
    use crate::ids::{Digest, SegmentId, ShardId};
    use crate::protocol::SegmentTask;
    use crate::store::segment::{EncodedChunk, SegmentHeader, SegmentReader, SegmentWriter};
    use crate::tag::{TaggedChunk, Tags, Visibility};
    use crate::vector::Vectors;
    use crossbeam_channel::bounded;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;

    fn file(n: usize, chunks: usize, chunk_bytes: usize) -> EncodedFile {
        let chunk = |sequence: usize| {
            let text = format!("{n} {sequence} {}", "x".repeat(chunk_bytes));
            EncodedChunk {
                tagged: TaggedChunk {
                    chunk: Chunk::new(text.into(), sequence as u32, false),
                    tags: Tags::default(),
                    visibility: Visibility::Open,
                },
                n_tokens: 1,
                vectors: Vectors::default(),
            }
        };
        EncodedFile {
            record: FileRecord {
                entry: FileEntry {
                    path: RelPath::from_spelling(&format!("{n:05}.rs")).expect("a path"),
                    size: 1,
                    mtime_ns: 0,
                },
                hash: None,
                sha256: None,
                outcome: FileOutcome::Indexed {
                    chunks: chunks as u32,
                    credentials: 0,
                    text: TextKind::default(),
                },
            },
            chunks: (0..chunks).map(chunk).collect(),
            work: Work {
                files: 1,
                ..Work::default()
            },
        }
    }

    fn opened(path: &Path) -> Box<OpenSegment> {
        let header = SegmentHeader {
            fingerprint: Digest([0; 32]),
            identity: "s".to_owned(),
        };
        Box::new(OpenSegment {
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
                authored: Vec::new(),
                quarantined: Vec::new(),
                suspect: Vec::new(),
                planned: None,
                careful: false,
            }),
            writer: SegmentWriter::open(path, &header).expect("opens"),
            committed: None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(2)))]

        /// However files are grouped into writes, and wherever the queue ends: what was sent is committed,
        /// in the order in which it was sent, and reported after the commit.
        #[test]
        fn what_is_sent_is_committed_oldest_first(
            sizes in proptest::collection::vec((1usize..4, 0usize..120_000), 0..20),
            ends in any::<bool>(),
        ) {
            let folder = crate::test_folder::create();
            let path = folder.path().join("0.seg");
            let (to_sink, encoded) = bounded(sizes.len() + 2);
            let (reporter, reports) = Reporter::channel(sizes.len() + 2);
            to_sink.send(Item::Begin(opened(&path))).expect("sent");
            for (n, (chunks, bytes)) in sizes.iter().enumerate() {
                to_sink.send(Item::File(file(n, *chunks, *bytes))).expect("sent");
            }
            if ends {
                to_sink.send(Item::End).expect("sent");
            }
            drop(to_sink);
            run(&encoded, &reporter, "cpu").expect("runs");
            drop(reporter);
            let reader = SegmentReader::open(&path).expect("a segment");
            let names: Vec<_> = reader
                .ledger()
                .iter()
                .map(|record| record.entry.path.to_string())
                .collect();
            let sent: Vec<_> = (0..sizes.len()).map(|n| format!("{n:05}.rs")).collect();
            prop_assert_eq!(names, sent);
            prop_assert_eq!(reader.device().is_some(), ends);
            let mut files = 0;
            let mut done = false;
            for report in reports {
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
