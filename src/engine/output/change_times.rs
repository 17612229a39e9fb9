//! Remembers the change times of the indexed files, to notice a file that was replaced by one of the same size and
//! modification time: a package unpacked over an older one, a file put back by a backup.
//!
//! A user cannot set a change time, but copying or moving a tree renews all of them, and so does a change of permissions.
//! So another change time only means that the bytes have to be compared. The record lies in the work folder, outside of
//! the index: it shapes no digest, and without it files are compared by size and modification time alone.
//!
//! Change times are noted before any file is read. While a build is unfinished, the record keeps the oldest note of each
//! file, since committed segments may have been read long before.

use crate::engine::error::{Context as _, Result};
use crate::engine::output::draft;
use crate::file::{FileEntry, root_spelling};
use crate::named_file;
use crate::plan::{Plan, PlannedFile};
use crate::platform;
use crate::report::marks::CHANGE_TIMES;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Size limit of the record: sixteen million files.
const MOST_BYTES: u64 = 256 << 20;

/// Change times in nanoseconds since 1970, by the hash of path, size and modification time.
type Times = BTreeMap<u64, i64>;

/// The change times of the planned files, now and as an earlier build noted them.
#[derive(Clone, Debug, Default)]
pub struct ChangeTimes {
    path: PathBuf,
    now: Times,
    recorded: Times,
}

impl ChangeTimes {
    /// Look at every planned file, and read the record at `path`. Files and systems without a change time are left out.
    pub fn look(path: &Path, plan: &Plan) -> Self {
        let mut now = Times::new();
        for file in plan.shards.iter().flat_map(|shard| &shard.files) {
            let root = &plan.roots[file.root as usize].path;
            let found = std::fs::symlink_metadata(file.entry.path.on_disk(root));
            if let Some(changed) = found.ok().and_then(|found| platform::change_time(&found)) {
                now.insert(key(root, &file.entry), changed);
            }
        }
        let bytes = named_file::read(path, MOST_BYTES).unwrap_or_default();
        Self {
            path: path.to_path_buf(),
            now,
            recorded: decode(&bytes).unwrap_or_default(),
        }
    }

    /// Look at every planned file, and compare with the times that `noted` has of it.
    pub fn since(plan: &Plan, noted: impl Fn(&PlannedFile) -> Option<i64>) -> Self {
        let mut since = Self::look(Path::new(""), plan);
        for file in plan.shards.iter().flat_map(|shard| &shard.files) {
            if let Some(changed) = noted(file) {
                let root = &plan.roots[file.root as usize].path;
                since.recorded.insert(key(root, &file.entry), changed);
            }
        }
        since
    }

    /// Return the change time of a file when it was looked at.
    pub fn of(&self, root: &Path, entry: &FileEntry) -> Option<i64> {
        self.now.get(&key(root, entry)).copied()
    }

    /// Whether a file may have other bytes than when a build read it, although size and modification time are the same.
    pub fn is_suspect(&self, root: &Path, entry: &FileEntry) -> bool {
        let key = key(root, entry);
        match (self.recorded.get(&key), self.now.get(&key)) {
            (Some(recorded), Some(now)) => recorded != now,
            _ => false,
        }
    }

    /// Note the files that the record lacks. Call it before any file is read.
    pub fn begin(&self) -> Result<()> {
        let noted = self.now.iter().map(|(key, now)| {
            let changed = self.recorded.get(key).unwrap_or(now);
            (*key, *changed)
        });
        let others = self.recorded.iter().map(|(key, changed)| (*key, *changed));
        self.write(&others.chain(noted).collect())
    }

    /// Note what the index holds now that it is complete. `keep_others`: also keep the notes of files that were not
    /// planned, because their roots are unavailable.
    pub fn conclude(&self, keep_others: bool) -> Result<()> {
        let mut times = match keep_others {
            true => self.recorded.clone(),
            false => Times::new(),
        };
        times.extend(&self.now);
        self.write(&times)
    }

