//! Whether a server has taken chunks of ours from an index: hidden them, put rows of its own in their place, or deleted them.
//!
//! A build asks, since it would keep a shard whose files are as they were. The questions go to small indexes, so that asking
//! costs a fraction of reading the ledger; what looks like a loss is then proved. `verify` lists the chunks.

use super::put_away;
use crate::store::build_meta::{digest_of, meta};
use crate::store::connect::open_read_only;
use crate::store::digest::digest_connection;
use crate::store::error::StoreError;
use rusqlite::Connection;
use std::path::Path;

/// The builder's rows that are where it wrote them: it numbers chunks from 1, and what a server writes follows.
const IN_PLACE: &str =
    "SELECT count(*) FROM genes INDEXED BY idx_genes_last_seen WHERE rowid <= ?1";

/// Those of them that dense searches see: all, in an index with vectors from which nothing is hidden.
const SEEN: &str = "
SELECT count(*) FROM genes INDEXED BY idx_genes_dense_v2_hot
WHERE embedding_dense_v2 IS NOT NULL AND chromatin < 2 AND rowid <= ?1";

/// Whether there is a chunk of ours in the cold tier among those that dense searches do not see.
const HAS_COLD: &str = "
SELECT EXISTS (SELECT 1 FROM genes WHERE chromatin = 2 AND compression_tier = 2 AND gene_id IN (
    SELECT gene_id FROM build_routes
    EXCEPT SELECT gene_id FROM genes INDEXED BY idx_genes_dense_v2_hot
           WHERE embedding_dense_v2 IS NOT NULL AND chromatin < 2))";

/// Return whether the shard at `path` lacks a chunk of ours that building it again would bring back.
///
/// # Errors
/// Those of reading the database.
pub fn has_lost_chunks(path: &Path) -> Result<bool, StoreError> {
    let connection = open_read_only(path)?;
    let chunks: i64 = meta(&connection, path, "chunks")?;
    let count = |sql| -> Result<i64, StoreError> {
        let found = connection.query_row(sql, [chunks], |row| row.get(0));
        found.map_err(StoreError::sql(path))
    };
    if count(IN_PLACE)? != chunks {
        return Ok(true);
    }
    Ok(count(SEEN)? != chunks && has_hidden(&connection, path)?)
}

/// Return whether chunks are in the cold tier that the rules do not put there, and the rows are not those that publishing noted.
fn has_hidden(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let has_cold: bool = connection
        .query_row(HAS_COLD, [], |row| row.get(0))
        .map_err(StoreError::sql(path))?;
    if !has_cold || put_away::built(connection, path)?.is_empty() {
        return Ok(false);
    }
    let found = digest_connection(connection, path)?;
    Ok(found.digest != digest_of(connection, path, "digest")?)
}
