//! A chunk: every column of its row, and what other tables say of it.

use super::each::{each_shard, json_value};
use crate::store::error::StoreError;
use crate::store::index::Index;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChunkView {
    pub shard: String,
    pub gene_id: String,
    /// Every column by its name. JSON columns are shown as what they hold, vectors as their number
    /// of bytes.
    pub columns: Map<String, Value>,
    /// Values that the dense vector has; `None` when there is no vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_dim: Option<usize>,
    /// Rows of `promoter_index` in order, as `type:value`.
    pub tags: Vec<String>,
    /// Words that lead queries to the chunk's shard beyond its tags.
    pub route_words: Value,
    /// Number of sparse terms.
    pub sparse_terms: usize,
    /// The heaviest of them, as many as were asked for.
    pub top_terms: Vec<TermView>,
    /// Every file that holds the text, in canonical order, absolute; the first one owns the row.
    pub sources: Vec<String>,
    /// Chunks that share entities with this one and came before it.
    pub related: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TermView {
    pub term: String,
    pub weight: f64,
}

/// Return the chunk in every shard that holds it, with its `top` heaviest terms. The beginning of an id is
/// enough where it is unambiguous; where it is not, every chunk that begins so is shown.
pub fn inspect_chunk(index: &Index, id: &str, top: usize) -> Result<Vec<ChunkView>, StoreError> {
    let found = each_shard(index, None, |label, _, connection| {
        let ids: Vec<String> = list(
            connection,
            "SELECT gene_id FROM genes WHERE gene_id >= ?1 AND gene_id < ?1 || '~' ORDER BY gene_id",
            id,
        )?;
        let chunks = ids.iter().map(|id| chunk(connection, label, id, top));
        chunks.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn chunk(
    connection: &Connection,
    shard: &str,
    gene_id: &str,
    top: usize,
) -> Result<ChunkView, rusqlite::Error> {
    let (columns, dense_dim) =
        connection.query_row("SELECT * FROM genes WHERE gene_id = ?1", [gene_id], |row| {
            Ok((columns(row)?, dense_dim(row)?))
        })?;
    let mut terms = terms(connection, gene_id)?;
    let sparse_terms = terms.len();
    terms.truncate(top);
    let routes: Option<String> = connection
        .query_row(
            "SELECT terms FROM build_routes WHERE gene_id = ?1",
            [gene_id],
            |row| row.get(0),
        )
        .optional()?;
    Ok(ChunkView {
        shard: shard.to_string(),
        gene_id: gene_id.to_string(),
        columns,
        dense_dim,
        tags: list(
            connection,
            "SELECT tag_type || ':' || tag_value FROM promoter_index WHERE gene_id = ?1 ORDER BY rowid",
            gene_id,
        )?,
        route_words: routes.map_or(Value::Null, |text| json_or_text(&text)),
        sparse_terms,
        top_terms: terms,
        sources: list(connection, SOURCES, gene_id)?,
        related: list(
            connection,
            "SELECT gene_id_b FROM gene_relations JOIN genes AS g ON g.gene_id = gene_id_b
             LEFT JOIN build_routes AS r ON r.gene_id = gene_id_b
             WHERE gene_id_a = ?1 AND relation = 5 ORDER BY confidence DESC, r.rowid IS NULL DESC, r.rowid DESC, g.rowid DESC",
            gene_id,
        )?,
    })
}

const SOURCES: &str = "
SELECT DISTINCT rtrim(r.path, '/') || '/' || f.path FROM build_sources AS s
JOIN build_files AS f ON f.file_id = s.file_id JOIN build_roots AS r ON r.root_id = f.root_id
WHERE s.gene_id = ?1 ORDER BY f.file_id";

fn terms(connection: &Connection, gene_id: &str) -> Result<Vec<TermView>, rusqlite::Error> {
    let sql = "SELECT term, weight FROM splade_terms WHERE gene_id = ?1 ORDER BY weight DESC, term";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([gene_id], |row| {
        Ok(TermView {
            term: row.get(0)?,
            weight: row.get(1)?,
        })
    })?;
    rows.collect()
}

fn list(connection: &Connection, sql: &str, gene_id: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([gene_id], |row| row.get(0))?;
    rows.collect()
}

fn columns(row: &Row<'_>) -> Result<Map<String, Value>, rusqlite::Error> {
    let names: Vec<String> = row.as_ref().column_names().map(str::to_string).collect();
    let mut columns = Map::new();
    for (at, name) in names.into_iter().enumerate() {
        let is_json = matches!(
            name.as_str(),
            "codons" | "promoter" | "epigenetics" | "key_values"
        );
        let value = match row.get_ref(at)? {
            ValueRef::Text(text) if is_json => json_or_text(&String::from_utf8_lossy(text)),
            other => json_value(other),
        };
        columns.insert(name, value);
    }
    Ok(columns)
}

fn dense_dim(row: &Row<'_>) -> Result<Option<usize>, rusqlite::Error> {
    let vector: Option<Vec<u8>> = row.get("embedding_dense_v2")?;
    Ok(vector.map(|bytes| bytes.len() / 4))
}

/// Return a JSON column as a value, or as its text when it is broken.
fn json_or_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
