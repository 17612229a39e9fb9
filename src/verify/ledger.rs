//! The ledger's rows: readable, in canonical order, complete.

use super::fault::{FaultKind, Finder};
use crate::file::{FileOutcome, RelPath};
use crate::store::ledger_row;
use rusqlite::Connection;

/// Every row decodes, files are numbered from 1, and each root's paths stand in their order.
pub fn check(connection: &Connection, finder: &mut Finder<'_>) {
    let checked = rows(connection, finder);
    finder.on_error("build_files", checked);
}

fn rows(connection: &Connection, finder: &mut Finder<'_>) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(&format!(
        "SELECT file_id, root_id, {} FROM build_files ORDER BY file_id",
        ledger_row::COLUMNS
    ))?;
    let mut rows = statement.query([])?;
    let mut previous: Option<(i64, RelPath)> = None;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        number += 1;
        let (file_id, root_id): (i64, i64) = (row.get(0)?, row.get(1)?);
        let mut fault = |what: &str| {
            finder.fault(FaultKind::Ledger, "build_files", file_id.to_string(), what);
        };
        if file_id != number {
            fault("files are not numbered from 1 without gaps");
            number = file_id;
        }
        let Some(record) = ledger_row::read(row, 2)? else {
            fault("path, size or skip reason does not decode");
            continue;
        };
        let path = record.entry.path;
        if previous
            .is_some_and(|(root, before)| root > root_id || root == root_id && before >= path)
        {
            fault("the path is out of canonical order");
        }
        if record.hash.is_none() && matches!(record.outcome, FileOutcome::Indexed { .. }) {
            fault("the file is indexed without a hash of its bytes");
        }
        if let FileOutcome::Indexed { text, .. } = &record.outcome
            && (record.sha256.is_none() != text.head_bytes.is_some())
        {
            fault("a whole file has a SHA-256 of its bytes, and the head of a larger one has none");
        }
        previous = Some((root_id, path));
    }
    Ok(())
}
