//! Moves finished files between file systems: from the scratch folder of a node to a shared folder.
//!
//! Others see all of a file or nothing of it: it is copied under a temporary name beside its place, synced, renamed, and the
//! folder is synced. Two nodes that put the same file use different temporary names, and the later rename wins.

use super::error::StoreError;
use crate::ids::FileHash;
use crate::platform;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes copied at a time: network file systems write at most 1 MiB in one request.
const PIECE_BYTES: usize = 1 << 20;

/// A file that was put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    pub bytes: u64,
    /// Of the bytes that were read and written.
    pub hash: FileHash,
}

/// Copy `from` to `to`, which may be on another file system, durably and in one step. `temporary` makes the path of a
/// temporary file beside `to` from a number that no other process uses.
///
/// # Errors
/// Those of the disk. The folder of `to` must exist. Nothing remains of a failed copy.
pub fn put(from: &Path, to: &Path, temporary: impl Fn(u64) -> PathBuf) -> Result<Put, StoreError> {
    let mut source = File::open(from).map_err(StoreError::io(from))?;
    let (path, file) = create(to, temporary)?;
    let put = copy(&mut source, from, file, &path).and_then(|put| {
        platform::replace_file(&path, to).map_err(StoreError::io(to))?;
        let folder = to.parent().unwrap_or(Path::new("."));
        platform::sync_directory(folder).map_err(StoreError::io(folder))?;
        Ok(put)
    });
    if put.is_err() {
        // The error that ended the copy matters more.
        let _ = fs::remove_file(&path);
    }
    put
}

/// Write `bytes` to `to` in one step. Not synced: for notes that may be lost with the machine.
pub fn put_note(
    bytes: &[u8],
    to: &Path,
    temporary: impl Fn(u64) -> PathBuf,
) -> Result<(), StoreError> {
    let (path, mut file) = create(to, temporary)?;
    let written = file.write_all(bytes).map_err(StoreError::io(&path));
    drop(file);
    let renamed =
        written.and_then(|()| platform::replace_file(&path, to).map_err(StoreError::io(to)));
    if renamed.is_err() {
        let _ = fs::remove_file(&path);
    }
    renamed
}

fn create(to: &Path, temporary: impl Fn(u64) -> PathBuf) -> Result<(PathBuf, File), StoreError> {
    loop {
        let path = temporary(number());
        match File::create_new(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::io(to)(error)),
        }
    }
}

/// Return a number that other processes, on this machine and others, hardly draw: process ids repeat in containers.
fn number() -> u64 {
    let mut hasher = blake3::Hasher::new();
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    hasher.update(&since.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    // The address of a local differs between processes, and between threads.
    let local = 0_u8;
    hasher.update(&(std::ptr::from_ref(&local) as usize).to_le_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

fn copy(source: &mut File, from: &Path, mut to: File, path: &Path) -> Result<Put, StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let n = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(StoreError::io(from)(error)),
        };
        hasher.update(&piece[..n]);
        to.write_all(&piece[..n]).map_err(StoreError::io(path))?;
        bytes += n as u64;
    }
    to.sync_all().map_err(StoreError::io(path))?;
    let hash = FileHash(hasher.finalize().into());
    Ok(Put { bytes, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_replaces_what_is_there_and_leaves_nothing_else() {
        let folder = crate::test_folder::create();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("from"), vec![7; 3 << 20]).expect("written");
        fs::write(path("to"), "old").expect("written");
        let temporary = |n| path(&format!("to.{n}"));
        let done = put(&path("from"), &path("to"), temporary).expect("put");
        assert_eq!(done.bytes, 3 << 20);
        assert_eq!(done.hash, FileHash::of(&vec![7; 3 << 20]));
        put_note(b"note", &path("note"), temporary).expect("put");
        assert_eq!(fs::read(path("note")).expect("there"), b"note");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 3);
        put(&path("from"), &path("no/to"), |n| path(&format!("no/{n}"))).expect_err("no folder");
        put(&path("none"), &path("to"), temporary).expect_err("no source");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 3);
    }
}
