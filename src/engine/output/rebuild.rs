//! A rebuild that is stopped goes on when it is asked for again.
//!
//! `--rebuild` marks its start in the work folder, and every shard that it has published. The same command finds the
//! mark, keeps those shards and the segments, all of which stem from it, and does the rest. The mark is of one
//! fingerprint: with another model or recipe the rebuild starts over. It goes when the build is concluded, and when
//! a build without `--rebuild` does anything.

use crate::engine::error::Context as _;
use crate::engine::error::Result;
use crate::engine::output::draft;
use crate::ids::Digest;
use crate::named_file;
use crate::report::marks::REBUILD_BEGUN;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The mark of a rebuild in progress.
#[derive(Clone, Debug)]
pub struct Rebuild {
    path: PathBuf,
    /// Labels of the shards that it has published.
    done: BTreeSet<String>,
    /// An earlier run began it.
    resumed: bool,
}

const DONE: &str = "done ";

impl Rebuild {
    /// Goes on with the rebuild of this fingerprint that the file at `path` marks, or begins one: `clear` removes what
    /// earlier builds left.
    pub fn begin(
        path: &Path,
        fingerprint: Digest,
        clear: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let text = named_file::read_text(path, named_file::MOST_TEXT_BYTES).unwrap_or_default();
        let begun = format!("{REBUILD_BEGUN}{fingerprint}\n");
        if let Some(rest) = text.strip_prefix(&begun) {
            // A line without an end is one that a power cut has cut off.
            let lines = rest
                .split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'));
            return Ok(Self {
                path: path.to_path_buf(),
                done: lines
                    .filter_map(|line| line.strip_prefix(DONE))
                    .map(str::to_owned)
                    .collect(),
                resumed: true,
            });
        }
        // Before the mark is there: what is found beside it stems from this rebuild.
        clear()?;
        draft::replace(path, begun.as_bytes())
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(Self {
            path: path.to_path_buf(),
            done: BTreeSet::new(),
            resumed: false,
        })
    }

    /// Whether it has published the shard of this label.
    pub fn is_done(&self, label: &str) -> bool {
        self.done.contains(label)
    }

    /// For people, when it goes on with what an earlier run began.
    pub fn notice(&self) -> Option<String> {
        self.resumed.then(|| {
            format!(
                "going on with the rebuild that was begun, {} shards are done; to start over, remove {}",
                self.done.len(),
                self.path.display()
            )
        })
    }

    /// Notes that the shard of this label is in its place and registered. Call it before its segments are deleted.
    pub fn note(&self, label: &str) -> std::io::Result<()> {
        let mut file = File::options().append(true).open(&self.path)?;
        file.write_all(format!("{DONE}{label}\n").as_bytes())?;
        file.sync_all()
    }
}

/// Removes the mark, if there is one.
pub fn forget(path: &Path) -> Result<()> {
    draft::discard(path).with_context(|| format!("removing a draft of {}", path.display()))?;
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
    fn a_rebuild_goes_on_and_another_fingerprint_starts_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rebuild");
        let begin = |n: u8| {
            let mut cleared = false;
            let begun = Rebuild::begin(&path, Digest([n; 32]), || {
                cleared = true;
                Ok(())
            });
            (begun.expect("begun"), cleared)
        };
        let (first, cleared) = begin(1);
        assert!(cleared && first.notice().is_none());
        first.note("a").expect("noted");
        first.note("b-2").expect("noted");
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(b"done c"))
            .expect("cut off");
        let (second, cleared) = begin(1);
        assert!(!cleared && second.notice().is_some());
        assert!(second.is_done("a") && second.is_done("b-2") && !second.is_done("c"));
        let (third, cleared) = begin(2);
        assert!(cleared && !third.is_done("a"));
        forget(&path).expect("removed");
        forget(&path).expect("gone already");
        assert!(begin(2).1);
    }
}
