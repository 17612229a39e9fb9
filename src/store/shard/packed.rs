//! Fills tables that are kept in the order of a key, so that every page is full.
//!
//! Rows that are inserted one by one in the order of a `WITHOUT ROWID` table leave an eighth of each page free. SQLite
//! copies a table into an empty one of its shape record by record instead, and fills every page. So rows go into a
//! temporary table of the same shape first. SQLite keeps temporary tables in a file without a name.

use rusqlite::Connection;

/// The temporary table that stands for `table` until [`copy`].
pub fn name(table: &str) -> String {
    format!("temp.packed_{table}")
}

/// Create the temporary table, with the columns and indexes that the empty table `table` has now.
pub fn create(conn: &Connection, table: &str) -> rusqlite::Result<()> {
    let mut shapes = conn.prepare(
        "SELECT sql FROM main.sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL
         ORDER BY type = 'table' DESC",
    )?;
    let shapes: Vec<String> = shapes
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for shape in shapes {
        let shape = shape
            .replacen(
                &format!("CREATE TABLE {table}"),
                &format!("CREATE TABLE {}", name(table)),
                1,
            )
            .replacen("CREATE INDEX ", "CREATE INDEX temp.packed_", 1)
            .replacen(&format!(" ON {table}("), &format!(" ON packed_{table}("), 1);
        conn.execute_batch(&shape)?;
    }
    Ok(())
}

/// Copy all rows of the temporary table into `table`, and drop the former.
pub fn copy(conn: &Connection, table: &str) -> rusqlite::Result<()> {
    let packed = name(table);
    conn.execute_batch(&format!(
        "INSERT INTO main.{table} SELECT * FROM {packed}; DROP TABLE {packed}"
    ))
}

/// Fill the empty table `table` with the rows of `select`, which come in the order of its key.
pub fn fill(conn: &Connection, table: &str, select: &str) -> rusqlite::Result<()> {
    create(conn, table)?;
    conn.execute_batch(&format!("INSERT OR FAIL INTO {} {select}", name(table)))?;
    copy(conn, table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::{BUILD_TABLES, SHARD_TABLES};

    /// Every table of a shard that is kept in the order of a key.
    #[test]
    fn the_pages_are_full() {
        for (table, columns) in [
            ("entity_graph", "id, id2"),
            ("gene_relations", "id, id2, 5, 0.5, 1700000000.5"),
            ("filename_index", "id, id2"),
            ("build_sources", "n, 1, id2, 0, 5, 6, 1, 2, '[]'"),
            ("path_key_index", "id, id2, id"),
            ("splade_terms", "id2, id, 1.2345"),
            ("splade_term_df", "id, 7"),
        ] {
            let conn = Connection::open_in_memory().expect("a database");
            conn.execute_batch(SHARD_TABLES).expect("tables");
            conn.execute_batch(BUILD_TABLES).expect("tables");
            let select = format!(
                "SELECT {columns} FROM
                     (WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
                      SELECT n, printf('%016x', n) AS id, printf('%016x', n * 7919) AS id2 FROM n)
                 ORDER BY id"
            );
            fill(&conn, table, &select).expect("filled");
            let (rows, fill): (i64, f64) = conn
                .query_row(
                    &format!(
                        "SELECT (SELECT count(*) FROM {table}), 1.0 * sum(pgsize - unused) / sum(pgsize)
                         FROM dbstat WHERE name = ?1"
                    ),
                    [table],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .expect("pages");
            assert_eq!(rows, 20_000, "{table}");
            assert!(fill > 0.97, "{table}: {fill}");
            let left: i64 = conn
                .query_row("SELECT count(*) FROM temp.sqlite_schema", [], |row| {
                    row.get(0)
                })
                .expect("a number");
            assert_eq!(left, 0, "{table}");
        }
    }
}
