//! The terms of all chunks on their way into `splade_terms`, which is kept in the order of terms.
//!
//! Chunks arrive in another order than their rows lie in. Terms are gathered in memory up to a fixed number; a full run
//! is sorted and put aside in a temporary table, one row a term. At the end the runs of each term are joined, so that
//! rows are written from the first to the last, into [packed] pages.

use super::packed;
use crate::ids::ChunkId;
use crate::vector::{SparseTerm, SparseVector};
use rusqlite::{Connection, Statement};
use std::collections::HashMap;

/// Terms of chunks in memory at most: 16 MiB. More would make fewer and longer rows of the temporary table, which are read
/// once in any case.
const RUN: usize = 1 << 20;

/// Bytes of one chunk in a row of the temporary table: its id and the weight.
const PUT_ASIDE_BYTES: usize = 12;

const TABLES: [&str; 2] = ["splade_terms", "splade_term_df"];

/// Rows that one statement inserts.
const BATCH: usize = 16;

#[derive(Debug)]
pub struct Postings {
    numbers: HashMap<String, u32>,
    /// By number.
    terms: Vec<String>,
    run: Vec<Posting>,
    /// Runs put aside.
    runs: u32,
    most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Posting {
    term: u32,
    chunk: ChunkId,
    weight_e4: u32,
}

impl Default for Postings {
    fn default() -> Self {
        Self::in_runs_of(RUN)
    }
}

impl Postings {
    fn in_runs_of(most: usize) -> Self {
        Self {
            numbers: HashMap::new(),
            terms: Vec::new(),
            run: Vec::new(),
            runs: 0,
            most,
        }
    }

    /// Take the vector of the next chunk.
    pub fn add(
        &mut self,
        conn: &Connection,
        chunk: ChunkId,
        vector: &SparseVector,
    ) -> rusqlite::Result<()> {
        if self.run.len() + vector.0.len() > self.most {
            self.put_aside(conn)?;
        }
        for SparseTerm { term, weight_e4 } in &vector.0 {
            let posting = Posting {
                term: self.number(term),
                chunk,
                weight_e4: *weight_e4,
            };
            self.run.push(posting);
        }
        Ok(())
    }

    fn number(&mut self, term: &str) -> u32 {
        if let Some(number) = self.numbers.get(term) {
            return *number;
        }
        let number = self.terms.len() as u32;
        self.terms.push(term.to_owned());
        self.numbers.insert(term.to_owned(), number);
        number
    }

    /// Sort the run by term and chunk.
    fn sort(&mut self) {
        let mut numbers: Vec<u32> = (0..self.terms.len() as u32).collect();
        numbers.sort_unstable_by_key(|number| &self.terms[*number as usize]);
        let mut ranks = vec![0u32; numbers.len()];
        for (rank, number) in numbers.into_iter().enumerate() {
            ranks[number as usize] = rank as u32;
        }
        let key = |posting: &Posting| (ranks[posting.term as usize], posting.chunk);
        self.run.sort_unstable_by_key(key);
    }

    fn put_aside(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.runs == 0 {
            conn.execute_batch(CREATE_RUNS)?;
        }
        self.sort();
        let mut insert = conn.prepare_cached(INSERT_RUN)?;
        let mut row = Vec::new();
        for same in self.run.chunk_by(|a, b| a.term == b.term) {
            row.clear();
            for posting in same {
                row.extend_from_slice(&posting.chunk.0);
                row.extend_from_slice(&posting.weight_e4.to_le_bytes());
            }
            let term = &self.terms[same[0].term as usize];
            insert.execute((term, self.runs, &row))?;
        }
        self.runs += 1;
        self.run.clear();
        Ok(())
    }

    /// Write all rows of `splade_terms` and `splade_term_df`.
    pub fn write(self, conn: &Connection) -> rusqlite::Result<()> {
        for table in TABLES {
            packed::create(conn, table)?;
        }
        self.sort_rows(conn)?;
        for table in TABLES {
            packed::copy(conn, table)?;
        }
        Ok(())
    }

