//! One build per output.
//!
//! An operating-system lock, which dies with its process: a stale lock file never blocks. The file
//! stays behind, since removing it would let two builds hold locks on two files of one name.

use crate::engine::error::Context as _;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::obstacles;
use crate::failpoint::failpoint;
use crate::platform;
use crate::report::marks;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// A holder's line is shorter: a process number and a host name.
const MAX_HOLDER_BYTES: u64 = 200;

/// How often it is looked whether a lock is free.
const LOOK: Duration = Duration::from_millis(10);

/// How long a held lock is looked at before a build is refused. A worker that was being started when its
/// supervisor was killed has the lock in its hands until its own program runs: some milliseconds, more
/// on a busy machine. Whoever took the lock has written its name by then, too.
const BEFORE_REFUSAL: Duration = Duration::from_millis(500);

/// Held for as long as the build runs.
#[derive(Debug)]
pub struct BuildLock(
    #[expect(dead_code, reason = "the lock lives as long as the file is open")] File,
);

impl BuildLock {
    /// Takes the lock in `path`, creating the file and its folder. When another process holds it, the
    /// error (exit code 11) names that process.
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
        if !lock(&file, path, BEFORE_REFUSAL)? {
            let holder = holder(&mut file);
            return Err(BuildError::new(
                ErrorKind::Locked,
                format!(
                    "{} is being built by {holder}: wait for it, stop it, or choose another --out-dir",
                    path.parent().unwrap_or(path).display()
                ),
            ));
        }
        // Now that nobody else has it in hand: what a build wrote there, or nothing.
        obstacles::refuse_stranger(path, marks::is_lock)?;
        let who = format!("process {} on {}\n", std::process::id(), host());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(who.as_bytes()))
            .with_context(|| format!("writing lock file {}", path.display()))?;
        Ok(Self(file))
    }
}

/// Takes the lock in `path`, a file that is created and stays, as soon as its holder lets go. Gives up
/// after `patience`.
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
                "{} has been held by another build for {} s: see whether one hangs, then run again",
                path.display(),
                patience.as_secs()
            ),
        ));
    }
    Ok(file)
}

/// Locks `file`, which is the one at `path`. `false` when it was held all the time.
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
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// Who says to hold the lock, in one line. What the file says may be anything, and Windows refuses to
/// read a locked file: "another process" then.
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

fn host() -> String {
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
    fn a_lock_that_is_never_given_up_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let held = wait_for(&path, Duration::ZERO).expect("free");
        let error = wait_for(&path, Duration::from_millis(20)).expect_err("held");
        assert!(error.to_string().contains("lock has been held"), "{error}");
        drop(held);
        wait_for(&path, Duration::ZERO).expect("free again");
    }
}
