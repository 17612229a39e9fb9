//! Stored vectors against vectors made again, for chunks picked at random.
//!
//! Who makes them again is the caller's business; here chunks are picked and vectors compared. Reads
//! only. What is picked depends on the index and the seed alone.

use super::fault::{FaultKind, Faults, Finder};
use crate::store::connect::open_read_only;
use crate::store::error::StoreError;
use crate::store::index::Index;
use crate::store::ledger::EncoderRecord;
use crate::vector::{DenseVector, SparseTerm, SparseVector};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How far a sparse weight may be off, in units of 1e-4, besides a hundredth of itself. Another kind
/// of processor, or another version of the runtime, adds up in another order: that moves a weight by
/// a few units. Another model moves it by thousands.
const SPARSE_UNITS: u32 = 100;

/// Least cosine of two dense vectors of one text. Rounding leaves more than 0.99999; the vectors of
/// another model are at 0.9 and below.
const LEAST_COSINE: f64 = 0.999;

/// Terms that the format keeps of a chunk at most: of a full vector, the lightest term may have
/// pushed out one as light.
const MOST_TERMS: usize = 128;

/// The shards of an index, looked at for picking; each is opened again when chunks of it are picked.
pub struct Sampler {
    shards: Vec<KnownShard>,
}

struct KnownShard {
    label: String,
    path: PathBuf,
    /// Chunks of the builder's; they are numbered from 1.
    chunks: u64,
    recorded: EncoderRecord,
}

/// A chunk with its vectors as stored.
#[derive(Clone, Debug)]
pub struct Sampled {
    pub shard: String,
    pub gene_id: String,
    pub text: String,
    stored: Vectors,
}

/// Vectors of one text. `None` for a kind that is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// With the encoder's routing words, each once, ASCII case aside.
    pub sparse: Option<(SparseVector, Vec<String>)>,
    /// The inner `None`: the text has no direction.
    pub dense: Option<Option<DenseVector>>,
}

/// How vectors made again compare with the stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreement {
    /// Bit for bit.
    Exact,
    /// Within what another processor or runtime rounds differently.
    Close,
    Different,
}

impl Sampler {
    /// Opens every shard that can be read and says how it was made; others become faults.
    pub fn open(index: &Index, faults: &mut Faults) -> Self {
        let mut shards: Vec<KnownShard> = Vec::new();
        for (label, path) in index.databases_of_ours() {
            let mut finder = Finder {
                shard: &label,
                faults,
            };
            let opened = open_read_only(&path).and_then(|conn| look_at(&label, &path, &conn));
            match opened {
                Err(error) => {
                    let what = format!("its vectors cannot be looked at: {error}");
                    finder.fault(FaultKind::Unreadable, "build_meta", "encoder", what);
                }
                Ok(shard) => match shards.first() {
                    Some(first) if first.recorded != shard.recorded => {
                        let what = format!("made by other encoders than shard {}", first.label);
                        finder.fault(FaultKind::Ledger, "build_meta", "encoder", what);
                    }
                    _ => shards.push(shard),
                },
            }
        }
        Self { shards }
    }

    /// How the vectors were made; `None` when no shard can be read.
    pub fn recorded(&self) -> Option<&EncoderRecord> {
        Some(&self.shards.first()?.recorded)
    }

