//! What a process holds of a shard between queries, so that later ones need not read it again.
//!
//! Everything is read when a query first needs it; dense vectors from the second query on, since one query alone is
//! answered without holding them. All shards of an index share one [`Budget`]: what does not fit is read again by each
//! query. When another process changes the database, all of it is forgotten.

mod budget;
mod chunks;
mod dense;
mod frequency;
mod places;
mod postings;
mod top;

pub use budget::{Budget, MOST_BYTES};
pub use chunks::Chunks;
pub use dense::Shares;
pub use frequency::register;
pub use places::Places;
pub use postings::{Postings, Totals};
pub use top::Position;

use super::terms::quoted;
use crate::vector::DenseVector;
use dense::Matrix;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of an entry of the maps below without the postings.
const ENTRY_BYTES: usize = 128;

/// Read parts of a shard.
pub struct Held {
    budget: Arc<Budget>,
    /// Taken from the budget.
    bytes: usize,
    /// Whether something is here that the budget has no room for.
    is_over: bool,
    /// SQLite's counter of changes by others.
    version: Option<i64>,
    chunks: Option<Arc<Chunks>>,
    /// Tokens of each chunk in the full-text index, by position.
    lengths: Option<Arc<[f64]>>,
    places: Option<Arc<Places>>,
    counts: HashMap<String, f64>,
    words: HashMap<String, Arc<Postings>>,
    terms: HashMap<String, Arc<Postings>>,
    n_dense: u32,
    matrix: Option<Matrix>,
}

impl Held {
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            budget,
            bytes: 0,
            is_over: false,
            version: None,
            chunks: None,
            lengths: None,
            places: None,
            counts: HashMap::new(),
            words: HashMap::new(),
            terms: HashMap::new(),
            n_dense: 0,
            matrix: None,
        }
    }

    /// Forget everything if the database has changed since, or if the last reading took more than the budget has.
    pub fn refresh(&mut self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let mut statement = connection.prepare_cached("PRAGMA data_version")?;
        let version = Some(statement.query_row([], |row| row.get(0))?);
        if self.is_over || self.version != version {
            *self = Self::new(Arc::clone(&self.budget));
            self.version = version;
        }
        Ok(())
    }

    /// Return the chunks of the shard.
    pub fn chunks(&mut self, connection: &Connection) -> Result<Arc<Chunks>, rusqlite::Error> {
        if let Some(chunks) = &self.chunks {
            return Ok(Arc::clone(chunks));
        }
        let chunks = Arc::new(Chunks::read(connection)?);
        self.must_take(chunks.bytes());
        self.chunks = Some(Arc::clone(&chunks));
        Ok(chunks)
    }

    /// Return the number of tokens of each chunk, by position.
    pub fn lengths(&mut self, connection: &Connection) -> Result<Arc<[f64]>, rusqlite::Error> {
        if let Some(lengths) = &self.lengths {
            return Ok(Arc::clone(lengths));
        }
        let chunks = self.chunks(connection)?;
        let lengths: Arc<[f64]> = postings::lengths(connection, &chunks)?.into();
        self.must_take(lengths.len() * size_of::<f64>());
        self.lengths = Some(Arc::clone(&lengths));
        Ok(lengths)
    }

    /// Return where the chunks lie.
    pub fn places(&mut self, connection: &Connection) -> Result<Arc<Places>, rusqlite::Error> {
        if let Some(places) = &self.places {
            return Ok(Arc::clone(places));
        }
        let chunks = self.chunks(connection)?;
        let places = Arc::new(Places::read(connection, &chunks)?);
        self.must_take(places.bytes());
        self.places = Some(Arc::clone(&places));
        Ok(places)
    }

    /// Return how many chunks hold a word.
    pub fn holders(&mut self, connection: &Connection, word: &str) -> Result<f64, rusqlite::Error> {
        if let Some(count) = self.counts.get(word) {
            return Ok(*count);
        }
        let mut statement =
            connection.prepare_cached("SELECT count(*) FROM genes_fts WHERE genes_fts MATCH ?1")?;
        let count: i64 = statement.query_row([quoted(word)], |row| row.get(0))?;
        if self.may_take(ENTRY_BYTES + word.len()) {
            self.counts.insert(word.to_owned(), count as f64);
        }
        Ok(count as f64)
    }

    /// Return the chunks that hold a word.
    pub fn word(
        &mut self,
        connection: &Connection,
        word: &str,
    ) -> Result<Arc<Postings>, rusqlite::Error> {
        if let Some(postings) = self.words.get(word) {
            return Ok(Arc::clone(postings));
        }
        let chunks = self.chunks(connection)?;
        let postings = Arc::new(Postings::of_word(connection, &chunks, word)?);
        if self.may_take(ENTRY_BYTES + word.len() + postings.bytes()) {
            self.words.insert(word.to_owned(), Arc::clone(&postings));
        }
        Ok(postings)
    }

    /// Return the chunks whose sparse vector has a term.
    pub fn term(
        &mut self,
        connection: &Connection,
        term: &str,
    ) -> Result<Arc<Postings>, rusqlite::Error> {
        if let Some(postings) = self.terms.get(term) {
            return Ok(Arc::clone(postings));
        }
        let chunks = self.chunks(connection)?;
        let postings = Arc::new(Postings::of_term(connection, &chunks, term)?);
        if self.may_take(ENTRY_BYTES + term.len() + postings.bytes()) {
            self.terms.insert(term.to_owned(), Arc::clone(&postings));
        }
        Ok(postings)
    }

    /// Return the best hot chunks by dot product that `is_wanted` accepts: of all chunks if the vectors are held, otherwise
    /// of those that no other reader of `shares` takes.
    pub fn dense(
        &mut self,
        connection: &Connection,
        query: &DenseVector,
        depth: usize,
        is_wanted: impl Fn(Position) -> bool + Sync,
        shares: &Shares,
    ) -> Result<Vec<(f64, Position)>, rusqlite::Error> {
        let chunks = self.chunks(connection)?;
        let width = query.0.len() * size_of::<f32>();
        self.n_dense = self.n_dense.saturating_add(1);
        let is_held = |matrix: &Matrix| matrix.width() == width;
        if self.n_dense > 1
            && !self.matrix.as_ref().is_some_and(is_held)
            && self.may_take(Matrix::most_bytes(&chunks, width))
        {
            self.matrix = Some(Matrix::read(connection, &chunks, width)?);
        }
        match self.matrix.as_ref().filter(|matrix| is_held(matrix)) {
            Some(matrix) => Ok(matrix.search(query, depth, is_wanted)),
            None => shares.search(connection, &chunks, query, depth, is_wanted),
        }
    }

    /// Take bytes from the budget. If it has too few, forget the postings first, which other queries may never need.
    fn may_take(&mut self, bytes: usize) -> bool {
        if !self.budget.take(bytes) {
            let postings = self.words.iter().chain(&self.terms);
            let freed: usize = postings
                .map(|(word, postings)| ENTRY_BYTES + word.len() + postings.bytes())
                .sum();
            self.words.clear();
            self.terms.clear();
            self.budget.give_back(freed);
            self.bytes -= freed;
            if !self.budget.take(bytes) {
                return false;
            }
        }
        self.bytes += bytes;
        true
    }

    fn must_take(&mut self, bytes: usize) {
        if !self.may_take(bytes) {
            self.is_over = true;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}
