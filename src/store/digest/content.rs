//! The chunks of a shard and the files that hold them.

use super::Tiers;
use super::fields::Fields;
use crate::ids::{ChunkId, Digest};
use crate::store::root::{Root, below_root};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A sum over files; see the [module](super).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentDigest([u64; 4]);

impl ContentDigest {
    /// Return the digest of both sets of files together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n].wrapping_add(other.0[n])))
    }

    /// As it is written down: 32 bytes.
    pub fn to_digest(self) -> Digest {
        let mut bytes = [0; 32];
        for (part, value) in bytes.chunks_exact_mut(8).zip(self.0) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        Digest(bytes)
    }

    /// Return the inverse of [`Self::to_digest`].
    pub fn from_digest(digest: Digest) -> Self {
        Self(std::array::from_fn(|n| {
            let mut part = [0; 8];
            part.copy_from_slice(&digest.0[n * 8..n * 8 + 8]);
            u64::from_le_bytes(part)
        }))
    }
}

/// The builder's chunks, each with a hash of what it says: first of its sparse vector, then of text
/// and vectors together.
pub struct Chunks(HashMap<ChunkId, [u8; 16], BuildHasherDefault<IdHasher>>);

/// Chunk ids are hashes already.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Chunks {
    pub fn read_ids(conn: &Connection) -> rusqlite::Result<Self> {
        let mut chunks = HashMap::default();
        let mut statement = conn.prepare("SELECT gene_id FROM build_routes")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(id) = ChunkId::parse(row.get_ref(0)?.as_str()?) {
                chunks.insert(id, [0; 16]);
            }
        }
        Ok(Self(chunks))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn has(&self, id: ChunkId) -> bool {
        self.0.contains_key(&id)
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut [u8; 16]> {
        self.0.get_mut(&ChunkId::parse(id)?)
    }

    /// Hashes the sparse vectors in whatever order their terms lie: the hash of a vector is the sum of the hashes of its
    /// terms and weights.
    pub fn hash_sparse(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut statement = conn.prepare("SELECT gene_id, term, weight FROM splade_terms")?;
        let mut rows = statement.query([])?;
        let mut own = Fields::new();
        while let Some(row) = rows.next()? {
            let Some(chunk) = self.get_mut(row.get_ref(0)?.as_str()?) else {
                continue;
            };
            own.value(row.get_ref(1)?);
            own.value(row.get_ref(2)?);
            let term = u128::from_le_bytes(short(own.take()));
            *chunk = u128::from_le_bytes(*chunk).wrapping_add(term).to_le_bytes();
        }
        Ok(())
    }

    /// Hashes the rows of the builder's chunks and ends each chunk's own hash.
    pub fn hash_genes(
        &mut self,
        conn: &Connection,
        roots: &[Root],
        tiers: &Tiers,
        fields: &mut Fields,
    ) -> rusqlite::Result<()> {
        // The first column is the id, the second the source, the third the hash of the text, the
        // fourth the dense vector.
        let mut statement = conn.prepare(
            "SELECT g.gene_id, source_id, content_hash, embedding_dense_v2, content, complement, \
             codons, promoter, is_fragment, embedding, repo_root, source_kind, volatility_class, \
             authority_class, support_span, version, supersedes, key_values, embedding_dense, \
             compression_tier FROM build_routes AS r CROSS JOIN genes AS g ON g.gene_id = r.gene_id \
             ORDER BY r.rowid",
        )?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut own = Fields::new();
        while let Some(row) = rows.next()? {
            let Some(chunk) = self.get_mut(row.get_ref(0)?.as_str()?) else {
                continue;
            };
            fields.bytes(chunk);
            own.bytes(chunk);
            own.value(row.get_ref(2)?);
            own.value(row.get_ref(3)?);
            *chunk = short(own.take());
            fields.value(row.get_ref(0)?);
            let source = row.get_ref(1)?.as_str_or_null()?.unwrap_or_default();
            // The whole source when it lies below no root.
            let (root, path) = below_root(roots, source).unwrap_or(("", source));
            fields.bytes(root.as_bytes());
            fields.bytes(path.as_bytes());
            for column in 2..columns - 1 {
                fields.value(row.get_ref(column)?);
            }
            match tiers.get(row.get_ref(0)?.as_str()?) {
                Some(tier) => fields.value(ValueRef::Integer(i64::from(*tier))),
                None => fields.value(row.get_ref(columns - 1)?),
            }
        }
        Ok(())
    }

    /// Hashes the ledger and the places of the chunks; the number of files and their content.
    pub fn hash_files(
        &self,
        conn: &Connection,
        roots: &[Root],
        fields: &mut Fields,
    ) -> rusqlite::Result<(u64, ContentDigest)> {
        let mut files = conn.prepare(
            "SELECT file_id, root_id, path, size, blake3, chunks, skip_reason, encoding, language \
             FROM build_files ORDER BY file_id",
        )?;
        let mut places = conn.prepare(
            "SELECT gene_id, is_fragment, seq, byte_start, byte_end, line_start, line_end, symbols \
             FROM build_sources WHERE file_id = ?1 ORDER BY seq",
        )?;
        let mut files = files.query([])?;
        let mut own = Fields::new();
        let mut count = 0;
        let mut sum = ContentDigest::default();
        while let Some(file) = files.next()? {
            count += 1;
            let root: u32 = file.get(1)?;
            own.bytes(
                roots
                    .get(root as usize)
                    .map_or("", |root| &root.label)
                    .as_bytes(),
            );
            for column in 2..9 {
                own.value(file.get_ref(column)?);
            }
            let mut places = places.query([file.get::<_, i64>(0)?])?;
            while let Some(place) = places.next()? {
                let id = place.get_ref(0)?.as_str()?;
                for column in 0..8 {
                    own.value(place.get_ref(column)?);
                }
                let chunk = ChunkId::parse(id).and_then(|id| self.0.get(&id));
                own.bytes(chunk.map_or(&[], |hash| hash.as_slice()));
            }
            let file = own.take();
            fields.bytes(&file.0);
            sum = sum.and(ContentDigest::from_digest(file));
        }
        Ok((count, sum))
    }
}

/// Half of a hash: enough to tell chunks apart that carry the same id, and kept for every chunk.
fn short(digest: Digest) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest.0[..16]);
    half
}
