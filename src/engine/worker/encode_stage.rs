//! The encoder's thread: takes prepared files in order, gives each chunk its vectors.
//!
//! Owns the sessions. Takes vectors over from earlier indexes where the text is the same. On the CPU it
//! encodes file by file; for a device it collects files, as many as are ready, so that batches are full.
//! Never reads a file and never writes.

use super::Reporter;
use super::dispatch::{Item, STOP_CHECK, Slot};
use super::halt::{Halt, output};
use super::prepare::{PreparedChunk, PreparedFile};
use crate::batch::{Batch, EncoderKind};
use crate::credential;
use crate::device::DeviceFailure;
use crate::encode::{BatchEvent, EncodeError, Encoders, TokenizedText};
use crate::failpoint::failpoint;
use crate::failure::{Failure, FailureKind};
use crate::file::{FileOutcome, FileRecord};
use crate::ids::ShardId;
use crate::profile::encoders::ModelSource;
use crate::protocol::{FromWorker, InputCrash, Work, WorkerSetup};
use crate::store::reuse::VectorCache;
use crate::store::segment::ChunkRecord;
use crate::vector::{DenseVector, SparseVector};
use crossbeam_channel::{Receiver, RecvTimeoutError, Select, Sender};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a file that takes long is told of: well below any deadline, and not for every chunk.
const TELL: Duration = Duration::from_secs(1);

/// A file whose chunks have their vectors.
pub(super) struct EncodedFile {
    pub record: FileRecord,
    pub chunks: Vec<ChunkRecord>,
    pub work: Work,
}

/// Chunks that are collected for a device before they are encoded together. Of each length the last batch is
/// filled with blanks, about three batches of 8,192 tokens in all: a tenth of a thousand chunks. Doubled, a kill
/// costs twice the work and the gain is a twentieth.
const MOST_CHUNKS: usize = 1024;

/// How long a collection waits for files that are still being prepared before it runs with what it has. On an H200 with
/// 16 cores a fifth of every batch was blank without waiting, two fifths in 16 bits. A collection takes a device
/// a second or more, so what the wait may cost is below a tenth.
const COLLECT: Duration = Duration::from_millis(100);

/// Text that is collected at most: one file may be many chunks.
const MOST_BYTES: usize = 8 << 20;

/// Tokens of the shortest shape on a device. A text that fills less than half of it says nothing of the pace there, so
/// neither does one on the CPU that plays a device: it costs hardly less than a longer one.
const LEAST_SLOTS: u64 = 64;

pub(super) struct EncodeStage {
    encoders: Encoders,
    reuse: VectorCache,
    has_sparse: bool,
    file_timeout: Duration,
    teller: Teller,
    /// What waits for its vectors, in order. Never more than one file on the CPU.
    collected: Collected,
    /// Of the segment that was begun last.
    shard: ShardId,
    /// The segment that was begun last is done one file at a time: its next file comes when this one is committed.
    is_careful: bool,
}

#[derive(Default)]
struct Collected {
    items: Vec<Item<PreparedFile>>,
    chunks: usize,
    bytes: usize,
    /// When it must run at the latest, full or not; `None` while it is empty.
    due: Option<Instant>,
}

/// Tells the supervisor of progress within a file or a collection, now and then.
struct Teller {
    reporter: Reporter,
    /// When it was last told.
    told: Mutex<Instant>,
    /// Texts on the CPU are told of as batches on a device are.
    is_played: bool,
}

