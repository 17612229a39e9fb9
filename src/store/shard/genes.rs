//! The rows of `genes` with their full text, in an order that fills the pages.
//!
//! A row takes half a page on average. Where the next row does not fit, SQLite begins a new page: in the order of the files, 14 % of
//! the table stay free. So a few rows wait, and the largest of them that still fits is written next. The order of the files remains
//! in `build_routes`.

use super::rows::epigenetics;
use crate::ids::ContentHash;
use crate::store::fts;
use crate::store::schema::PAGE_BYTES;
use rusqlite::{Connection, Statement};

/// Rows that wait at most. On 11,238 chunks of six repositories the table takes 4,735 bytes a row without waiting, 4,346 with 8 rows,
/// 4,333 with 16, 4,310 with 64, 4,287 with 256, and would take 4,138 with pages that are all full.
const WAITING: usize = 256;

/// Bytes of records that wait at most, since long chunks would take much memory. 256 of the rows above have 1.1 MB.
const WAITING_BYTES: usize = 2 << 20;

/// One row, with what the full-text index says of it.
#[derive(Debug)]
pub struct GeneRow {
    pub gene_id: String,
    pub text: String,
    pub complement: String,
    /// JSON.
    pub codons: String,
    /// JSON.
    pub promoter: String,
    pub chromatin: u8,
    pub is_fragment: bool,
    pub source_id: String,
    /// Bytes of the path below the root, which end `source_id`.
    pub path_bytes: usize,
    /// Seconds since 1970.
    pub mtime: f64,
    pub hash: ContentHash,
    /// JSON.
    pub key_values: Option<String>,
    /// Numbers of 4 bytes, little-endian.
    pub dense: Option<Vec<u8>>,
    /// As [`fts::spell`] spells it.
    pub searched: String,
}

/// Rows on their way into `genes`.
#[derive(Debug, Default)]
pub struct Waiting {
    /// With the bytes of their records.
    rows: Vec<(GeneRow, usize)>,
    /// Bytes of all records that wait.
    waiting: usize,
    /// Bytes that are free in the page being filled.
    free: usize,
    /// Rows that were taken.
    taken: i64,
}

impl Waiting {
    pub fn hash_of(&self, gene_id: &str) -> Option<ContentHash> {
        let mut rows = self.rows.iter();
        rows.find(|(row, _)| row.gene_id == gene_id)
            .map(|(row, _)| row.hash)
    }

    /// Let `row` wait, and return the row to write now, with its number, if too many wait.
    pub fn exchange(&mut self, row: GeneRow) -> Option<(i64, GeneRow)> {
        let payload = payload_bytes(&row);
        self.rows.push((row, payload));
        self.waiting += payload;
        let is_full = self.rows.len() > WAITING || self.waiting > WAITING_BYTES;
        is_full.then(|| self.take()).flatten()
    }

    /// Return the row to write next, with its number: the largest that fits, or the largest of all for a new page; of equals the earliest.
    pub fn take(&mut self) -> Option<(i64, GeneRow)> {
        let rowid = self.taken + 1;
        let sizes = || {
            let payloads = self.rows.iter().map(|(_, payload)| *payload);
            payloads
                .map(|payload| cell_bytes(rowid, payload))
                .enumerate()
        };
        let largest = |(n, bytes): &(usize, usize)| (*bytes, std::cmp::Reverse(*n));
        let fitting = sizes()
            .filter(|(_, bytes)| *bytes <= self.free)
            .max_by_key(largest);
        let (n, bytes) = match fitting {
            Some(fitting) => fitting,
            None => {
                let first = sizes().max_by_key(largest)?;
                self.free = PAGE.saturating_sub(PAGE_HEADER);
                first
            }
        };
        self.free = self.free.saturating_sub(bytes);
        self.taken = rowid;
        let (row, payload) = self.rows.remove(n);
        self.waiting -= payload;
        Some((rowid, row))
    }
}

const PAGE: usize = PAGE_BYTES as usize;
/// Of a leaf of a table.
const PAGE_HEADER: usize = 8;

