//! Whether every table, index, view and trigger of a database is the builder's, or one that a known server adds.
//!
//! What a server may add is a closed list, [`super::additions`]: a trigger or a view more would change rows when a
//! server writes, or show others than are stored.

use super::additions::Additions;
use super::fault::{FaultKind, Finder};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// What a database should hold: the builder's objects, and what servers add to them.
pub struct Shape {
    pub builder: &'static [&'static str],
    pub server: Additions,
}

/// What it does hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Whether all of the builder's tables are there, so that further checks make sense.
    pub has_tables: bool,
    /// Objects that a known server has added or widened.
    pub of_server: usize,
}

/// Compares the objects of a database with its shape. Each that is missing, has another shape, or comes from
/// neither the builder nor a known server is a fault.
pub fn compare(connection: &Connection, shape: &Shape, finder: &mut Finder<'_>) -> Held {
    let read = || -> Result<_, rusqlite::Error> {
        let (builder, server) = (made_by(shape.builder)?, shape.server.objects()?);
        Ok((builder, server, objects(connection)?))
    };
    let (builder, server, found) = match read() {
        Ok(all) => all,
        Err(error) => {
            finder.on_error("sqlite_schema", Err(error));
            return Held::default();
        }
    };
    let mut held = Held {
        has_tables: true,
        of_server: 0,
    };
    for (name, expected) in &builder {
        let what = match found.get(name) {
            None => format!("{} is missing", expected.kind),
            Some(found) if found == expected => continue,
            Some(found) if server.get(name).is_some_and(|widened| widened.means(found)) => {
                held.of_server += 1;
                continue;
            }
            Some(_) => format!("{} has another shape", expected.kind),
        };
        held.has_tables &= expected.kind == "index";
        finder.fault(FaultKind::Schema, &expected.table, name, what);
    }
    for (name, found) in found
        .iter()
        .filter(|(name, _)| !builder.contains_key(*name))
    {
        if server.get(name).is_some_and(|known| known.means(found)) {
            held.of_server += 1;
            continue;
        }
        let what = format!(
            "{} that neither helix-build nor a server known to it makes",
            found.kind
        );
        finder.fault(FaultKind::Schema, &found.table, name, what);
    }
    held
}

/// One row of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    kind: String,
    table: String,
    /// The statement with all white space as single blanks.
    sql: String,
}

impl Object {
    /// Whether two statements say the same, in whatever spelling.
    fn means(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.table == other.table
            && words(&self.sql) == words(&other.sql)
    }
}

/// The objects that statements create, by name.
pub(super) fn made_by(statements: &[&str]) -> Result<BTreeMap<String, Object>, rusqlite::Error> {
    let reference = Connection::open_in_memory()?;
    for part in statements {
        reference.execute_batch(part)?;
    }
    objects(&reference)
}

/// An object as SQLite would note it.
pub(super) fn object(kind: &str, table: &str, sql: &str) -> Object {
    Object {
        kind: kind.to_owned(),
        table: table.to_owned(),
        sql: sql.to_owned(),
    }
}

fn objects(connection: &Connection) -> Result<BTreeMap<String, Object>, rusqlite::Error> {
    let mut statement =
        connection.prepare("SELECT name, type, tbl_name, coalesce(sql, '') FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        let sql: String = row.get(3)?;
        let object = Object {
            kind: row.get(1)?,
            table: row.get(2)?,
            // Comments end with their line, so lines are kept where there are any.
            sql: match sql.contains("--") {
                true => sql,
                false => sql.split_whitespace().collect::<Vec<_>>().join(" "),
            },
        };
        Ok((row.get(0)?, object))
    })?;
    rows.collect()
}

/// The words and signs of a statement: without comments and white space, outside of strings in lower case, names
/// without their quotes.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (word, behind) = rest.split_at(length);
        rest = behind;
        match first {
            '-' if word.starts_with("--") => {}
            '\'' => words.push(word.to_owned()),
            '"' => words.push(word.trim_matches('"').to_ascii_lowercase()),
            _ if first.is_whitespace() => {}
            _ => words.push(word.to_ascii_lowercase()),
        }
    }
    words
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_mean_the_same_have_the_same_words() {
        let ours = "CREATE TABLE t (a TEXT DEFAULT 'It -- is', b REAL)";
        let same = "CREATE TABLE \"T\"(\n  a   text default 'It -- is', -- a note, of (words)\n  b REAL\n )";
        assert_eq!(words(ours), words(same));
        for other in [
            "CREATE TABLE t (a TEXT DEFAULT 'it -- is', b REAL)",
            "CREATE TABLE t (a TEXT DEFAULT 'It -- is', b REAL, c)",
            "CREATE TABLE t (a TEXT, b REAL)",
        ] {
            assert_ne!(words(ours), words(other), "{other}");
        }
    }
}
