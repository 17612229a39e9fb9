//! Who wrote a database, told by the names of its tables.
//!
//! Reads its schema and nothing else.

use super::connect::open_read_only;
use std::path::Path;

/// Who wrote a database, told by its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// This builder.
    Us,
    /// A server, or the builder that came with it.
    AnotherBuilder,
    AnotherProgram,
    /// The database is empty or cannot be read.
    Unknown,
}

/// Tables of which an index has at least one, whatever has happened to it: the builder's own, then those of the
/// format.
const TABLES_OF_OURS: [&str; 6] = [
    "build_meta",
    "build_roots",
    "build_files",
    "build_sources",
    "build_routes",
    "build_segments",
];
const TABLES_OF_THE_FORMAT: [&str; 5] = [
    "genes",
    "promoter_index",
    "shards",
    "fingerprint_index",
    "source_index",
];

/// Tells by the names of its tables who wrote the database at `path`.
pub fn maker_of(path: &Path) -> Maker {
    // Emptied: nothing tells what it was.
    if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
        return Maker::Unknown;
    }
    let names = open_read_only(path).ok().and_then(|connection| {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let mut statement = connection.prepare(sql).ok()?;
        let names = statement
            .query_map([], |row| row.get::<_, String>(0))
            .ok()?;
        names.collect::<Result<Vec<_>, _>>().ok()
    });
    let Some(names) = names else {
        return Maker::Unknown;
    };
    let has = |tables: &[&str]| names.iter().any(|name| tables.contains(&name.as_str()));
    if has(&TABLES_OF_OURS) {
        Maker::Us
    } else if has(&TABLES_OF_THE_FORMAT) {
        Maker::AnotherBuilder
    } else {
        Maker::AnotherProgram
    }
}
