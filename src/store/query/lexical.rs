//! Full-text search over several shards with one scale of scores.
//!
//! FTS5 scores by BM25 with the statistics of its own table, so scores of two shards do not compare:
//! a word that is everywhere in one shard and rare in the index would count for nothing there. Each
//! term is therefore asked for by itself, its frequency in each chunk is read back out of FTS5's
//! score, and the score is computed again with the statistics of all shards together. A sharded
//! index then ranks as one database would.

use super::rank::{Best, Scored, Wanted};
use super::terms::quoted;
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::HashMap;

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
pub fn count(connection: &Connection, terms: &[String]) -> Result<Vec<Counted>, rusqlite::Error> {
    let mut statement =
        connection.prepare_cached("SELECT count(*) FROM genes_fts WHERE genes_fts MATCH ?1")?;
    let mut counted = Vec::with_capacity(terms.len());
    for term in terms {
        let holders: i64 = statement.query_row([quoted(term)], |row| row.get(0))?;
        counted.push(Counted {
            term: term.clone(),
            holders: holders as f64,
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
    pub own: Statistics,
    pub own_counts: &'a [Counted],
    pub global: Statistics,
    pub global_counts: &'a [Counted],
    /// Which of the terms to ask for, from [`telling`].
    pub asked: &'a [bool],
}

/// Return the best hot chunks of one shard, on the scale of the whole index.
pub fn search(
    connection: &Connection,
    scale: &Scale<'_>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let mut totals: HashMap<i64, f64> = HashMap::new();
    let terms = scale.own_counts.iter().zip(scale.global_counts);
    for ((own, global), asked) in terms.zip(scale.asked) {
        if *asked && own.holders > 0.0 {
            add_term(connection, scale, (own, global), &mut totals)?;
        }
    }
    let mut ordered: Vec<(i64, f64)> = totals.into_iter().collect();
    ordered.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    hot(connection, &ordered, wanted)
}

fn add_term(
    connection: &Connection,
    scale: &Scale<'_>,
    (own, global): (&Counted, &Counted),
    totals: &mut HashMap<i64, f64>,
) -> Result<(), rusqlite::Error> {
    let own_idf = scale.own.idf(own.holders);
    let global_idf = scale.global.idf(global.holders);
    let mut statement = connection.prepare_cached(
        "SELECT f.rowid, f.rank, d.sz FROM genes_fts AS f
         JOIN genes_fts_docsize AS d ON d.id = f.rowid WHERE f.genes_fts MATCH ?1",
    )?;
    let mut rows = statement.query([quoted(&own.term)])?;
    while let Some(row) = rows.next()? {
        let (rowid, rank): (i64, f64) = (row.get(0)?, row.get(1)?);
        let tokens: f64 = varints(row.get_ref(2)?.as_blob()?).map(|n| n as f64).sum();
        let frequency = frequency(-rank / own_idf, tokens / scale.own.mean_tokens());
        let gain = global_idf * saturation(frequency, tokens / scale.global.mean_tokens());
        *totals.entry(rowid).or_default() += gain;
    }
    Ok(())
}

/// BM25's share of a term that occurs `frequency` times in a chunk of relative length `length`.
fn saturation(frequency: f64, length: f64) -> f64 {
    frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * length))
}

/// Return the inverse of [`saturation`]; a whole number, so rounding takes the arithmetic's error away.
fn frequency(saturation: f64, length: f64) -> f64 {
    let room = (K1 + 1.0 - saturation).max(f64::MIN_POSITIVE);
    (saturation * K1 * (1.0 - B + B * length) / room).round()
}

/// Read chunk ids down the ordered rows until enough hot ones are found, and on through the rows
/// that tie with the last one.
fn hot(
    connection: &Connection,
    ordered: &[(i64, f64)],
    wanted: &Wanted<'_>,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let mut statement = connection
        .prepare_cached("SELECT gene_id FROM genes WHERE rowid = ?1 AND chromatin < 2")?;
    let mut best = Best::new(wanted.depth);
    for (rowid, score) in ordered {
        if !best.may_take(*score) {
            break;
        }
        let hot: Option<String> = statement.query_row([rowid], |row| row.get(0)).optional()?;
        if let Some(gene_id) = hot.filter(|gene_id| wanted.allowed.has(gene_id)) {
            best.offer(Scored {
                gene_id,
                score: *score,
                shard: wanted.shard,
            });
        }
    }
    Ok(best.into_sorted())
}

/// SQLite's variable-length integers: 7 bits a byte, the highest first, 8 bits in a ninth.
fn varints(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
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
    fn frequencies_come_back_out_of_the_scores() {
        for frequency_in in [1.0, 2.0, 7.0, 5000.0] {
            for length in [0.01, 1.0, 30.0] {
                let out = frequency(saturation(frequency_in, length), length);
                assert_eq!(out, frequency_in, "length {length}");
            }
        }
    }

    #[test]
    fn varints_are_read_as_sqlite_writes_them() {
        let read: Vec<u64> = varints(&[5, 0x81, 0x00, 0x82, 0x80, 0x01]).collect();
        assert_eq!(read, [5, 128, 32769]);
        assert_eq!(varints(&[0xff; 9]).collect::<Vec<_>>(), [u64::MAX]);
        assert_eq!(varints(&[0x81]).count(), 0);
    }
}
