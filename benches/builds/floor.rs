//! Measures the floor for writing an index: the time that SQLite alone needs for its rows.
//!
//! Copies all rows of a finished shard and of the routing database with `INSERT ... SELECT`, which does not decode
//! records, into an empty database with the same tables. Then creates the indexes and rebuilds the full-text index. No
//! reading, chunking, tagging, checks, digests or fsync.

use anyhow::Context as _;
use helix_build::platform::process_cpu_time;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

/// The settings of the loader.
const SETTINGS: &str = "
PRAGMA page_size = 4096;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -65536;";

/// The page cache of the loader while it builds indexes.
const INDEX_SETTINGS: &str = "PRAGMA cache_size = -4096;";

/// Tables in which FTS5 keeps an index.
const FULL_TEXT_TABLES: [&str; 5] = ["_data", "_idx", "_content", "_docsize", "_config"];

/// Measure the CPU time to copy the rows of `shard` and of the routing database beside it into `folder`.
pub fn copy_index(shard: &Path, folder: &Path) -> anyhow::Result<Duration> {
    let routing = shard.with_file_name("main.genome.db");
    Ok(copy_rows(shard, &folder.join("floor.db"))?
        + copy_rows(&routing, &folder.join("floor-routing.db"))?)
}

/// Measure the CPU time to copy the rows of `shard` into `target`, which must not exist.
fn copy_rows(shard: &Path, target: &Path) -> anyhow::Result<Duration> {
    let conn = Connection::open(target)?;
    conn.execute_batch(SETTINGS)?;
    conn.execute(
        "ATTACH ?1 AS shard",
        [shard.to_str().context("a path in UTF-8")?],
    )?;
    let schema = Schema::read(&conn)?;
    let before = process_cpu_time();
    schema.copy(&conn)?;
    let spent = process_cpu_time() - before;
    schema.check(&conn)?;
    Ok(spent)
}

/// The statements that create a shard, in the shard's order.
struct Schema {
    tables: Vec<String>,
    /// Tables, views and virtual tables.
    objects: Vec<String>,
    full_text: Vec<String>,
    indexes: Vec<String>,
}

impl Schema {
    fn read(conn: &Connection) -> anyhow::Result<Self> {
        let mut rows = conn.prepare(
            "SELECT type, name, sql FROM shard.sqlite_schema
             WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid",
        )?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let rows: Vec<(String, String, String)> = rows.collect::<Result<_, _>>()?;
        let is_virtual = |sql: &str| sql.starts_with("CREATE VIRTUAL TABLE");
        let full_text = rows
            .iter()
            .filter(|(_, _, sql)| is_virtual(sql) && sql.contains("USING fts5("));
        let full_text: Vec<String> = full_text.map(|(_, name, _)| name.clone()).collect();
        let is_shadow = |name: &str| {
            let rest = full_text
                .iter()
                .find_map(|index| name.strip_prefix(index.as_str()));
            rest.is_some_and(|rest| FULL_TEXT_TABLES.contains(&rest))
        };
        let mut schema = Self {
            tables: Vec::new(),
            objects: Vec::new(),
            full_text: full_text.clone(),
            indexes: Vec::new(),
        };
        for (kind, name, sql) in &rows {
            match kind.as_str() {
                "index" => schema.indexes.push(sql.clone()),
                "table" if is_shadow(name) => {}
                kind => {
                    if kind == "table" && !is_virtual(sql) {
                        schema.tables.push(name.clone());
                    }
                    schema.objects.push(sql.clone());
                }
            }
        }
        Ok(schema)
    }

    fn copy(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.execute_batch("BEGIN")?;
        for sql in &self.objects {
            conn.execute_batch(sql)?;
        }
        for name in &self.tables {
            conn.execute_batch(&format!(
                "INSERT INTO main.{name} SELECT * FROM shard.{name}"
            ))?;
        }
        conn.execute_batch(INDEX_SETTINGS)?;
        for sql in &self.indexes {
            conn.execute_batch(sql)?;
        }
        for name in &self.full_text {
            conn.execute_batch(&format!("INSERT INTO {name} ({name}) VALUES ('rebuild')"))?;
        }
        conn.execute_batch("COMMIT")
    }

    /// Check that the copy is complete, so that the floor is not too low.
    fn check(&self, conn: &Connection) -> anyhow::Result<()> {
        let count = |table: &str| -> rusqlite::Result<i64> {
            conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
        };
        for name in &self.tables {
            let (copied, held) = (
                count(&format!("main.{name}"))?,
                count(&format!("shard.{name}"))?,
            );
            anyhow::ensure!(
                copied == held,
                "{name}: {copied} rows of {held} were copied"
            );
        }
        if self.full_text.is_empty() {
            return Ok(());
        }
        let texts = (count("main.genes_fts_docsize")?, count("main.genes")?);
        anyhow::ensure!(
            texts.0 == texts.1 && texts.1 > 0,
            "full text of {texts:?} chunks"
        );
        Ok(())
    }
}
