//! The encoder's thread: takes prepared files in order and gives each chunk its vectors.
//!
//! Owns the sessions. Takes vectors from earlier indexes where the text is the same. On the CPU it
//! encodes file by file; for a device it collects the files that are ready, so that batches are full.
//! Never reads a file and never writes one.

use super::batch_reporter::BatchReporter;
use super::collection::Collection;
use super::file_pipeline::{PreparedChunk, PreparedFile};
use super::items::{Item, PendingFile};
use super::reporter::Reporter;
use super::stage_error::{StageError, store_failure};
use crate::credential;
use crate::device::DeviceFailure;
use crate::encode::{EncodeError, Encoders, TokenizedText};
use crate::failpoint::failpoint;
use crate::failure::{Failure, FailureKind};
use crate::file::{FileOutcome, FileRecord};
use crate::ids::ShardId;
use crate::profile::encoders::ModelSource;
use crate::protocol::{Work, WorkerSetup};
use crate::store::reuse::VectorCache;
use crate::store::segment::EncodedChunk;
use crate::vector::Vectors;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A file whose chunks have their vectors.
pub(super) struct EncodedFile {
    pub record: FileRecord,
    pub chunks: Vec<EncodedChunk<'static>>,
    pub work: Work,
}

/// The next stage is gone. It has reported its own error.
struct SinkGone;

pub(super) struct EncodeStage {
    encoders: Encoders,
    reuse: VectorCache,
    has_sparse: bool,
    file_timeout: Duration,
    batches: BatchReporter,
    /// Items that wait for vectors, in order. Never more than one file on the CPU.
    collected: Collection,
    /// The shard of the last segment that began.
    shard: ShardId,
    /// Whether the last segment that began is done one file at a time: its next file comes after this one's
    /// commit.
    is_careful: bool,
}

impl EncodeStage {
    pub fn new(encoders: Encoders, setup: &WorkerSetup, reporter: Reporter) -> Self {
        let has_sparse = setup.encoders.sparse != ModelSource::None;
        let has_dense = setup.encoders.dense != ModelSource::None;
        let reuse = match has_sparse || has_dense {
            true => setup.reuse.as_slice(),
            // There are no vectors to take.
            false => &[],
        };
        Self {
            encoders,
            reuse: VectorCache::open(reuse, setup.encoder_fingerprint),
            has_sparse,
            file_timeout: setup.file_timeout,
            batches: BatchReporter::new(reporter, setup.plays_device),
            collected: Collection::default(),
            shard: ShardId(0),
            is_careful: false,
        }
    }

