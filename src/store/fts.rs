//! The full-text index of a shard, filled row by row while chunks arrive.
//!
//! The index holds no text of its own: it must say exactly what the view `genes_fts_source` says,
//! or a server's queries and repairs go wrong without a message. So the one function that spells a
//! row is here, beside the settings of the load.
//!
//! Postings are gathered in memory, and SQLite makes the index write them out whenever a statement
//! opens a savepoint of its own. One that inserts several rows and could fail half-way does, so the
//! loader runs none while rows arrive: each would cut the index into one more run.

use super::error::StoreError;
use rusqlite::{Connection, Statement};
use std::path::Path;

pub const INSERT: &str =
    "INSERT INTO genes_fts (rowid, gene_id, content, complement) VALUES (?1, ?2, ?3, ?4)";

/// Bytes of postings kept in memory before they are written as one run. The default of 1 MiB makes
/// 20 times as many runs, each of which is merged again later.
const HASH_BYTES: u32 = 16 << 20;

/// Settings for loading; they live in the index and are taken back by [`finish`].
pub fn begin(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    conn.execute_batch(&format!(
        "INSERT INTO genes_fts (genes_fts, rank) VALUES ('hashsize', {HASH_BYTES});
         INSERT INTO genes_fts (genes_fts, rank) VALUES ('automerge', 0);"
    ))
    .map_err(StoreError::sql(path))
}

/// Merge the index into one run and remove the settings, so that a server starts from defaults.
pub fn finish(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    conn.execute_batch(
        "INSERT INTO genes_fts (genes_fts) VALUES ('optimize');
         DELETE FROM genes_fts_config WHERE k IN ('hashsize', 'automerge');",
    )
    .map_err(StoreError::sql(path))
}

/// What the full-text index says of a chunk in its column `content`.
pub struct Indexed<'a> {
    /// Label of the root and path below it; the whole `source_id` below no root.
    pub source: &'a str,
    /// In the order of `promoter_index`.
    pub tag_values: &'a [String],
    pub content: &'a str,
    /// `build_routes.words`.
    pub unwritten: &'a str,
}

/// Spell the indexed text of a chunk as the view does.
pub fn spell(indexed: &Indexed<'_>) -> String {
    let Indexed {
        source,
        tag_values,
        content,
        unwritten,
    } = indexed;
    let tags = tag_values.join(" ");
    [source, tags.as_str(), content, unwritten].join(" ")
}

pub fn insert(
    statement: &mut Statement<'_>,
    rowid: i64,
    gene_id: &str,
    text: &str,
    complement: &str,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, rowid)?;
    statement.raw_bind_parameter(2, gene_id)?;
    statement.raw_bind_parameter(3, text)?;
    statement.raw_bind_parameter(4, complement)?;
    statement.raw_execute()?;
    Ok(())
}
