//! Full-text search over several shards with one scale of scores.
//!
//! FTS5 scores by BM25 with the statistics of its own table, so scores of two shards do not compare:
//! a word that is everywhere in one shard and rare in the index would count for nothing there. Each
//! term is therefore asked for by itself with its frequency in each chunk, and the score is computed here
//! with the statistics of all shards together. A sharded index then ranks as one database would.

use super::held::{Held, Totals};
use super::rank::{Scored, Wanted};
use rusqlite::{Connection, OptionalExtension as _};

/// FTS5's own constants (`bm25()` in its documentation).
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// FTS5's floor under a term's weight, for terms in more than half of the chunks.
const LEAST_IDF: f64 = 1e-6;

/// What BM25 needs to know about a shard, or about all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Chunks in the full-text index.
    pub chunks: f64,
    /// Tokens in all columns of all chunks.
    pub tokens: f64,
}

impl Statistics {
    /// Read FTS5's own totals: row 1 of its data table is a list of varints, the number of rows
    /// and then the number of tokens of each column.
    pub fn of(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let totals: Option<Vec<u8>> = connection
            .query_row("SELECT block FROM genes_fts_data WHERE id = 1", [], |row| {
                row.get(0)
            })
            .optional()?;
        let mut numbers = varints(totals.as_deref().unwrap_or_default());
        Ok(Self {
            chunks: numbers.next().unwrap_or(0) as f64,
            tokens: numbers.map(|n| n as f64).sum(),
        })
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            chunks: self.chunks + other.chunks,
            tokens: self.tokens + other.tokens,
        }
    }

    fn mean_tokens(self) -> f64 {
        self.tokens / self.chunks.max(1.0)
    }

    /// Weight of a term that `holders` chunks contain.
    fn idf(self, holders: f64) -> f64 {
        let idf = ((self.chunks - holders + 0.5) / (holders + 0.5)).ln();
        if idf <= 0.0 { LEAST_IDF } else { idf }
    }
}

/// One term, and how many chunks hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    pub term: String,
    /// Chunks of one shard, or of all, whichever the holder of the value counted.
    pub holders: f64,
}

/// Return how many chunks of this shard hold each term.
pub fn count(
    connection: &Connection,
    held: &mut Held,
    terms: &[String],
) -> Result<Vec<Counted>, rusqlite::Error> {
    let mut counted = Vec::with_capacity(terms.len());
    for term in terms {
        counted.push(Counted {
            term: term.clone(),
            holders: held.holders(connection, term)?,
        });
    }
    Ok(counted)
}

/// Return the shards' counts of the same terms, added up.
pub fn sum(terms: &[String], counts: &[Vec<Counted>]) -> Vec<Counted> {
    let total = |at: usize| counts.iter().map(|shard| shard[at].holders).sum();
    let terms = terms.iter().enumerate();
    terms
        .map(|(at, term)| Counted {
            term: term.clone(),
            holders: total(at),
        })
        .collect()
}

/// Return the terms worth asking for, by their frequency in the whole index. A term that more than half of
/// the chunks hold tells nothing and costs a walk over all of them: it is left out unless every
/// term is like that. Terms that no chunk holds are left out too.
pub fn telling(global: &[Counted], statistics: Statistics) -> Vec<bool> {
    let held: Vec<bool> = global.iter().map(|t| t.holders > 0.0).collect();
    let telling: Vec<bool> = global
        .iter()
        .map(|t| t.holders > 0.0 && statistics.idf(t.holders) > LEAST_IDF)
        .collect();
    if telling.contains(&true) {
        telling
    } else {
        held
    }
}

/// A shard's own counts beside those of the whole index.
pub struct Scale<'a> {
    pub own_counts: &'a [Counted],
    pub global: Statistics,
    pub global_counts: &'a [Counted],
    /// Which of the terms to ask for, from [`telling`].
    pub asked: &'a [bool],
}

/// Return the best hot chunks of one shard, on the scale of the whole index.
pub fn search(
    connection: &Connection,
    held: &mut Held,
    scale: &Scale<'_>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let chunks = held.chunks(connection)?;
    let lengths = held.lengths(connection)?;
    let mut totals = Totals::of(chunks.len());
    let mean_tokens = scale.global.mean_tokens();
    let terms = scale.own_counts.iter().zip(scale.global_counts);
    for ((own, global), asked) in terms.zip(scale.asked) {
        if !*asked || own.holders == 0.0 {
            continue;
        }
        let idf = scale.global.idf(global.holders);
        let postings = held.word(connection, &own.term)?;
        for (position, frequency) in postings.positions.iter().zip(&postings.values) {
            let length = lengths[*position as usize] / mean_tokens;
            totals.add(*position, idf * saturation(*frequency, length));
        }
    }
    let best = totals.best(wanted.depth, |position| {
        Ok(wanted.allows(position, &chunks) && chunks.is_hot(position, connection)?)
    })?;
    Ok(wanted.scored(best, &chunks))
}

/// BM25's share of a term that occurs `frequency` times in a chunk of relative length `length`.
fn saturation(frequency: f64, length: f64) -> f64 {
    frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * length))
}

/// SQLite's variable-length integers: 7 bits a byte, the highest first, 8 bits in a ninth.
pub(super) fn varints(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mut value = 0;
        for length in 0..9 {
            let byte = *bytes.get(at)?;
            at += 1;
            if length == 8 {
                return Some(value << 8 | u64::from(byte));
            }
            value = value << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_as_sqlite_writes_them() {
        let read: Vec<u64> = varints(&[5, 0x81, 0x00, 0x82, 0x80, 0x01]).collect();
        assert_eq!(read, [5, 128, 32769]);
        assert_eq!(varints(&[0xff; 9]).collect::<Vec<_>>(), [u64::MAX]);
        assert_eq!(varints(&[0x81]).count(), 0);
    }
}
