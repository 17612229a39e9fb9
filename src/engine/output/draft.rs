//! Replacing a small file of the output so that a crash leaves the earlier one or the new one.
//!
//! The new text is written under a fixed name beside the file, so that what a killed build left is written over. The
//! caller holds the lock that makes it the only writer.

use crate::platform;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The name under which a file is written before it is renamed: `.manifest.json.tmp` for `manifest.json`.
pub fn of(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

/// A written draft. Dropping it leaves the earlier file in place.
#[must_use]
pub struct Draft<'a>(&'a Path);

/// Write the draft of `path` and fsync it.
pub fn write<'a>(path: &'a Path, bytes: &[u8]) -> io::Result<Draft<'a>> {
    // A link of that name would be written through; a new file is never one.
    discard(path)?;
    let mut file = File::create_new(of(path))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(Draft(path))
}

impl Draft<'_> {
    /// Rename it to its file, and fsync the folder.
    pub fn commit(self) -> io::Result<()> {
        let path = self.0;
        platform::replace_file(&of(path), path)?;
        platform::sync_directory(path.parent().unwrap_or(Path::new(".")))
    }
}

/// Write and commit.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes)?.commit()
}

/// Remove what a killed build left of a draft of `path`.
pub fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(of(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_of_a_killed_build_is_written_over_and_none_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("output.json");
        fs::write(of(&path), "half").expect("written");
        replace(&path, b"whole").expect("replaced");
        assert_eq!(fs::read(&path).expect("there"), b"whole");
        fs::write(of(&path), "half").expect("written");
        discard(&path).expect("removed");
        discard(&path).expect("gone already");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
