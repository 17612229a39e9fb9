//! Tells from the names of its tables which program wrote a database.
//!
//! Reads its schema and nothing else.

use super::connect::open_read_only;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// The program that wrote a database.
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
/// format. `build_meta` alone tells nothing: others have one, too.
const TABLES_OF_OURS: [&str; 5] = [
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

/// Tell by the names of its tables who wrote the database at `path`.
pub fn maker_of(path: &Path) -> Maker {
    // Emptied: nothing tells what it was.
    if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
        return Maker::Unknown;
    }
    let tables = open_read_only(path)
        .ok()
        .and_then(|conn| tables(&conn).ok());
    tables.map_or(Maker::Unknown, |tables| maker_by(&tables))
}

/// Who writes a database with these tables.
pub fn maker_by(tables: &BTreeSet<String>) -> Maker {
    let has = |names: &[&str]| names.iter().any(|name| tables.contains(*name));
    if has(&TABLES_OF_OURS) {
        Maker::Us
    } else if has(&TABLES_OF_THE_FORMAT) {
        Maker::AnotherBuilder
    } else {
        Maker::AnotherProgram
    }
}

/// Names of the tables and views of a database.
pub fn tables(conn: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    conn.prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")?
        .query_map([], |row| row.get(0))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_tell_who_made_a_database() {
        let by = |names: &[&str]| maker_by(&names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(by(&["build_files"]), Maker::Us);
        assert_eq!(by(&["genes", "build_routes"]), Maker::Us);
        assert_eq!(by(&["genes", "build_meta"]), Maker::AnotherBuilder);
        for names in [&["build_meta"][..], &["customers"], &[]] {
            assert_eq!(by(names), Maker::AnotherProgram, "{names:?}");
        }
    }
}
