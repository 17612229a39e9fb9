//! Segment files: what a worker has finished, kept so that a kill at any point loses nothing.
//!
//! A segment file is a small SQLite database with one [owner] at a time. A file's chunks and its
//! ledger row are one transaction, so what can be read back is always whole files, oldest first.
//! The worker's sink thread writes it; publishing reads it; then it is deleted. It never decides
//! what is stale: a caller that finds another identity in its ledger says `forget`.

mod owner;
mod reader;

pub use reader::{SegmentChunk, SegmentReader};

use super::connect;
use super::error::StoreError;
use super::ledger_row;
use crate::failpoint::failpoint;
use crate::file::{FileRecord, RelPath};
use crate::ids::Digest;
use crate::tag::Tags;
use crate::vector::{DenseVector, SparseVector};
use owner::Owner;
use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Number of the layout below; a file with another one is started afresh.
const LAYOUT: i64 = 2;

const TABLES: &str = "
CREATE TABLE segment (
    layout INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    identity TEXT NOT NULL,
    device TEXT,
    complete INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE files (
    file_no INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    blake3 BLOB,
    chunks INTEGER NOT NULL,
    skip_reason TEXT,
    detail TEXT
);
CREATE TABLE chunks (
    chunk_no INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    is_fragment INTEGER NOT NULL,
    n_tokens INTEGER NOT NULL,
    chromatin INTEGER NOT NULL,
    tags BLOB NOT NULL,
    route_words BLOB NOT NULL,
    sparse BLOB,
    dense BLOB
);
";

/// `chunk_no` is the file's number shifted left by this, plus the chunk's place in the file: the
/// chunks of a file lie together and need no second index. A sequence has 32 bits.
const SEQUENCE_BITS: u32 = 32;

const INSERT_FILE: &str = "
INSERT INTO files (file_no, path, size, mtime_ns, blake3, chunks, skip_reason, detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const INSERT_CHUNK: &str = "
INSERT INTO chunks
    (chunk_no, text, is_fragment, n_tokens, chromatin, tags, route_words, sparse, dense)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// What a segment file was made for. Another header means that its rows are of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Everything that shapes the rows.
    pub fingerprint: Digest,
    /// The segment's place in its plan, spelled by the caller; compared, never read.
    pub identity: String,
}

/// A finished chunk on its way into the index.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkRecord {
    /// Place in the file, from 0.
    pub sequence: u32,
    pub text: String,
    /// A hard cut inside a sentence or statement.
    pub is_fragment: bool,
    /// Real tokens that the encoders saw.
    pub n_tokens: u32,
    pub tags: Tags,
    /// `None` when the build has no sparse encoder.
    pub sparse: Option<SparseVector>,
    /// `None` when the build has no dense encoder, or the vector has no direction.
    pub dense: Option<DenseVector>,
    /// 0 open, 1 demoted, 2 kept out of the hot tier.
    pub chromatin: u8,
    /// Words for routing beyond those of the tags (from the encoder); may be empty.
    pub route_words: Vec<String>,
}

/// The one writer of a segment file.
#[derive(Debug)]
pub struct SegmentWriter {
    conn: Connection,
    path: PathBuf,
    next_file_no: i64,
    /// Where its rows were encoded; `None` until that is said.
    device: Option<String>,
    // Last, so that it is given up when the database is closed.
    owner: Owner,
}

impl SegmentWriter {
    /// Opens the segment at `path`, or starts it afresh when it is missing, unreadable as a
    /// database, or made for another header. Fails with [`StoreError::Busy`] while another process
    /// owns it, and on errors of the disk.
    pub fn open(path: &Path, header: &SegmentHeader) -> Result<Self, StoreError> {
        let owner = Owner::take(path)?;
        let (conn, next_file_no, device) = match reopen(path, header) {
            Ok(Some(opened)) => opened,
            Ok(None) | Err(StoreError::Corrupt { .. }) => (create(path, header)?, 1, None),
            Err(error) => return Err(error),
        };
        Ok(Self {
            conn,
            path: path.to_path_buf(),
            next_file_no,
            device,
            owner,
        })
    }

    /// Where the rows that it holds were encoded; `None` when nobody has said so.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// Says where the rows that come are encoded. A segment with rows of another device must be started over
    /// first, so that none mixes devices.
    pub fn encode_on(&mut self, device: &str) -> Result<(), StoreError> {
        self.conn
            .execute("UPDATE segment SET device = ?1", [device])
            .map_err(StoreError::sql(&self.path))?;
        self.device = Some(device.to_owned());
        Ok(())
    }

    /// Drops all rows, in one transaction.
    pub fn start_over(&mut self) -> Result<(), StoreError> {
        let clear = |conn: &mut Connection| {
            let transaction = conn.transaction()?;
            transaction.execute("DELETE FROM chunks", [])?;
            transaction.execute("DELETE FROM files", [])?;
            transaction.execute("UPDATE segment SET device = NULL, complete = 0", [])?;
            transaction.commit()
        };
        clear(&mut self.conn).map_err(StoreError::sql(&self.path))?;
        self.next_file_no = 1;
        self.device = None;
        Ok(())
    }

    /// The files present, in the order in which they were committed.
    pub fn ledger(&self) -> Result<Vec<FileRecord>, StoreError> {
        reader::ledger_of(&self.conn, &self.path)
    }

