//! Segment files: what a worker has finished, so that a kill at any point loses nothing.
//!
//! A segment file is a small SQLite database with one [owner] at a time. One transaction writes a
//! file's chunks together with its ledger row, so a reader always finds whole files, oldest first.
//! The worker's sink thread writes it, publishing reads and then deletes it. It never decides what is
//! stale: the caller compares identities and calls `forget`.

mod chunk_row;
mod owner;
mod reader;

pub use chunk_row::EncodedChunk;
pub use reader::SegmentReader;

use super::connect::{self, Log};
use super::error::StoreError;
use super::ledger_row;
use crate::failpoint::failpoint;
use crate::file::{FileRecord, RelPath};
use crate::ids::Digest;
use owner::Owner;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::{Path, PathBuf};

/// Number of the layout below. A file of another layout is replaced by an empty one.
const LAYOUT: i64 = 5;

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
    detail TEXT,
    encoding TEXT,
    language TEXT,
    sha256 BLOB
);
CREATE TABLE chunks (
    chunk_no INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    is_fragment INTEGER NOT NULL,
    place BLOB NOT NULL,
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
INSERT INTO files
    (file_no, path, size, mtime_ns, blake3, chunks, skip_reason, detail, encoding, language, sha256)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// What a segment file was made for. The rows of a file with another header are useless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Hash of everything that shapes the rows.
    pub fingerprint: Digest,
    /// The segment's place in its plan, as the caller spells it; compared, never parsed.
    pub identity: String,
}

/// Return the records of the segment at `path` if an earlier run completed it for `header`, and a publisher can load it
/// as it is. Only reads.
///
/// `None` also if it is damaged, if another process owns it, or if its last commit is only in the log: a worker deals with
/// those.
pub fn read_complete(
    path: &Path,
    header: &SegmentHeader,
) -> Result<Option<Vec<FileRecord>>, StoreError> {
    let Some(_owner) = Owner::take_if_free(path)? else {
        return Ok(None);
    };
    if Log::beside(path) != Log::None {
        return Ok(None);
    }
    let segment = match SegmentReader::open(path) {
        Ok(segment) => segment,
        Err(StoreError::Corrupt { .. } | StoreError::Foreign { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    if segment.header() != header || segment.device().is_none() {
        return Ok(None);
    }
    match segment.is_sound()? {
        true => segment.ledger().map(Some),
        false => Ok(None),
    }
}

/// The one writer of a segment file.
#[derive(Debug)]
pub struct SegmentWriter {
    conn: Connection,
    path: PathBuf,
    next_file_no: i64,
    /// Where its rows were encoded; `None` until [`Self::encode_on`] says so.
    device: Option<String>,
    // Last, so that the lock is released after the database is closed.
    owner: Owner,
}

impl SegmentWriter {
    /// Open the segment at `path`. Replace it by an empty one when it is missing, no readable
    /// database, of another layout, or made for another header.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another process owns it, and errors of the disk.
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

    /// Return where its rows were encoded; `None` when [`Self::encode_on`] never said so.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// Note where the following rows are encoded. Call [`Self::start_over`] first when the segment has rows
    /// of another device: no segment mixes devices.
    pub fn encode_on(&mut self, device: &str) -> Result<(), StoreError> {
        self.conn
            .execute("UPDATE segment SET device = ?1", [device])
            .map_err(StoreError::sql(&self.path))?;
        self.device = Some(device.to_owned());
        Ok(())
    }

    /// Drop all rows, in one transaction.
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

    /// Return the records of its files, in the order of their commits.
    pub fn ledger(&self) -> Result<Vec<FileRecord>, StoreError> {
        reader::ledger_of(&self.conn, &self.path)
    }

    /// Write files with their chunks in one transaction. Replaces earlier rows of the same files.
    pub fn commit(
        &mut self,
        files: &[(&FileRecord, &[EncodedChunk<'_>])],
    ) -> Result<(), StoreError> {
        self.replace(files).map_err(StoreError::sql(&self.path))
    }

    fn replace(&mut self, files: &[(&FileRecord, &[EncodedChunk<'_>])]) -> rusqlite::Result<()> {
        let mut file_no = self.next_file_no;
        let transaction = self.conn.transaction()?;
        for (record, chunks) in files {
            delete_rows(&transaction, &record.entry.path)?;
            let mut insert = transaction.prepare_cached(INSERT_FILE)?;
            insert.raw_bind_parameter(1, file_no)?;
            ledger_row::bind(&mut insert, 2, record)?;
            insert.raw_execute()?;
            let mut insert = transaction.prepare_cached(chunk_row::INSERT)?;
            for chunk in *chunks {
                chunk_row::insert(&mut insert, first_chunk_no(file_no), chunk)?;
            }
            file_no += 1;
        }
        transaction.execute("UPDATE segment SET complete = 0 WHERE complete", [])?;
        transaction.commit()?;
        self.next_file_no = file_no;
        Ok(())
    }

    /// Drop a file whose identity changed since its commit.
    pub fn forget(&mut self, path: &RelPath) -> Result<(), StoreError> {
        let forget = |conn: &mut Connection| {
            let transaction = conn.transaction()?;
            delete_rows(&transaction, path)?;
            transaction.commit()
        };
        forget(&mut self.conn).map_err(StoreError::sql(&self.path))
    }

    /// Mark the segment complete and close it; one file and its lock file remain. `device` is noted only when
    /// [`Self::encode_on`] was never called, which means that there are no rows.
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

/// Return the segment at `path`, the number of its next file, and where its rows were encoded. `None` when it
/// has to be replaced.
fn reopen(
    path: &Path,
    header: &SegmentHeader,
) -> Result<Option<(Connection, i64, Option<String>)>, StoreError> {
    if !path.try_exists().map_err(StoreError::io(path))? {
        return Ok(None);
    }
    failpoint!("segment::reopen", path.display());
    let conn = connect::open_owned(path)?;
    if !reader::is_sound(&conn, path)? || reader::header_of(&conn, path)?.as_ref() != Some(header) {
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
