//! The scratch folder of a task: removed when the task ends, or by a later task of this machine if it was killed.
//!
//! Each folder holds a file that its task has locked. The lock ends with the process, so a folder whose lock is free belongs to
//! nobody. Age says nothing: a task may run for days. A folder is removed only if
//!
//! - it belongs to this user,
//! - its lock file names this run of this machine, since on some shared file systems a lock is visible on one machine only, and
//! - the lock can be taken, and the file that was locked is still the one in the folder.
//!
//! The lock file gets its name when it is locked and complete, and is removed last: a folder without one is being made, or
//! belongs to another program. What is left by a machine that restarted stays, as do all folders where the system does not
//! tell its runs apart.

use crate::failpoint::failpoint;
use crate::platform;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// How the names of scratch folders begin.
const PREFIX: &str = "helix-build-";

/// The name of the file whose lock says that a folder is in use.
const LOCK: &str = "task.lock";

/// The name of the lock file before it is locked.
const UNLOCKED: &str = "task.lock.new";

/// What a lock file begins with; the run of the machine follows.
const MARK: &str = "helix-build scratch folder, ";

/// Most bytes of a lock file that are read.
const MOST_MARK_BYTES: u64 = 200;

/// A folder for the unfinished work of one task.
#[derive(Debug)]
pub struct Scratch {
    /// Dropped before the folder: Windows removes no open file.
    _lock: File,
    folder: TempDir,
}

impl Scratch {
    /// Remove what killed tasks of this machine left in `base`, and make a folder there.
    ///
    /// # Errors
    /// If the folder cannot be made. What cannot be removed stays.
    pub fn make(base: &Path) -> io::Result<Self> {
        let run = platform::machine_run();
        if let Some(run) = &run {
            remove_left(base, run);
        }
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base)?;
        let unlocked = folder.path().join(UNLOCKED);
        let mut lock = File::create_new(&unlocked)?;
        // Some file systems have no locks. There nobody can take this one either.
        if lock.try_lock().is_ok() {
            let run = run.as_deref().unwrap_or("unknown");
            lock.write_all(format!("{MARK}{run}\n").as_bytes())?;
            fs::rename(&unlocked, folder.path().join(LOCK))?;
        }
        failpoint!("cluster::scratch", folder.path().display());
        Ok(Self {
            _lock: lock,
            folder,
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Remove the folders in `base` of tasks of this run of the machine that have ended.
fn remove_left(base: &Path, run: &str) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    let is_named = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(PREFIX));
    for entry in entries.flatten() {
        if !is_named(&entry.file_name()) {
            continue;
        }
        let folder = entry.path();
        let Some(lock) = lock_of_ended_task(&folder, run) else {
            continue;
        };
        match remove(&folder, lock) {
            Ok(()) => tracing::info!(
                "removed {}, the scratch folder of a task that was killed",
                folder.display()
            ),
            Err(error) => tracing::debug!(
                "{}, the scratch folder of a task that was killed, stays: {error}",
                folder.display()
            ),
        }
    }
}

/// Return the lock of the folder, held, if the task that made it has certainly ended.
fn lock_of_ended_task(folder: &Path, run: &str) -> Option<File> {
    let metadata = fs::symlink_metadata(folder).ok()?;
    if !metadata.is_dir() || !platform::is_own(&metadata) {
        return None;
    }
    let path = folder.join(LOCK);
    if !fs::symlink_metadata(&path).ok()?.is_file() {
        return None;
    }
    let file = File::open(&path).ok()?;
    let mut text = String::new();
    (&file)
        .take(MOST_MARK_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    if text.strip_prefix(MARK)?.strip_suffix('\n')? != run {
        return None;
    }
    file.try_lock().ok()?;
    // Another task may have removed the folder meanwhile, and somebody made one of that name.
    let is_same = platform::file_identity(&file.metadata().ok()?)?
        == platform::file_identity(&fs::symlink_metadata(&path).ok()?)?;
    is_same.then_some(file)
}

/// Remove a folder, its lock file last: a kill in between leaves a folder that can still be told from others.
fn remove(folder: &Path, lock: File) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path: PathBuf = entry.path();
        if entry.file_name() == LOCK {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    drop(lock);
    fs::remove_file(folder.join(LOCK))?;
    fs::remove_dir(folder)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A folder as a killed task leaves it.
    fn left(base: &Path) -> PathBuf {
        let Scratch { _lock, folder } = Scratch::make(base).expect("made");
        fs::create_dir(folder.path().join("segments")).expect("a folder");
        fs::write(folder.path().join("segments/0.seg"), "x").expect("a file");
        folder.keep()
    }

    fn sweep(base: &Path) {
        drop(Scratch::make(base).expect("made"));
    }

    #[test]
    fn a_later_task_removes_what_a_killed_one_left() {
        let base = crate::test_folder::create();
        let folder = left(base.path());
        sweep(base.path());
        assert!(!folder.exists());
        assert_eq!(fs::read_dir(base.path()).expect("read").count(), 0);
    }

    #[test]
    fn a_folder_in_use_stays() {
        let base = crate::test_folder::create();
        let running = Scratch::make(base.path()).expect("made");
        fs::write(running.path().join("work"), "x").expect("a file");
        sweep(base.path());
        assert!(running.path().join("work").exists());
    }

    #[test]
    fn a_removal_that_was_killed_goes_on() {
        let base = crate::test_folder::create();
        let folder = left(base.path());
        fs::remove_dir_all(folder.join("segments")).expect("removed");
        sweep(base.path());
        assert!(!folder.exists());
    }

    #[test]
    fn what_may_belong_to_others_stays() {
        let base = crate::test_folder::create();
        let at = |name: &str| base.path().join(name);
        // Without a lock file: being made, or another program's.
        fs::create_dir(at("helix-build-new")).expect("a folder");
        fs::write(at("helix-build-new/task.lock.new"), "").expect("a file");
        // Of another machine or an earlier run, of another form, and not a file.
        let other = left(base.path());
        fs::write(other.join(LOCK), format!("{MARK}another run\n")).expect("written");
        let odd = left(base.path());
        fs::write(odd.join(LOCK), "").expect("written");
        fs::create_dir_all(at("helix-build-odd/task.lock")).expect("a folder");
        // Another name, and a link to a folder that a task left elsewhere.
        let elsewhere = crate::test_folder::create();
        let renamed = left(elsewhere.path());
        fs::rename(renamed, at("other-name")).expect("renamed");
        let linked = left(elsewhere.path());
        std::os::unix::fs::symlink(&linked, at("helix-build-link")).expect("a link");

        sweep(base.path());
        for folder in [
            at("helix-build-new"),
            other,
            odd,
            at("helix-build-odd"),
            at("other-name"),
        ] {
            assert!(folder.exists(), "{}", folder.display());
        }
        assert!(linked.join("segments/0.seg").exists());
    }

    #[test]
    fn another_users_folder_stays() {
        // Only root can make one.
        let base = crate::test_folder::create();
        let folder = left(base.path());
        if std::os::unix::fs::chown(&folder, Some(65_534), None).is_err() {
            eprintln!("not root: another user's folder cannot be made");
            return;
        }
        sweep(base.path());
        assert!(folder.join("segments/0.seg").exists());
    }

    #[test]
    fn what_cannot_be_removed_stays_and_is_no_error() {
        let base = crate::test_folder::create();
        let folder = left(base.path());
        let closed = folder.join("segments");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).expect("changed");
        sweep(base.path());
        if closed.exists() {
            assert!(folder.join(LOCK).exists(), "the lock file goes last");
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("changed");
        }
    }
}
