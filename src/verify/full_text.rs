//! Whether the full-text index says what its view says.
//!
//! FTS5 checks itself against its content only on request, and the request is an INSERT, which a
//! database opened for reading refuses. The index (not the text) is therefore copied into a
//! temporary table of the connection, which SQLite keeps in a file of its own beyond a few
//! megabytes, over a temporary view of the same rows, and the copy is checked.
//!
//! A server that compacts a chunk, as it does with thin ones that it takes in, puts a note in place of the text and leaves
//! the index as it was. Where there are such chunks, the copy is compared with a new index, word by word, without them.

use super::fault::{FaultKind, Finder};
use rusqlite::{Connection, Row, Rows};
use std::collections::HashSet;

/// Fills the copy. The closing rollback makes FTS5 forget what it remembers of the empty index.
const COPY: &str = "
CREATE VIRTUAL TABLE temp.checked_fts USING fts5(
    gene_id, content, complement, content='checked_source', content_rowid='rowid'
);
CREATE TEMP VIEW checked_source AS
    SELECT rowid, gene_id, content, complement FROM main.genes_fts_source;
DELETE FROM temp.checked_fts_data;
DELETE FROM temp.checked_fts_idx;
DELETE FROM temp.checked_fts_docsize;
INSERT INTO temp.checked_fts_data SELECT id, block FROM main.genes_fts_data ORDER BY id;
INSERT INTO temp.checked_fts_idx
    SELECT segid, term, pgno FROM main.genes_fts_idx ORDER BY segid, term;
INSERT INTO temp.checked_fts_docsize SELECT id, sz FROM main.genes_fts_docsize ORDER BY id;
BEGIN;
INSERT INTO temp.checked_fts(checked_fts, rank) VALUES ('automerge', 8);
ROLLBACK;";

const CHECK: &str = "INSERT INTO temp.checked_fts(checked_fts, rank) VALUES ('integrity-check', 1)";

/// The chunks whose text a server has replaced by a note.
const COMPACTED: &str =
    "SELECT rowid FROM genes WHERE content >= '[COMPRESSED:' AND content < '[COMPRESSED;'";

/// An index of what the view says now, and the words of both.
const REBUILD: &str = "
CREATE VIRTUAL TABLE temp.rebuilt_fts USING fts5(
    gene_id, content, complement, content='checked_source', content_rowid='rowid'
);
INSERT INTO temp.rebuilt_fts(rebuilt_fts) VALUES ('rebuild');
CREATE VIRTUAL TABLE temp.checked_words USING fts5vocab(temp, checked_fts, instance);
CREATE VIRTUAL TABLE temp.rebuilt_words USING fts5vocab(temp, rebuilt_fts, instance);";

const DROP_REBUILT: &str = "
DROP TABLE temp.checked_words;
DROP TABLE temp.rebuilt_words;
DROP TABLE temp.rebuilt_fts;";

/// Compare the index with the view, token by token.
pub fn against_view(connection: &Connection, finder: &mut Finder<'_>) {
    let copied = connection.execute_batch(COPY);
    if copied.is_err() {
        finder.on_error("genes_fts", copied);
        return;
    }
    if let Err(error) = connection.execute_batch(CHECK)
        && !agrees_but_for_compacted(connection).unwrap_or(false)
    {
        let what = format!("the index does not match the text and tags of the chunks: {error}");
        finder.fault(FaultKind::FullText, "genes_fts", "", what);
    }
    let dropped =
        connection.execute_batch("DROP TABLE temp.checked_fts; DROP VIEW temp.checked_source;");
    finder.on_error("genes_fts", dropped);
}

/// Return whether there are compacted chunks, and the index says of all others what the view says.
fn agrees_but_for_compacted(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let mut statement = connection.prepare(COMPACTED)?;
    let compacted = statement.query_map([], |row| row.get(0))?;
    let compacted: HashSet<i64> = compacted.collect::<Result<_, _>>()?;
    if compacted.is_empty() {
        return Ok(false);
    }
    connection.execute_batch(REBUILD)?;
    let is_same = is_same_but_for(connection, &compacted);
    connection.execute_batch(DROP_REBUILT)?;
    is_same
}

/// Go through the words of both indexes, which are in the order of words, then of chunks and places.
fn is_same_but_for(
    connection: &Connection,
    left_out: &HashSet<i64>,
) -> Result<bool, rusqlite::Error> {
    let words = |table: &str| {
        connection.prepare(&format!(
            "SELECT term, doc, col, \"offset\" FROM temp.{table}"
        ))
    };
    let (mut checked, mut rebuilt) = (words("checked_words")?, words("rebuilt_words")?);
    let (mut checked, mut rebuilt) = (checked.query([])?, rebuilt.query([])?);
    loop {
        let held = next_word(&mut checked, left_out)?;
        let wanted = next_word(&mut rebuilt, left_out)?;
        if held != wanted {
            return Ok(false);
        }
        if held.is_none() {
            return Ok(true);
        }
    }
}

/// A word, its chunk, column and place.
type Word = (String, i64, String, i64);

fn next_word(
    rows: &mut Rows<'_>,
    left_out: &HashSet<i64>,
) -> Result<Option<Word>, rusqlite::Error> {
    while let Some(row) = rows.next()? {
        if !left_out.contains(&row.get(1)?) {
            return word(row).map(Some);
        }
    }
    Ok(None)
}

fn word(row: &Row<'_>) -> Result<Word, rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}
