//! Checks of a database as a file: header, neighbours, SQLite's own consistency.

use super::fault::{FaultKind, Finder};
use super::level::Level;
use crate::named_file;
use crate::store::connect::{Log, hash_file, sidecar};
use crate::store::error::{StoreError, in_words};
use crate::store::schema::PAGE_BYTES;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Faults that SQLite lists in one run; it stops there.
const MOST_STRUCTURE_FAULTS: u32 = 100;

/// A field of the database header: SQLite file format, section 1.3. Big-endian.
struct Field {
    offset: usize,
    bytes: usize,
    expected: u32,
    name: &'static str,
}

const fn field(offset: usize, bytes: usize, expected: u32, name: &'static str) -> Field {
    Field {
        offset,
        bytes,
        expected,
        name,
    }
}

/// Bytes of the header of a database.
const HEADER_BYTES: usize = 100;

/// Where the text encoding stands.
const TEXT_ENCODING: usize = 56;

const HEADER: [Field; 12] = [
    field(16, 2, PAGE_BYTES, "page size"),
    field(18, 1, 2, "write version (2 is WAL)"),
    field(19, 1, 2, "read version (2 is WAL)"),
    field(20, 1, 0, "reserved bytes a page"),
    field(21, 1, 64, "maximum payload fraction"),
    field(22, 1, 32, "minimum payload fraction"),
    field(23, 1, 32, "leaf payload fraction"),
    field(52, 4, 0, "auto_vacuum"),
    field(TEXT_ENCODING, 4, 1, "text encoding (1 is UTF-8)"),
    field(60, 4, 0, "user_version"),
    field(64, 4, 0, "incremental vacuum"),
    field(68, 4, 0, "application_id"),
];

/// Check the first 100 bytes, as far as the format fixes them. `false` when there are fewer, so that no more can be read.
pub fn header(path: &Path, finder: &mut Finder<'_>) -> bool {
    let head = match named_file::head(path, HEADER_BYTES as u64) {
        Ok(head) => head,
        Err(error) => {
            finder.fault(
                FaultKind::Unreadable,
                "",
                file_name(path),
                error.to_string(),
            );
            return false;
        }
    };
    let Ok(header) = <[u8; HEADER_BYTES]>::try_from(head.as_slice()) else {
        let what = match head.len() {
            0 => "the file is empty".to_owned(),
            bytes => {
                format!("the file is truncated: it has {bytes} bytes, and a database has more")
            }
        };
        finder.fault(FaultKind::Unreadable, "", file_name(path), what);
        return false;
    };
    for field in &HEADER {
        let bytes = &header[field.offset..field.offset + field.bytes];
        let found = bytes.iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
        // What a new database holds stands in its log until the first checkpoint.
        let is_in_log = field.offset == TEXT_ENCODING && found == 0 && has_log(path);
        if found != field.expected && !is_in_log {
            let what = format!("{} is {found}, expected {}", field.name, field.expected);
            let row = format!("{} byte {}", file_name(path), field.offset);
            finder.fault(FaultKind::Header, "", row, what);
        }
    }
    if header[72..92].iter().any(|byte| *byte != 0) {
        let what = "bytes that SQLite reserves are not zero";
        let row = format!("{} byte 72", file_name(path));
        finder.fault(FaultKind::Header, "", row, what);
    }
    true
}

/// A rollback journal beside `path`, which nobody writes for a database in WAL mode. A write-ahead log and its shared
/// memory are not a fault, whatever is in them: a program has the database open, or had. The rows of a log are read with
/// the database's, and judged.
pub fn neighbours(path: &Path, finder: &mut Finder<'_>) {
    let journal = sidecar(path, "-journal");
    if journal.exists() {
        let row = file_name(&journal);
        finder.fault(FaultKind::LeftBeside, "", row, "left beside the database");
    }
}

/// Return whether a write-ahead log with something in it lies beside the database.
fn has_log(path: &Path) -> bool {
    Log::beside(path) == Log::Filled
}

/// Files of unfinished publishing in the folders of the index: `<name>.tmp-<attempt>`.
pub fn temporary_files(folders: &[PathBuf], finder: &mut Finder<'_>) {
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue; // The databases of this folder are reported as missing.
        };
        let names = entries.flatten().map(|entry| file_name(&entry.path()));
        for name in names.filter(|name| name.contains(".tmp-")) {
            let what = format!("temporary file in {}", folder.display());
            finder.fault(FaultKind::LeftBeside, "", name, what);
        }
    }
}

