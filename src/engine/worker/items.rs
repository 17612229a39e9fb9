//! What travels between the stages of a worker, in canonical order.

use super::file_pipeline::PreparedFile;
use crate::encode::{Encoded, RawEncoded, TokenizedText};
use crate::file::FileRecord;
use crate::ids::{SegmentId, ShardId};
use crate::protocol::{InputCrash, SegmentTask, Work};
use crate::store::segment::{EncodedChunk, SegmentWriter};
use crate::vector::Vectors;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::time::Duration;

/// How often a waiting thread checks whether the worker was told to stop.
pub(super) const STOP_CHECK: Duration = Duration::from_millis(50);

/// One item of a stage's queue; `F` is the state of a file there.
pub(super) enum Item<F> {
    /// Boxed: it is rare, and much larger than the others.
    Begin(Box<OpenSegment>),
    File(F),
    /// All files of the segment were sent.
    End,
}

impl<F> Item<F> {
    /// Return the item with its file in another state.
    pub fn try_map<G, E>(self, change: impl FnOnce(F) -> Result<G, E>) -> Result<Item<G>, E> {
        Ok(match self {
            Self::Begin(segment) => Item::Begin(segment),
            Self::File(file) => Item::File(change(file)?),
            Self::End => Item::End,
        })
    }
}

/// The next stage is gone. It has reported its own error.
pub(super) struct NextGone;

/// A segment whose file is open for writing.
pub(super) struct OpenSegment {
    pub task: Arc<SegmentTask>,
    pub writer: SegmentWriter,
    /// Receives a message after each commit, in careful mode.
    pub committed: Option<Sender<()>>,
}

/// A file that a pool thread is preparing.
pub(super) struct PendingFile {
    pub file: (SegmentId, u32),
    /// Gets one value, once the file is prepared. An error is the text of a panic.
    pub prepared: Receiver<Result<PreparedFile, String>>,
}

impl PendingFile {
    /// Wait for the file. It is the oldest one in the pool, so a thread is working on it.
    ///
    /// Counts the time in short waits: a wait during which the whole process was suspended counts once.
    ///
    /// # Errors
    /// The file panicked or took longer than `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<PreparedFile, InputCrash> {
        let mut waited = Duration::ZERO;
        let reason = loop {
            match self.prepared.recv_timeout(STOP_CHECK) {
                Ok(Ok(file)) => return Ok(file),
                Ok(Err(panic)) => break panic,
                Err(RecvTimeoutError::Disconnected) => break "its file worker is gone".to_owned(),
                Err(RecvTimeoutError::Timeout) => waited += STOP_CHECK,
            }
            if waited >= timeout {
                break format!("not prepared in {} s", timeout.as_secs());
            }
        };
        Err(InputCrash {
            file: Some(self.file),
            reason,
        })
    }
}

/// A prepared file with the vectors that earlier indexes have.
pub(super) struct LookedUpFile {
    pub file: PreparedFile,
    /// For each chunk; `None` if the encoders have to make them.
    pub known: Vec<Option<Vectors>>,
    pub work: Work,
}

/// Items whose texts are encoded together.
pub(super) struct Collected {
    pub items: Vec<Item<LookedUpFile>>,
    /// The shard for which their batches count.
    pub shard: ShardId,
}

/// The same after the encoders ran.
pub(super) struct Ran {
    pub items: Vec<Item<LookedUpFile>>,
    /// Of [`texts_to_encode`].
    pub raw: RawEncoded,
}

/// A file whose chunks have their vectors.
pub(super) struct EncodedFile {
    pub record: FileRecord,
    pub chunks: Vec<EncodedChunk<'static>>,
    pub work: Work,
}

/// Return the texts of the items that need vectors, in order. Each stage borrows them anew, since the items move from thread
/// to thread.
pub(super) fn texts_to_encode(items: &[Item<LookedUpFile>]) -> Vec<&TokenizedText> {
    let files = items.iter().filter_map(|item| match item {
        Item::File(file) => Some(file),
        Item::Begin(_) | Item::End => None,
    });
    let chunks = files.flat_map(|file| file.file.chunks.iter().zip(&file.known));
    chunks
        .filter(|(_, known)| known.is_none())
        .map(|(chunk, _)| &chunk.tokens)
        .collect()
}

impl LookedUpFile {
    /// Return the file with the vectors of all chunks: those that are not known are the next of `encoded`.
    pub fn with(self, encoded: &mut impl Iterator<Item = Encoded>) -> EncodedFile {
        let mut work = self.work;
        let chunks = self.file.chunks.into_iter().zip(self.known);
        let chunks = chunks.map(|(chunk, known)| {
            let n_tokens = chunk.tokens.n_tokens();
            let vectors = known.unwrap_or_else(|| {
                let fresh = encoded.next().unwrap_or_default();
                work.tokens += n_tokens as u64;
                work.run_tokens += fresh.run_tokens;
                work.padded_tokens += fresh.padded_tokens;
                work.busy_us += fresh.busy.as_micros() as u64;
                Vectors {
                    sparse: fresh.sparse,
                    dense: fresh.dense,
                    route_words: fresh.route_words,
                }
            });
            EncodedChunk {
                tagged: chunk.tagged,
                n_tokens: n_tokens as u32,
                vectors,
            }
        });
        EncodedFile {
            record: self.file.record,
            chunks: chunks.collect(),
            work,
        }
    }
}

/// Items for tests of the stages.
#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::file::{FileEntry, FileOutcome, RelPath, TextKind};
    use crate::ids::ShardId;
    use crossbeam_channel::bounded;

    /// The file at position `n` of a segment, without chunks.
    pub fn file(n: u32) -> PreparedFile {
        PreparedFile::skipped(FileRecord {
            entry: FileEntry {
                path: RelPath::from_spelling(&n.to_string()).expect("a path"),
                size: 1,
                mtime_ns: 0,
            },
            hash: None,
            sha256: None,
            outcome: FileOutcome::Indexed {
                chunks: 0,
                credentials: 0,
                text: TextKind::default(),
            },
        })
    }

    /// A file that has not been prepared, and where to say that it is.
    pub fn pending(n: u32) -> (PendingFile, Sender<Result<PreparedFile, String>>) {
        let (prepared, waits) = bounded(1);
        let segment = SegmentId {
            shard: ShardId(0),
            index: 0,
        };
        let pending = PendingFile {
            file: (segment, n),
            prepared: waits,
        };
        (pending, prepared)
    }

    pub fn prepared(n: u32) -> Item<PendingFile> {
        let (pending, prepared) = pending(n);
        prepared.send(Ok(file(n))).expect("room for one");
        Item::File(pending)
    }

    /// The names of the files among items.
    pub fn names<F>(items: &[Item<F>], record: impl Fn(&F) -> &FileRecord) -> Vec<String> {
        let names = items.iter().filter_map(|item| match item {
            Item::File(file) => Some(record(file).entry.path.to_string()),
            Item::Begin(_) | Item::End => None,
        });
        names.collect()
    }
}
