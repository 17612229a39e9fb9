//! Whether the indexes of `splade_terms` hold exactly its rows.
//!
//! SQLite's `integrity_check` looks every row up in every index, each time from the root. For the
//! 128 terms of every chunk that was three quarters of the time of a full check. Walking table and
//! indexes once each, in their own order, and comparing sums of hashes says the same at a fraction:
//! pages and trees are covered by `quick_check`, the order of an index's first column by the walk.

use super::fault::{FaultKind, Finder};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The table's own walk, and its indexes with their columns in their order.
const ROWS: &str = "SELECT gene_id, term, weight, rowid FROM splade_terms NOT INDEXED";
const INDEXES: [(&str, &str, &[usize]); 3] = [
    (
        "idx_splade_term_cover",
        "SELECT term, gene_id, weight, rowid FROM splade_terms INDEXED BY idx_splade_term_cover
         ORDER BY term, gene_id, weight, rowid",
        &[1, 0, 2, 3],
    ),
    (
        "idx_splade_term",
        "SELECT term, weight, rowid FROM splade_terms INDEXED BY idx_splade_term
         ORDER BY term, weight DESC, rowid",
        &[1, 2, 3],
    ),
    (
        "idx_splade_gene",
        "SELECT gene_id, rowid FROM splade_terms INDEXED BY idx_splade_gene
         ORDER BY gene_id, rowid",
        &[0, 3],
    ),
];

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
    let mut expected = [Sum::default(); 3];
    let mut statement = connection.prepare(ROWS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (sum, (_, _, columns)) in expected.iter_mut().zip(INDEXES) {
            sum.add(hash(row, columns)?);
        }
    }
    for (expected, (index, sql, columns)) in expected.into_iter().zip(INDEXES) {
        let mut found = Sum::default();
        let mut is_ordered = true;
        let mut previous = Vec::new();
        let columns: Vec<usize> = (0..columns.len()).collect();
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.add(hash(row, &columns)?);
            let first = row.get_ref(0)?.as_bytes()?;
            if previous != first {
                is_ordered &= previous.as_slice() < first;
                first.clone_into(&mut previous);
            }
        }
        if !is_ordered {
            let what = "the index is not in order";
            finder.fault(FaultKind::Structure, "splade_terms", index, what);
        }
        if found != expected {
            let what = format!(
                "the index has {} rows, the table has {}",
                found.rows, expected.rows
            );
            finder.fault(FaultKind::Structure, "splade_terms", index, what);
        }
    }
    Ok(())
}

/// Of some columns of a row, in the order given. Compared within this process only.
fn hash(row: &Row<'_>, columns: &[usize]) -> Result<u64, rusqlite::Error> {
    let mut hasher = DefaultHasher::new();
    for column in columns {
        match row.get_ref(*column)? {
            ValueRef::Null => 0u8.hash(&mut hasher),
            ValueRef::Integer(number) => number.hash(&mut hasher),
            ValueRef::Real(number) => number.to_bits().hash(&mut hasher),
            ValueRef::Text(text) | ValueRef::Blob(text) => text.hash(&mut hasher),
        }
    }
    Ok(hasher.finish())
}
