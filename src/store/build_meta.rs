//! What a shard says of itself in `build_meta` and `build_roots`: format, label, fingerprints, encoders, roots.
//!
//! Reads only; [`shard`](super::shard) writes it.

use super::connect::open_read_only;
use super::error::StoreError;
use super::root::Root;
use super::schema::FORMAT_VERSION;
use crate::ids::Digest;
use rusqlite::types::{FromSql, Value};
use rusqlite::{Connection, OptionalExtension as _};
use std::path::Path;

/// How the vectors of a shard were made: two texts of `build_meta`, each JSON of the builder's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderRecord {
    pub encoder: String,
    pub recipe: String,
}

impl EncoderRecord {
    /// Read the record of an open shard; `path` is for messages.
    pub fn read(conn: &Connection, path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            encoder: meta(conn, path, "encoder")?,
            recipe: meta(conn, path, "recipe")?,
        })
    }
}

/// Read a text of `build_meta` of the shard at `path`.
pub fn read_text(path: &Path, key: &str) -> Result<String, StoreError> {
    meta(&open_read_only(path)?, path, key)
}

/// Fail with [`StoreError::Foreign`] unless the database is a shard of this builder, and with
/// [`StoreError::Format`] unless it is of this format version.
pub fn check_format(conn: &Connection, path: &Path) -> Result<(), StoreError> {
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

/// Return whether the vectors of the shard can be read: it is of this format or of an earlier one, whose vectors are
/// stored alike.
pub fn has_known_vectors(conn: &Connection, path: &Path) -> bool {
    let format = meta::<Value>(conn, path, "format");
    matches!(format, Ok(Value::Integer(1..=FORMAT_VERSION)))
}

/// Return a value of `build_meta` for people.
pub fn spelled_value(value: Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        _ => "?".to_owned(),
    }
}

/// Read a value of `build_meta`. One that is missing is [`StoreError::Corrupt`].
pub fn meta<T: FromSql>(conn: &Connection, path: &Path, key: &str) -> Result<T, StoreError> {
    conn.query_row(
        "SELECT value FROM build_meta WHERE key = ?1",
        [key],
        |row| row.get(0),
    )
    .optional()
    .map_err(StoreError::sql(path))?
    .ok_or_else(|| StoreError::corrupt(path, format!("build_meta has no {key}")))
}

/// Read a hash of `build_meta`.
pub fn digest_of(conn: &Connection, path: &Path, key: &str) -> Result<Digest, StoreError> {
    let text: String = meta(conn, path, key)?;
    Digest::parse(&text)
        .ok_or_else(|| StoreError::corrupt(path, format!("build_meta.{key} is not a hash")))
}

/// Read the roots of the shard, in the order of their numbers.
pub fn roots_of(conn: &Connection) -> rusqlite::Result<Vec<Root>> {
    conn.prepare("SELECT label, path FROM build_roots ORDER BY root_id")?
        .query_map([], |row| {
            Ok(Root {
                label: row.get(0)?,
                path: row.get(1)?,
            })
        })?
        .collect()
}
