//! Turns a loaded file into a shard: reads it back, adds its digests, and sets the header that servers
//! expect.

use super::Loaded;
use crate::store::connect;
use crate::store::digest::{ShardDigest, digest_connection};
use crate::store::error::StoreError;
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

/// Make the closed database at `path` a shard. Reads it back and checks that it is sound and holds what was
/// loaded, writes its digests into it, and sets the journal mode that servers expect in its header. The digests
/// cover neither themselves nor the header.
///
/// Once `stop` is set, ends with [`StoreError::Interrupted`].
pub fn seal(
    path: &Path,
    loaded: Loaded,
    stop: &Arc<AtomicBool>,
) -> Result<ShardDigest, StoreError> {
    // Both read the whole file, each in its own order. In parallel they take half as long.
    let (checked, counted) = thread::scope(|scope| {
        let pages = scope.spawn(|| quick_check(path, stop));
        let counted = check_rows(path, loaded, stop);
        let checked = pages
            .join()
            .unwrap_or_else(|_| Err(StoreError::corrupt(path, "the check of its pages panicked")));
        (checked, counted)
    });
    checked?;
    let digest = counted?;
    note(path, &digest).map_err(StoreError::sql(path))?;
    connect::seal_as_wal(path)?;
    Ok(digest)
}

fn note(path: &Path, digest: &ShardDigest) -> rusqlite::Result<()> {
    let conn = Connection::open(path)?;
    // No other process has the file, and a failed attempt is deleted.
    conn.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let mut insert = conn.prepare("INSERT INTO build_meta (key, value) VALUES (?1, ?2)")?;
    insert.execute(params!["digest", digest.digest.to_string()])?;
    insert.execute(params![
        "content_digest",
        digest.content.to_digest().to_string()
    ])?;
    Ok(())
}

fn check_rows(
    path: &Path,
    loaded: Loaded,
    stop: &Arc<AtomicBool>,
) -> Result<ShardDigest, StoreError> {
    let conn = open_stoppable(path, stop)?;
    let number = |sql: &str| -> Result<i64, StoreError> {
        conn.query_row(sql, [], |row| row.get(0))
            .map_err(StoreError::sql(path))
    };
    let chunks = number("SELECT count(*) FROM genes")?;
    let indexed = number("SELECT count(*) FROM genes_fts_docsize")?;
    let digest = digest_connection(&conn, path)?;
    let found = [digest.files as i64, digest.chunks as i64, chunks, indexed];
    let expected = loaded.chunks as i64;
    if found != [loaded.files as i64, expected, expected, expected] {
        return Err(StoreError::corrupt(
            path,
            "it holds other rows than were loaded",
        ));
    }
    Ok(digest)
}

fn open_stoppable(path: &Path, stop: &Arc<AtomicBool>) -> Result<Connection, StoreError> {
    let mut conn = connect::open_read_only(path)?;
    connect::end_when_set(&mut conn, Arc::clone(stop)).map_err(StoreError::sql(path))?;
    Ok(conn)
}

/// Check the pages of every table and its indexes. Table by table, since a check of the whole database would also
/// read the full-text index word by word; `verify` does that.
fn quick_check(path: &Path, stop: &Arc<AtomicBool>) -> Result<(), StoreError> {
    let conn = open_stoppable(path, stop)?;
    let check = || -> rusqlite::Result<Option<String>> {
        let mut tables =
            conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
        let mut tables = tables.query([])?;
        while let Some(table) = tables.next()? {
            let sql = format!("PRAGMA quick_check('{}')", table.get_ref(0)?.as_str()?);
            let verdict: String = conn.query_row(&sql, [], |row| row.get(0))?;
            if verdict != "ok" {
                return Ok(Some(verdict));
            }
        }
        Ok(None)
    };
    match check().map_err(StoreError::sql(path))? {
        None => Ok(()),
        Some(verdict) => Err(StoreError::corrupt(path, verdict)),
    }
}
