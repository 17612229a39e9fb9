//! Logical digests: what an index says, whatever its pages look like.
//!
//! A **shard digest** covers the rows that the builder wrote, in canonical order. Left out are: times
//! (`observed_at`, `last_seen`, `mtime`, ...), absolute paths (a source counts as its root's label
//! and the path below it), devices, the tool's version, messages for people, what is derived and
//! checked elsewhere (the full-text index, document frequencies, relations and links, which servers
//! also replace by their own), and whatever a server that mounts the shard may change: `chromatin`
//! (its initial value stands in `compression_tier`), `epigenetics`, verification and scores, and rows
//! of chunks it adds itself.
//!
//! A **content digest** is the same for one database and for many shards: every file contributes a
//! hash of its ledger row and its chunks, and the contributions are added up, so neither the order
//! nor the grouping of files can show. It tells whether two indexes hold the same; it is not a
//! signature.
//!
//! One pass over each table, about 30 bytes of memory a chunk. Nothing is written.

mod content;
mod fields;

use super::build_meta::{check_format, digest_of, meta, roots_of};
use super::connect::open_read_only;
use super::error::StoreError;
use crate::ids::{ChunkId, Digest};
use content::Chunks;
use fields::Fields;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// What a shard holds, as recomputed from its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardDigest {
    pub digest: Digest,
    pub content: ContentDigest,
    /// Ledger rows, skipped files included.
    pub files: u64,
    /// Distinct chunks.
    pub chunks: u64,
}

pub use content::ContentDigest;

/// Digest the shard at `path` in one pass.
pub fn digest_shard(path: &Path) -> Result<ShardDigest, StoreError> {
    let conn = open_read_only(path)?;
    digest_connection(&conn, path)
}

/// Tiers by chunk id, in place of those in `compression_tier`.
pub type Tiers = BTreeMap<String, u8>;

/// [`digest_shard`] of an open shard; `path` is for messages.
pub fn digest_connection(conn: &Connection, path: &Path) -> Result<ShardDigest, StoreError> {
    digest_with(conn, path, &Tiers::new())
}

/// [`digest_connection`] with other tiers of some chunks.
pub fn digest_with(
    conn: &Connection,
    path: &Path,
    tiers: &Tiers,
) -> Result<ShardDigest, StoreError> {
    check_format(conn, path)?;
    let label: String = meta(conn, path, "label")?;
    let fingerprint = digest_of(conn, path, "fingerprint")?;
    let mut fields = Fields::new();
    fields.bytes(b"helix-build shard 3");
    fields.bytes(label.as_bytes());
    fields.bytes(&fingerprint.0);
    let mut rows = || -> rusqlite::Result<(Chunks, u64, ContentDigest)> {
        let roots = roots_of(conn)?;
        let mut chunks = Chunks::read_ids(conn)?;
        chunks.hash_sparse(conn)?;
        chunks.hash_genes(conn, &roots, tiers, &mut fields)?;
        let (files, content) = chunks.hash_files(conn, &roots, &mut fields)?;
        for (name, sql) in SIDE_TABLES {
            fields.bytes(name.as_bytes());
            hash_side_table(conn, sql, &chunks, &mut fields)?;
        }
        Ok((chunks, files, content))
    };
    let (chunks, files, content) = rows().map_err(StoreError::sql(path))?;
    Ok(ShardDigest {
        digest: fields.finish(),
        content,
        files,
        chunks: chunks.len() as u64,
    })
}

/// Return the digest of an index: over its shards' labels and digests, in the order of the labels.
pub fn digest_index<'a>(shards: impl IntoIterator<Item = (&'a str, Digest)>) -> Digest {
    let mut shards: Vec<(&str, Digest)> = shards.into_iter().collect();
    shards.sort_unstable();
    let mut fields = Fields::new();
    fields.bytes(b"helix-build index 1");
    for (label, digest) in shards {
        fields.bytes(label.as_bytes());
        fields.bytes(&digest.0);
    }
    fields.finish()
}

/// Tables whose rows name a chunk first, with their canonical order. A row counts when the builder
/// wrote its chunk.
const SIDE_TABLES: [(&str, &str); 5] = [
    (
        "build_routes",
        "SELECT gene_id, terms, encoded, words FROM build_routes ORDER BY rowid",
    ),
    (
        "promoter_index",
        "SELECT gene_id, tag_type, tag_value FROM promoter_index ORDER BY rowid",
    ),
    (
        "entity_graph",
        "SELECT gene_id, entity FROM entity_graph ORDER BY entity, gene_id",
    ),
    (
        "path_key_index",
        "SELECT gene_id, path_token, kv_key FROM path_key_index \
         ORDER BY path_token, kv_key, gene_id",
    ),
    (
        "filename_index",
        "SELECT gene_id, filename_stem FROM filename_index ORDER BY filename_stem, gene_id",
    ),
];

fn hash_side_table(
    conn: &Connection,
    sql: &str,
    chunks: &Chunks,
    fields: &mut Fields,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    // Rows of one chunk lie together in most tables.
    let mut latest = None;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_bytes()?;
        let id = std::str::from_utf8(id).ok().and_then(ChunkId::parse);
        if id != latest && !id.is_some_and(|id| chunks.has(id)) {
            continue;
        }
        latest = id;
        for column in 0..columns {
            fields.value(row.get_ref(column)?);
        }
    }
    Ok(())
}
