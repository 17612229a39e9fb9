//! What a published shard says about itself: its identity and the files it was built from.
//!
//! The supervisor compares it with the plan and leaves an unchanged shard alone.

use super::build_meta::{check_format, digest_of, meta, roots_of};
use super::connect::open_read_only;
use super::digest::ContentDigest;
use super::error::StoreError;
use super::ledger_row;
use super::root::Root;
use crate::file::FileRecord;
use crate::ids::Digest;
use rusqlite::Connection;
use std::path::Path;

/// A published shard's own account.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardLedger {
    pub label: String,
    pub fingerprint: Digest,
    pub encoder_fingerprint: Digest,
    pub digest: Digest,
    pub content: ContentDigest,
    pub tool_version: String,
    pub epoch: f64,
    pub roots: Vec<Root>,
    /// Distinct chunks.
    pub chunks: i64,
    /// Root number and file, in canonical order.
    pub files: Vec<(u32, FileRecord)>,
}

/// Read the ledger of the shard at `path`. [`StoreError::Foreign`] when it is not a shard of this
/// builder, [`StoreError::Format`] when it is of another version's.
pub fn read_ledger(path: &Path) -> Result<ShardLedger, StoreError> {
    let conn = open_read_only(path)?;
    let head = head(&conn, path)?;
    let sql = format!(
        "SELECT root_id, {} FROM build_files ORDER BY file_id",
        ledger_row::COLUMNS
    );
    let files = || -> rusqlite::Result<Option<Vec<(u32, FileRecord)>>> {
        conn.prepare(&sql)?
            .query_map([], |row| {
                let root_id: u32 = row.get(0)?;
                Ok(ledger_row::read(row, 1)?.map(|file| (root_id, file)))
            })?
            .collect()
    };
    Ok(ShardLedger {
        files: files()
            .map_err(StoreError::sql(path))?
            .ok_or_else(|| StoreError::corrupt(path, "a row of build_files does not decode"))?,
        ..head
    })
}

/// Read everything but the files of the shard at `path`. Fails as [`read_ledger`] does.
pub fn read_head(path: &Path) -> Result<ShardLedger, StoreError> {
    head(&open_read_only(path)?, path)
}

fn head(conn: &Connection, path: &Path) -> Result<ShardLedger, StoreError> {
    check_format(conn, path)?;
    Ok(ShardLedger {
        label: meta(conn, path, "label")?,
        fingerprint: digest_of(conn, path, "fingerprint")?,
        encoder_fingerprint: digest_of(conn, path, "encoder_fingerprint")?,
        digest: digest_of(conn, path, "digest")?,
        content: ContentDigest::from_digest(digest_of(conn, path, "content_digest")?),
        tool_version: meta(conn, path, "tool_version")?,
        epoch: meta(conn, path, "epoch")?,
        roots: roots_of(conn).map_err(StoreError::sql(path))?,
        chunks: meta(conn, path, "chunks")?,
        files: Vec::new(),
    })
}
