//! The encoder's thread: takes prepared files in order, gives each chunk its vectors.
//!
//! Owns the sessions. Takes vectors over from earlier indexes where the text is the same. Never
//! reads a file and never writes.

use super::Reporter;
use super::dispatch::{Item, STOP_CHECK, Slot};
use super::halt::{Halt, output};
use super::prepare::{PreparedChunk, PreparedFile};
use crate::encode::{EncodeError, Encoders};
use crate::failpoint;
use crate::file::{FileOutcome, FileRecord};
use crate::profile::encoders::ModelSource;
use crate::protocol::{Failure, FailureKind, Fall, FromWorker, Work, WorkerSetup};
use crate::store::reuse::VectorCache;
use crate::store::segment::ChunkRecord;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a file that takes long is told of: well below any deadline, and not for every chunk.
const TELL: Duration = Duration::from_secs(1);

/// A file whose chunks have their vectors.
pub(super) struct EncodedFile {
    pub record: FileRecord,
    pub chunks: Vec<ChunkRecord>,
    pub work: Work,
}

pub(super) struct EncodeStage {
    encoders: Encoders,
    reuse: VectorCache,
    has_sparse: bool,
    file_patience: Duration,
    reporter: Reporter,
    /// When the supervisor last heard of progress from here.
    told: Instant,
}

impl EncodeStage {
    pub fn new(encoders: Encoders, setup: &WorkerSetup, reporter: Reporter) -> Self {
        let has_sparse = setup.encoders.sparse != ModelSource::None;
        let has_dense = setup.encoders.dense != ModelSource::None;
        let reuse = match has_sparse || has_dense {
            true => setup.reuse.as_slice(),
            // There is nothing to take over.
            false => &[],
        };
        Self {
            encoders,
            reuse: VectorCache::open(reuse, setup.encoder_fingerprint),
            has_sparse,
            file_patience: setup.file_patience,
            reporter,
            told: Instant::now(),
        }
    }

    /// Runs until the dispatcher is done. After a stop, files not yet begun are dropped: they are not
    /// in the segment, and the next run does them.
    pub fn run(
        mut self,
        slots: &Receiver<Item<Slot>>,
        to_sink: &Sender<Item<EncodedFile>>,
        stop: &AtomicBool,
    ) -> Result<(), Halt> {
        for item in slots {
            let item: Item<EncodedFile> = match item {
                Item::Begin(opened) => Item::Begin(opened),
                Item::End if stop.load(Ordering::Relaxed) => continue,
                Item::End => Item::End,
                Item::File(_) if stop.load(Ordering::Relaxed) => continue,
                Item::File(slot) => {
                    let file = wait_for(&slot, self.file_patience).map_err(Halt::Fell)?;
                    Item::File(self.encode(file)?)
                }
            };
            if to_sink.send(item).is_err() {
                // The sink has failed and says why.
                return Ok(());
            }
        }
        Ok(())
    }

    fn encode(&mut self, file: PreparedFile) -> Result<EncodedFile, Failure> {
        if !file.chunks.is_empty() {
            failpoint::at("worker::encode", &file.record.entry.path.spelling());
        }
        let mut work = Work {
            files: 1,
            bytes: file.record.entry.size,
            chunks: file.chunks.len() as u64,
            skipped: u64::from(matches!(file.record.outcome, FileOutcome::Skipped { .. })),
            ..Work::default()
        };
        let chunks = file
            .chunks
            .into_iter()
            .map(|chunk| self.chunk(chunk, &mut work))
            .collect::<Result<_, _>>()?;
        Ok(EncodedFile {
            record: file.record,
            chunks,
            work,
        })
    }

    fn chunk(&mut self, chunk: PreparedChunk, work: &mut Work) -> Result<ChunkRecord, Failure> {
        let n_tokens = chunk.tokens.n_tokens();
        let (sparse, dense, route_words) = match self.reuse.look_up(chunk.hash).map_err(output)? {
            Some(known) => {
                work.reused_chunks += 1;
                let sparse = self.has_sparse.then_some(known.sparse);
                (sparse, known.dense, known.route_words)
            }
            None => {
                let encoded = self.encoders.encode(&chunk.tokens).map_err(failure)?;
                work.tokens += n_tokens as u64;
                work.busy_us += encoded.busy.as_micros() as u64;
                if self.told.elapsed() >= TELL {
                    self.told = Instant::now();
                    self.reporter.tell(FromWorker::Encoding);
                }
                (encoded.sparse, encoded.dense, encoded.route_words)
            }
        };
        Ok(ChunkRecord {
            sequence: chunk.sequence,
            text: chunk.text,
            is_fragment: chunk.is_fragment,
            n_tokens: n_tokens as u32,
            route_words,
            tags: chunk.tags,
            sparse,
            dense,
            chromatin: chunk.chromatin,
        })
    }
}

/// Waits for a file to be prepared. It is the oldest one in the pool, so somebody is working on it.
/// Counts the time in short waits: one during which the whole process was stopped counts once.
fn wait_for(slot: &Slot, patience: Duration) -> Result<PreparedFile, Fall> {
    let mut waited = Duration::ZERO;
    let reason = loop {
        match slot.filled.recv_timeout(STOP_CHECK) {
            Ok(Ok(file)) => return Ok(file),
            Ok(Err(panic)) => break panic,
            Err(RecvTimeoutError::Disconnected) => break "its file worker is gone".to_owned(),
            Err(RecvTimeoutError::Timeout) => waited += STOP_CHECK,
        }
        if waited >= patience {
            break format!("not prepared in {} s", patience.as_secs());
        }
    };
    Err(Fall {
        file: Some(slot.file),
        reason,
    })
}

fn failure(error: EncodeError) -> Failure {
    Failure {
        kind: FailureKind::Internal,
        text: format!("encoding: {error}"),
    }
}