    /// Calls `visit` with `n` different chunks, or all if there are fewer, in the order of shards and
    /// rows.
    ///
    /// # Errors
    /// The first of `visit`. Rows that cannot be read become faults.
    pub fn pick<E>(
        &self,
        n: u64,
        seed: u64,
        faults: &mut Faults,
        mut visit: impl FnMut(Sampled, &mut Faults) -> Result<(), E>,
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

fn look_at(label: &str, path: &Path, connection: &Connection) -> Result<KnownShard, StoreError> {
    let sql = "SELECT coalesce(max(rowid), 0) FROM build_routes";
    let chunks: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(StoreError::sql(path))?;
    Ok(KnownShard {
        label: label.to_owned(),
        recorded: EncoderRecord::read(connection, path)?,
        chunks: u64::try_from(chunks).unwrap_or(0),
        path: path.to_path_buf(),
    })
}

impl KnownShard {
    fn chunk(&self, connection: &Connection, number: u64) -> Result<Sampled, rusqlite::Error> {
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
            .prepare_cached(
                "SELECT term, weight FROM splade_terms WHERE gene_id = ?1 ORDER BY rowid",
            )?
            .query_map([&gene_id], |row| {
                Ok(SparseTerm {
                    term: row.get(0)?,
                    weight_e4: (row.get::<_, f64>(1)? * 1e4).round() as u32,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(Sampled {
            shard: self.label.clone(),
            gene_id,
            text,
            stored: Vectors {
                sparse: Some((SparseVector(terms), words)),
                // A broken blob is no vector; the full check says so.
                dense: Some(dense.as_deref().and_then(DenseVector::from_le_bytes)),
            },
        })
    }
}

impl Sampled {
    /// Compares with the vectors `again`; what differs by more than rounding becomes faults, and with
    /// `is_exact` whatever differs.
    pub fn compare(&self, again: &Vectors, is_exact: bool, faults: &mut Faults) -> Agreement {
        let mut finder = Finder {
            shard: &self.shard,
            faults,
        };
        let mut worst = Agreement::Exact;
        for (table, agreement, what) in self.differences(again) {
            worst = worst.max(agreement);
            if agreement == Agreement::Different || is_exact {
                let what = format!("encoding the text again gives {what}");
                finder.fault(FaultKind::Reencoded, table, &self.gene_id, what);
            }
        }
        worst
    }

    fn differences(&self, again: &Vectors) -> Vec<(&'static str, Agreement, String)> {
        let mut found = Vec::new();
        if let (Some((stored, stored_words)), Some((again, words))) =
            (&self.stored.sparse, &again.sparse)
        {
            match sparse_difference(stored, again) {
                Some((agreement, what)) => found.push(("splade_terms", agreement, what)),
                None if stored_words != words => {
                    let what =
                        format!("other routing words: {words:?}, stored are {stored_words:?}");
                    found.push(("build_routes", Agreement::Different, what));
                }
                None => {}
            }
        }
        if let (Some(stored), Some(again)) = (&self.stored.dense, &again.dense)
            && let Some((agreement, what)) = dense_difference(stored.as_ref(), again.as_ref())
        {
            found.push(("genes", agreement, what));
        }
        found
    }
}

fn sparse_difference(stored: &SparseVector, again: &SparseVector) -> Option<(Agreement, String)> {
    if stored == again {
        return None;
    }
    let weights = |vector: &SparseVector| -> BTreeMap<String, u32> {
        let terms = vector.0.iter();
        terms.map(|t| (t.term.clone(), t.weight_e4)).collect()
    };
    let (ours, theirs) = (weights(stored), weights(again));
    // What a term that is missing on one side may have weighed there.
    let least = |vector: &SparseVector| match vector.0.last() {
        Some(last) if vector.0.len() >= MOST_TERMS => last.weight_e4,
        _ => 0,
    };
    let (our_least, their_least) = (least(stored), least(again));
    let terms: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let off = |term: &&String| {
        let (a, b) = (ours.get(*term), theirs.get(*term));
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (*a, *b),
            (Some(a), None) => (*a, their_least.min(*a)),
            (None, Some(b)) => (our_least.min(*b), *b),
            (None, None) => (0, 0),
        };
        a.abs_diff(b) > SPARSE_UNITS + a.max(b) / 100
    };
    let differ: Vec<&String> = terms.into_iter().filter(off).collect();
    let Some(first) = differ.first() else {
        let what = "the same terms up to rounding, not bit for bit".to_owned();
        return Some((Agreement::Close, what));
    };
    let shown = |weight: Option<&u32>| weight.map_or(0.0, |w| f64::from(*w) / 1e4);
    let what = format!(
        "another sparse vector: {} terms differ, the first is {first}, stored {}, now {}",
        differ.len(),
        shown(ours.get(*first)),
        shown(theirs.get(*first))
    );
    Some((Agreement::Different, what))
}

fn dense_difference(
    stored: Option<&DenseVector>,
    again: Option<&DenseVector>,
) -> Option<(Agreement, String)> {
    let (stored, again) = match (stored, again) {
        (None, None) => return None,
        (Some(stored), Some(again)) if stored.to_le_bytes() == again.to_le_bytes() => return None,
        (Some(stored), Some(again)) => (&stored.0, &again.0),
        (stored, _) => {
            let what = if stored.is_some() { "none" } else { "one" };
            let what = format!("{what} for the dense vector, unlike the index");
            return Some((Agreement::Different, what));
        }
    };
    if stored.len() != again.len() {
        let what = format!(
            "a dense vector of {} numbers, stored are {}",
            again.len(),
            stored.len()
        );
        return Some((Agreement::Different, what));
    }
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let cosine = dot(stored, again) / (dot(stored, stored) * dot(again, again)).sqrt();
    // Not a number is near nothing.
    let agreement = match cosine >= LEAST_COSINE {
        true => Agreement::Close,
        false => Agreement::Different,
    };
    Some((
        agreement,
        format!("a dense vector at cosine {cosine:.6} to the stored one"),
    ))
}

/// `n` different numbers below `total`, or all of them, in their order. Floyd's method: as many draws
/// as numbers, whatever the total.
fn distinct(n: u64, total: u64, seed: u64) -> BTreeSet<u64> {
    let mut state = seed;
    let mut picked = BTreeSet::new();
    for last in total.saturating_sub(n)..total {
        let drawn = next(&mut state) % (last + 1);
        if !picked.insert(drawn) {
            picked.insert(last);
        }
    }
    picked
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sparse(terms: &[(&str, u32)]) -> SparseVector {
        let term = |(term, weight_e4): &(&str, u32)| SparseTerm {
            term: (*term).to_owned(),
            weight_e4: *weight_e4,
        };
        SparseVector(terms.iter().map(term).collect())
    }

    #[test]
    fn sparse_vectors_agree_exactly_closely_or_not() {
        let stored = sparse(&[("a", 30_000), ("b", 20_000)]);
        let kind = |again: &[(&str, u32)]| sparse_difference(&stored, &sparse(again)).map(|d| d.0);
        assert_eq!(kind(&[("a", 30_000), ("b", 20_000)]), None);
        assert_eq!(
            kind(&[("a", 30_001), ("b", 20_000)]),
            Some(Agreement::Close)
        );
        assert_eq!(
            kind(&[("b", 20_000), ("a", 30_000)]),
            Some(Agreement::Close)
        );
        assert_eq!(
            kind(&[("a", 30_000), ("b", 20_000), ("c", 90)]),
            Some(Agreement::Close)
        );
        assert_eq!(
            kind(&[("a", 30_000), ("b", 21_000)]),
            Some(Agreement::Different)
        );
        assert_eq!(kind(&[("a", 30_000)]), Some(Agreement::Different));
        assert_eq!(
            kind(&[("a", 30_000), ("x", 20_000)]),
            Some(Agreement::Different)
        );
    }

    #[test]
    fn the_lightest_terms_of_full_vectors_may_differ() {
        let names: Vec<String> = (0..MOST_TERMS + 1).map(|n| format!("t{n}")).collect();
        let all: Vec<_> = names.iter().map(|name| (name.as_str(), 20_000)).collect();
        let found = sparse_difference(&sparse(&all[1..]), &sparse(&all[..MOST_TERMS]));
        assert_eq!(found.map(|d| d.0), Some(Agreement::Close));
    }

    #[test]
    fn dense_vectors_agree_exactly_closely_or_not() {
        let vector = |values: &[f32]| DenseVector(values.to_vec());
        let stored = vector(&[0.6, 0.8]);
        let kind =
            |again: Option<&DenseVector>| dense_difference(Some(&stored), again).map(|d| d.0);
        assert_eq!(kind(Some(&stored)), None);
        assert_eq!(
            kind(Some(&vector(&[0.600_001, 0.8]))),
            Some(Agreement::Close)
        );
        assert_eq!(kind(Some(&vector(&[0.8, 0.6]))), Some(Agreement::Different));
        assert_eq!(
            kind(Some(&vector(&[f32::NAN, 0.6]))),
            Some(Agreement::Different)
        );
        assert_eq!(kind(Some(&vector(&[1.0]))), Some(Agreement::Different));
        assert_eq!(kind(None), Some(Agreement::Different));
        assert!(dense_difference(None, None).is_none());
    }

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
