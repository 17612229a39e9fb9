//! Loading segments into a shard database.
//!
//! Loads segments in canonical order as they become complete, so that most of the work is done while
//! workers still encode later ones. Everything happens in one transaction of a file that no other process
//! sees: the bytes depend on the order of the chunks, not on the times at which they came. The database
//! has no journal, so a full disk shows as a failed write, never as a lost commit at close. A dropped
//! loader leaves a useless file for its owner to remove.

mod empty;
mod genes;
mod packed;
mod postings;
mod rows;
mod seal;

pub use seal::seal;

pub(crate) use rows::epigenetics;

pub use super::root::Root;

use super::connect;
use super::error::StoreError;
use super::fts;
use super::provenance;
use super::relations::{EntityRelations, SeedPairs};
use super::schema;
use super::segment::SegmentReader;
use crate::file::{FileOutcome, RelPath};
use crate::ids::Digest;
use genes::{GeneWriter, Waiting};
use postings::Postings;
use rows::Rows;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What is written once for a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardHeader {
    pub label: String,
    /// Numbered from 0 in this order. One for a shard, several for a single database.
    pub roots: Vec<Root>,
    /// Hash of everything that shapes the rows.
    pub fingerprint: Digest,
    /// Hash of everything that shapes the vectors. Builds reuse vectors of shards with the same one.
    pub encoder_fingerprint: Digest,
    pub tool_version: String,
    /// JSON, for people and for the report.
    pub encoder: String,
    /// JSON, for people and for the report.
    pub recipe: String,
    /// The value of every time column, in seconds since 1970.
    pub epoch: f64,
    /// Threads that help with sorting; does not shape the output.
    pub sorter_threads: u32,
}

/// How much has been loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub files: u64,
    /// Distinct chunks: rows of `genes`.
    pub chunks: u64,
}

/// Fills one shard database.
#[derive(Debug)]
pub struct ShardLoader {
    conn: Connection,
    path: PathBuf,
    header: ShardHeader,
    state: State,
}

/// What grows while rows are written.
#[derive(Debug, Default)]
struct State {
    loaded: Loaded,
    /// Chunks of files, duplicates included.
    places: u64,
    entity_relations: EntityRelations,
    seed_pairs: SeedPairs,
    postings: Postings,
    waiting: Waiting,
}

impl ShardLoader {
    /// Create the database at `path`, replacing an existing one. Once `stop` is set, SQLite ends what it is doing
    /// with [`StoreError::Interrupted`].
    pub fn create(
        path: &Path,
        header: ShardHeader,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        connect::remove_database(path)?;
        let tables = empty::bytes().map_err(StoreError::sql(path))?;
        let mut conn = connect::create_for_load(path, tables)?;
        connect::end_when_set(&mut conn, stop).map_err(StoreError::sql(path))?;
        conn.execute_batch("BEGIN")
            .and_then(|()| {
                SORTED_TABLES
                    .iter()
                    .try_for_each(|table| packed::create(&conn, table))
            })
            .map_err(StoreError::sql(path))?;
        fts::begin(&conn, path)?;
        let loader = Self {
            conn,
            path: path.to_path_buf(),
            header,
            state: State::default(),
        };
        loader.write_roots().map_err(|error| loader.failed(error))?;
        Ok(loader)
    }

    /// Load the files `files` of the root number `root_id` from a segment, in the order given, which is canonical.
    /// Ignores other files of the segment.
    ///
    /// # Errors
    /// [`StoreError::MissingFile`] when one of them is not there.
    pub fn load_segment(
        &mut self,
        segment: &SegmentReader,
        root_id: u32,
        files: &[RelPath],
    ) -> Result<(), StoreError> {
        let before = (self.state.loaded.files, self.state.places);
        let root = &self.header.roots[root_id as usize];
        let mut rows = Rows::prepare(&self.conn, &self.path, &self.header, root_id, root)?;
        for path in files {
            let Some((file_no, record)) = segment.file(path)? else {
                return Err(StoreError::MissingFile {
                    path: segment.path().to_path_buf(),
                    file: path.to_string(),
                });
            };
            rows.file(&mut self.state, record)?;
            let FileOutcome::Indexed { chunks, .. } = record.outcome else {
                continue;
            };
            let mut found = 0;
            segment.for_each_chunk(file_no, |chunk| {
                found += 1;
                rows.chunk(&mut self.state, &chunk)
            })?;
            if found != chunks {
                return Err(StoreError::corrupt(segment.path(), "chunks are missing"));
            }
        }
        drop(rows);
        self.write_segment(segment, before)
            .map_err(|error| self.failed(error))
    }

    pub fn loaded(&self) -> Loaded {
        self.state.loaded
    }