    /// Run until the dispatcher is done. After a stop, drops the files that are not encoded yet: they are not in
    /// the segment, so the next run does them.
    pub fn run(
        mut self,
        pending: &Receiver<Item<PendingFile>>,
        to_sink: &Sender<Item<EncodedFile>>,
        stop: &AtomicBool,
    ) -> Result<(), StageError> {
        loop {
            let item = match pending.recv_timeout(self.time_to_collect()) {
                Ok(Item::End | Item::File(_)) if stop.load(Ordering::Relaxed) => continue,
                Ok(Item::Begin(segment)) => {
                    self.is_careful = segment.task.careful;
                    Item::Begin(segment)
                }
                Ok(Item::End) => Item::End,
                Ok(Item::File(file)) => {
                    // With nothing collected, only the file's own timeout counts.
                    let is_late = self.collected.deadline().is_some()
                        && !file.is_prepared_within(self.time_to_collect());
                    if is_late && self.flush(to_sink)?.is_err() {
                        return Ok(());
                    }
                    Item::File(
                        file.wait(self.file_timeout)
                            .map_err(StageError::InputCrash)?,
                    )
                }
                Err(RecvTimeoutError::Timeout) => match self.flush(to_sink)? {
                    Ok(()) => continue,
                    Err(SinkGone) => return Ok(()),
                },
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.collected.push(item);
            let is_enough = !self.encoders.is_batched() || self.collected.is_full();
            if is_enough && self.flush(to_sink)?.is_err() {
                return Ok(());
            }
        }
        // A sink that is gone reports its own error.
        let _ = self.flush(to_sink)?;
        Ok(())
    }

    /// Return how long to wait for the next item before encoding the collection. An empty collection waits
    /// without a limit.
    fn time_to_collect(&self) -> Duration {
        const ENDLESS: Duration = Duration::from_secs(3600);
        let Some(deadline) = self.collected.deadline() else {
            return ENDLESS;
        };
        match self.is_careful || !self.encoders.is_batched() {
            true => Duration::ZERO,
            false => deadline.saturating_duration_since(Instant::now()),
        }
    }

    /// Encode the collection and pass it on.
    fn flush(
        &mut self,
        to_sink: &Sender<Item<EncodedFile>>,
    ) -> Result<Result<(), SinkGone>, Failure> {
        let items = self.collected.take();
        // A collection may reach into the next shard; its batches count for the first.
        let mut shard = None;
        for item in &items {
            match item {
                Item::Begin(segment) => self.shard = segment.task.id.shard,
                Item::File(_) => {
                    shard.get_or_insert(self.shard);
                }
                Item::End => {}
            }
        }
        let shard = shard.unwrap_or(self.shard);
        let files = items.iter().filter_map(|item| match item {
            Item::File(file) => Some(file),
            Item::Begin(_) | Item::End => None,
        });
        let mut encoded = self.encode(files.collect(), shard)?.into_iter();
        for item in items {
            let item = match item {
                Item::Begin(segment) => Item::Begin(segment),
                Item::End => Item::End,
                Item::File(file) => {
                    let (vectors, work) = encoded.next().unwrap_or_default();
                    Item::File(file.with(vectors, work))
                }
            };
            if to_sink.send(item).is_err() {
                return Ok(Err(SinkGone));
            }
        }
        Ok(Ok(()))
    }

    /// Return the vectors of each file's chunks, and what they cost.
    fn encode(
        &mut self,
        files: Vec<&PreparedFile>,
        shard: ShardId,
    ) -> Result<Vec<(Vec<Vectors>, Work)>, Failure> {
        let mut encoded = Vec::with_capacity(files.len());
        // Texts that need encoding, with their file and their place in it.
        let mut texts = Vec::new();
        let mut places = Vec::new();
        for (n, file) in files.into_iter().enumerate() {
            let (vectors, work) = self.look_up(file, |place, text| {
                texts.push(text);
                places.push((n, place));
            })?;
            encoded.push((vectors, work));
        }
        self.reuse.rest();
        let batches = &self.batches;
        let fresh = self
            .encoders
            .encode_many(&texts, &|event| batches.report(shard, event))
            .map_err(encode_failure)?;
        for (((n, place), text), fresh) in places.into_iter().zip(texts).zip(fresh) {
            let (vectors, work) = &mut encoded[n];
            work.tokens += text.n_tokens() as u64;
            work.run_tokens += fresh.run_tokens;
            work.padded_tokens += fresh.padded_tokens;
            work.busy_us += fresh.busy.as_micros() as u64;
            vectors[place] = Vectors {
                sparse: fresh.sparse,
                dense: fresh.dense,
                route_words: fresh.route_words,
            };
        }
        Ok(encoded)
    }

    /// Look a file's chunks up in the earlier indexes. Calls `missing` for every chunk without cached vectors.
    fn look_up<'a>(
        &mut self,
        file: &'a PreparedFile,
        mut missing: impl FnMut(usize, &'a TokenizedText),
    ) -> Result<(Vec<Vectors>, Work), Failure> {
        if !file.chunks.is_empty() {
            failpoint!("worker::encode", file.record.entry.path.spelling());
        }
        let mut work = Work {
            files: 1,
            bytes: file.record.entry.size,
            chunks: file.chunks.len() as u64,
            skipped: u64::from(matches!(file.record.outcome, FileOutcome::Skipped { .. })),
            ..Work::default()
        };
        let mut vectors = Vec::with_capacity(file.chunks.len());
        for (place, chunk) in file.chunks.iter().enumerate() {
            let hash = chunk.tagged.chunk.hash;
            let known = self.reuse.look_up(hash).map_err(store_failure)?;
            work.reused_chunks += u64::from(known.is_some());
            vectors.push(match known {
                Some(known) => Vectors {
                    sparse: known.sparse.filter(|_| self.has_sparse),
                    route_words: without_credentials(known.route_words, chunk),
                    ..known
                },
                None => {
                    missing(place, &chunk.tokens);
                    Vectors::default()
                }
            });
        }
        Ok((vectors, work))
    }
}

/// Drop words of an earlier index that come from credentials: its rules for them may be older than ours.
fn without_credentials(mut words: Vec<String>, chunk: &PreparedChunk) -> Vec<String> {
    words.retain(|word| !credential::is_random(word));
    if !chunk.credentials.is_empty() {
        let text = credential::blank(&chunk.tagged.chunk.text, &chunk.credentials).to_lowercase();
        words.retain(|word| text.contains(word.as_str()));
    }
    words
}

fn encode_failure(error: EncodeError) -> Failure {
    let kind = match error {
        EncodeError::OutOfMemory { .. } => FailureKind::Device(DeviceFailure::OutOfMemory),
        EncodeError::DeviceLost { .. } => FailureKind::Device(DeviceFailure::Lost),
        // Another worker asks the same server.
        EncodeError::ServerAway { .. } | EncodeError::ServerBad { .. } => FailureKind::Unavailable,
        EncodeError::ServerChanged { .. } => FailureKind::FingerprintMismatch,
        _ => FailureKind::Internal,
    };
    let advice = match kind {
        FailureKind::Unavailable => "; finished work is kept: run the same command again to resume",
        _ => "",
    };
    Failure {
        kind,
        text: format!("encoding: {error}{advice}"),
    }
}
