//! What lies at a path, told by the rows of a database or by the first bytes of a file.

use crate::ids::Digest;
use crate::named_file;
use crate::platform;
use crate::report::marks;
use crate::store::build_meta::{digest_of, meta, roots_of, spelled_value};
use crate::store::connect::open_read_only;
use crate::store::error::StoreError;
use crate::store::maker::{Maker, maker_by, tables};
use crate::store::root::Root;
use crate::store::schema::FORMAT_VERSION;
use rusqlite::OptionalExtension as _;
use rusqlite::types::Value;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// What lies at the path of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    Nothing,
    Ours(Mark),
    /// Written by another version of this program, with this format number; `by` is the version, as it says.
    OtherFormat {
        format: String,
        by: String,
    },
    /// A file that cannot be read as a database, or an index that does not say any more what it is.
    Unreadable,
    /// Somebody else's: what it is, in words.
    Foreign(&'static str),
}

/// What a database of this builder says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub label: String,
    pub roots: Vec<Root>,
    /// `None` when it is not a hash.
    pub encoders: Option<Digest>,
    /// Of its rows, as it says; `None` when it is not a hash.
    pub digest: Option<Digest>,
}

/// Look at what lies at `path`; opens nothing but regular files.
pub fn look(path: &Path) -> Result<Holding, StoreError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Holding::Nothing),
        found => found.map_err(StoreError::io(path))?.file_type(),
    };
    if !found.is_file() {
        return Ok(Holding::Foreign(platform::kind_in_words(found)));
    }
    match mark_of(path) {
        Err(StoreError::Corrupt { .. }) => Ok(Holding::Unreadable),
        looked => looked,
    }
}

fn mark_of(path: &Path) -> Result<Holding, StoreError> {
    let conn = open_read_only(path)?;
    let tables = tables(&conn).map_err(StoreError::sql(path))?;
    if tables.is_empty() {
        return Ok(Holding::Unreadable);
    }
    // Without its mark, or with a part of it.
    let unmarked = || match maker_by(&tables) == Maker::Us {
        true => Holding::Unreadable,
        false => Holding::Foreign("another program's database"),
    };
    let or_unmarked = |error| match error {
        StoreError::Sql { .. } => Ok(unmarked()),
        error => Err(error),
    };
    let format = conn
        .query_row(
            "SELECT value FROM build_meta WHERE key = 'format'",
            [],
            |row| row.get::<_, Value>(0),
        )
        .optional();
    match format {
        Ok(Some(Value::Integer(FORMAT_VERSION))) => {}
        Ok(Some(value)) if is_format(&value) || unmarked() == Holding::Unreadable => {
            let by = meta(&conn, path, "tool_version").unwrap_or_default();
            let format = spelled_value(value);
            return Ok(Holding::OtherFormat { format, by });
        }
        Ok(_) => return Ok(unmarked()),
        Err(error) => return or_unmarked(StoreError::sql(path)(error)),
    }
    let mark = || {
        Ok(Mark {
            label: meta(&conn, path, "label")?,
            roots: roots_of(&conn).map_err(StoreError::sql(path))?,
            encoders: digest_of(&conn, path, "encoder_fingerprint").ok(),
            digest: digest_of(&conn, path, "digest").ok(),
        })
    };
    mark().map(Holding::Ours).or_else(or_unmarked)
}

/// Return whether a value of `build_meta` may be the format number of some version.
fn is_format(value: &Value) -> bool {
    match value {
        Value::Integer(_) => true,
        Value::Text(text) => text.trim().parse::<i64>().is_ok(),
        _ => false,
    }
}

/// Return whether a build may register shards in what lies at `path`: any routing database, or an empty
/// file. `Err` in the result says what else it is.
pub fn is_routing(path: &Path) -> Result<Result<(), &'static str>, StoreError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(())),
        found => found.map_err(StoreError::io(path))?,
    };
    if !found.is_file() {
        return Ok(Err(platform::kind_in_words(found.file_type())));
    }
    let head = named_file::head(path, marks::HEAD_BYTES).map_err(StoreError::io(path))?;
    if !marks::is_blank(&head) && !marks::is_database(&head) {
        return Ok(Err("a file that is not a database"));
    }
    let conn = open_read_only(path)?;
    let tables = match tables(&conn).map_err(StoreError::sql(path)) {
        // Opening it for writing says what is wrong with it.
        Err(StoreError::Corrupt { .. }) => return Ok(Ok(())),
        tables => tables?,
    };
    let columns = "SELECT shard_name, category, path, created_at, updated_at, gene_count, byte_size, health, metadata
                   FROM shards LIMIT 0";
    let is_routing = tables.is_empty() || conn.prepare(columns).is_ok();
    Ok(match is_routing {
        true => Ok(()),
        false => Err("another program's database"),
    })
}
