//! What a published shard says about itself: its identity and the files it was built from.
//!
//! The supervisor compares it with the plan and leaves an unchanged shard alone.

use super::connect::open_read_only;
use super::digest::ContentDigest;
use super::error::StoreError;
use super::ledger_row;
use super::schema::FORMAT_VERSION;
use super::shard::Root;
use crate::file::FileRecord;
use crate::ids::Digest;
use rusqlite::types::{FromSql, Value};
use rusqlite::{Connection, OptionalExtension as _};
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

/// Reads the ledger of the shard at `path`. [`StoreError::Foreign`] when it is not a shard of this
/// builder, [`StoreError::Format`] when it is of another version's.
pub fn read_ledger(path: &Path) -> Result<ShardLedger, StoreError> {
    let conn = open_read_only(path)?;
    check_format(&conn, path)?;
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
        label: meta(&conn, path, "label")?,
        fingerprint: digest_of(&conn, path, "fingerprint")?,
        encoder_fingerprint: digest_of(&conn, path, "encoder_fingerprint")?,
        digest: digest_of(&conn, path, "digest")?,
        content: ContentDigest::from_digest(digest_of(&conn, path, "content_digest")?),
        tool_version: meta(&conn, path, "tool_version")?,
        epoch: meta(&conn, path, "epoch")?,
        roots: roots_of(&conn).map_err(StoreError::sql(path))?,
        chunks: meta(&conn, path, "chunks")?,
        files: files()
            .map_err(StoreError::sql(path))?
            .ok_or_else(|| StoreError::corrupt(path, "a row of build_files does not decode"))?,
    })
}

/// How the vectors of a shard were made: two texts of `build_meta`, each JSON of the builder's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderRecord {
    pub encoder: String,
    pub recipe: String,
}

impl EncoderRecord {
    /// Read the record of an open shard; `path` is for messages.
    pub(crate) fn read(conn: &Connection, path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            encoder: meta(conn, path, "encoder")?,
            recipe: meta(conn, path, "recipe")?,
        })
    }
}

/// A text that the shard at `path` says of itself under this key of `build_meta`.
pub fn read_text(path: &Path, key: &str) -> Result<String, StoreError> {
    meta(&open_read_only(path)?, path, key)
}

/// Fails with [`StoreError::Foreign`] unless the database is a shard of this builder, and with
/// [`StoreError::Format`] unless it is of this format version.
pub(crate) fn check_format(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let has_table = conn
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'build_meta'")
        .and_then(|mut statement| statement.exists([]))
        .map_err(StoreError::sql(path))?;
    if !has_table {
        return Err(StoreError::Foreign {
            path: path.to_path_buf(),
        });
    }
    match meta::<Value>(conn, path, "format")? {
        Value::Integer(FORMAT_VERSION) => Ok(()),
        found => Err(StoreError::Format {
            path: path.to_path_buf(),
            found: spelled_value(found),
            by: meta(conn, path, "tool_version").map_or_else(|_| "?".to_owned(), spelled_value),
        }),
    }
}

/// A value of `build_meta` for people.
pub(super) fn spelled_value(value: Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        _ => "?".to_owned(),
    }
}

pub(super) fn meta<T: FromSql>(conn: &Connection, path: &Path, key: &str) -> Result<T, StoreError> {
    conn.query_row(
        "SELECT value FROM build_meta WHERE key = ?1",
        [key],
        |row| row.get(0),
    )
    .optional()
    .map_err(StoreError::sql(path))?
    .ok_or_else(|| StoreError::corrupt(path, format!("build_meta has no {key}")))
}

pub(super) fn digest_of(conn: &Connection, path: &Path, key: &str) -> Result<Digest, StoreError> {
    let text: String = meta(conn, path, key)?;
    Digest::parse(&text)
        .ok_or_else(|| StoreError::corrupt(path, format!("build_meta.{key} is not a hash")))
}

pub(super) fn roots_of(conn: &Connection) -> rusqlite::Result<Vec<Root>> {
    conn.prepare("SELECT label, path FROM build_roots ORDER BY root_id")?
        .query_map([], |row| {
            Ok(Root {
                label: row.get(0)?,
                path: row.get(1)?,
            })
        })?
        .collect()
}
