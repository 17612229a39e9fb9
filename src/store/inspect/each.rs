//! Reads shards one after the other, and columns as JSON.

use crate::store::build_meta::check_format;
use crate::store::connect::open_read_only;
use crate::store::error::StoreError;
use crate::store::index::Index;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;
use std::path::PathBuf;

/// Run `read` on every shard whose label is `label`, or on all, in the order of the labels.
pub fn each_shard<T>(
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

/// Return a column as JSON; blobs by their size.
pub fn json_value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}
