//! Whether the indexes of `splade_terms` hold exactly its rows.
//!
//! SQLite's `integrity_check` looks every row up in every index, each time from the root. For the
//! terms of every chunk that was most of the time of a full check. Walking table and index once each,
//! in their own order, and comparing sums of hashes says the same at a fraction: pages and trees are
//! covered by `quick_check`, the order of an index's first column by the walk.

use super::fault::{FaultKind, Finder};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The table's own walk. Without the weight SQLite would walk the index instead.
const ROWS: &str = "SELECT gene_id, term, weight FROM splade_terms ORDER BY term, gene_id";

/// The walk of the index over its rows.
const INDEX: &str =
    "SELECT gene_id, term FROM splade_terms INDEXED BY idx_splade_gene ORDER BY gene_id, term";

/// Indexes that only keep a name: without rows, whatever the table has.
const STAND_INS: [&str; 2] = ["idx_splade_term", "idx_splade_term_cover"];

/// Entries in the pages of an index. No query reads an index of no rows.
const ENTRIES: &str = "SELECT coalesce(sum(ncell), 0) FROM dbstat WHERE name = ?1";

/// Rows and the sum of their hashes, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hashes: u128,
}

impl Sum {
    fn add(&mut self, hash: u64) {
        self.rows += 1;
        self.hashes += u128::from(hash);
    }
}

pub fn check(connection: &Connection, finder: &mut Finder<'_>) {
    let checked = compare(connection, finder);
    finder.on_error("splade_terms", checked);
}

fn compare(connection: &Connection, finder: &mut Finder<'_>) -> Result<(), rusqlite::Error> {
    let mut fault = |index: &str, what: String| {
        finder.fault(FaultKind::Structure, "splade_terms", index, what);
    };
    let mut expected = Sum::default();
    let mut statement = connection.prepare(ROWS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        expected.add(hash(row)?);
    }
    let mut found = Sum::default();
    let mut is_ordered = true;
    let mut previous = Vec::new();
    let mut statement = connection.prepare(INDEX)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.add(hash(row)?);
        let first = row.get_ref(0)?.as_bytes()?;
        if previous != first {
            is_ordered &= previous.as_slice() < first;
            first.clone_into(&mut previous);
        }
    }
    if !is_ordered {
        fault("idx_splade_gene", "the index is not in order".to_owned());
    }
    if found != expected {
        let what = format!(
            "the index has {} rows, the table has {}",
            found.rows, expected.rows
        );
        fault("idx_splade_gene", what);
    }
    for index in STAND_INS {
        let entries: i64 = connection.query_row(ENTRIES, [index], |row| row.get(0))?;
        if entries > 0 {
            let what = format!("the index has {entries} rows and should have none");
            fault(index, what);
        }
    }
    Ok(())
}

/// Of the chunk and the term of a row. Compared within this process only.
fn hash(row: &Row<'_>) -> Result<u64, rusqlite::Error> {
    let mut hasher = DefaultHasher::new();
    for column in 0..2 {
        match row.get_ref(column)? {
            ValueRef::Text(text) | ValueRef::Blob(text) => text.hash(&mut hasher),
            _ => 0u8.hash(&mut hasher),
        }
    }
    Ok(hasher.finish())
}
