//! Vectors of earlier builds, by the text that they belong to.
//!
//! A published shard is the cache: there is no second store to grow stale. Shards of another encoder
//! fingerprint, of another format, or unreadable ones are left out. Reading only.

use super::connect::open_read_only;
use super::error::StoreError;
use super::ledger::{check_format, digest_of};
use crate::ids::{ContentHash, Digest};
use crate::vector::{DenseVector, SparseTerm, SparseVector};
use rusqlite::{Connection, OptionalExtension as _, Row};
use std::path::{Path, PathBuf};

/// What an earlier build knows about a text.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownVectors {
    /// Empty when the earlier build had no sparse encoder or the text has no terms.
    pub sparse: SparseVector,
    /// `None` when the earlier build had no dense encoder or the vector no direction.
    pub dense: Option<DenseVector>,
    /// The encoder's.
    pub route_words: Vec<String>,
}

/// Earlier shards opened for look-ups. One thread's own.
#[derive(Debug)]
pub struct VectorCache {
    shards: Vec<Shard>,
    encoder_fingerprint: Digest,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    /// `None` between look-ups, where [`VectorCache::rest`] closes.
    open: Option<Connection>,
}

/// Page cache of one shard in KiB: the upper levels of two trees.
const CACHE_KIB: u32 = 1024;

impl VectorCache {
    /// Opens those of `paths` whose vectors fit `encoder_fingerprint`. What cannot be used is not
    /// an error: its texts are encoded again.
    pub fn open(paths: &[PathBuf], encoder_fingerprint: Digest) -> Self {
        let shard = |path: &PathBuf| {
            let open = open_fitting(path, encoder_fingerprint)?;
            Some(Shard {
                path: path.clone(),
                open: Some(open),
            })
        };
        let mut cache = Self {
            shards: paths.iter().filter_map(shard).collect(),
            encoder_fingerprint,
        };
        cache.rest();
        cache
    }

    /// Says that nothing is looked up for a while. On Windows a shard that is open cannot be replaced by a new one,
    /// so they are closed until the next look-up.
    pub fn rest(&mut self) {
        if cfg!(windows) {
            for shard in &mut self.shards {
                shard.open = None;
            }
        }
    }

    /// Number of shards that are looked through.
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// The vectors of the text with this hash, from the first shard that has it.
    pub fn look_up(&mut self, hash: ContentHash) -> Result<Option<KnownVectors>, StoreError> {
        for Shard { path, open } in &mut self.shards {
            if open.is_none() {
                // Replaced meanwhile, it may be of no use any more.
                *open = open_fitting(path, self.encoder_fingerprint);
            }
            let Some(conn) = open else { continue };
            if let Some(known) = look_up_in(conn, path, hash)? {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }
}

/// The shard at `path`, if its vectors are of this encoder.
fn open_fitting(path: &Path, encoder_fingerprint: Digest) -> Option<Connection> {
    let conn = open_read_only(path).ok()?;
    check_format(&conn, path).ok()?;
    let own = digest_of(&conn, path, "encoder_fingerprint").ok()?;
    conn.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))
        .ok()?;
    (own == encoder_fingerprint).then_some(conn)
}

fn look_up_in(
    conn: &Connection,
    path: &Path,
    hash: ContentHash,
) -> Result<Option<KnownVectors>, StoreError> {
    let gene_id = hash.chunk_id().to_string();
    let find = || -> rusqlite::Result<Option<KnownVectors>> {
        let found = conn
            .prepare_cached(
                "SELECT g.embedding_dense_v2, r.terms, r.encoded FROM genes AS g \
                 JOIN build_routes AS r ON r.gene_id = g.gene_id \
                 WHERE g.gene_id = ?1 AND g.content_hash = ?2",
            )?
            .query_row((&gene_id, hash.to_hex()), |row| {
                let words: String = row.get(1)?;
                let mut words: Vec<String> = serde_json::from_str(&words).unwrap_or_default();
                words.truncate(row.get::<_, u32>(2)? as usize);
                Ok((row.get::<_, Option<Vec<u8>>>(0)?, words))
            })
            .optional()?;
        let Some((dense, route_words)) = found else {
            return Ok(None);
        };
        let sparse = conn
            .prepare_cached(
                "SELECT term, weight FROM splade_terms WHERE gene_id = ?1 ORDER BY rowid",
            )?
            .query_map([&gene_id], sparse_term)?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Some(KnownVectors {
            sparse: SparseVector(sparse),
            dense: dense.as_deref().and_then(DenseVector::from_le_bytes),
            route_words,
        }))
    };
    find().map_err(StoreError::sql(path))
}

fn sparse_term(row: &Row<'_>) -> rusqlite::Result<SparseTerm> {
    let weight: f64 = row.get(1)?;
    Ok(SparseTerm {
        term: row.get(0)?,
        // Weights have 4 decimals; a float is off by less than half a unit.
        weight_e4: (weight * 1e4).round() as u32,
    })
}