/// The vectors of a chunk.
#[derive(Default)]
struct Vectors {
    sparse: Option<SparseVector>,
    dense: Option<DenseVector>,
    route_words: Vec<String>,
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
            file_timeout: setup.file_timeout,
            teller: Teller {
                reporter,
                told: Mutex::new(Instant::now()),
                is_played: setup.plays_device,
            },
            collected: Collected::default(),
            shard: ShardId(0),
            is_careful: false,
        }
    }

    /// Runs until the dispatcher is done. After a stop, files not yet taken up are dropped: they are not
    /// in the segment, and the next run does them.
    pub fn run(
        mut self,
        slots: &Receiver<Item<Slot>>,
        to_sink: &Sender<Item<EncodedFile>>,
        stop: &AtomicBool,
    ) -> Result<(), Halt> {
        loop {
            let item = match slots.recv_timeout(self.time_to_collect()) {
                Ok(item) => item,
                Err(RecvTimeoutError::Timeout) => {
                    if !self.flush(to_sink)? {
                        return Ok(());
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let item = match item {
                Item::Begin(opened) => {
                    self.is_careful = opened.task.careful;
                    Item::Begin(opened)
                }
                Item::End if stop.load(Ordering::Relaxed) => continue,
                Item::End => Item::End,
                Item::File(_) if stop.load(Ordering::Relaxed) => continue,
                Item::File(slot) => {
                    // With nothing collected, the file's own patience counts from the start.
                    let is_late =
                        self.collected.due.is_some() && !is_filled(&slot, self.time_to_collect());
                    if is_late && !self.flush(to_sink)? {
                        return Ok(());
                    }
                    Item::File(wait_for(&slot, self.file_timeout).map_err(Halt::Fell)?)
                }
            };
            self.collected.push(item);
            let enough = !self.encoders.is_batched() || self.collected.is_full();
            if enough && !self.flush(to_sink)? {
                return Ok(());
            }
        }
        self.flush(to_sink)?;
        Ok(())
    }

    /// How long the next item is waited for before what was collected runs. An empty collection waits as long as it takes.
    fn time_to_collect(&self) -> Duration {
        const ENDLESS: Duration = Duration::from_secs(3600);
        let Some(due) = self.collected.due else {
            return ENDLESS;
        };
        match self.is_careful || !self.encoders.is_batched() {
            true => Duration::ZERO,
            false => due.saturating_duration_since(Instant::now()),
        }
    }

    /// Encodes what was collected and passes it on. `false` when the sink takes nothing: it has failed and says
    /// why.
    fn flush(&mut self, to_sink: &Sender<Item<EncodedFile>>) -> Result<bool, Failure> {
        let Collected { items, .. } = std::mem::take(&mut self.collected);
        // A collection may reach into the next shard; its batches count for the first.
        let mut shard = None;
        for item in &items {
            match item {
                Item::Begin(opened) => self.shard = opened.task.id.shard,
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
                Item::Begin(opened) => Item::Begin(opened),
                Item::End => Item::End,
                Item::File(file) => {
                    let (vectors, work) = encoded.next().unwrap_or_default();
                    Item::File(joined(file, vectors, work))
                }
            };
            if to_sink.send(item).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The vectors of each file's chunks, and what they cost.
    fn encode(
        &mut self,
        files: Vec<&PreparedFile>,
        shard: ShardId,
    ) -> Result<Vec<(Vec<Vectors>, Work)>, Failure> {
        let mut encoded = Vec::with_capacity(files.len());
        // Texts that need encoding, with their file and place in it.
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
        let teller = &self.teller;
        let fresh = self
            .encoders
            .encode_many(&texts, &|event| teller.hear(shard, event))
            .map_err(failure)?;
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

    /// The vectors of a file that are known already; `missing` is told of each chunk whose are not.
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
            let known = self.reuse.look_up(chunk.hash).map_err(output)?;
            work.reused_chunks += u64::from(known.is_some());
            vectors.push(match known {
                Some(known) => Vectors {
                    sparse: self.has_sparse.then_some(known.sparse),
                    dense: known.dense,
                    route_words: guarded(known.route_words, chunk),
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

impl Collected {
    fn push(&mut self, item: Item<PreparedFile>) {
        if let Item::File(file) = &item {
            self.chunks += file.chunks.len();
            self.bytes += file.chunks.iter().map(|c| c.text.len()).sum::<usize>();
        }
        self.due.get_or_insert_with(|| Instant::now() + COLLECT);
        self.items.push(item);
    }

    fn is_full(&self) -> bool {
        self.chunks >= MOST_CHUNKS || self.bytes >= MOST_BYTES
    }
}

impl Teller {
    fn hear(&self, shard: ShardId, event: BatchEvent) {
        match event {
            BatchEvent::TextBegun { encoder, n_slots } if self.is_played => {
                self.begun(shard, encoder, n_slots.max(LEAST_SLOTS));
            }
            BatchEvent::Text(batch) if self.is_played => {
                let n_slots = batch.n_slots.max(LEAST_SLOTS);
                self.done(shard, Batch { n_slots, ..batch });
            }
            BatchEvent::TextBegun { .. } => {}
            BatchEvent::Text(_) => self.tell(),
            BatchEvent::Begun { encoder, n_slots } => self.begun(shard, encoder, n_slots),
            BatchEvent::Done(batch) => self.done(shard, batch),
        }
    }

    /// On its way before the run begins: a driver may end the process in the middle of it.
    fn begun(&self, shard: ShardId, encoder: EncoderKind, n_slots: u64) {
        self.reporter.tell_first(FromWorker::BatchStarted {
            shard,
            encoder,
            n_slots,
        });
    }

    fn done(&self, shard: ShardId, batch: Batch) {
        self.reporter
            .tell(FromWorker::BatchFinished { shard, batch });
    }

    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= TELL {
            *told = Instant::now();
            self.reporter.tell(FromWorker::Progress);
        }
    }
}

/// Words of an earlier index without those that it took from credentials: it may be older than the rules for
/// them.
fn guarded(mut words: Vec<String>, chunk: &PreparedChunk) -> Vec<String> {
    words.retain(|word| !credential::is_random(word));
    if !chunk.found.is_empty() {
        let text = credential::blank(&chunk.text, &chunk.found).to_lowercase();
        words.retain(|word| text.contains(word.as_str()));
    }
    words
}

fn joined(file: PreparedFile, vectors: Vec<Vectors>, work: Work) -> EncodedFile {
    let chunks = file.chunks.into_iter().zip(vectors);
    EncodedFile {
        record: file.record,
        chunks: chunks
            .map(|(chunk, vectors)| ChunkRecord {
                sequence: chunk.sequence,
                n_tokens: chunk.tokens.n_tokens() as u32,
                text: chunk.text,
                is_fragment: chunk.is_fragment,
                route_words: vectors.route_words,
                tags: chunk.tags,
                sparse: vectors.sparse,
                dense: vectors.dense,
                chromatin: chunk.chromatin,
            })
            .collect(),
        work,
    }
}

/// Whether the file is prepared, after waiting for it so long at most.
fn is_filled(slot: &Slot, patience: Duration) -> bool {
    let mut select = Select::new();
    select.recv(&slot.filled);
    select.ready_timeout(patience).is_ok()
}

/// Waits for a file to be prepared. It is the oldest one in the pool, so somebody is working on it.
/// Counts the time in short waits: one during which the whole process was stopped counts once.
fn wait_for(slot: &Slot, patience: Duration) -> Result<PreparedFile, InputCrash> {
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
    Err(InputCrash {
        file: Some(slot.file),
        reason,
    })
}

fn failure(error: EncodeError) -> Failure {
    Failure {
        kind: match error {
            EncodeError::OutOfMemory { .. } => FailureKind::Device(DeviceFailure::OutOfMemory),
            EncodeError::DeviceLost { .. } => FailureKind::Device(DeviceFailure::Lost),
            _ => FailureKind::Internal,
        },
        text: format!("encoding: {error}"),
    }
}
