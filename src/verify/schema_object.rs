//! Tables, indexes, views and triggers as values, comparable in whatever spelling.

use rusqlite::Connection;
use std::collections::BTreeMap;

/// One row of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaObject {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: String,
    pub table: String,
    /// The statement with all white space as single blanks.
    pub(super) sql: String,
}

impl SchemaObject {
    /// Return an object as SQLite would record it.
    pub fn new(kind: &str, table: &str, sql: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            table: table.to_owned(),
            sql: sql.to_owned(),
        }
    }

    /// Return whether two statements say the same, in whatever spelling.
    pub fn means(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.table == other.table
            && words(&self.sql) == words(&other.sql)
    }
}

/// Return the objects that statements create, by name.
pub fn created_by(statements: &[&str]) -> Result<BTreeMap<String, SchemaObject>, rusqlite::Error> {
    let reference = Connection::open_in_memory()?;
    for part in statements {
        reference.execute_batch(part)?;
    }
    objects(&reference)
}

/// Return the objects of a database, by name.
pub fn objects(connection: &Connection) -> Result<BTreeMap<String, SchemaObject>, rusqlite::Error> {
    let mut statement =
        connection.prepare("SELECT name, type, tbl_name, coalesce(sql, '') FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        let sql: String = row.get(3)?;
        let object = SchemaObject {
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

/// Return the words and signs of a statement: without comments and white space, outside of strings in lower case, names
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
