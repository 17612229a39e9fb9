//! Temporary file names, unique to each attempt to publish a shard.

use crate::report::marks::ATTEMPT;
use crate::store::remove_database;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Number of attempts of this process so far.
static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

/// A temporary database. Removed on drop, with its log and journal, unless the attempt succeeded.
#[derive(Debug)]
pub struct Attempt {
    path: PathBuf,
}

impl Attempt {
    /// Reserve the name `<target>.tmp-<pid>-<n>`. Two processes that both publish `target` use different files, and a file
    /// that has such a name already is left alone.
    pub fn new(target: &Path) -> Self {
        Self::in_folder(target.parent().unwrap_or(Path::new(".")), target)
    }

    /// Reserve such a name for `target` in another folder.
    pub fn in_folder(folder: &Path, target: &Path) -> Self {
        loop {
            let n = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(format!("{ATTEMPT}{}-{n}", process::id()));
            let path = folder.join(name);
            if fs::symlink_metadata(&path).is_err() {
                return Self { path };
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Note that the file was renamed, so that nothing is removed.
    pub fn succeeded(mut self) {
        self.path.clear();
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // The error that ended the attempt matters more, and the next build removes the file too.
            let _ = remove_database(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_attempt_leaves_nothing() {
        let folder = crate::test_folder::create();
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
