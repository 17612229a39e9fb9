//! Reading a segment file back, file by file.

use super::{LAYOUT, SegmentHeader, first_chunk_no};
use crate::file::{FileRecord, RelPath};
use crate::ids::Digest;
use crate::store::connect;
use crate::store::error::StoreError;
use crate::store::ledger_row;
use crate::tag::Tags;
use crate::vector::SparseVector;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

/// A segment file opened for loading.
#[derive(Debug)]
pub struct SegmentReader {
    conn: Connection,
    path: PathBuf,
    header: SegmentHeader,
    device: Option<String>,
}

/// A chunk as the segment holds it; texts and vectors are borrowed from the row.
#[derive(Debug)]
pub struct SegmentChunk<'a> {
    pub sequence: u32,
    pub text: &'a str,
    pub is_fragment: bool,
    pub n_tokens: u32,
    pub chromatin: u8,
    pub tags: Tags,
    pub route_words: Vec<String>,
    pub sparse: Option<SparseVector>,
    /// Little-endian f32.
    pub dense: Option<&'a [u8]>,
}

impl SegmentReader {
    /// Opens what a [`SegmentWriter`](super::SegmentWriter) left, complete or not.
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

    /// Where the segment was encoded; `None` while it is not complete.
    pub fn device(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The files present, in the order in which they were committed.
    pub fn ledger(&self) -> Result<Vec<FileRecord>, StoreError> {
        ledger_of(&self.conn, &self.path)
    }

    /// The ledger row of `path` and the number of its chunks' rows.
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

    /// Hands every chunk of a file to `take`, in sequence.
    pub(in crate::store) fn for_each_chunk<E: From<StoreError>>(
        &self,
        file_no: i64,
        mut take: impl FnMut(SegmentChunk<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = StoreError::sql(&self.path);
        let mut statement = self
            .conn
            .prepare_cached(
                "SELECT chunk_no - ?1, text, is_fragment, n_tokens, chromatin, tags, route_words, \
                 sparse, dense FROM chunks WHERE chunk_no >= ?1 AND chunk_no < ?2 \
                 ORDER BY chunk_no",
            )
            .map_err(&failed)?;
        let mut rows = statement
            .query([first_chunk_no(file_no), first_chunk_no(file_no + 1)])
            .map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            take(self.chunk(row)?)?;
        }
        Ok(())
    }

    fn chunk<'a>(&self, row: &'a Row<'_>) -> Result<SegmentChunk<'a>, StoreError> {
        let read = || -> rusqlite::Result<Option<SegmentChunk<'a>>> {
            let tags = decode(row.get_ref(5)?.as_blob()?);
            let route_words = decode(row.get_ref(6)?.as_blob()?);
            let sparse = row.get_ref(7)?.as_blob_or_null()?.map(decode).transpose();
            let (Ok(tags), Ok(route_words), Ok(sparse)) = (tags, route_words, sparse) else {
                return Ok(None);
            };
            Ok(Some(SegmentChunk {
                sequence: row.get(0)?,
                text: row.get_ref(1)?.as_str()?,
                is_fragment: row.get(2)?,
                n_tokens: row.get(3)?,
                chromatin: row.get(4)?,
                tags,
                route_words,
                sparse,
                dense: row.get_ref(8)?.as_blob_or_null()?,
            }))
        };
        read()
            .map_err(StoreError::sql(&self.path))?
            .ok_or_else(|| self.garbled())
    }

    fn garbled(&self) -> StoreError {
        StoreError::corrupt(&self.path, "a row does not decode")
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> postcard::Result<T> {
    postcard::from_bytes(bytes)
}

/// `None` when the file is empty, or a database of another kind or layout.
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
