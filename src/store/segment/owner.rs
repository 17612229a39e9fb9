//! The lock that lets one process at a time write a segment file.
//!
//! SQLite locks the file itself, but an owner may have to replace the file. So the lock is on a file
//! beside it, taken before the segment is looked at; it is released when its process ends. Only removing
//! the whole folder removes the lock file: two processes must not hold locks on two files of one name.

use crate::store::connect::sidecar;
use crate::store::error::StoreError;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for another process. The worker of a killed build ends, or finishes the segment, in about
/// that time. After a refusal the supervisor tries again with a new process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to try the lock.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Held for as long as the segment is written.
#[derive(Debug)]
pub(super) struct Owner(
    #[expect(dead_code, reason = "the lock lives as long as the file is open")] File,
);

impl Owner {
    /// Take the lock of the segment at `path` if it is free. Return `None` while another process keeps it.
    pub fn take_if_free(path: &Path) -> Result<Option<Self>, StoreError> {
        let (lock, file) = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::io(&lock)(error)),
        }
    }

    /// Take the lock of the segment at `path`.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another process keeps it.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let (lock, file) = open_lock(path)?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(StoreError::io(&lock)(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(StoreError::Busy {
                        path: path.to_path_buf(),
                    });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(POLL_INTERVAL),
            }
        }
    }
}

/// Open the lock file of the segment at `path`, and create it if necessary. Return its path as well.
fn open_lock(path: &Path) -> Result<(PathBuf, File), StoreError> {
    let lock = sidecar(path, ".lock");
    let file = File::options()
        .create(true)
        .append(true)
        .open(&lock)
        .map_err(StoreError::io(&lock))?;
    Ok((lock, file))
}