    fn write(&self, times: &Times) -> Result<()> {
        let bytes = encode(times);
        let known = named_file::read(&self.path, MOST_BYTES);
        if known.is_ok_and(|known| known == bytes) {
            return Ok(());
        }
        draft::replace(&self.path, &bytes)
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Hash what a file is recognised by, to 64 bits. Of records of a million files one in 37 million has two files with one
/// key; then a replacement of one of them may go unnoticed.
fn key(root: &Path, entry: &FileEntry) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for text in [root_spelling(root).as_bytes(), entry.path.as_bytes()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.update(&entry.size.to_le_bytes());
    hasher.update(&entry.mtime_ns.to_le_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

fn encode(times: &Times) -> Vec<u8> {
    let pairs = times.iter();
    let pairs = pairs.flat_map(|(key, time)| [key.to_le_bytes(), time.to_le_bytes()]);
    let mut bytes = CHANGE_TIMES.as_bytes().to_vec();
    bytes.extend(pairs.flatten());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Times> {
    let (pairs, rest) = bytes
        .strip_prefix(CHANGE_TIMES.as_bytes())?
        .as_chunks::<16>();
    let pair = |pair: &[u8; 16]| {
        let (key, time) = pair.split_first_chunk::<8>()?;
        let (time, _) = time.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*key), i64::from_le_bytes(*time)))
    };
    match rest.is_empty() {
        true => pairs.iter().map(pair).collect(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::RelPath;

    fn entry(path: &str, size: u64, mtime_ns: i64) -> FileEntry {
        FileEntry {
            path: RelPath::from_spelling(path).expect("a path"),
            size,
            mtime_ns,
        }
    }

    fn times(pairs: &[(&str, i64)]) -> Times {
        let key = |path: &str| key(Path::new("/r"), &entry(path, 1, 2));
        pairs.iter().map(|(path, t)| (key(path), *t)).collect()
    }

    #[test]
    fn the_key_depends_on_everything_else() {
        let (a, b) = (Path::new("/r"), Path::new("/r/s"));
        let keys = [
            key(a, &entry("s/x", 1, 2)),
            key(b, &entry("x", 1, 2)),
            key(a, &entry("s/x", 2, 2)),
            key(a, &entry("s/x", 1, 1)),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn a_record_is_read_back_or_not_at_all() {
        let all = times(&[("a", -5), ("b", i64::MAX), ("c", 0)]);
        let bytes = encode(&all);
        assert_eq!(decode(&bytes), Some(all));
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(b""), None);
        assert_eq!(decode(CHANGE_TIMES.as_bytes()), Some(Times::new()));
    }

    #[test]
    fn an_unfinished_build_keeps_the_oldest_note() {
        let folder = crate::test_folder::create();
        let at = |now: &[(&str, i64)]| {
            let path = folder.path().join("change-times");
            let bytes = std::fs::read(&path).unwrap_or_default();
            ChangeTimes {
                path,
                now: times(now),
                recorded: decode(&bytes).unwrap_or_default(),
            }
        };
        let suspects = |found: &ChangeTimes| {
            let is_suspect = |path: &&str| found.is_suspect(Path::new("/r"), &entry(path, 1, 2));
            ["a", "b", "c"]
                .into_iter()
                .filter(is_suspect)
                .collect::<Vec<_>>()
        };
        let first = at(&[("a", 1), ("b", 1)]);
        assert!(suspects(&first).is_empty());
        first.begin().expect("written");
        let second = at(&[("a", 2), ("b", 1), ("c", 2)]);
        assert_eq!(suspects(&second), ["a"]);
        second.begin().expect("written");
        let third = at(&[("a", 2), ("c", 3)]);
        assert_eq!(suspects(&third), ["a", "c"], "until a build is complete");
        third.conclude(true).expect("written");
        assert_eq!(
            at(&[("a", 2), ("b", 1)]).recorded,
            times(&[("a", 2), ("b", 1), ("c", 3)])
        );
        assert_eq!(suspects(&at(&[("b", 7)])), ["b"]);
        third.conclude(false).expect("written");
        assert!(
            suspects(&at(&[("b", 7), ("a", 2)])).is_empty(),
            "b is not noted"
        );
    }
}
