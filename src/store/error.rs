//! What can go wrong with a database file, by what the caller may do about it.
//!
//! SQLite says what it was doing when a call failed ("disk I/O error"), the system says why. Messages
//! give the latter wherever it can be had.

use crate::platform;
use rusqlite::ErrorCode;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Free space or name another output; the build resumes.
    #[error("{}: the disk is full", path.display())]
    Full { path: PathBuf },
    /// Another process holds the file: wait, or give up this attempt.
    #[error("{}: in use by another process", path.display())]
    Busy { path: PathBuf },
    /// Ended on request, with what it was doing undone or unfinished.
    #[error("{}: stopped", path.display())]
    Interrupted { path: PathBuf },
    /// Build the file anew.
    #[error("{}: not a sound database: {detail}", path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// Written by another tool: build the file anew.
    #[error("{}: not a database of this builder", path.display())]
    Foreign { path: PathBuf },
    /// Written by another version of this tool, which may be a later one.
    #[error(
        "{}: written in format {found} by helix-build {by}, and this version knows format {}: use the version \
         that wrote it, or build it afresh with --rebuild",
        path.display(), super::schema::FORMAT_VERSION
    )]
    Format {
        path: PathBuf,
        found: String,
        /// The version that wrote it, as it says.
        by: String,
    },
    /// A segment lacks a file of its list: encode the segment again.
    #[error("{}: no row for {file}", path.display())]
    MissingFile { path: PathBuf, file: String },
    /// Two texts share the first 64 bits of their SHA-256. The format cannot hold both.
    #[error("{}: two different texts have the chunk id {gene_id}", path.display())]
    IdCollision { path: PathBuf, gene_id: String },
    #[error("{}: reading or writing failed", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: a database call failed: {}", path.display(), in_words(error))]
    Sql {
        path: PathBuf,
        /// Not named `source`: its own source repeats its words.
        error: rusqlite::Error,
    },
}

impl StoreError {
    /// For `map_err`: sorts an SQLite error by its code.
    pub fn sql(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |error| {
            let noted = SYSTEM_ERROR.take().map(io::Error::from_raw_os_error);
            let path = path.to_path_buf();
            let system = match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => return Self::Full { path },
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    return Self::Busy { path };
                }
                Some(ErrorCode::OperationInterrupted) => return Self::Interrupted { path },
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    return Self::corrupt(&path, error.to_string());
                }
                // What is noted of a file that could not be created is that it does not exist.
                Some(ErrorCode::CannotOpen) => why_nothing_can_be_created(&path)
                    .or(noted.filter(|system| system.kind() != io::ErrorKind::NotFound)),
                Some(ErrorCode::ReadOnly) => {
                    why_it_cannot_be_written(&path).or_else(|| why_nothing_can_be_created(&path))
                }
                Some(ErrorCode::SystemIoFailure) => noted.or_else(|| why_it_cannot_grow(&error)),
                _ => None,
            };
            match system {
                Some(system) => Self::io(&path)(system),
                None => Self::Sql { path, error },
            }
        }
    }

    /// For `map_err`: sorts an operating system error.
    pub fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| {
            let path = path.to_path_buf();
            match is_full(&source) {
                true => Self::Full { path },
                false => Self::Io {
                    path,
                    source: met_limit(source),
                },
            }
        }
    }

    pub(super) fn corrupt(path: &Path, detail: impl Into<String>) -> Self {
        // SQLite lists every page that it cannot read, a line for each; messages are one line.
        let detail: String = detail.into();
        let lines: Vec<_> = detail.lines().take(3).collect();
        Self::Corrupt {
            path: path.to_path_buf(),
            detail: lines.join("; "),
        }
    }
}

/// Return the message of a failed SQLite call in plain words.
pub fn in_words(error: &rusqlite::Error) -> String {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows,
        SqliteFailure, Utf8Error,
    };
    use rusqlite::types::Type;
    let type_in_words = |found: &Type| match found {
        Type::Null => "nothing",
        Type::Integer => "an integer",
        Type::Real => "a real number",
        Type::Text => "a text",
        Type::Blob => "bytes",
    };
    match error {
        QueryReturnedNoRows => "a row that must be there is missing".to_owned(),
        InvalidColumnType(_, _, found) | FromSqlConversionFailure(_, found, _) => {
            let found = type_in_words(found);
            format!("a row holds {found} where a build writes a value of another type")
        }
        IntegralValueOutOfRange(_, number) => {
            format!("a row holds the number {number}, which is out of range")
        }
        Utf8Error(..) => "a row holds a text that is not UTF-8".to_owned(),
        SqliteFailure(_, Some(message)) => ["table", "column"]
            .iter()
            .find_map(|kind| {
                let name = message.strip_prefix(&format!("no such {kind}: "))?;
                Some(format!("the {kind} {name} is missing"))
            })
            .unwrap_or_else(|| message.clone()),
        other => other.to_string(),
    }
}

