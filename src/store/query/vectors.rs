//! Sparse and dense search in one shard: dot products over stored vectors, exact.

use super::held::{Held, Shares, Totals};
use super::rank::{Scored, Wanted};
use crate::vector::{DenseVector, SparseVector};
use rusqlite::Connection;

/// Return the best hot chunks by the sum over shared terms of the products of the weights.
pub fn sparse(
    connection: &Connection,
    held: &mut Held,
    query: &SparseVector,
    wanted: &Wanted<'_>,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let chunks = held.chunks(connection)?;
    let mut totals = Totals::of(chunks.len());
    for term in &query.0 {
        let postings = held.term(connection, &term.term)?;
        for (position, weight) in postings.positions.iter().zip(&postings.values) {
            totals.add(*position, term.weight() * weight);
        }
    }
    let best = totals.best(wanted.depth, |position| {
        Ok(wanted.allows(position, &chunks) && chunks.is_hot(position, connection)?)
    })?;
    Ok(wanted.scored(best, &chunks))
}

/// Return the best hot chunks by dot product with the vectors of the query's length, of all that no other reader of
/// `shares` takes.
pub fn dense(
    connection: &Connection,
    held: &mut Held,
    query: &DenseVector,
    wanted: &Wanted<'_>,
    shares: &Shares,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let chunks = held.chunks(connection)?;
    let is_wanted = |position| wanted.allows(position, &chunks);
    let best = held.dense(connection, query, wanted.depth, is_wanted, shares)?;
    Ok(wanted.scored(best, &chunks))
}
