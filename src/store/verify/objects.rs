//! Whether every table, index and view is there in the published shape.

use super::fault::{FaultKind, Finder};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Compares with the objects that `schema` creates. Others, which a server may have added, are left
/// alone. Returns whether all tables are there, so that further checks make sense.
pub fn complete(connection: &Connection, schema: &[&str], finder: &mut Finder<'_>) -> bool {
    let compared = expected(schema).and_then(|expected| Ok((expected, objects(connection)?)));
    let (expected, found) = match compared {
        Ok(both) => both,
        Err(error) => {
            finder.on_error("sqlite_schema", Err(error));
            return false;
        }
    };
    let mut has_tables = true;
    for (name, expected) in &expected {
        let what = match found.get(name) {
            None => format!("{} is missing", expected.kind),
            Some(found) if found != expected => format!("{} has another shape", expected.kind),
            Some(_) => continue,
        };
        has_tables &= expected.kind == "index";
        finder.fault(FaultKind::Schema, &expected.table, name, what);
    }
    has_tables
}

/// How many objects there are that `schema` does not create. A later server adds indexes and tables
/// of its own when it mounts a database.
pub fn others(connection: &Connection, schema: &[&str]) -> Result<usize, rusqlite::Error> {
    let expected = expected(schema)?;
    let found = objects(connection)?;
    Ok(found
        .keys()
        .filter(|name| !expected.contains_key(*name))
        .count())
}

#[derive(PartialEq, Eq)]
struct Object {
    kind: String,
    table: String,
    /// The statement with all white space as single blanks.
    sql: String,
}

fn expected(schema: &[&str]) -> Result<BTreeMap<String, Object>, rusqlite::Error> {
    let reference = Connection::open_in_memory()?;
    for part in schema {
        reference.execute_batch(part)?;
    }
    objects(&reference)
}

fn objects(connection: &Connection) -> Result<BTreeMap<String, Object>, rusqlite::Error> {
    let mut statement =
        connection.prepare("SELECT name, type, tbl_name, coalesce(sql, '') FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        let sql: String = row.get(3)?;
        let object = Object {
            kind: row.get(1)?,
            table: row.get(2)?,
            sql: sql.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        Ok((row.get(0)?, object))
    })?;
    rows.collect()
}
