//! `bed_provenance`: what made a database, for the server's `diag bed`.
//!
//! One row a database, written when it is finished. Servers append rows of their own.

use crate::ids::hex;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The format of the row that servers read.
const VERSION: i64 = 1;

/// The columns of the row but its id, of what `build_meta` and the chunks say. `?1` is [`VERSION`], `?2` the identity, `?3`
/// the configuration.
const ROW: &str = "
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', e.value, 'unixepoch') AS at_utc, 'build' AS event, ?1 AS provenance_version,
       'helix-build ' || v.value AS cymatix_version, NULL AS git_sha, NULL AS git_dirty, NULL AS ingest_c,
       ?3 AS config_json, (SELECT count(*) FROM build_routes) AS gene_count,
       (SELECT count(*) FROM build_routes) AS fts_count, ?2 AS identity_sha256, l.value AS corpus_id, NULL AS notes
FROM build_meta AS e, build_meta AS v, build_meta AS l
WHERE e.key = 'epoch' AND v.key = 'tool_version' AND l.key = 'label'";

/// Write the row, after `build_meta`.
pub fn note(conn: &Connection) -> rusqlite::Result<()> {
    let sql = format!("INSERT INTO bed_provenance SELECT 1, row.* FROM ({ROW}) AS row");
    conn.execute(&sql, params![VERSION, identity(conn)?, config(conn)?])?;
    // SQLite counts on from the row itself; a table without rows is one that no server has written to.
    conn.execute(
        "DELETE FROM sqlite_sequence WHERE name = 'bed_provenance'",
        [],
    )?;
    Ok(())
}

/// Return whether the first row is the one that [`note`] writes.
pub fn is_noted(conn: &Connection) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT * FROM bed_provenance WHERE id = 1 INTERSECT SELECT 1, row.* FROM ({ROW}) AS row"
    );
    conn.prepare(&sql)?
        .exists(params![VERSION, identity(conn)?, config(conn)?])
}

/// What shaped the rows: keys that the server compares between rows, in its spelling and order, and our fingerprint.
fn config(conn: &Connection) -> rusqlite::Result<String> {
    let text = |key: &str| -> rusqlite::Result<String> {
        conn.query_row(
            "SELECT value FROM build_meta WHERE key = ?1",
            [key],
            |row| row.get(0),
        )
    };
    let encoder: Value = serde_json::from_str(&text("encoder")?).unwrap_or_default();
    let config = json!({
        "helix_build.fingerprint": text("fingerprint")?,
        "ingestion.dense_embed_on_ingest": !encoder["dense"].is_null(),
        "ingestion.entity_graph": true,
        "ingestion.splade_enabled": !encoder["sparse"].is_null(),
    });
    Ok(config.to_string())
}

/// Return the server's identity of the chunks that the builder wrote: SHA-256, in hexadecimal digits, over their ids in
/// order, each followed by a zero byte.
fn identity(conn: &Connection) -> rusqlite::Result<String> {
    let mut hasher = Sha256::new();
    let mut statement = conn.prepare("SELECT gene_id FROM build_routes ORDER BY gene_id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        hasher.update(row.get_ref(0)?.as_str()?.as_bytes());
        hasher.update([0]);
    }
    Ok(hex(&hasher.finalize()))
}
