//! One open database, and what of a chunk is shown.

use super::QueryError;
use super::lexical::Statistics;
use crate::store::connect::open_read_only;
use crate::store::error::StoreError;
use crate::store::ledger::meta;
use rusqlite::Connection;
use std::path::PathBuf;

/// A database of chunks, open for queries.
pub struct OpenShard {
    pub label: String,
    path: PathBuf,
    pub connection: Connection,
    pub statistics: Statistics,
    has_build_tables: bool,
}

/// How the vectors of an index were made, as the builder noted it: two columns of JSON.
#[derive(Clone, Debug)]
pub struct Noted {
    pub encoder: String,
    pub recipe: String,
}

impl OpenShard {
    /// `encoder` and `recipe` of `build_meta`, in a shard that the builder wrote.
    pub fn noted(&self) -> Result<Option<Noted>, QueryError> {
        if !self.has_build_tables {
            return Ok(None);
        }
        let value = |key| meta(&self.connection, &self.path, key);
        Ok(Some(Noted {
            encoder: value("encoder")?,
            recipe: value("recipe")?,
        }))
    }

    pub fn open(label: String, path: PathBuf) -> Result<Self, QueryError> {
        let connection = open_read_only(&path)?;
        let read = Statistics::of(&connection)
            .and_then(|s| Ok((s, connection.table_exists(None, "build_sources")?)));
        let (statistics, has_build_tables) = read.map_err(StoreError::sql(&path))?;
        Ok(Self {
            label,
            path,
            connection,
            statistics,
            has_build_tables,
        })
    }

    /// Names the file in an error.
    pub fn on_error<T>(&self, result: Result<T, rusqlite::Error>) -> Result<T, QueryError> {
        Ok(result.map_err(StoreError::sql(&self.path))?)
    }

    /// Content and owner's path of a chunk.
    pub fn text_and_path(&self, gene_id: &str) -> Result<(String, String), rusqlite::Error> {
        self.connection
            .prepare_cached(
                "SELECT coalesce(content, ''), coalesce(source_id, '') FROM genes WHERE gene_id = ?1",
            )?
            .query_row([gene_id], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The owner's path, then those of the other files of this shard that hold the same text.
    pub fn paths(&self, gene_id: &str) -> Result<Vec<String>, rusqlite::Error> {
        let (_, owner) = self.text_and_path(gene_id)?;
        let mut paths = vec![owner];
        if self.has_build_tables {
            for path in ledger_paths(&self.connection, gene_id)? {
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        Ok(paths)
    }
}

/// A file's path as `genes.source_id` spells it.
fn absolute(root: &str, path: &str) -> String {
    format!("{}/{path}", root.trim_end_matches('/'))
}

/// The absolute paths of every file of the ledger that holds the chunk, in canonical order. There
/// is no index by chunk; the walk over `build_sources` reads 30 bytes a place.
fn ledger_paths(connection: &Connection, gene_id: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT r.path, f.path FROM build_sources AS s
         JOIN build_files AS f ON f.file_id = s.file_id
         JOIN build_roots AS r ON r.root_id = f.root_id
         WHERE s.gene_id = ?1 ORDER BY f.file_id",
    )?;
    let paths = statement.query_map([gene_id], |row| {
        let (root, path): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(absolute(&root, &path))
    })?;
    paths.collect()
}
