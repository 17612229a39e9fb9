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

/// Size of a file from which its check is shared between two threads with a connection each. Of a small shard, opening it
/// is a sixth of the check.
const PARALLEL_BYTES: u64 = 4 << 20;

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
    let bytes = std::fs::metadata(path).map_err(StoreError::io(path))?.len();
    let digest = match bytes < PARALLEL_BYTES {
        true => check(path, loaded, stop)?,
        false => check_in_parallel(path, loaded, stop)?,
    };
    let conn = connect::open_for_load(path)?;
    note(&conn, &digest).map_err(StoreError::sql(path))?;
    connect::close_as_wal(conn, path)?;
    Ok(digest)
}

fn check(path: &Path, loaded: Loaded, stop: &Arc<AtomicBool>) -> Result<ShardDigest, StoreError> {
    let conn = open_stoppable(path, stop)?;
    check_pages(&conn, path)?;
    check_rows(&conn, path, loaded)
}

/// Do the same in half the time: both read the whole file, each in its own order.
fn check_in_parallel(
    path: &Path,
    loaded: Loaded,
    stop: &Arc<AtomicBool>,
) -> Result<ShardDigest, StoreError> {
    let (pages, rows) = thread::scope(|scope| {
        let pages = scope.spawn(|| check_pages(&open_stoppable(path, stop)?, path));
        let rows = open_stoppable(path, stop).and_then(|conn| check_rows(&conn, path, loaded));
        let pages = pages
            .join()
            .unwrap_or_else(|_| Err(StoreError::corrupt(path, "the check of its pages panicked")));
        (pages, rows)
    });
    pages.and(rows)
}

fn note(conn: &Connection, digest: &ShardDigest) -> rusqlite::Result<()> {
    let mut insert = conn.prepare("INSERT INTO build_meta (key, value) VALUES (?1, ?2)")?;
    insert.execute(params!["digest", digest.digest.to_string()])?;
    insert.execute(params![
        "content_digest",
        digest.content.to_digest().to_string()
    ])?;
    connect::set_journal_mode(conn, "WAL")
}

fn check_rows(conn: &Connection, path: &Path, loaded: Loaded) -> Result<ShardDigest, StoreError> {
    let number = |sql: &str| -> Result<i64, StoreError> {
        conn.query_row(sql, [], |row| row.get(0))
            .map_err(StoreError::sql(path))
    };
    let chunks = number("SELECT count(*) FROM genes")?;
    let indexed = number("SELECT count(*) FROM genes_fts_docsize")?;
    let digest = digest_connection(conn, path)?;
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
fn check_pages(conn: &Connection, path: &Path) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::digest::digest_shard;
    use crate::store::schema::PAGE_BYTES;
    use crate::store::tests::loading::built;
    use crate::store::tests::sample::corpus;

    #[test]
    fn one_thread_and_two_find_the_same() {
        let (_folder, path) = built(&corpus(), &[]);
        let known = digest_shard(&path).expect("a digest");
        let loaded = Loaded {
            files: known.files,
            chunks: known.chunks,
        };
        for check in [check, check_in_parallel] {
            let stop = Arc::default();
            let found = check(&path, loaded, &stop).expect("sound");
            assert_eq!(found.digest, known.digest);
            let more = Loaded {
                chunks: loaded.chunks + 1,
                ..loaded
            };
            let refused = check(&path, more, &stop);
            assert!(
                matches!(refused, Err(StoreError::Corrupt { .. })),
                "{refused:?}"
            );
        }
        // No reading of rows comes by this index.
        let root: u32 = connect::open_read_only(&path)
            .expect("opened")
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'idx_genes_source'",
                [],
                |row| row.get(0),
            )
            .expect("a page");
        let mut bytes = std::fs::read(&path).expect("read");
        let end = (root * PAGE_BYTES) as usize;
        bytes[end - PAGE_BYTES as usize..end].fill(0);
        std::fs::write(&path, bytes).expect("written");
        for check in [check, check_in_parallel] {
            let refused = check(&path, loaded, &Arc::default());
            assert!(refused.is_err(), "{refused:?}");
        }
    }
}
