//! The file with which a shard starts: all tables and the indexes that stay empty, no rows.
//!
//! SQLite takes more than six times as long to create them as to open a file that has them, which is much of the time of
//! publishing a small shard. So they are created once in a process.

use crate::store::{connect, schema};
use once_cell::sync::OnceCell;
use rusqlite::MAIN_DB;

/// Return the file's bytes, the same at every call and in every process.
pub fn bytes() -> rusqlite::Result<&'static [u8]> {
    static BYTES: OnceCell<Vec<u8>> = OnceCell::new();
    BYTES.get_or_try_init(make).map(Vec::as_slice)
}

fn make() -> rusqlite::Result<Vec<u8>> {
    let mut conn = connect::open_in_memory()?;
    conn.execute_batch(&format!("PRAGMA page_size = {}; BEGIN", schema::PAGE_BYTES))?;
    for statements in [
        schema::COMMON_TABLES,
        schema::SHARD_TABLES,
        schema::BUILD_TABLES,
        schema::SERVER_TABLES,
        schema::STAGING_TABLES,
        // No row that the builder writes while it loads has an entry in one of these.
        schema::COMMON_INDEXES,
        schema::SERVER_INDEXES,
    ] {
        conn.execute_batch(statements)?;
    }
    conn.execute_batch("COMMIT")?;
    Ok(conn.serialize(MAIN_DB)?.to_vec())
}
