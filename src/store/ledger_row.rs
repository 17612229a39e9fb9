//! A [`FileRecord`] as the columns of a ledger.

use crate::file::{FileEntry, FileOutcome, FileRecord, RelPath, SkipReason, TextKind};
use crate::ids::{FileHash, FileSha256};
use rusqlite::{Row, Statement};
use std::str::FromStr;

/// The columns, in the order of the functions below.
pub const COLUMNS: &str =
    "path, size, mtime_ns, blake3, chunks, skip_reason, detail, encoding, language, sha256";

/// Binds the columns to the parameters `first` to `first + 9`.
pub fn bind(
    statement: &mut Statement<'_>,
    first: usize,
    file: &FileRecord,
) -> rusqlite::Result<()> {
    let (chunks, reason, detail, text) = match &file.outcome {
        FileOutcome::Indexed {
            chunks,
            credentials,
            text,
        } => (*chunks, None, spelled(*credentials, text), Some(text)),
        FileOutcome::Skipped { reason, detail } => {
            (0, Some(reason.as_str()), Some(detail.clone()), None)
        }
    };
    // SQLite's integers are signed; no file has 2^63 bytes.
    let size = i64::try_from(file.entry.size).unwrap_or(i64::MAX);
    statement.raw_bind_parameter(first, file.entry.path.spelling())?;
    statement.raw_bind_parameter(first + 1, size)?;
    statement.raw_bind_parameter(first + 2, file.entry.mtime_ns)?;
    statement.raw_bind_parameter(first + 3, file.hash.map(|hash| hash.0))?;
    statement.raw_bind_parameter(first + 4, chunks)?;
    statement.raw_bind_parameter(first + 5, reason)?;
    statement.raw_bind_parameter(first + 6, detail)?;
    statement.raw_bind_parameter(first + 7, text.map(|text| &*text.encoding))?;
    let language = text.and_then(|text| text.language.as_deref());
    statement.raw_bind_parameter(first + 8, language)?;
    statement.raw_bind_parameter(first + 9, file.sha256.map(|hash| hash.0))
}

/// Read the columns from `first` on. `None` when they say nothing that [`bind`] writes.
pub fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<FileRecord>> {
    let spelling: String = row.get(first)?;
    let size: i64 = row.get(first + 1)?;
    let hash: Option<[u8; 32]> = row.get(first + 3)?;
    let reason: Option<String> = row.get(first + 5)?;
    let detail: Option<String> = row.get(first + 6)?;
    let encoding: Option<String> = row.get(first + 7)?;
    let language: Option<String> = row.get(first + 8)?;
    let sha256: Option<[u8; 32]> = row.get(first + 9)?;
    let outcome = match (reason, encoding) {
        (None, None) => None,
        (None, Some(encoding)) => Some(FileOutcome::Indexed {
            chunks: row.get(first + 4)?,
            credentials: counted(detail.as_deref(), CREDENTIALS).unwrap_or(0),
            text: TextKind {
                encoding: encoding.into(),
                language: language.map(Into::into),
                head_bytes: counted(detail.as_deref(), HEAD_BYTES),
                replaced: counted(detail.as_deref(), REPLACED).unwrap_or(0),
                elided: counted(detail.as_deref(), ELIDED).unwrap_or(0),
            },
        }),
        (Some(reason), _) => SkipReason::parse(&reason).map(|reason| FileOutcome::Skipped {
            reason,
            detail: detail.unwrap_or_default(),
        }),
    };
    let (Some(path), Ok(size), Some(outcome)) = (
        RelPath::from_spelling(&spelling),
        u64::try_from(size),
        outcome,
    ) else {
        return Ok(None);
    };
    Ok(Some(FileRecord {
        entry: FileEntry {
            path,
            size,
            mtime_ns: row.get(first + 2)?,
        },
        hash: hash.map(FileHash),
        sha256: sha256.map(FileSha256),
        outcome,
    }))
}

/// What the detail of an indexed file counts, as `name: count` with commas between; NULL when there is none of it.
const CREDENTIALS: &str = "credentials: ";
const HEAD_BYTES: &str = "head_bytes: ";
const REPLACED: &str = "replaced: ";
const ELIDED: &str = "elided: ";

fn spelled(credentials: u32, text: &TextKind) -> Option<String> {
    let count = |name, count: u32| (count > 0).then(|| format!("{name}{count}"));
    let counts = [
        count(CREDENTIALS, credentials),
        text.head_bytes.map(|bytes| format!("{HEAD_BYTES}{bytes}")),
        count(REPLACED, text.replaced),
        count(ELIDED, text.elided),
    ];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

fn counted<T: FromStr>(detail: Option<&str>, name: &str) -> Option<T> {
    let mut counts = detail.unwrap_or_default().split(", ");
    counts
        .find_map(|count| count.strip_prefix(name))?
        .parse()
        .ok()
}
