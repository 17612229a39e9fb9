//! Which files an index has chunks of.

use super::Searcher;
use super::error::QueryError;

/// A file with chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedFile {
    /// Label and absolute path of the file's root.
    pub root_label: String,
    pub root: String,
    /// Below the root, with `/` between folders.
    pub path: String,
    /// Lower case; `None` if its name tells none.
    pub language: Option<String>,
}

impl IndexedFile {
    /// Return the absolute path.
    pub fn absolute(&self) -> String {
        format!("{}/{}", self.root.trim_end_matches('/'), self.path)
    }
}

const FILES: &str = "SELECT r.label, r.path, f.path, f.language FROM build_files AS f
     JOIN build_roots AS r ON r.root_id = f.root_id
     WHERE f.skip_reason IS NULL ORDER BY f.file_id";

impl Searcher {
    /// Return all files with chunks, by shard and in canonical order.
    pub fn files(&self) -> Result<Vec<IndexedFile>, QueryError> {
        let mut files = Vec::new();
        for shard in self.shards.iter().filter(|shard| shard.has_build_tables()) {
            files.extend(shard.read(|connection| {
                let mut statement = connection.prepare(FILES)?;
                let file = |row: &rusqlite::Row<'_>| {
                    Ok(IndexedFile {
                        root_label: row.get(0)?,
                        root: row.get(1)?,
                        path: row.get(2)?,
                        language: row.get(3)?,
                    })
                };
                statement
                    .query_map([], file)?
                    .collect::<Result<Vec<_>, _>>()
            })?);
        }
        Ok(files)
    }

    pub fn has_chunk(&self, gene_id: &str) -> Result<bool, QueryError> {
        for shard in &self.shards {
            let is_here = shard.read(|connection| {
                let sql = "SELECT 1 FROM genes WHERE gene_id = ?1";
                connection.prepare_cached(sql)?.exists([gene_id])
            })?;
            if is_here {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
