//! Picks chunks of an index at random and reads their vectors.
//!
//! The caller encodes the texts again, and [`SampledChunk::compare`] compares. Reads only. The index and the seed alone
//! decide what is picked.

use super::fault::{FaultKind, Faults, Finder};
use crate::random::SplitMix64;
use crate::store::build_meta::EncoderRecord;
use crate::store::connect::open_read_only;
use crate::store::error::StoreError;
use crate::store::index::Index;
use crate::vector::{DenseVector, SparseTerm, SparseVector};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The shards of an index, looked at for picking; each is opened again when chunks of it are picked.
pub struct Sampler {
    shards: Vec<SampledShard>,
}

struct SampledShard {
    label: String,
    path: PathBuf,
    /// Chunks of the builder's; they are numbered from 1.
    chunks: u64,
    recorded: EncoderRecord,
}

/// A chunk with its vectors as stored.
#[derive(Clone, Debug)]
pub struct SampledChunk {
    pub shard: String,
    pub chunk_id: String,
    pub text: String,
    pub(super) stored: TextVectors,
}

/// Vectors of one text. `None` for a kind that is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextVectors {
    /// With the encoder's routing words, each once, ASCII case aside.
    pub sparse: Option<(SparseVector, Vec<String>)>,
    /// The inner `None`: the text has no direction.
    pub dense: Option<Option<DenseVector>>,
}

impl Sampler {
    /// Open every shard that can be read and say how it was made; others become faults.
    pub fn open(index: &Index, faults: &mut Faults) -> Self {
        let mut shards: Vec<SampledShard> = Vec::new();
        for (label, path) in index.databases_of_ours() {
            let mut finder = Finder {
                shard: &label,
                faults,
            };
            let opened = open_read_only(&path).and_then(|conn| look_at(&label, &path, &conn));
            match opened {
                Err(error) => {
                    let what = format!("its vectors cannot be read: {error}");
                    finder.fault(FaultKind::Unreadable, "build_meta", "encoder", what);
                }
                Ok(shard) => match shards.first() {
                    Some(first) if first.recorded != shard.recorded => {
                        let what = format!("built with other encoders than shard {}", first.label);
                        finder.fault(FaultKind::Ledger, "build_meta", "encoder", what);
                    }
                    _ => shards.push(shard),
                },
            }
        }
        Self { shards }
    }

    /// Return how the vectors were made; `None` when no shard can be read.
    pub fn recorded(&self) -> Option<&EncoderRecord> {
        Some(&self.shards.first()?.recorded)
    }

    /// Call `visit` with `n` different chunks, or all if there are fewer, in the order of shards and
    /// rows.
    ///
    /// # Errors
    /// The first of `visit`. Rows that cannot be read become faults.
    pub fn pick<E>(
        &self,
        n: u64,
        seed: u64,
        faults: &mut Faults,
        mut visit: impl FnMut(SampledChunk, &mut Faults) -> Result<(), E>,
    ) -> Result<(), E> {
        let total = self.shards.iter().map(|shard| shard.chunks).sum();
        let mut before = 0;
        let mut picked = distinct(n, total, seed).into_iter().peekable();
        for shard in &self.shards {
            let mut open = None;
            while let Some(number) = picked.next_if(|number| *number < before + shard.chunks) {
                let opened = open.get_or_insert_with(|| open_read_only(&shard.path));
                let chunk = match opened {
                    Ok(connection) => shard
                        .chunk(connection, number - before + 1)
                        .map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                match chunk {
                    Ok(chunk) => visit(chunk, faults)?,
                    Err(error) => {
                        let mut finder = Finder {
                            shard: &shard.label,
                            faults,
                        };
                        let row = format!("row {}", number - before + 1);
                        finder.fault(FaultKind::Unreadable, "genes", row, error);
                    }
                }
            }
            before += shard.chunks;
        }
        Ok(())
    }
}

fn look_at(label: &str, path: &Path, connection: &Connection) -> Result<SampledShard, StoreError> {
    let sql = "SELECT coalesce(max(rowid), 0) FROM build_routes";
    let chunks: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(StoreError::sql(path))?;
    Ok(SampledShard {
        label: label.to_owned(),
        recorded: EncoderRecord::read(connection, path)?,
        chunks: u64::try_from(chunks).unwrap_or(0),
        path: path.to_path_buf(),
    })
}

impl SampledShard {
    fn chunk(&self, connection: &Connection, number: u64) -> Result<SampledChunk, rusqlite::Error> {
        let sql = "SELECT g.gene_id, g.content, g.embedding_dense_v2, r.terms, r.encoded
                   FROM build_routes AS r JOIN genes AS g ON g.gene_id = r.gene_id WHERE r.rowid = ?1";
        let (gene_id, text, dense, words, encoded) = connection
            .prepare_cached(sql)?
            .query_row([number as i64], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<Vec<u8>>>(2)?,
                    row.get::<_, String>(3)?,
                    row.get::<_, u32>(4)?,
                ))
            })
            .optional()?
            .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let mut words: Vec<String> = serde_json::from_str(&words).unwrap_or_default();
        words.truncate(encoded as usize);
        let terms = connection
            .prepare_cached("SELECT term, weight FROM splade_terms WHERE gene_id = ?1")?
            .query_map([&gene_id], |row| {
                Ok(SparseTerm {
                    term: row.get(0)?,
                    weight_e4: (row.get::<_, f64>(1)? * 1e4).round() as u32,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(SampledChunk {
            shard: self.label.clone(),
            chunk_id: gene_id,
            text,
            stored: TextVectors {
                sparse: Some((SparseVector::new(terms), words)),
                // A broken blob is not a vector; the full check says so.
                dense: Some(dense.as_deref().and_then(DenseVector::from_le_bytes)),
            },
        })
    }
}

/// `n` different numbers below `total`, or all of them, in their order. Floyd's method: as many draws
/// as numbers, whatever the total.
fn distinct(n: u64, total: u64, seed: u64) -> BTreeSet<u64> {
    let mut numbers = SplitMix64::new(seed);
    let mut picked = BTreeSet::new();
    for last in total.saturating_sub(n)..total {
        let drawn = numbers.below(last + 1);
        if !picked.insert(drawn) {
            picked.insert(last);
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn picks_are_distinct_and_follow_from_the_seed(n in 0_u64..60, total in 0_u64..80, seed: u64) {
            let picked = distinct(n, total, seed);
            prop_assert_eq!(picked.len() as u64, n.min(total));
            prop_assert!(picked.iter().all(|number| *number < total));
            prop_assert_eq!(&picked, &distinct(n, total, seed));
        }
    }

    #[test]
    fn every_chunk_is_picked_by_some_seed() {
        let seen: BTreeSet<u64> = (0..400).flat_map(|seed| distinct(3, 20, seed)).collect();
        assert_eq!(seen.len(), 20);
    }
}
