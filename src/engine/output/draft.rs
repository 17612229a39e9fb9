//! Replaces small files of the output atomically: after a crash, the file has its old or its new content.
//!
//! The new content is written to a draft with a fixed name beside the file, so that the next build overwrites the draft
//! of a killed one. The caller holds a lock that makes it the only writer.

use crate::engine::error::{Context as _, Result};
use crate::platform;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Return the path of a file's draft: `.manifest.json.tmp` for `manifest.json`.
pub fn path_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

/// A written draft. Dropping it leaves the old file in place.
#[must_use]
pub struct Draft<'a>(&'a Path);

/// Write the draft of `path`, and fsync it.
pub fn write<'a>(path: &'a Path, bytes: &[u8]) -> io::Result<Draft<'a>> {
    // Create a new file: an existing link would redirect the write.
    discard(path)?;
    let mut file = File::create_new(path_of(path))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(Draft(path))
}

impl Draft<'_> {
    /// Rename the draft to its file, and fsync the folder.
    pub fn commit(self) -> io::Result<()> {
        let path = self.0;
        platform::replace_file(&path_of(path), path)?;
        platform::sync_directory(path.parent().unwrap_or(Path::new(".")))
    }
}

/// Replace the content of `path`.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes)?.commit()
}

/// Remove the draft that a killed build left of `path`.
pub fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(path_of(path)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Remove `path` and its draft, if they exist.
pub fn remove(path: &Path) -> Result<()> {
    discard(path).with_context(|| format!("removing a draft of {}", path.display()))?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_draft_is_overwritten_and_none_remains() {
        let folder = crate::test_folder::create();
        let path = folder.path().join("output.json");
        fs::write(path_of(&path), "half").expect("written");
        replace(&path, b"whole").expect("replaced");
        assert_eq!(fs::read(&path).expect("there"), b"whole");
        fs::write(path_of(&path), "half").expect("written");
        discard(&path).expect("removed");
        discard(&path).expect("gone already");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