/// A database that cannot be opened or read. One that another process holds is not damaged.
pub fn unreadable(path: &Path, error: &StoreError, finder: &mut Finder<'_>) {
    let kind = match error {
        StoreError::Busy { .. } => FaultKind::Changed,
        _ => FaultKind::Unreadable,
    };
    finder.fault(kind, "", file_name(path), error.to_string());
}

/// SQLite's check of its pages, trees and full-text indexes, and at level full of every index
/// against its table, but for the one table that [`super::indexes`] compares faster.
pub fn structure(connection: &Connection, path: &Path, level: Level, finder: &mut Finder<'_>) {
    if let Err(error) = structure_faults(connection, path, level, finder) {
        let row = file_name(path);
        finder.fault(FaultKind::of(&error), "", row, in_words(&error));
    }
}

fn structure_faults(
    connection: &Connection,
    path: &Path,
    level: Level,
    finder: &mut Finder<'_>,
) -> Result<(), rusqlite::Error> {
    let mut whole = pragma(connection, "quick_check", MOST_STRUCTURE_FAULTS)?;
    if whole.is_empty() && level == Level::Quick {
        return Ok(());
    }
    // Table by table, which names the table. What belongs to none (a page that nothing uses, the
    // list of free pages) only the whole check says.
    for table in plain_tables(connection)? {
        let check = match (level, table.as_str()) {
            (Level::Quick, _) | (_, "splade_terms") => "quick_check",
            (Level::Full, _) => "integrity_check",
        };
        if check == "quick_check" && whole.is_empty() {
            continue; // Nothing that the whole check has not looked at.
        }
        let argument = format!("'{}'", table.replace('\'', "''"));
        for what in pragma(connection, check, argument)? {
            whole.retain(|known| *known != what);
            finder.fault(FaultKind::Structure, &table, "", what);
        }
    }
    for what in whole {
        finder.fault(FaultKind::Structure, "", file_name(path), what);
    }
    Ok(())
}

/// Return what a check has to say, if anything.
fn pragma(
    connection: &Connection,
    check: &str,
    argument: impl std::fmt::Display,
) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare(&format!("PRAGMA {check}({argument})"))?;
    let said = statement.query_map([], |row| row.get(0))?;
    let said: Vec<String> = said.collect::<Result<_, _>>()?;
    Ok(said.iter().flat_map(|what| each_line(what)).collect())
}

/// Return what SQLite says, one line each, without the name of the database that it begins with.
fn each_line(said: &str) -> impl Iterator<Item = String> {
    let lines = said.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && *line != "ok" && !line.starts_with("***"));
    lines.map(str::to_owned)
}

/// Return whether the file is the one whose hash was noted.
pub fn bytes(path: &Path, noted: &str, finder: &mut Finder<'_>) {
    match hash_file(path) {
        Ok(hash) if hash.to_string() == noted => {}
        Ok(_) => {
            let what = "the bytes differ from those that were published, and no row shows that a server wrote to the file";
            finder.fault(FaultKind::Bytes, "", file_name(path), what);
        }
        Err(error) => {
            finder.fault(
                FaultKind::Unreadable,
                "",
                file_name(path),
                error.to_string(),
            );
        }
    }
}

fn plain_tables(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

/// What tells whether a file was written: if it changes, what was read belongs to no one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    log: Log,
}

impl Stamp {
    pub fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            bytes: file.len(),
            modified: file.modified().ok(),
            log: Log::beside(path),
        })
    }

    pub fn bytes(self) -> u64 {
        self.bytes
    }

    /// Return whether a server has written, and what it wrote may stand in the log alone.
    pub fn has_log(self) -> bool {
        self.log == Log::Filled
    }

    /// A fault when the file is no longer what it was. While a server has it open this is its
    /// business: SQLite's locks keep what we read consistent.
    pub fn check_unchanged(self, path: &Path, finder: &mut Finder<'_>) {
        let state = |stamp: Self| (stamp.bytes, stamp.modified);
        // What comes into a log meanwhile leaves the file, and so what was read, as it was.
        if self.log == Log::None && Self::of(path).map(state) != Some(state(self)) {
            let what = "another process wrote to the file during the check";
            finder.fault(FaultKind::Changed, "", file_name(path), what);
        }
    }
}

pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::each_line;

    #[test]
    fn what_sqlite_says_is_one_line_each() {
        let said = "*** in database main ***\nTree 5 page 3: cell 1\nPage 4: never used";
        let lines: Vec<String> = each_line(said).collect();
        assert_eq!(lines, ["Tree 5 page 3: cell 1", "Page 4: never used"]);
        assert_eq!(each_line("ok").count(), 0);
    }
}
