//! Files that a build keeps beside an index, and what they show about the build.
//!
//! Looks at folders and at a lock; changes nothing. The names are those of the build's layout.

use super::names::is_routing;
use std::path::{Path, PathBuf};

/// What a build keeps beside an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    pub manifest: PathBuf,
    /// Locked while a build runs.
    pub lock: PathBuf,
    /// There from the start of a build until its manifest is written: meanwhile the manifest is of an
    /// earlier state.
    pub segments: PathBuf,
}

impl Surroundings {
    /// Of the index whose routing database, or only database, is `database`.
    pub fn of(database: &Path) -> Self {
        let path = std::path::absolute(database).unwrap_or_else(|_| database.to_path_buf());
        let folder = path.parent().unwrap_or(Path::new("/"));
        let (manifest, work) = if is_routing(&path) {
            (folder.parent().unwrap_or(folder), folder.join(".build"))
        } else {
            let profile = path.file_stem().unwrap_or_default().to_string_lossy();
            (folder, folder.join(format!(".{profile}.build")))
        };
        Self {
            manifest: manifest.join("manifest.json"),
            lock: work.join("lock"),
            segments: work.join("segments"),
        }
    }

    /// Return whether a build of the index has begun and not come to its end.
    pub fn is_unfinished(&self) -> bool {
        self.segments.is_dir()
    }

    /// Return whether a build of the index runs now. `false` where the lock cannot be looked at.
    pub fn is_being_built(&self) -> bool {
        let Ok(file) = std::fs::File::open(&self.lock) else {
            return false;
        };
        // Held for this moment only; a build that starts now tries again.
        matches!(
            file.try_lock_shared(),
            Err(std::fs::TryLockError::WouldBlock)
        )
    }
}
