//! Which chunks hold a word or a term of a sparse vector, and with what weight.

use super::chunks::{Chunks, Cursor};
use super::frequency::FUNCTION;
use super::top::{Position, Top};
use crate::store::query::lexical::varints;
use crate::store::query::terms::quoted;
use rusqlite::Connection;

/// The holders of one word or term.
#[derive(Default)]
pub struct Postings {
    pub positions: Vec<Position>,
    /// Of a word: how often it occurs. Of a term: its weight.
    pub values: Vec<f64>,
}

impl Postings {
    pub fn bytes(&self) -> usize {
        self.positions.len() * (size_of::<Position>() + size_of::<f64>())
    }

    /// Read how often a word occurs in each chunk.
    pub fn of_word(
        connection: &Connection,
        chunks: &Chunks,
        word: &str,
    ) -> Result<Self, rusqlite::Error> {
        let sql =
            format!("SELECT rowid, {FUNCTION}(genes_fts) FROM genes_fts WHERE genes_fts MATCH ?1");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([quoted(word)])?;
        let (mut found, mut cursor) = (Self::default(), Cursor::default());
        while let Some(row) = rows.next()? {
            if let Some(position) = chunks.position_of_row(row.get(0)?, &mut cursor) {
                found.positions.push(position);
                found.values.push(row.get::<_, i64>(1)? as f64);
            }
        }
        Ok(found)
    }

    /// Read the weights of a term of the sparse vectors.
    pub fn of_term(
        connection: &Connection,
        chunks: &Chunks,
        term: &str,
    ) -> Result<Self, rusqlite::Error> {
        let mut statement = connection
            .prepare_cached("SELECT gene_id, weight FROM splade_terms WHERE term = ?1")?;
        let mut rows = statement.query([term])?;
        let (mut found, mut cursor) = (Self::default(), Cursor::default());
        while let Some(row) = rows.next()? {
            let id = row.get_ref(0)?.as_str()?;
            if let Some(position) = chunks.position_after(id, &mut cursor) {
                found.positions.push(position);
                found.values.push(row.get(1)?);
            }
        }
        Ok(found)
    }
}

/// Read the number of tokens of each chunk in the full-text index, by position.
pub fn lengths(connection: &Connection, chunks: &Chunks) -> Result<Vec<f64>, rusqlite::Error> {
    let mut lengths = vec![0.0; chunks.len()];
    let mut statement = connection.prepare("SELECT id, sz FROM genes_fts_docsize")?;
    let mut rows = statement.query([])?;
    let mut cursor = Cursor::default();
    while let Some(row) = rows.next()? {
        if let Some(position) = chunks.position_of_row(row.get(0)?, &mut cursor) {
            let columns = varints(row.get_ref(1)?.as_blob()?);
            lengths[position as usize] = columns.map(|n| n as f64).sum();
        }
    }
    Ok(lengths)
}

/// Scores of chunks that add up from postings.
pub struct Totals {
    /// By position; [`Self::NONE`] of a chunk that has none.
    scores: Vec<f64>,
    found: Vec<Position>,
}

impl Totals {
    const NONE: f64 = f64::NEG_INFINITY;

    pub fn of(n_chunks: usize) -> Self {
        Self {
            scores: vec![Self::NONE; n_chunks],
            found: Vec::new(),
        }
    }

    pub fn add(&mut self, position: Position, gain: f64) {
        let score = &mut self.scores[position as usize];
        if *score == Self::NONE {
            self.found.push(position);
            *score = 0.0;
        }
        *score += gain;
    }

    /// Return the best `depth` chunks that `is_wanted` accepts, which is asked for those that score well enough.
    pub fn best(
        self,
        depth: usize,
        mut is_wanted: impl FnMut(Position) -> Result<bool, rusqlite::Error>,
    ) -> Result<Vec<(f64, Position)>, rusqlite::Error> {
        let mut top = Top::new(depth);
        for position in self.found {
            let score = self.scores[position as usize];
            if top.may_take(score, position) && is_wanted(position)? {
                top.offer(score, position);
            }
        }
        Ok(top.into_sorted())
    }
}