    fn sort_rows(mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut writer = Writer::prepare(conn)?;
        let mut chunks = Vec::new();
        if self.runs == 0 {
            self.sort();
            for same in self.run.chunk_by(|a, b| a.term == b.term) {
                chunks.clear();
                chunks.extend(
                    same.iter()
                        .map(|posting| (posting.chunk, posting.weight_e4)),
                );
                writer.term(&self.terms[same[0].term as usize], &chunks)?;
            }
            return Ok(());
        }
        self.put_aside(conn)?;
        drop(self);
        let mut runs = conn.prepare(SELECT_RUNS)?;
        let mut rows = runs.query([])?;
        let mut term = String::new();
        while let Some(row) = rows.next()? {
            let next = row.get_ref(0)?.as_str()?;
            if next != term {
                chunks.sort_unstable();
                writer.term(&term, &chunks)?;
                chunks.clear();
                next.clone_into(&mut term);
            }
            let row = row.get_ref(1)?.as_blob()?;
            chunks.extend(row.chunks_exact(PUT_ASIDE_BYTES).map(from_bytes));
        }
        chunks.sort_unstable();
        writer.term(&term, &chunks)?;
        drop(rows);
        drop(runs);
        conn.execute_batch(DROP_RUNS)
    }
}

fn from_bytes(bytes: &[u8]) -> (ChunkId, u32) {
    let (mut id, mut weight) = ([0; 8], [0; 4]);
    id.copy_from_slice(&bytes[..8]);
    weight.copy_from_slice(&bytes[8..]);
    (ChunkId(id), u32::from_le_bytes(weight))
}

const CREATE_RUNS: &str = "
CREATE TEMP TABLE build_runs (
    term TEXT NOT NULL,
    run INTEGER NOT NULL,
    chunks BLOB NOT NULL,
    PRIMARY KEY (term, run)
) WITHOUT ROWID";

const INSERT_RUN: &str = "INSERT OR FAIL INTO build_runs VALUES (?1, ?2, ?3)";

const SELECT_RUNS: &str = "SELECT term, chunks FROM build_runs ORDER BY term, run";

const DROP_RUNS: &str = "DROP TABLE build_runs";

/// Writes rows in their order, and counts the chunks of each term.
struct Writer<'conn> {
    batch: Statement<'conn>,
    single: Statement<'conn>,
    count: Statement<'conn>,
}

impl<'conn> Writer<'conn> {
    fn prepare(conn: &'conn Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            batch: conn.prepare(&insert_rows(BATCH))?,
            single: conn.prepare(&insert_rows(1))?,
            count: conn.prepare(&format!(
                "INSERT OR FAIL INTO {} VALUES (?1, ?2)",
                packed::name("splade_term_df")
            ))?,
        })
    }

    /// Write the rows of a term, whose chunks are in the order of their ids.
    fn term(&mut self, term: &str, chunks: &[(ChunkId, u32)]) -> rusqlite::Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.count.execute((term, chunks.len() as i64))?;
        let batches = chunks.chunks_exact(BATCH);
        let rest = batches.remainder().chunks_exact(1);
        for (statement, batches) in [(&mut self.batch, batches), (&mut self.single, rest)] {
            statement.raw_bind_parameter(1, term)?;
            for batch in batches {
                for (n, (chunk, weight_e4)) in batch.iter().enumerate() {
                    statement.raw_bind_parameter(2 * n + 2, chunk.to_string())?;
                    statement.raw_bind_parameter(2 * n + 3, f64::from(*weight_e4) / 1e4)?;
                }
                statement.raw_execute()?;
            }
        }
        Ok(())
    }
}

/// Uses `OR FAIL`, since with the default, `OR ABORT`, a statement of several rows opens a savepoint; `fts` says what
/// that costs. An error ends the attempt either way.
fn insert_rows(rows: usize) -> String {
    let values: Vec<String> = (0..rows)
        .map(|n| format!("(?{}, ?1, ?{})", 2 * n + 2, 2 * n + 3))
        .collect();
    format!(
        "INSERT OR FAIL INTO {} VALUES {}",
        packed::name("splade_terms"),
        values.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::SHARD_TABLES;
    use proptest::prelude::*;

    fn database() -> Connection {
        let conn = Connection::open_in_memory().expect("a database");
        conn.execute_batch(SHARD_TABLES).expect("tables");
        conn
    }

    fn rows(conn: &Connection, sql: &str) -> Vec<(String, String, f64)> {
        let mut statement = conn.prepare(sql).expect("a query");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.expect("rows").collect::<Result<_, _>>().expect("rows")
    }

    proptest! {
        #[test]
        fn the_rows_do_not_depend_on_the_runs(
            vectors in proptest::collection::vec(
                proptest::collection::btree_map("[a-d#]{1,2}", 1u32..90_000, 0..40), 0..40),
            most in 1usize..200,
        ) {
            let conn = database();
            let mut postings = Postings::in_runs_of(most);
            let mut expected = Vec::new();
            for (n, vector) in vectors.iter().enumerate() {
                // Ids in another order than the chunks.
                let id = ChunkId([(n * 7 % 41) as u8, 0, 0, 0, 0, 0, 0, n as u8]);
                let terms = vector.iter().map(|(term, weight_e4)| SparseTerm { term: term.clone(), weight_e4: *weight_e4 });
                let vector = SparseVector::new(terms.collect());
                expected.extend(vector.0.iter().map(|t| (t.term.clone(), id.to_string(), t.weight())));
                postings.add(&conn, id, &vector).expect("taken");
            }
            postings.write(&conn).expect("written");
            expected.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
            prop_assert_eq!(rows(&conn, "SELECT term, gene_id, weight FROM splade_terms"), expected);
            let counted = "SELECT term, '', count(*) + 0.0 FROM splade_terms GROUP BY term";
            prop_assert_eq!(rows(&conn, "SELECT term, '', df + 0.0 FROM splade_term_df"), rows(&conn, counted));
            let left = "SELECT name, '', 0.0 FROM temp.sqlite_schema";
            prop_assert_eq!(rows(&conn, left), []);
        }
    }
}
