//! Sparse vectors: one pass over the table, in the order of the terms.

use super::fault::{FaultKind, Finder};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

const TERMS: &str = "SELECT term, gene_id, weight FROM splade_terms ORDER BY term, gene_id";

/// Weights are positive, and `splade_term_df` counts the chunks of each term. Once a server has added chunks, it counts them by its own rules, and the counts are left
/// alone.
pub fn check(connection: &Connection, server_chunks: u64, finder: &mut Finder<'_>) {
    let checked = postings(connection, server_chunks == 0, finder);
    finder.on_error("splade_terms", checked);
}

fn postings(
    connection: &Connection,
    check_counts: bool,
    finder: &mut Finder<'_>,
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(TERMS)?;
    let mut rows = statement.query([])?;
    let mut counts = Counts::prepare(connection, check_counts)?;
    let (mut term, mut chunks) = (String::new(), 0);
    while let Some(row) = rows.next()? {
        let this_term = row.get_ref(0)?.as_str()?;
        let this_id = row.get_ref(1)?.as_str()?;
        if this_term != term {
            counts.compare(&term, chunks, finder)?;
            this_term.clone_into(&mut term);
            chunks = 0;
        }
        if !matches!(row.get_ref(2)?, ValueRef::Real(weight) if weight > 0.0 && weight.is_finite())
        {
            let what = format!("the weight of {term} is not a positive number");
            finder.fault(FaultKind::SparseVector, "splade_terms", this_id, what);
        }
        chunks += 1;
    }
    counts.compare(&term, chunks, finder)?;
    counts.finish(connection, finder)
}

/// Stored document frequencies, looked up as terms come by.
struct Counts<'a> {
    stored: rusqlite::Statement<'a>,
    terms: i64,
    is_wanted: bool,
}

impl<'a> Counts<'a> {
    fn prepare(connection: &'a Connection, is_wanted: bool) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            stored: connection
                .prepare("SELECT df FROM splade_term_df WHERE term = ?1 AND df = ?2")?,
            terms: 0,
            is_wanted,
        })
    }

    fn compare(
        &mut self,
        term: &str,
        chunks: i64,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        if chunks == 0 || !self.is_wanted {
            return Ok(());
        }
        self.terms += 1;
        if !self.stored.exists((term, chunks))? {
            let what = format!("the count differs from the {chunks} chunks that have the term");
            finder.fault(FaultKind::SparseVector, "splade_term_df", term, what);
        }
        Ok(())
    }

    fn finish(
        &self,
        connection: &Connection,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let count = "SELECT count(*) FROM splade_term_df";
        let stored: i64 = connection.query_row(count, [], |row| row.get(0))?;
        if self.is_wanted && stored > self.terms {
            let what = format!("{stored} terms are counted, and {} occur", self.terms);
            finder.fault(FaultKind::SparseVector, "splade_term_df", "", what);
        }
        Ok(())
    }
}
