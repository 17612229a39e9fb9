//! What can go wrong with a database file, by what the caller may do about it.

use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Free space or name another output; the build resumes.
    #[error("{}: the disk is full; about {} MiB are needed there", path.display(), needed_bytes.div_ceil(1 << 20))]
    Full {
        path: PathBuf,
        /// Bytes that the file needs, roughly; a lower bound while rows still arrive.
        needed_bytes: u64,
    },
    /// Another process holds the file: wait, or give up this attempt.
    #[error("{}: in use by another process", path.display())]
    Busy { path: PathBuf },
    /// Ended on request, with what it was doing undone or unfinished.
    #[error("{}: stopped", path.display())]
    Interrupted { path: PathBuf },
    /// Build the file anew.
    #[error("{}: not a sound database: {detail}", path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// Written by another version of this tool, or by another tool: build the file anew.
    #[error("{}: not a database of this format version", path.display())]
    Foreign { path: PathBuf },
    /// A segment lacks a file of its list: encode the segment again.
    #[error("{}: no row for {file}", path.display())]
    MissingFile { path: PathBuf, file: String },
    /// Two texts share the first 64 bits of their SHA-256. The format cannot hold both.
    #[error("{}: two different texts have the chunk id {gene_id}", path.display())]
    IdCollision { path: PathBuf, gene_id: String },
    #[error("{}: reading or writing failed", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: a database call failed", path.display())]
    Sql {
        path: PathBuf,
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// For `map_err`: sorts an SQLite error by its code.
    pub fn sql(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| {
            let path = path.to_path_buf();
            match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Self::Full {
                    path,
                    needed_bytes: 0,
                },
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
                Some(ErrorCode::OperationInterrupted) => Self::Interrupted { path },
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                    path,
                    detail: source.to_string(),
                },
                _ => Self::Sql { path, source },
            }
        }
    }

    /// For `map_err`: sorts an operating system error.
    pub fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| {
            let path = path.to_path_buf();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                    path,
                    needed_bytes: 0,
                },
                _ => Self::Io { path, source },
            }
        }
    }

    pub(super) fn corrupt(path: &Path, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_path_buf(),
            detail: detail.into(),
        }
    }

    /// Raises the estimate of a full disk; other errors stay as they are.
    #[must_use]
    pub fn needing(self, bytes: u64) -> Self {
        match self {
            Self::Full { path, needed_bytes } => Self::Full {
                path,
                needed_bytes: needed_bytes.max(bytes),
            },
            other => other,
        }
    }
}