/// Return whether the error means that the disk is full or a quota is exhausted.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

thread_local! {
    /// Number of the system's last error below SQLite, on this thread; taken with the SQLite error.
    static SYSTEM_ERROR: Cell<Option<i32>> = const { Cell::new(None) };
}

/// SQLite's log of this process. Its system layer logs each failed call while the system's error number
/// still stands. Anything else that it logs comes as a result code as well.
pub(super) extern "C" fn note_system_error(_: *mut c_void, _: c_int, message: *const c_char) {
    let number = io::Error::last_os_error().raw_os_error();
    // SAFETY: SQLite passes a NUL-terminated string that lives for the call.
    let message = unsafe { CStr::from_ptr(message) };
    // `os_unix.c:46000: (28) fsync(...) - ...`, `os_win.c:...`.
    if message.to_bytes().starts_with(b"os_") {
        SYSTEM_ERROR.set(number);
    }
}

/// After a failed creation SQLite tries to open the file for reading, and reports why that failed: there
/// is no such file. So ask the system again, with a file that has no name or is gone at once.
fn why_nothing_can_be_created(path: &Path) -> Option<io::Error> {
    let folder = path.parent()?;
    tempfile::tempfile_in(folder).err()
}

/// SQLite opens for reading what it cannot open for writing, without a word.
fn why_it_cannot_be_written(path: &Path) -> Option<io::Error> {
    File::options().write(true).open(path).err()
}

/// Return the system's error, with what to do about a limit of a file's size.
fn met_limit(error: io::Error) -> io::Error {
    match platform::file_limit_met(&error) {
        Some(text) => io::Error::new(error.kind(), text),
        None => error,
    }
}

/// SQLite logs no write that fails. One that fails under a limit of a file's size has met the limit.
fn why_it_cannot_grow(error: &rusqlite::Error) -> Option<io::Error> {
    let code = error.sqlite_error()?.extended_code;
    let is_write = code == rusqlite::ffi::SQLITE_IOERR_WRITE;
    let limit = platform::most_bytes_a_file().filter(|_| is_write)?;
    let text = platform::file_limit(limit);
    Some(io::Error::new(io::ErrorKind::FileTooLarge, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn sql(code: c_int) -> StoreError {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        StoreError::sql(Path::new("/a/b.db"))(error)
    }

    #[test]
    fn the_systems_reason_is_told_once() {
        SYSTEM_ERROR.set(Some(no_space()));
        assert!(matches!(
            sql(ffi::SQLITE_IOERR_FSYNC),
            StoreError::Full { .. }
        ));
        assert!(matches!(
            sql(ffi::SQLITE_IOERR_FSYNC),
            StoreError::Sql { .. }
        ));
        // A reason that belongs to something else is not kept for later.
        SYSTEM_ERROR.set(Some(no_space()));
        assert!(matches!(
            sql(ffi::SQLITE_CONSTRAINT),
            StoreError::Sql { .. }
        ));
        assert!(matches!(
            sql(ffi::SQLITE_IOERR_READ),
            StoreError::Sql { .. }
        ));
    }

    #[test]
    fn a_long_list_of_damage_is_one_line() {
        let text = StoreError::corrupt(Path::new("/a/b.db"), "*** main ***\none\ntwo\nthree\n");
        let text = text.to_string();
        assert_eq!(
            text,
            "/a/b.db: not a sound database: *** main ***; one; two"
        );
    }

    #[test]
    fn only_the_system_layer_is_noted() {
        SYSTEM_ERROR.set(None);
        let note = |text: &CStr| note_system_error(std::ptr::null_mut(), 0, text.as_ptr());
        assert!(std::fs::metadata("/no such file").is_err());
        note(c"statement aborts at 5: disk I/O error");
        assert_eq!(SYSTEM_ERROR.take(), None);
        assert!(std::fs::metadata("/no such file").is_err());
        note(c"os_unix.c:1: (2) open(/no such file) - No such file or directory");
        let noted = SYSTEM_ERROR.take().map(io::Error::from_raw_os_error);
        assert_eq!(noted.map(|e| e.kind()), Some(io::ErrorKind::NotFound));
    }

    /// Return the number of a full disk here.
    fn no_space() -> i32 {
        if cfg!(windows) { 112 } else { 28 }
    }
}
