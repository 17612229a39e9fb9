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
    // An `ANALYZE` counts the rows of a table once for all of its indexes, and writes none for a table without rows.
    let links = || found.iter().filter(|row| row.table == "harmonic_links");
    let counts: BTreeSet<Option<u64>> = links().map(Row::count).collect();
    let is_counted = matches!(links().count(), 0 | 3) && counts.len() <= 1;
    let is_ours = links().any(|row| ours.contains(row));
    let is_known = |row: &Row| {
        let index = row.index.as_ref();
        names.contains(&row.table)
            && index.is_none_or(|index| names.contains(index))
            && row.count().is_some()
    };
    let is_sound = is_counted && !is_ours && found.iter().all(is_known);
    if !is_sound {
        let what = "the rows are neither the builder's nor those of an ANALYZE";
        finder.fault(FaultKind::SideTable, "sqlite_stat1", "harmonic_links", what);
    }
    is_sound
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
