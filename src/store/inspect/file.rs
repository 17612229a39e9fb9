//! A file: what became of it, and its chunks in order.

use super::each::each_shard;
use crate::ids::hex;
use crate::store::error::StoreError;
use crate::store::index::Index;
use crate::store::query::numbered;
use rusqlite::{Connection, Row};
use serde::Serialize;
use std::collections::BTreeMap;

/// Files shown at most for one suffix, in each shard; `mod.rs` may be the name of thousands.
const MOST_FILES: i64 = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileView {
    pub shard: String,
    /// Absolute.
    pub path: String,
    /// Bytes.
    pub size: i64,
    pub mtime_ns: i64,
    /// Of the bytes read, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// Why it is not indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of an indexed file, as the WHATWG names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Lower-case name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    pub chunks: Vec<FileChunkView>,
    /// `build_files.file_id`.
    #[serde(skip)]
    file_id: i64,
}

/// A chunk of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChunkView {
    /// From 0.
    pub sequence: i64,
    pub gene_id: String,
    pub is_fragment: bool,
    /// Whether this file owns the chunk's row; if not, another file has the same text.
    pub is_owner: bool,
    /// Bytes of text.
    pub bytes: i64,
    /// First byte in the file on disk, from 0; absent where those bytes are not the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_start: Option<i64>,
    /// Behind the last byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_end: Option<i64>,
    /// From 1.
    pub line_start: i64,
    /// The last line that the chunk is on.
    pub line_end: i64,
    /// Names of the definitions around the chunk, outermost first.
    pub symbols: Vec<String>,
    /// Names of the definitions in it.
    #[serde(skip)]
    pub defines: Vec<String>,
}

/// Return the files whose path is `path`, or ends in it after a separator; by shard, then in canonical
/// order. At most a hundred in each shard.
pub fn inspect_file(index: &Index, path: &str) -> Result<Vec<FileView>, StoreError> {
    let found = each_shard(index, None, |label, _, connection| {
        files(connection, label, path)
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// Compared at the end, so that no character of the path is a wildcard.
const FILES: &str = "
SELECT file_id, source, size, mtime_ns, blake3, skip_reason, detail, encoding, language FROM (
    SELECT f.*, rtrim(r.path, '/') || '/' || f.path AS source
    FROM build_files AS f JOIN build_roots AS r ON r.root_id = f.root_id)
WHERE source = ?1 OR substr(source, -length(?2)) = ?2 ORDER BY file_id LIMIT ?3";

const CHUNKS: &str = "
SELECT s.seq, s.gene_id, s.is_fragment, g.source_id IS ?2, coalesce(length(CAST(g.content AS BLOB)), 0),
       s.byte_start, s.byte_end, s.line_start, s.line_end, s.symbols, coalesce(g.codons, '[]')
FROM build_sources AS s LEFT JOIN genes AS g ON g.gene_id = s.gene_id
WHERE s.file_id = ?1 ORDER BY s.seq";

const TEXTS: &str = "
SELECT s.line_start, s.line_end, g.content FROM build_sources AS s
JOIN genes AS g ON g.gene_id = s.gene_id
WHERE s.file_id = ?1 AND s.line_end >= ?2 AND s.line_start <= ?3 ORDER BY s.seq";

/// Return the lines `first` to `last` (from 1, both included) of a file with their numbers, as far as its chunks have them.
/// A chunk whose text has not the lines of the file, such as one of a notebook, is one entry at its first line.
pub fn lines_of(
    index: &Index,
    file: &FileView,
    (first, last): (i64, i64),
) -> Result<Vec<(i64, String)>, StoreError> {
    let found = each_shard(index, Some(&file.shard), |_, _, connection| {
        let mut statement = connection.prepare(TEXTS)?;
        let mut rows = statement.query((file.file_id, first, last))?;
        let mut lines = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (line_start, line_end) = (row.get(0)?, row.get(1)?);
            let text = row.get_ref(2)?.as_str()?;
            match numbered(text, line_start, line_end) {
                Some(of_chunk) => {
                    let within =
                        of_chunk.filter(|(line, _)| (first..=last).contains(&i64::from(*line)));
                    for (line, text) in within {
                        lines
                            .entry(i64::from(line))
                            .or_insert_with(|| text.to_owned());
                    }
                }
                None => {
                    lines
                        .entry(i64::from(line_start))
                        .or_insert_with(|| text.to_owned());
                }
            }
        }
        Ok(lines)
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn files(
    connection: &Connection,
    shard: &str,
    path: &str,
) -> Result<Vec<FileView>, rusqlite::Error> {
    let suffix = format!("/{}", path.trim_start_matches("./").trim_start_matches('/'));
    let mut files = connection.prepare(FILES)?;
    let rows = files.query_map((path, suffix, MOST_FILES), |row| file(row, shard))?;
    let found: Vec<FileView> = rows.collect::<Result<_, _>>()?;
    let mut chunks = connection.prepare(CHUNKS)?;
    let mut views = Vec::new();
    for mut view in found {
        let rows = chunks.query_map((view.file_id, &view.path), chunk)?;
        view.chunks = rows.collect::<Result<_, _>>()?;
        views.push(view);
    }
    Ok(views)
}

fn file(row: &Row<'_>, shard: &str) -> Result<FileView, rusqlite::Error> {
    let hash: Option<Vec<u8>> = row.get(4)?;
    Ok(FileView {
        shard: shard.to_string(),
        path: row.get(1)?,
        size: row.get(2)?,
        mtime_ns: row.get(3)?,
        blake3: hash.map(|bytes| hex(&bytes)),
        skip_reason: row.get(5)?,
        detail: row.get(6)?,
        encoding: row.get(7)?,
        language: row.get(8)?,
        chunks: Vec::new(),
        file_id: row.get(0)?,
    })
}

fn chunk(row: &Row<'_>) -> Result<FileChunkView, rusqlite::Error> {
    let labels: Vec<String> = serde_json::from_str(row.get_ref(10)?.as_str()?).unwrap_or_default();
    let defines = labels
        .iter()
        .filter_map(|label| label.strip_prefix("define:"));
    Ok(FileChunkView {
        sequence: row.get(0)?,
        gene_id: row.get(1)?,
        is_fragment: row.get(2)?,
        is_owner: row.get(3)?,
        bytes: row.get(4)?,
        byte_start: row.get(5)?,
        byte_end: row.get(6)?,
        line_start: row.get(7)?,
        line_end: row.get(8)?,
        symbols: serde_json::from_str(row.get_ref(9)?.as_str()?).unwrap_or_default(),
        defines: defines.map(str::to_owned).collect(),
    })
}
