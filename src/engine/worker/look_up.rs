//! Takes vectors from earlier indexes where the text is the same.

use super::file_pipeline::{PreparedChunk, PreparedFile};
use super::items::{Collected, Item, LookedUpFile};
use super::stage_error::store_failure;
use crate::credential;
use crate::failpoint::failpoint;
use crate::failure::Failure;
use crate::file::FileOutcome;
use crate::ids::ShardId;
use crate::profile::encoders::ModelSource;
use crate::protocol::{Work, WorkerSetup};
use crate::store::reuse::VectorCache;
use crate::vector::Vectors;

pub(super) struct LookUp {
    reuse: VectorCache,
    has_sparse: bool,
    /// The shard of the last segment that began.
    shard: ShardId,
}

impl LookUp {
    pub fn new(setup: &WorkerSetup) -> Self {
        let has_sparse = setup.encoders.sparse != ModelSource::None;
        let has_dense = setup.encoders.dense != ModelSource::None;
        let reuse = match has_sparse || has_dense {
            true => setup.reuse.as_slice(),
            // There are no vectors to take.
            false => &[],
        };
        Self {
            reuse: VectorCache::open(reuse, setup.encoder_fingerprint),
            has_sparse,
            shard: ShardId(0),
        }
    }

    /// Without earlier indexes.
    #[cfg(test)]
    pub fn in_nothing() -> Self {
        Self {
            reuse: VectorCache::open(&[], crate::ids::Digest([0; 32])),
            has_sparse: true,
            shard: ShardId(0),
        }
    }

    /// Look up the chunks of all files. The items are the next ones of all that this worker has.
    pub fn collected(&mut self, items: Vec<Item<PreparedFile>>) -> Result<Collected, Failure> {
        let mut looked_up = Vec::with_capacity(items.len());
        // A collection may reach into the next shard; its batches count for the first.
        let mut shard = None;
        for item in items {
            match &item {
                Item::Begin(segment) => self.shard = segment.task.id.shard,
                Item::File(_) => {
                    shard.get_or_insert(self.shard);
                }
                Item::End => {}
            }
            looked_up.push(item.try_map(|file| self.file(file))?);
        }
        self.reuse.rest();
        Ok(Collected {
            items: looked_up,
            shard: shard.unwrap_or(self.shard),
        })
    }

    fn file(&mut self, file: PreparedFile) -> Result<LookedUpFile, Failure> {
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
        let mut known = Vec::with_capacity(file.chunks.len());
        for chunk in &file.chunks {
            let hash = chunk.tagged.chunk.hash;
            let found = self.reuse.look_up(hash).map_err(store_failure)?;
            work.reused_chunks += u64::from(found.is_some());
            known.push(found.map(|found| Vectors {
                sparse: found.sparse.filter(|_| self.has_sparse),
                route_words: without_credentials(found.route_words, chunk),
                ..found
            }));
        }
        Ok(LookedUpFile { file, known, work })
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
