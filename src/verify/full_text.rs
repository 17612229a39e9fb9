//! Whether the full-text index says what its view says.
//!
//! FTS5 checks itself against its content only on request, and the request is an INSERT, which a
//! database opened for reading refuses. The index (not the text) is therefore copied into a
//! temporary table of the connection, which SQLite keeps in a file of its own beyond a few
//! megabytes, over a temporary view of the same rows, and the copy is checked.

use super::fault::{FaultKind, Finder};
use rusqlite::Connection;

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

/// Compare the index with the view, token by token.
pub fn against_view(connection: &Connection, finder: &mut Finder<'_>) {
    let copied = connection.execute_batch(COPY);
    if copied.is_err() {
        finder.on_error("genes_fts", copied);
        return;
    }
    if let Err(error) = connection.execute_batch(CHECK) {
        let what = format!("the index does not match the text and tags of the chunks: {error}");
        finder.fault(FaultKind::FullText, "genes_fts", "", what);
    }
    let dropped =
        connection.execute_batch("DROP TABLE temp.checked_fts; DROP VIEW temp.checked_source;");
    finder.on_error("genes_fts", dropped);
}