    /// Build what needs all rows (links, indexes, statistics), then close the file.
    pub fn finish(mut self) -> Result<Loaded, StoreError> {
        connect::tune_for_indexes(&self.conn, self.header.sorter_threads)
            .map_err(|error| self.failed(error))?;
        self.write_waiting().map_err(|error| self.failed(error))?;
        // Before the indexes, since they take the pages that merging leaves free.
        let began = Instant::now();
        fts::finish(&self.conn, &self.path)?;
        tracing::debug!(shard = self.header.label, step = "full text", elapsed = ?began.elapsed());
        let postings = std::mem::take(&mut self.state.postings);
        self.step("links", || self.write_links())?;
        self.step("sparse terms", || postings.write(&self.conn))?;
        self.step("indexes", || self.conn.execute_batch(schema::SHARD_INDEXES))?;
        self.step("statistics", || self.conn.execute_batch(schema::STATISTICS))?;
        self.write_meta().map_err(|error| self.failed(error))?;
        self.step("notes", || self.write_notes())?;
        let began = Instant::now();
        self.conn
            .execute_batch("COMMIT")
            .map_err(|error| self.failed(error))?;
        tracing::debug!(shard = self.header.label, step = "commit", elapsed = ?began.elapsed());
        self.conn
            .close()
            .map_err(|(_, error)| StoreError::sql(&self.path)(error))?;
        Ok(self.state.loaded)
    }

    fn step(
        &self,
        name: &str,
        step: impl FnOnce() -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let began = Instant::now();
        step().map_err(|error| self.failed(error))?;
        tracing::debug!(shard = self.header.label, step = name, elapsed = ?began.elapsed());
        Ok(())
    }

    fn write_roots(&self) -> rusqlite::Result<()> {
        let mut insert = self
            .conn
            .prepare("INSERT INTO build_roots (root_id, label, path) VALUES (?1, ?2, ?3)")?;
        for (root_id, root) in self.header.roots.iter().enumerate() {
            insert.execute(params![root_id as i64, root.label, root.path])?;
        }
        Ok(())
    }

    fn write_segment(
        &self,
        segment: &SegmentReader,
        (files, places): (u64, u64),
    ) -> rusqlite::Result<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO build_segments (files, chunks, device) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                (self.state.loaded.files - files) as i64,
                (self.state.places - places) as i64,
                segment.device().unwrap_or_default(),
            ])?;
        Ok(())
    }

    fn write_waiting(&mut self) -> rusqlite::Result<()> {
        let mut genes = GeneWriter::prepare(&self.conn, self.header.epoch)?;
        while let Some((rowid, row)) = self.state.waiting.take() {
            genes.write(rowid, &row)?;
        }
        Ok(())
    }

    fn write_links(&self) -> rusqlite::Result<()> {
        for table in SORTED_TABLES {
            packed::copy(&self.conn, table)?;
        }
        packed::fill(&self.conn, "entity_graph", ENTITY_GRAPH)?;
        packed::fill(&self.conn, "gene_relations", schema::RELATIONS)?;
        packed::fill(&self.conn, "path_key_index", schema::PATH_KEYS)?;
        self.conn.execute_batch(schema::DROP_STAGING_TABLES)?;
        let mut insert = self.conn.prepare(INSERT_SEED)?;
        for (a, b) in self.state.seed_pairs.pairs() {
            insert.execute(params![a.to_string(), b.to_string(), self.header.epoch])?;
        }
        Ok(())
    }

    /// Note files and chunks as servers do.
    fn write_notes(&self) -> rusqlite::Result<()> {
        self.conn
            .execute(schema::FILL_SYNC_TRACKED, [self.header.epoch])?;
        provenance::note(&self.conn)
    }

    fn write_meta(&self) -> rusqlite::Result<()> {
        self.conn
            .execute(schema::INSERT_LOCAL_ORG, [self.header.epoch])?;
        let mut insert = self
            .conn
            .prepare("INSERT INTO build_meta (key, value) VALUES (?1, ?2)")?;
        let header = &self.header;
        insert.execute(params!["format", schema::FORMAT_VERSION])?;
        insert.execute(params!["tool_version", header.tool_version])?;
        insert.execute(params!["label", header.label])?;
        insert.execute(params!["fingerprint", header.fingerprint.to_string()])?;
        insert.execute(params![
            "encoder_fingerprint",
            header.encoder_fingerprint.to_string()
        ])?;
        insert.execute(params!["encoder", header.encoder])?;
        insert.execute(params!["recipe", header.recipe])?;
        insert.execute(params!["epoch", header.epoch])?;
        insert.execute(params!["files", self.state.loaded.files as i64])?;
        insert.execute(params!["chunks", self.state.loaded.chunks as i64])?;
        Ok(())
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sql(&self.path)(error)
    }
}

/// Tables in the order of a key that are filled while segments are loaded.
const SORTED_TABLES: [&str; 2] = ["build_sources", "filename_index"];

/// In the order of the key.
const ENTITY_GRAPH: &str = "
SELECT tag_value, gene_id FROM promoter_index WHERE tag_type = 'entity'
GROUP BY tag_value, gene_id ORDER BY tag_value, gene_id";

const INSERT_SEED: &str = "
INSERT INTO harmonic_links (gene_id_a, gene_id_b, weight, updated_at, source, created_at)
VALUES (?1, ?2, 1.0, ?3, 'seeded', ?3)";
