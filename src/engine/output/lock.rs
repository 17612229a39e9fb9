//! Locks an output, so that only one build writes to it.
//!
//! Uses an operating-system lock, which ends with its process: a stale lock file never blocks. The file is never removed:
//! otherwise two builds could lock two files of the same name.

use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::obstacles;
use crate::failpoint::failpoint;
use crate::platform;
use crate::report::marks;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// How much of a lock file is read. The line in it, a process id and a host name, is shorter.
const MAX_HOLDER_BYTES: u64 = 200;

/// Interval between attempts to take a lock.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How long to wait for a held lock before the build is refused. A worker that starts while its supervisor is killed
/// inherits the lock until it runs its own program: some milliseconds, more on a busy machine. The wait also gives the
/// holder time to write its name into the file.
const REFUSAL_DELAY: Duration = Duration::from_millis(500);

/// The lock of an output, held while the build runs.
#[derive(Debug)]
pub struct BuildLock(
    #[expect(dead_code, reason = "the lock lives as long as the file is open")] File,
);

impl BuildLock {
    /// Take the lock at `path`. Creates the file and its folder.
    ///
    /// # Errors
    /// `Locked` if another process holds the lock; the message names that process.
    pub fn take(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            platform::create_folders(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("opening lock file {}", path.display()))?;
        if !lock(&file, path, REFUSAL_DELAY)? {
            let holder = holder(&mut file);
            return Err(BuildError::new(
                ErrorKind::Locked,
                format!(
                    "{} is being built by {holder}: wait for it, stop it, or choose another --out-dir",
                    path.parent().unwrap_or(path).display()
                ),
            ));
        }
        // Check the content only now that no other build writes to the file.
        obstacles::refuse_foreign_file(path, marks::is_lock)?;
        let who = format!("process {} on {}\n", std::process::id(), host());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(who.as_bytes()))
            .with_context(|| format!("writing lock file {}", path.display()))?;
        Ok(Self(file))
    }
}

/// Wait until the lock at `path` is free, and take it. Creates the file.
///
/// # Errors
/// If the lock is still held after `patience`.
pub fn wait_for(path: &Path, patience: Duration) -> Result<File> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("opening lock file {}", path.display()))?;
    if !lock(&file, path, patience)? {
        return Err(BuildError::new(
            ErrorKind::Failed,
            format!(
                "{} has been held by another build for {} s: check whether that build hangs, then run the same command again",
                path.display(),
                patience.as_secs()
            ),
        ));
    }
    Ok(file)
}

/// Lock `file`, opened from `path`. Return `false` if another process held the lock until the deadline.
fn lock(file: &File, path: &Path, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", path.display()));
            }
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => {
                failpoint!("lock::wait", path.display());
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    }
}

/// Return the name of the lock's holder as one line, or "another process" if the file is empty or cannot be read, as on
/// Windows while it is locked.
fn holder(file: &mut File) -> String {
    match first_line(file) {
        line if line.is_empty() => "another process".to_owned(),
        line => line,
    }
}

fn first_line(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(MAX_HOLDER_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next().unwrap_or_default();
    line.replace(char::is_control, "?").trim().to_owned()
}

/// Return the name of this machine.
pub fn host() -> String {
    let from_file = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_file
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map_or_else(|| "this host".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_held_lock_fails_and_names_the_file() {
        let folder = crate::test_folder::create();
        let path = folder.path().join("lock");
        let held = wait_for(&path, Duration::ZERO).expect("free");
        let error = wait_for(&path, Duration::from_millis(20)).expect_err("held");
        assert!(error.to_string().contains("lock has been held"), "{error}");
        drop(held);
        wait_for(&path, Duration::ZERO).expect("free again");
    }
}
