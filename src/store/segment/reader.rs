//! Reading a segment file back, file by file.

use super::chunk_row::{self, EncodedChunk};
use super::{LAYOUT, SegmentHeader, first_chunk_no};
use crate::file::{FileRecord, RelPath};
use crate::ids::Digest;
use crate::store::connect;
use crate::store::error::StoreError;
use crate::store::ledger_row;
use rusqlite::{Connection, OptionalExtension as _};
use std::path::{Path, PathBuf};

/// A segment file opened for loading.
#[derive(Debug)]
pub struct SegmentReader {
    conn: Connection,
    path: PathBuf,
    header: SegmentHeader,
    device: Option<String>,
}

impl SegmentReader {
    /// Open what a [`SegmentWriter`](super::SegmentWriter) left, complete or not.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let conn = connect::open_read_only(path)?;
        let header = header_of(&conn, path)?.ok_or_else(|| StoreError::Foreign {
            path: path.to_path_buf(),
        })?;
        let device = conn
            .query_row(
                "SELECT iif(complete, device, NULL) FROM segment",
                [],
                |row| row.get(0),
            )
            .map_err(StoreError::sql(path))?;
        Ok(Self {
            conn,
            path: path.to_path_buf(),
            header,
            device,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Return where the segment was encoded; `None` while it is not complete.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// Return whether SQLite finds no damage in the file.
    pub fn is_sound(&self) -> Result<bool, StoreError> {
        is_sound(&self.conn, &self.path)
    }

    /// Return the records of its files, in the order of their commits.
    pub fn ledger(&self) -> Result<Vec<FileRecord>, StoreError> {
        ledger_of(&self.conn, &self.path)
    }

    /// Return the ledger row of `path` and the file's number.
    pub(in crate::store) fn file(
        &self,
        path: &RelPath,
    ) -> Result<Option<(i64, FileRecord)>, StoreError> {
        let failed = StoreError::sql(&self.path);
        let sql = format!(
            "SELECT file_no, {} FROM files WHERE path = ?1",
            ledger_row::COLUMNS
        );
        let found = self
            .conn
            .prepare_cached(&sql)
            .and_then(|mut statement| {
                statement
                    .query_row([path.spelling()], |row| {
                        Ok((row.get(0)?, ledger_row::read(row, 1)?))
                    })
                    .optional()
            })
            .map_err(failed)?;
        match found {
            None => Ok(None),
            Some((file_no, Some(file))) => Ok(Some((file_no, file))),
            Some((_, None)) => Err(self.garbled()),
        }
    }

    /// Call `take` for every chunk of a file, in sequence.
    pub(in crate::store) fn for_each_chunk<E: From<StoreError>>(
        &self,
        file_no: i64,
        mut take: impl FnMut(EncodedChunk<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = StoreError::sql(&self.path);
        let mut statement = self
            .conn
            .prepare_cached(chunk_row::SELECT)
            .map_err(&failed)?;
        let mut rows = statement
            .query([first_chunk_no(file_no), first_chunk_no(file_no + 1)])
            .map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let chunk = chunk_row::read(row).map_err(&failed)?;
            take(chunk.ok_or_else(|| self.garbled())?)?;
        }
        Ok(())
    }

    fn garbled(&self) -> StoreError {
        StoreError::corrupt(&self.path, "a row does not decode")
    }
}

/// Return whether SQLite finds no damage. Segments are a few megabytes, so a check of the whole file takes milliseconds.
pub(super) fn is_sound(conn: &Connection, path: &Path) -> Result<bool, StoreError> {
    let verdict: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(StoreError::sql(path))?;
    Ok(verdict == "ok")
}

/// Return the header; `None` when the file is empty, or a database of another kind or layout.
pub(super) fn header_of(
    conn: &Connection,
    path: &Path,
) -> Result<Option<SegmentHeader>, StoreError> {
    let has_table = conn
        .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'segment'")
        .and_then(|mut statement| statement.exists([]))
        .map_err(StoreError::sql(path))?;
    if !has_table {
        return Ok(None);
    }
    let row: Option<(i64, [u8; 32], String)> = conn
        .query_row(
            "SELECT layout, fingerprint, identity FROM segment",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()
        .map_err(StoreError::sql(path))?;
    Ok(row
        .filter(|(layout, _, _)| *layout == LAYOUT)
        .map(|(_, fingerprint, identity)| SegmentHeader {
            fingerprint: Digest(fingerprint),
            identity,
        }))
}

pub(super) fn ledger_of(conn: &Connection, path: &Path) -> Result<Vec<FileRecord>, StoreError> {
    let sql = format!("SELECT {} FROM files ORDER BY file_no", ledger_row::COLUMNS);
    let read = || -> rusqlite::Result<Option<Vec<FileRecord>>> {
        conn.prepare(&sql)?
            .query_map([], |row| ledger_row::read(row, 0))?
            .collect()
    };
    read()
        .map_err(StoreError::sql(path))?
        .ok_or_else(|| StoreError::corrupt(path, "a row does not decode"))
}
