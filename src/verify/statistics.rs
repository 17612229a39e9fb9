//! What SQLite's planner is told: the builder's rows, or those of a server's `ANALYZE`.
//!
//! Wrong numbers change no answer, only the time that it takes. So rows of a server need only have the form that `ANALYZE`
//! gives them.

use super::fault::{FaultKind, Finder};
use crate::store::schema;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// Check the rows of `sqlite_stat1`. Return whether they are those of an `ANALYZE`, not the builder's.
pub fn check(connection: &Connection, finder: &mut Finder<'_>) -> bool {
    let compared = || -> Result<_, rusqlite::Error> {
        let reference = Connection::open_in_memory()?;
        for part in [
            schema::COMMON_TABLES,
            schema::SHARD_TABLES,
            schema::SHARD_INDEXES,
            schema::STATISTICS,
        ] {
            reference.execute_batch(part)?;
        }
        let mut names = connection.prepare("SELECT name FROM sqlite_schema")?;
        let names = names.query_map([], |row| row.get::<_, String>(0))?;
        Ok((
            rows(connection)?,
            rows(&reference)?,
            names.collect::<Result<BTreeSet<_>, _>>()?,
        ))
    };
    let (found, ours, names) = match compared() {
        Ok(all) => all,
        Err(error) => {
            finder.on_error("sqlite_stat1", Err(error));
            return false;
        }
    };
    if found == ours {
        return false;
    }
    let is_known = |row: &Row| {
        let index = row.index.as_ref();
        names.contains(&row.table)
            && index.is_none_or(|index| names.contains(index))
            && row.count().is_some()
    };
    let tables: BTreeSet<&str> = ours.iter().map(|row| row.table.as_str()).collect();
    let is_sound = found.iter().all(is_known)
        && tables
            .iter()
            .all(|table| is_one_or_other(table, &found, &ours));
    if !is_sound {
        let what = "the rows are neither the builder's nor those of an ANALYZE";
        finder.fault(FaultKind::SideTable, "sqlite_stat1", "harmonic_links", what);
    }
    is_sound
}

/// Whether the rows of a table are all the builder's, or all of an `ANALYZE`: it counts the rows of a table once for all of
/// its indexes, and writes none for a table without rows.
fn is_one_or_other(table: &str, found: &[Row], ours: &[Row]) -> bool {
    let ours: Vec<&Row> = ours.iter().filter(|row| row.table == table).collect();
    // An index over no rows may be counted as well.
    let is_full = |row: &&Row| {
        ours.iter()
            .any(|own| own.table == row.table && own.index == row.index)
    };
    let found: Vec<&Row> = found.iter().filter(is_full).collect();
    let counts: BTreeSet<Option<u64>> = found.iter().map(|row| row.count()).collect();
    let is_counted = (found.is_empty() || found.len() == ours.len()) && counts.len() <= 1;
    found == ours || (is_counted && !found.iter().any(|row| ours.contains(row)))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    table: String,
    index: Option<String>,
    stat: String,
}

impl Row {
    /// The rows of the table or of a partial index: the first number.
    fn count(&self) -> Option<u64> {
        self.stat.split(' ').next()?.parse().ok()
    }
}

fn rows(connection: &Connection) -> Result<Vec<Row>, rusqlite::Error> {
    let sql =
        "SELECT coalesce(tbl, ''), idx, coalesce(stat, '') FROM sqlite_stat1 ORDER BY 1, 2, 3";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Row {
            table: row.get(0)?,
            index: row.get(1)?,
            stat: row.get(2)?,
        })
    })?;
    rows.collect()
}
