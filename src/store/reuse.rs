//! Vectors of earlier builds, by the text that they belong to.
//!
//! A published shard is the cache: there is no second store to grow stale. Shards of another encoder
//! fingerprint, of a later format, or unreadable ones are left out. So are rows that a server has put in place of ours,
//! behind all that the builder wrote: their vectors are of its own encoders, if they have any. Reading only.

use super::build_meta::{digest_of, has_known_vectors};
use super::connect::{most_open_databases, open_read_only};
use super::error::StoreError;
use crate::ids::{ChunkId, ContentHash, Digest};
use crate::vector::{DenseVector, SparseTerm, SparseVector, Vectors};
use rusqlite::{Connection, OptionalExtension as _, Row};
use std::path::{Path, PathBuf};

/// Earlier shards ready for look-ups. One thread's own.
///
/// As many stay open as the system allows. Of the others it is noted which texts they hold (8 bytes each), so that
/// they are only opened for a text that is there.
#[derive(Debug)]
pub struct VectorCache {
    kept: Vec<Shard>,
    others: Others,
    encoder_fingerprint: Digest,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    /// `None` between look-ups, where [`VectorCache::rest`] closes.
    open: Option<Connection>,
}

/// Shards that do not stay open.
#[derive(Debug, Default)]
struct Others {
    paths: Vec<PathBuf>,
    /// The beginning of a chunk's id, and the position of the shard that holds it; sorted.
    places: Vec<(u32, u32)>,
    /// Opened last: what follows is likely to be there as well.
    last: Option<(usize, Connection)>,
}

/// Page cache of one shard in KiB: the upper levels of two trees.
const CACHE_KIB: u32 = 1024;

impl VectorCache {
    /// Open those of `paths` whose vectors fit `encoder_fingerprint`. What cannot be used is not
    /// an error: its texts are encoded again.
    pub fn open(paths: &[PathBuf], encoder_fingerprint: Digest) -> Self {
        Self::keep(most_open_databases(), paths, encoder_fingerprint)
    }

    /// [`Self::open`] with at most `most` of them open.
    fn keep(most: usize, paths: &[PathBuf], encoder_fingerprint: Digest) -> Self {
        let mut cache = Self {
            kept: Vec::new(),
            others: Others::default(),
            encoder_fingerprint,
        };
        for path in paths {
            let Some(open) = open_fitting(path, encoder_fingerprint) else {
                continue;
            };
            if cache.kept.len() < most {
                cache.kept.push(Shard {
                    path: path.clone(),
                    open: Some(open),
                });
            } else {
                cache.others.add(path, &open);
            }
        }
        cache.others.places.sort_unstable();
        cache.rest();
        cache
    }

    /// Close the shards until the next look-up. On Windows an open shard cannot be replaced.
    pub fn rest(&mut self) {
        if cfg!(windows) {
            for shard in &mut self.kept {
                shard.open = None;
            }
            self.others.last = None;
        }
    }

    /// Number of shards that are looked through.
    pub fn len(&self) -> usize {
        self.kept.len() + self.others.paths.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Return the vectors of the text with this hash, from the first shard that has it. The sparse vector is empty when
    /// that build had no sparse encoder.
    pub fn look_up(&mut self, hash: ContentHash) -> Result<Option<Vectors>, StoreError> {
        for Shard { path, open } in &mut self.kept {
            if open.is_none() {
                // Replaced meanwhile, it may be of no use any more.
                *open = open_fitting(path, self.encoder_fingerprint);
            }
            let Some(conn) = open else { continue };
            if let Some(known) = look_up_in(conn, path, hash)? {
                return Ok(Some(known));
            }
        }
        self.others.look_up(hash, self.encoder_fingerprint)
    }
}

impl Others {
    /// Record what a shard holds. One that cannot be read to its end is used as far as it was read.
    fn add(&mut self, path: &Path, conn: &Connection) {
        let number = self.paths.len() as u32;
        self.paths.push(path.to_path_buf());
        let mut ids = || -> rusqlite::Result<()> {
            let mut statement = conn.prepare("SELECT gene_id FROM build_routes")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Some(id) = ChunkId::parse(row.get_ref(0)?.as_str()?) {
                    self.places.push((beginning(id), number));
                }
            }
            Ok(())
        };
        if let Err(error) = ids() {
            tracing::debug!("{}: {error}", path.display());
        }
    }

