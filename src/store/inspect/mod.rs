//! Shows what an index holds of a shard, a file or a chunk, as plain values to print or serialise.
//!
//! Reads only. For people and scripts that ask why a search found something, or did not; nothing in
//! the build depends on it.

mod chunk;
mod file;
mod shard;

#[cfg(test)]
mod tests;

pub use chunk::{ChunkView, TermView, inspect_chunk};
pub use file::{FileView, PlaceView, inspect_file};
pub use shard::{RootView, SegmentView, ShardView, TableView, inspect_shards};

use super::connect::open_read_only;
use super::error::StoreError;
use super::index::Index;
use super::ledger::check_format;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;
use std::path::PathBuf;

/// Runs `read` on every shard whose label is `label`, or on all, in the order of the labels.
fn each_shard<T>(
    index: &Index,
    label: Option<&str>,
    mut read: impl FnMut(&str, &PathBuf, &Connection) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, StoreError> {
    let mut views = Vec::new();
    for (name, path) in index.databases_of_ours() {
        if label.is_none_or(|label| label == name) {
            let connection = open_read_only(&path)?;
            check_format(&connection, &path)?;
            views.push(read(&name, &path, &connection).map_err(StoreError::sql(&path))?);
        }
    }
    Ok(views)
}

/// A column as JSON; blobs by their size.
fn json_value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}