/// Bytes of the record of a row, whose layout is that of <https://sqlite.org/fileformat2.html#record_format>: a type for each column, in one
/// byte unless it tells a length from 58 up, then the values.
fn payload_bytes(row: &GeneRow) -> usize {
    let values = [
        row.gene_id.len(),
        row.text.len(),
        row.complement.len(),
        row.codons.len(),
        row.promoter.len(),
        EPIGENETICS_BYTES,
        ROOT_BYTES + row.path_bytes,
        HASH_DIGITS,
        row.key_values.as_ref().map_or(0, String::len),
        row.dense.as_ref().map_or(0, Vec::len),
    ];
    let long_types = values.iter().map(|bytes| varint_bytes(2 * bytes + 13) - 1);
    1 + COLUMNS + REAL_BYTES + values.iter().sum::<usize>() + long_types.sum::<usize>()
}

/// Taken for the path of the root, so that the order is the same wherever the tree lies. Each byte above the real length takes 0.7
/// bytes a row; below it more, up to what the order saves.
const ROOT_BYTES: usize = 96;
const COLUMNS: usize = 27;
/// Four times and a score, of 8 bytes each.
const REAL_BYTES: usize = 40;
/// Of [`super::epigenetics`], with times of ten digits.
const EPIGENETICS_BYTES: usize = 56;
/// SHA-256 in hex.
const HASH_DIGITS: usize = 64;

/// Bytes that a row with a record of `payload` bytes takes of the leaf: the rest of a long one lies in pages of its own
/// (<https://sqlite.org/fileformat2.html#cell_payload_overflow_pages>).
fn cell_bytes(rowid: i64, payload: usize) -> usize {
    let most = PAGE - 35;
    let local = if payload <= most {
        payload
    } else {
        let least = (PAGE - 12) * 32 / 255 - 23;
        let local = least + (payload - least) % (PAGE - 4);
        4 + if local <= most { local } else { least }
    };
    // The length of the record, the number of the row, and the place of the cell in the page.
    varint_bytes(payload) + varint_bytes(rowid as usize) + local + 2
}

/// Bytes of SQLite's integers of variable length: 7 bits each.
fn varint_bytes(value: usize) -> usize {
    (value.max(1).ilog2() / 7 + 1) as usize
}

/// Writes rows that have waited.
pub struct GeneWriter<'conn> {
    gene: Statement<'conn>,
    full_text: Statement<'conn>,
    epigenetics: String,
    /// Seconds since 1970.
    epoch: f64,
}

const INSERT_GENE: &str = "
INSERT INTO genes
    (rowid, gene_id, content, complement, codons, promoter, epigenetics, chromatin, is_fragment,
     source_id, observed_at, mtime, content_hash, last_verified_at, key_values,
     embedding_dense_v2, compression_tier, last_seen)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?11, ?14, ?15, ?8, ?11)";

impl<'conn> GeneWriter<'conn> {
    pub fn prepare(conn: &'conn Connection, epoch: f64) -> rusqlite::Result<Self> {
        Ok(Self {
            gene: conn.prepare(INSERT_GENE)?,
            full_text: conn.prepare(fts::INSERT)?,
            epigenetics: epigenetics(epoch),
            epoch,
        })
    }

