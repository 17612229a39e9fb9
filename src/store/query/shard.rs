//! One open database, and what of a chunk is shown.

use super::error::QueryError;
use super::held::{self, Budget, Held};
use super::lexical::Statistics;
use crate::ids::Digest;
use crate::store::build_meta::{EncoderRecord, check_format, digest_of};
use crate::store::connect::open_read_only;
use crate::store::error::StoreError;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A database of chunks, ready for queries.
pub struct OpenShard {
    pub label: String,
    path: PathBuf,
    /// `None`: it is opened for each reading.
    kept: Option<Mutex<Reader>>,
    budget: Arc<Budget>,
    reading: Reading,
    pub statistics: Statistics,
    has_build_tables: bool,
    /// What a build notes of its rows. `None` for a database of another program.
    digest: Option<Digest>,
}

/// A connection, and what has been read through it.
struct Reader {
    connection: Connection,
    held: Held,
}

/// How a process reads a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// By calls, which fail if another program truncates the file.
    #[default]
    Calls,
    /// Mapped into memory, where SQLite maps: a scan of all dense vectors takes 0.6 of the time. Truncating the file kills the
    /// process, so this is for processes that answer one query.
    Mapped,
}

/// Bytes of a database that are mapped into memory at most; SQLite reads the rest.
const MAPPED_BYTES: i64 = 1 << 40;

impl Reader {
    fn open(path: &Path, budget: Arc<Budget>, reading: Reading) -> Result<Self, StoreError> {
        let connection = open_read_only(path)?;
        let bytes = match reading {
            Reading::Calls => 0,
            Reading::Mapped => MAPPED_BYTES,
        };
        connection
            .pragma_update(None, "mmap_size", bytes)
            .and_then(|()| held::register(&connection))
            .map_err(StoreError::sql(path))?;
        let held = Held::new(budget);
        Ok(Self { connection, held })
    }
}

/// What a hit shows of a chunk.
pub struct StoredChunk {
    pub text: String,
    /// Of the owner.
    pub path: String,
    /// `genes.codons`: a JSON array of labels such as `define:name`.
    labels: String,
}

impl StoredChunk {
    /// Return the name of what the chunk defines, if it defines one thing.
    pub fn defined(&self) -> Option<String> {
        let labels: Vec<String> = serde_json::from_str(&self.labels).ok()?;
        let mut defined = labels
            .iter()
            .filter_map(|label| label.strip_prefix("define:"));
        let name = defined.next()?;
        defined.next().is_none().then(|| name.to_owned())
    }
}

/// Whether a database stays open between readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Open,
    Closed,
}

impl OpenShard {
    pub fn open(
        label: String,
        path: PathBuf,
        (keep, reading): (Keep, Reading),
        budget: &Arc<Budget>,
    ) -> Result<Self, QueryError> {
        let reader = Reader::open(&path, Arc::clone(budget), reading)?;
        let connection = &reader.connection;
        let failed = StoreError::sql(&path);
        if connection
            .table_exists(None, "build_meta")
            .map_err(&failed)?
        {
            check_format(connection, &path)?;
        }
        let statistics = Statistics::of(connection).map_err(&failed)?;
        let has_build_tables = connection
            .table_exists(None, "build_sources")
            .map_err(failed)?;
        let digest = digest_of(connection, &path, "digest").ok();
        Ok(Self {
            label,
            path,
            kept: (keep == Keep::Open).then(|| Mutex::new(reader)),
            budget: Arc::clone(budget),
            reading,
            statistics,
            has_build_tables,
            digest,
        })
    }

    /// Return how the vectors were made, in a shard that the builder wrote.
    pub fn encoder_record(&self) -> Result<Option<EncoderRecord>, QueryError> {
        if !self.has_build_tables {
            return Ok(None);
        }
        self.with(|reader| Ok(Some(EncoderRecord::read(&reader.connection, &self.path)?)))
    }

    /// Read from the database; an error names the file.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, QueryError> {
        self.with(|reader| Ok(read(&reader.connection).map_err(StoreError::sql(&self.path))?))
    }

    /// Read from the database with what is held of it.
    pub fn read_held<T>(
        &self,
        read: impl FnOnce(&Connection, &mut Held) -> Result<T, rusqlite::Error>,
    ) -> Result<T, QueryError> {
        self.with(|Reader { connection, held }| {
            let refreshed = held.refresh(connection);
            let read = refreshed.and_then(|()| read(connection, held));
            Ok(read.map_err(StoreError::sql(&self.path))?)
        })
    }

    /// Read with a connection, and what is held of the database, of its own: beside others that read. `None` if it cannot be
    /// opened once more, for example without a free descriptor, and if it is not certain to be the same one: a build may have
    /// put another in its place.
    pub fn read_apart<T>(
        &self,
        read: impl FnOnce(&Connection, &mut Held) -> Result<T, rusqlite::Error>,
    ) -> Result<Option<T>, QueryError> {
        let Some(digest) = self.digest else {
            return Ok(None);
        };
        let Ok(mut reader) = Reader::open(&self.path, Arc::clone(&self.budget), self.reading)
        else {
            return Ok(None);
        };
        if digest_of(&reader.connection, &self.path, "digest").ok() != Some(digest) {
            return Ok(None);
        }
        let read = read(&reader.connection, &mut reader.held);
        Ok(Some(read.map_err(StoreError::sql(&self.path))?))
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        match &self.kept {
            // What a panic left there is whole: it is put in place when it has been read.
            Some(reader) => read(&mut reader.lock().unwrap_or_else(PoisonError::into_inner)),
            None => {
                let budget = Arc::clone(&self.budget);
                read(&mut Reader::open(&self.path, budget, self.reading)?)
            }
        }
    }

    /// Read a chunk.
    pub fn chunk(&self, gene_id: &str) -> Result<StoredChunk, QueryError> {
        self.read(|connection| {
            let sql = "SELECT coalesce(content, ''), coalesce(source_id, ''), coalesce(codons, '')
                 FROM genes WHERE gene_id = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row([gene_id], |row| {
                Ok(StoredChunk {
                    text: row.get(0)?,
                    path: row.get(1)?,
                    labels: row.get(2)?,
                })
            })
        })
    }

    /// Return whether the builder wrote this shard.
    pub fn has_build_tables(&self) -> bool {
        self.has_build_tables
    }
}
