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

/// Whose temporary files in a folder nobody works on any more.
#[derive(Clone, Copy, Debug)]
pub enum Stale<'a> {
    /// All: the folder belongs to one output.
    All,
    /// Those of this database: others in the folder are other outputs, which may be built right now.
    Of(&'a Path),
}

/// Removes what killed builds left in `folder`: temporary files of publications. The caller holds the
/// lock of the output that they belong to and has begun none itself, so none of them is alive. That
/// one carries this process's number says nothing: in containers numbers come again.
pub fn remove_stale_attempts(folder: &Path, which: Stale) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StoreError::io(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(StoreError::io(folder))?;
        let name = entry.file_name();
        let Some((target, attempt)) = name.to_str().and_then(|name| name.rsplit_once(MARK)) else {
            continue;
        };
        let is_meant = match which {
            Stale::All => true,
            Stale::Of(database) => database.file_name().is_some_and(|name| name == target),
        };
        if is_meant && is_attempt(attempt) {
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
    fn attempts_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = format!("b.genome.db.tmp-{}-0", process::id());
        let kept = ["a.genome.db", "a.genome.db.tmp-x-1", "notes.tmp-1"];
        let gone = ["a.genome.db.tmp-0-1", "a.genome.db.tmp-0-1-wal", &own];
        let write = |names: &[&str]| {
            for name in names {
                fs::write(folder.path().join(name), "x").expect("written");
            }
        };
        let exists = |name: &str| folder.path().join(name).exists();
        write(&kept);
        write(&gone);
        remove_stale_attempts(folder.path(), Stale::All).expect("removed");
        assert!(kept.iter().all(|name| exists(name)));
        assert!(!gone.iter().any(|name| exists(name)));
        remove_stale_attempts(&folder.path().join("missing"), Stale::All).expect("nothing to do");
        write(&gone);
        let database = folder.path().join("a.genome.db");
        remove_stale_attempts(folder.path(), Stale::Of(&database)).expect("removed");
        assert!(exists(&own) && !exists(gone[0]) && !exists(gone[1]));
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