    pub fn write(&mut self, rowid: i64, row: &GeneRow) -> rusqlite::Result<()> {
        let gene = &mut self.gene;
        gene.raw_bind_parameter(1, rowid)?;
        gene.raw_bind_parameter(2, &row.gene_id)?;
        gene.raw_bind_parameter(3, &row.text)?;
        gene.raw_bind_parameter(4, &row.complement)?;
        gene.raw_bind_parameter(5, &row.codons)?;
        gene.raw_bind_parameter(6, &row.promoter)?;
        gene.raw_bind_parameter(7, &self.epigenetics)?;
        gene.raw_bind_parameter(8, row.chromatin)?;
        gene.raw_bind_parameter(9, row.is_fragment)?;
        gene.raw_bind_parameter(10, &row.source_id)?;
        gene.raw_bind_parameter(11, self.epoch)?;
        gene.raw_bind_parameter(12, row.mtime)?;
        gene.raw_bind_parameter(13, row.hash.to_hex())?;
        gene.raw_bind_parameter(14, &row.key_values)?;
        gene.raw_bind_parameter(15, &row.dense)?;
        gene.raw_execute()?;
        let (id, complement) = (&row.gene_id, &row.complement);
        fts::insert(&mut self.full_text, rowid, id, &row.searched, complement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::COMMON_TABLES;
    use crate::store::schema::SHARD_TABLES;
    use proptest::prelude::*;

    const EPOCH: f64 = 1_795_815_668.0;

    fn row(n: usize, bytes: usize, dense: bool) -> GeneRow {
        GeneRow {
            gene_id: format!("{n:016x}"),
            text: "x".repeat(bytes),
            complement: "short".to_owned(),
            codons: "[]".to_owned(),
            promoter: "p".repeat(300),
            chromatin: 0,
            is_fragment: true,
            source_id: format!("{}a.rs", "r".repeat(ROOT_BYTES)),
            path_bytes: 4,
            mtime: EPOCH - 0.5,
            hash: ContentHash::of(&n.to_string()),
            key_values: None,
            dense: dense.then(|| vec![7; 1024]),
            searched: "x".to_owned(),
        }
    }

    fn database() -> Connection {
        let conn = Connection::open_in_memory().expect("a database");
        conn.execute_batch(COMMON_TABLES).expect("tables");
        conn.execute_batch(SHARD_TABLES).expect("tables");
        conn
    }

    /// The rows in the order in which they are written.
    fn ordered(rows: Vec<GeneRow>) -> Vec<GeneRow> {
        let mut waiting = Waiting::default();
        let mut written = Vec::new();
        for row in rows {
            written.extend(waiting.exchange(row));
        }
        written.extend(std::iter::from_fn(|| waiting.take()));
        assert!(
            written
                .iter()
                .map(|(rowid, _)| *rowid)
                .eq(1..=written.len() as i64)
        );
        written.into_iter().map(|(_, row)| row).collect()
    }

    /// Bytes of the leaves and of all pages of `genes`, and how many leaves there are.
    fn pages(conn: &Connection) -> (usize, usize, usize) {
        let sql = "SELECT coalesce(sum((pgsize - unused) * (pagetype = 'leaf')), 0), sum(pgsize), sum(pagetype = 'leaf')
                   FROM dbstat WHERE name = 'genes'";
        conn.query_row(sql, [], |row| {
            let number = |n| row.get::<_, i64>(n).map(|n| n as usize);
            Ok((number(0)?, number(1)?, number(2)?))
        })
        .expect("pages")
    }

    proptest! {
        #[test]
        fn every_row_is_written_once(sizes in proptest::collection::vec(0usize..9000, 0..60)) {
            let rows = sizes.iter().enumerate().map(|(n, bytes)| row(n, *bytes, n % 3 > 0));
            let mut ids: Vec<String> = ordered(rows.collect()).into_iter().map(|row| row.gene_id).collect();
            ids.sort();
            let all: Vec<String> = (0..sizes.len()).map(|n| format!("{n:016x}")).collect();
            prop_assert_eq!(ids, all);
        }
    }

    #[test]
    fn long_rows_do_not_wait_in_numbers() {
        let mut waiting = Waiting::default();
        for n in 0..400 {
            waiting.exchange(row(n, 100_000, false));
        }
        assert!(
            waiting.rows.len() <= WAITING_BYTES / 100_000,
            "{}",
            waiting.rows.len()
        );
    }

    #[test]
    fn the_bytes_of_a_row_are_those_that_it_takes() {
        for bytes in (0..9000).step_by(37) {
            let conn = database();
            let row = row(1, bytes, bytes % 2 == 0);
            let mut genes = GeneWriter::prepare(&conn, EPOCH).expect("prepared");
            genes.write(200, &row).expect("written");
            let (leaf, ..) = pages(&conn);
            assert_eq!(
                leaf,
                PAGE_HEADER + cell_bytes(200, payload_bytes(&row)),
                "{bytes}"
            );
        }
    }

    #[test]
    fn the_pages_are_fuller_than_in_the_order_of_the_files() {
        let rows = || (0..2000).map(|n| row(n, n * 7919 % 2200, true)).collect();
        let total = |rows: Vec<GeneRow>| {
            let conn = database();
            let mut genes = GeneWriter::prepare(&conn, EPOCH).expect("prepared");
            for (n, row) in rows.iter().enumerate() {
                genes.write(n as i64 + 1, row).expect("written");
            }
            pages(&conn).1
        };
        let (plain, packed) = (total(rows()), total(ordered(rows())));
        assert!(packed * 100 < plain * 90, "{packed} of {plain}");
    }
}
