//! Temporary names: one for every attempt to publish, whoever makes it.

use crate::store::{StoreError, remove_database};
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Between the shard's name and the attempt's.
const MARK: &str = ".tmp-";

/// Attempts of this process so far.
static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

/// A file that is removed, with what lies beside it, unless the attempt succeeds.
#[derive(Debug)]
pub struct Attempt {
    path: PathBuf,
}

impl Attempt {
    /// `<target>.tmp-<pid>-<n>`: two processes that believe that they own a shard do not meet.
    pub fn new(target: &Path) -> Self {
        let n = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
        let mut name = target.as_os_str().to_owned();
        name.push(format!("{MARK}{}-{n}", process::id()));
        Self { path: name.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file has its final name; nothing is left to remove.
    pub fn succeeded(mut self) {
        self.path.clear();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // The error that ended the attempt is on its way to the user, and the next build
            // removes what could not be removed now.
            let _ = remove_database(&self.path);
        }
    }
}

/// Removes what killed builds left in `folder`: every temporary file of a publication by another
/// process. The caller holds the output's lock, so none of them is alive.
pub fn remove_stale_attempts(folder: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StoreError::io(folder))?,
    };
    let own = format!("{}-", process::id());
    for entry in entries {
        let entry = entry.map_err(StoreError::io(folder))?;
        let name = entry.file_name();
        let attempt = name.to_str().and_then(|name| name.rsplit_once(MARK));
        if attempt.is_some_and(|(_, attempt)| is_attempt(attempt) && !attempt.starts_with(&own)) {
            let path = entry.path();
            fs::remove_file(&path).map_err(StoreError::io(&path))?;
        }
    }
    Ok(())
}

/// `<pid>-<n>`, with or without the suffix of a file that SQLite keeps beside a database.
fn is_attempt(text: &str) -> bool {
    let stem = ["-wal", "-shm", "-journal"]
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix))
        .unwrap_or(text);
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    stem.split_once('-')
        .is_some_and(|(pid, n)| number(pid) && number(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_attempts_of_others_are_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = format!("b.genome.db.tmp-{}-0", process::id());
        let kept = ["a.genome.db", "a.genome.db.tmp-x-1", "notes.tmp-1", &own];
        let gone = ["a.genome.db.tmp-0-1", "a.genome.db.tmp-0-1-wal"];
        for name in kept.iter().chain(&gone) {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        remove_stale_attempts(folder.path()).expect("removed");
        assert!(kept.iter().all(|name| folder.path().join(name).exists()));
        assert!(!gone.iter().any(|name| folder.path().join(name).exists()));
        remove_stale_attempts(&folder.path().join("missing")).expect("nothing to do");
    }

    #[test]
    fn a_dropped_attempt_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let attempt = Attempt::new(&folder.path().join("a.genome.db"));
        let path = attempt.path().to_path_buf();
        fs::write(&path, "x").expect("written");
        assert_ne!(
            Attempt::new(&folder.path().join("a.genome.db")).path(),
            path
        );
        drop(attempt);
        assert!(!path.exists());
    }
}