    /// Writes files with their chunks in one transaction, in place of what the segment held of them:
    /// all of them are there afterwards, or none.
    pub fn commit(&mut self, files: &[(&FileRecord, &[ChunkRecord])]) -> Result<(), StoreError> {
        self.replace(files).map_err(StoreError::sql(&self.path))
    }

    fn replace(&mut self, files: &[(&FileRecord, &[ChunkRecord])]) -> rusqlite::Result<()> {
        let mut file_no = self.next_file_no;
        let transaction = self.conn.transaction()?;
        for (record, chunks) in files {
            delete_rows(&transaction, &record.entry.path)?;
            let mut insert = transaction.prepare_cached(INSERT_FILE)?;
            insert.raw_bind_parameter(1, file_no)?;
            ledger_row::bind(&mut insert, 2, record)?;
            insert.raw_execute()?;
            let mut insert = transaction.prepare_cached(INSERT_CHUNK)?;
            for chunk in *chunks {
                insert_chunk(&mut insert, first_chunk_no(file_no), chunk)?;
            }
            file_no += 1;
        }
        transaction.execute("UPDATE segment SET complete = 0 WHERE complete", [])?;
        transaction.commit()?;
        self.next_file_no = file_no;
        Ok(())
    }

    /// Drops a file whose identity changed since it was committed.
    pub fn forget(&mut self, path: &RelPath) -> Result<(), StoreError> {
        let forget = |conn: &mut Connection| {
            let transaction = conn.transaction()?;
            delete_rows(&transaction, path)?;
            transaction.commit()
        };
        forget(&mut self.conn).map_err(StoreError::sql(&self.path))
    }

    /// Marks the segment complete and leaves one file and its lock. `device` counts when nobody has said where
    /// the rows were encoded: there are none.
    pub fn finish(self, device: &str) -> Result<(), StoreError> {
        let Self {
            conn,
            path,
            owner: _owner,
            ..
        } = self;
        let failed = StoreError::sql(&path);
        let complete = "UPDATE segment SET complete = 1, device = coalesce(device, ?1)";
        conn.execute(complete, [device]).map_err(&failed)?;
        connect::set_journal_mode(&conn, "DELETE").map_err(&failed)?;
        conn.close().map_err(|(_, error)| failed(error))
    }
}

/// The segment at `path`, the number of its next file, and where its rows were encoded. `None` when it has to
/// be started afresh.
fn reopen(
    path: &Path,
    header: &SegmentHeader,
) -> Result<Option<(Connection, i64, Option<String>)>, StoreError> {
    if !path.try_exists().map_err(StoreError::io(path))? {
        return Ok(None);
    }
    failpoint!("segment::reopen", path.display());
    let conn = connect::open_owned(path)?;
    // Segments are a few megabytes; reading one whole takes milliseconds.
    let check: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(StoreError::sql(path))?;
    if check != "ok" || reader::header_of(&conn, path)?.as_ref() != Some(header) {
        return Ok(None);
    }
    let (next_file_no, device) = conn
        .query_row(
            "SELECT (SELECT coalesce(max(file_no), 0) + 1 FROM files), device FROM segment",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(StoreError::sql(path))?;
    Ok(Some((conn, next_file_no, device)))
}

fn create(path: &Path, header: &SegmentHeader) -> Result<Connection, StoreError> {
    failpoint!("segment::clear", path.display());
    connect::remove_database(path)?;
    failpoint!("segment::create", path.display());
    let mut conn = connect::open_owned(path)?;
    let create = |conn: &mut Connection| {
        let transaction = conn.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.execute(
            "INSERT INTO segment (layout, fingerprint, identity) VALUES (?1, ?2, ?3)",
            params![LAYOUT, header.fingerprint.0, header.identity],
        )?;
        transaction.commit()
    };
    create(&mut conn).map_err(StoreError::sql(path))?;
    Ok(conn)
}

fn insert_chunk(
    insert: &mut Statement<'_>,
    first_chunk_no: i64,
    chunk: &ChunkRecord,
) -> rusqlite::Result<()> {
    insert.execute(params![
        first_chunk_no + i64::from(chunk.sequence),
        chunk.text,
        chunk.is_fragment,
        chunk.n_tokens,
        chunk.chromatin,
        encode(&chunk.tags)?,
        encode(&chunk.route_words)?,
        chunk.sparse.as_ref().map(encode).transpose()?,
        chunk.dense.as_ref().map(DenseVector::to_le_bytes),
    ])?;
    Ok(())
}

fn encode<T: Serialize>(value: &T) -> rusqlite::Result<Vec<u8>> {
    postcard::to_stdvec(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn delete_rows(conn: &Connection, path: &RelPath) -> rusqlite::Result<()> {
    let file_no: Option<i64> = conn
        .prepare_cached("SELECT file_no FROM files WHERE path = ?1")?
        .query_row([path.spelling()], |row| row.get(0))
        .optional()?;
    let Some(file_no) = file_no else {
        return Ok(());
    };
    conn.execute(
        "DELETE FROM chunks WHERE chunk_no >= ?1 AND chunk_no < ?2",
        [first_chunk_no(file_no), first_chunk_no(file_no + 1)],
    )?;
    conn.execute("DELETE FROM files WHERE file_no = ?1", [file_no])?;
    Ok(())
}

fn first_chunk_no(file_no: i64) -> i64 {
    file_no << SEQUENCE_BITS
}
