//! Removes what earlier builds left: segments, and temporary files of publications.

use crate::named_file;
use crate::report::marks;
use crate::store::connect;
use crate::store::error::StoreError;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Return a file in the folder of segments that no build wrote; the folder is not emptied then. `None` without such a
/// folder.
pub fn foreign_in_segments(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let is_foreign = |entry: &fs::DirEntry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let begins_so = || match named_file::head(&entry.path(), marks::HEAD_BYTES) {
            Ok(head) => marks::begins_as_segment(&head),
            // Told by the worker that opens it.
            Err(_) => true,
        };
        let is_segment = || {
            marks::is_segment_name(name)
                && (!marks::is_segment_itself(name)
                    || marks::is_generated_segment_name(name)
                    || begins_so())
        };
        !is_file || !is_segment()
    };
    Ok(entries(folder)?
        .into_iter()
        .find(is_foreign)
        .map(|entry| entry.path()))
}

/// Remove the segments in `folder`, and the folder, unless something else lies in it.
pub fn remove_segments(folder: &Path) -> Result<(), StoreError> {
    remove_all(folder, marks::is_segment_name)
}

/// Remove the notes of tasks in `folder`, and the folder, unless something else lies in it.
pub fn remove_tasks(folder: &Path) -> Result<(), StoreError> {
    remove_all(folder, marks::is_task_name)
}

fn remove_all(folder: &Path, is_ours: fn(&str) -> bool) -> Result<(), StoreError> {
    for entry in entries(folder)? {
        if entry.file_name().to_str().is_some_and(is_ours) {
            remove(&entry.path())?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(folder)(error)),
        _ => Ok(()),
    }
}

/// Which temporary files in a folder belong to builds that have ended.
#[derive(Clone, Copy, Debug)]
pub enum Stale<'a> {
    /// All: the folder belongs to one output.
    All,
    /// Those of this database: others in the folder are other outputs, which may be built right now.
    Of(&'a Path),
}

/// Remove what killed builds left in `folder`: temporary files of publications. The caller holds the
/// lock of the output that they belong to and has begun none itself, so none of them is alive. That
/// one carries this process's number says nothing: in containers numbers come again.
pub fn remove_stale_attempts(folder: &Path, which: Stale) -> Result<(), StoreError> {
    for entry in entries(folder)? {
        let name = entry.file_name();
        let Some(target) = name.to_str().and_then(marks::attempt_of) else {
            continue;
        };
        let is_meant = match which {
            Stale::All => marks::is_index_name(target),
            Stale::Of(database) => database.file_name().is_some_and(|name| name == target),
        };
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_meant && is_file && is_of_sqlite(&entry.path()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Return whether a file begins as its name says. Somebody's own text under such a name stays.
fn is_of_sqlite(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    named_file::head(path, marks::HEAD_BYTES).is_ok_and(|head| marks::begins_as_named(&name, &head))
}

/// Return a file beside the database at `path` that has the name of a log of it and is none: it would be removed with it.
pub fn foreign_beside(path: &Path) -> Option<PathBuf> {
    let beside = marks::BESIDE.map(|suffix| connect::sidecar(path, suffix));
    let is_foreign = |file: &PathBuf| {
        let found = fs::symlink_metadata(file);
        found.is_ok_and(|found| found.is_file() && found.len() > 0) && !is_of_sqlite(file)
    };
    beside.into_iter().find(is_foreign)
}

/// Remove a shard for which [`Records::may_delete`](super::Records::may_delete) said yes, with what SQLite keeps beside it. Somebody's own
/// file beside it stays.
pub fn remove_shard(path: &Path) -> Result<(), StoreError> {
    match foreign_beside(path) {
        None => connect::remove_database(path),
        Some(_) => remove(path),
    }
}

/// No such folder: none.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io(folder))?,
    };
    entries
        .map(|entry| entry.map_err(StoreError::io(folder)))
        .collect()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path)(error)),
        _ => Ok(()),
    }
}