    fn look_up(
        &mut self,
        hash: ContentHash,
        encoder_fingerprint: Digest,
    ) -> Result<Option<Vectors>, StoreError> {
        let wanted = beginning(hash.chunk_id());
        let first = self.places.partition_point(|(id, _)| *id < wanted);
        for at in first..self.places.len() {
            let (id, number) = self.places[at];
            if id != wanted {
                break;
            }
            let number = number as usize;
            let path = &self.paths[number];
            if self.last.as_ref().is_none_or(|(open, _)| *open != number) {
                self.last = open_fitting(path, encoder_fingerprint).map(|conn| (number, conn));
            }
            // Replaced meanwhile, it may be of no use any more.
            let Some((_, conn)) = &self.last else {
                continue;
            };
            if let Some(known) = look_up_in(conn, path, hash)? {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }
}

/// Half of an id: of a million texts in 10,000 shards few share it, and those cost an opening each.
fn beginning(id: ChunkId) -> u32 {
    u32::from_be_bytes([id.0[0], id.0[1], id.0[2], id.0[3]])
}

/// Return the shard at `path`, if its vectors are of this encoder.
fn open_fitting(path: &Path, encoder_fingerprint: Digest) -> Option<Connection> {
    let conn = open_read_only(path).ok()?;
    let own = digest_of(&conn, path, "encoder_fingerprint").ok()?;
    conn.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB}"))
        .ok()?;
    let fits = own == encoder_fingerprint && has_known_vectors(&conn, path);
    fits.then_some(conn)
}

fn look_up_in(
    conn: &Connection,
    path: &Path,
    hash: ContentHash,
) -> Result<Option<Vectors>, StoreError> {
    let gene_id = hash.chunk_id().to_string();
    let find = || -> rusqlite::Result<Option<Vectors>> {
        let found = conn
            .prepare_cached(
                "SELECT g.embedding_dense_v2, r.terms, r.encoded FROM genes AS g \
                 JOIN build_routes AS r ON r.gene_id = g.gene_id \
                 WHERE g.gene_id = ?1 AND g.content_hash = ?2 \
                 AND g.rowid <= (SELECT value FROM build_meta WHERE key = 'chunks')",
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
            .prepare_cached("SELECT term, weight FROM splade_terms WHERE gene_id = ?1")?
            .query_map([&gene_id], sparse_term)?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Some(Vectors {
            sparse: Some(SparseVector::new(sparse)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::sample::{build_shard, corpus, indexed, shard_header};

    #[test]
    fn shards_that_do_not_stay_open_give_the_same_vectors() {
        let folder = crate::test_folder::create();
        let more = [indexed(
            "b/one.rs",
            &["fn One Config Parser", "words of b alone"],
        )];
        build_shard(folder.path(), "a.genome.db", "/a", &corpus(), &[]);
        build_shard(folder.path(), "b.genome.db", "/b", &more, &[]);
        build_shard(folder.path(), "c.genome.db", "/c", &corpus()[..1], &[]);
        let paths = ["a", "b", "c"].map(|name| folder.path().join(format!("{name}.genome.db")));
        let fingerprint = shard_header("s", &[]).encoder_fingerprint;
        let texts = [
            "words of b alone",
            "fn Parser Config tick",
            "plain words only",
        ];
        for most in 0..=3 {
            let mut cache = VectorCache::keep(most, &paths, fingerprint);
            assert_eq!((cache.kept.len(), cache.len()), (most, 3));
            for text in texts {
                let known = cache.look_up(ContentHash::of(text)).expect("reads");
                assert!(
                    known.is_some_and(|known| known.dense.is_some()),
                    "{most}: {text}"
                );
            }
            let unknown = cache.look_up(ContentHash::of("nowhere")).expect("reads");
            assert_eq!(unknown, None);
        }
        assert!(VectorCache::keep(1, &paths, Digest([1; 32])).is_empty());
    }
}
