//! One open database, and what of a chunk is shown.

use super::error::QueryError;
use super::lexical::Statistics;
use crate::store::build_meta::{EncoderRecord, check_format};
use crate::store::connect::open_read_only;
use crate::store::error::StoreError;
use rusqlite::Connection;
use std::path::PathBuf;

/// A database of chunks, ready for queries.
pub struct OpenShard {
    pub label: String,
    path: PathBuf,
    /// `None`: it is opened for each reading.
    kept: Option<Connection>,
    pub statistics: Statistics,
    has_build_tables: bool,
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
    pub fn open(label: String, path: PathBuf, keep: Keep) -> Result<Self, QueryError> {
        let connection = open_read_only(&path)?;
        let failed = StoreError::sql(&path);
        if connection
            .table_exists(None, "build_meta")
            .map_err(&failed)?
        {
            check_format(&connection, &path)?;
        }
        let statistics = Statistics::of(&connection).map_err(&failed)?;
        let has_build_tables = connection
            .table_exists(None, "build_sources")
            .map_err(failed)?;
        Ok(Self {
            label,
            path,
            kept: (keep == Keep::Open).then_some(connection),
            statistics,
            has_build_tables,
        })
    }

    /// Return how the vectors were made, in a shard that the builder wrote.
    pub fn encoder_record(&self) -> Result<Option<EncoderRecord>, QueryError> {
        if !self.has_build_tables {
            return Ok(None);
        }
        self.with(|connection| Ok(Some(EncoderRecord::read(connection, &self.path)?)))
    }

    /// Read from the database; an error names the file.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, QueryError> {
        self.with(|connection| Ok(read(connection).map_err(StoreError::sql(&self.path))?))
    }

    fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        match &self.kept {
            Some(connection) => read(connection),
            None => read(&open_read_only(&self.path)?),
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
