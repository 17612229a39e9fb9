//! Tells whether an index is still the one that was opened.
//!
//! Builds put a new file in the place of a shard. So the identity of the files tells, and a look at them is cheap enough
//! for every request. Where the system has no identities, size and time stand in. A file that has become shorter was damaged or
//! vacuumed, and what is remembered of it holds no more.

use crate::platform;
use crate::store::index::Index;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What the files of an index looked like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<(PathBuf, Option<FileStamp>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileStamp {
    /// With the bytes: servers let a shard grow.
    Identity(u64, u64, u64),
    Written(u64, Option<SystemTime>),
}

impl Stamp {
    /// Take the stamp of an index. Take it before the index is opened: what changes meanwhile is seen at the next look.
    pub fn of(index: &Index) -> Self {
        let mut files = vec![index.database().to_path_buf()];
        files.extend(index.databases().into_iter().map(|(_, path)| path));
        Self(
            files
                .into_iter()
                .map(|path| (path.clone(), file(&path, index)))
                .collect(),
        )
    }

    /// Return whether a file was replaced, removed or, for the routing database, written.
    pub fn is_outdated(&self, index: &Index) -> bool {
        let is_other = |(path, before): &(PathBuf, Option<FileStamp>)| {
            use FileStamp::Identity;
            match (before, file(path, index)) {
                (Some(Identity(device, file, bytes)), Some(Identity(its, own, now))) => {
                    (*device, *file) != (its, own) || now < *bytes
                }
                (before, now) => *before != now,
            }
        };
        self.0.iter().any(is_other)
    }
}

/// `None` for a file that is not there.
fn file(path: &Path, index: &Index) -> Option<FileStamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let is_written_in_place = matches!(index, Index::Sharded { .. }) && path == index.database();
    match platform::file_identity(&metadata) {
        Some((device, file)) if !is_written_in_place => {
            Some(FileStamp::Identity(device, file, metadata.len()))
        }
        _ => Some(FileStamp::Written(metadata.len(), metadata.modified().ok())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_seen_and_a_written_one_is_not() {
        let folder = crate::test_folder::create();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "one").expect("writes");
        let index = Index::Single { path: path.clone() };
        let stamp = Stamp::of(&index);
        assert!(!stamp.is_outdated(&index));
        let other = folder.path().join("b.db");
        std::fs::write(&other, "two").expect("writes");
        std::fs::rename(&other, &path).expect("renames");
        assert!(stamp.is_outdated(&index));
        let stamp = Stamp::of(&index);
        std::fs::write(&path, "longer").expect("writes");
        assert_eq!(stamp.is_outdated(&index), cfg!(not(unix)));
        std::fs::write(&path, "").expect("writes");
        assert!(stamp.is_outdated(&index));
        let stamp = Stamp::of(&index);
        std::fs::remove_file(&path).expect("removes");
        assert!(stamp.is_outdated(&index));
    }
}
