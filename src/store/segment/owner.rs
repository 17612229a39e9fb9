//! Who may write a segment file: one process at a time.
//!
//! SQLite's own lock is on the file, and an owner may have to replace the file. So the lock is on a
//! file beside it, taken before anything is looked at; it dies with its process. Nobody removes it
//! but who removes the whole folder: two processes must not hold locks on two files of one name.

use crate::store::connect::sidecar;
use crate::store::error::StoreError;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long another process is waited for. The worker of a build that was killed ends, or is done with
/// the segment, in about that time; who is refused tries again in a new process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked whether the lock is free.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Held for as long as the segment is written.
#[derive(Debug)]
pub(super) struct Owner(
    #[expect(dead_code, reason = "the lock lives as long as the file is open")] File,
);

impl Owner {
    /// Fails with [`StoreError::Busy`] when another process keeps the segment at `path`.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let lock = sidecar(path, ".lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&lock)
            .map_err(StoreError::io(&lock))?;
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
