//! A shard in summary.

use super::each::{each_shard, json_value};
use crate::store::error::StoreError;
use crate::store::index::Index;
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardView {
    pub label: String,
    pub path: PathBuf,
    /// Of the file.
    pub bytes: u64,
    pub roots: Vec<RootView>,
    /// Files of the ledger that are indexed.
    pub files: i64,
    /// Files of the ledger that are not, by reason.
    pub skipped: BTreeMap<String, i64>,
    /// Distinct chunks, those included that a server added.
    pub chunks: i64,
    /// Chunks that are searched: `chromatin` below 2.
    pub hot_chunks: i64,
    /// Everything in `build_meta`: format, tool version, fingerprint, recipe and so on.
    pub meta: BTreeMap<String, serde_json::Value>,
    /// What the routing database notes of the shard: digests and fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<serde_json::Value>,
    /// Numbers of segments, files and chunks by the device that encoded them.
    pub segments: Vec<SegmentView>,
    /// By table, indexes counted with their tables, largest first.
    pub tables: Vec<TableView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RootView {
    pub label: String,
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentView {
    pub device: String,
    pub segments: i64,
    pub files: i64,
    pub chunks: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableView {
    pub table: String,
    /// Of its rows and indexes; `None` when this SQLite cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    pub rows: i64,
}

/// What a shard holds, without a look at every page of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ContentsView {
    pub label: String,
    pub roots: Vec<RootView>,
    /// Files of the ledger that are indexed.
    pub files: i64,
    /// Distinct chunks, those included that a server added.
    pub chunks: i64,
    /// Everything in `build_meta`.
    pub meta: BTreeMap<String, serde_json::Value>,
}

/// Return what each shard holds, in the order of the labels. Quick: counts rows of small indexes.
pub fn inspect_contents(index: &Index) -> Result<Vec<ContentsView>, StoreError> {
    each_shard(index, None, |name, _, connection| {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
        Ok(ContentsView {
            label: name.to_owned(),
            roots: roots(connection)?,
            files: number(FILES)?,
            chunks: number(CHUNKS)?,
            meta: meta(connection)?,
        })
    })
}

const FILES: &str = "SELECT count(*) FROM build_files WHERE skip_reason IS NULL";
const CHUNKS: &str = "SELECT count(*) FROM genes";

fn roots(connection: &Connection) -> Result<Vec<RootView>, rusqlite::Error> {
    let sql = "SELECT label, path FROM build_roots ORDER BY root_id";
    all(connection, sql, |row| {
        Ok(RootView {
            label: row.get(0)?,
            path: row.get(1)?,
        })
    })
}

fn meta(connection: &Connection) -> Result<BTreeMap<String, serde_json::Value>, rusqlite::Error> {
    let rows = all(connection, "SELECT key, value FROM build_meta", |row| {
        Ok((row.get(0)?, json_value(row.get_ref(1)?)))
    })?;
    Ok(rows.into_iter().collect())
}

/// Return the shards of an index in the order of their labels, or only the one named.
pub fn inspect_shards(index: &Index, label: Option<&str>) -> Result<Vec<ShardView>, StoreError> {
    each_shard(index, label, |name, path, connection| {
        let mut view = summary(connection, name, path)?;
        view.registered = registered(index, name);
        Ok(view)
    })
}

fn registered(index: &Index, label: &str) -> Option<serde_json::Value> {
    let Index::Sharded { shards, .. } = index else {
        return None;
    };
    let shard = shards.iter().find(|shard| shard.name == label)?;
    serde_json::from_str(shard.metadata.as_deref()?).ok()
}

fn summary(
    connection: &Connection,
    label: &str,
    path: &Path,
) -> Result<ShardView, rusqlite::Error> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get(0));
    Ok(ShardView {
        label: label.to_string(),
        path: path.to_path_buf(),
        bytes: std::fs::metadata(path).map(|m| m.len()).unwrap_or(0),
        roots: roots(connection)?,
        files: number(FILES)?,
        skipped: pairs(
            connection,
            "SELECT skip_reason, count(*) FROM build_files
             WHERE skip_reason IS NOT NULL GROUP BY skip_reason",
        )?,
        chunks: number(CHUNKS)?,
        hot_chunks: number("SELECT count(*) FROM genes WHERE chromatin < 2")?,
        meta: meta(connection)?,
        registered: None,
        segments: segments(connection)?,
        tables: tables(connection)?,
    })
}

fn segments(connection: &Connection) -> Result<Vec<SegmentView>, rusqlite::Error> {
    let sql = "SELECT device, count(*), sum(files), sum(chunks) FROM build_segments
               GROUP BY device ORDER BY device";
    all(connection, sql, |row| {
        Ok(SegmentView {
            device: row.get(0)?,
            segments: row.get(1)?,
            files: row.get(2)?,
            chunks: row.get(3)?,
        })
    })
}

/// Tables that hold rows. The full-text index's own tables count as what they are.
fn tables(connection: &Connection) -> Result<Vec<TableView>, rusqlite::Error> {
    let bytes = table_bytes(connection).ok();
    let names: Vec<String> = all(
        connection,
        "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'",
        |row| row.get(0),
    )?;
    let mut tables = Vec::new();
    for table in names {
        let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let rows = connection.query_row(&sql, [], |row| row.get(0))?;
        let bytes = bytes.as_ref().and_then(|bytes| bytes.get(&table).copied());
        if rows > 0 {
            tables.push(TableView { table, bytes, rows });
        }
    }
    tables.sort_by(|a, b| (b.bytes, b.rows, &a.table).cmp(&(a.bytes, a.rows, &b.table)));
    Ok(tables)
}

/// Bytes of every table with its indexes, from SQLite's `dbstat`, where it was compiled in.
fn table_bytes(connection: &Connection) -> Result<BTreeMap<String, i64>, rusqlite::Error> {
    pairs(
        connection,
        "SELECT s.tbl_name, sum(d.pgsize) FROM dbstat AS d
         JOIN sqlite_schema AS s ON s.name = d.name WHERE d.aggregate = 1 GROUP BY s.tbl_name",
    )
}

fn pairs(connection: &Connection, sql: &str) -> Result<BTreeMap<String, i64>, rusqlite::Error> {
    let pairs = all(connection, sql, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(pairs.into_iter().collect())
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], read)?;
    rows.collect()
}
