//! Lets an interrupted `--rebuild` resume.
//!
//! A rebuild writes a mark into the work folder, and adds each shard that it publishes. The next `--rebuild` finds the
//! mark, keeps those shards and all segments, which are from the same rebuild, and builds the rest. The mark holds the
//! fingerprint: with another model or recipe the rebuild starts over. A build removes the mark when it concludes, and
//! also if it runs without `--rebuild`.

use crate::engine::error::{Context as _, Result};
use crate::engine::output::draft;
use crate::ids::Digest;
use crate::named_file;
use crate::report::marks::REBUILD_BEGUN;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A rebuild in progress.
#[derive(Clone, Debug)]
pub struct Rebuild {
    path: PathBuf,
    /// Labels of the shards that were published before this run.
    done: BTreeSet<String>,
    /// Whether an earlier run began the rebuild.
    resumed: bool,
}

const DONE: &str = "done ";

impl Rebuild {
    /// Resume the rebuild that the file at `path` marks if it has this fingerprint. Otherwise begin a new one: call `clear`
    /// to remove the segments of earlier builds, and write the mark.
    pub fn begin(
        path: &Path,
        fingerprint: Digest,
        clear: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let text = named_file::read_text(path, named_file::MOST_TEXT_BYTES).unwrap_or_default();
        let begun = format!("{REBUILD_BEGUN}{fingerprint}\n");
        if let Some(rest) = text.strip_prefix(&begun) {
            // A power cut may leave an incomplete last line.
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
        // Clear before writing the mark: segments beside a mark must be from its rebuild.
        clear()?;
        draft::replace(path, begun.as_bytes())
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(Self {
            path: path.to_path_buf(),
            done: BTreeSet::new(),
            resumed: false,
        })
    }

    /// Return whether an earlier run of this rebuild has published the shard.
    pub fn is_done(&self, label: &str) -> bool {
        self.done.contains(label)
    }

    /// Return a message for people if this run resumes the rebuild.
    pub fn notice(&self) -> Option<String> {
        self.resumed.then(|| {
            format!(
                "resuming an interrupted rebuild, {} shards are done; to start over, remove {}",
                self.done.len(),
                self.path.display()
            )
        })
    }

    /// Record durably that the shard is published. Call it before deleting the segments of the shard.
    pub fn record_published(&self, label: &str) -> std::io::Result<()> {
        let mut file = File::options().append(true).open(&self.path)?;
        file.write_all(format!("{DONE}{label}\n").as_bytes())?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_resumes_unless_the_fingerprint_differs() {
        let folder = crate::test_folder::create();
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
        first.record_published("a").expect("noted");
        first.record_published("b-2").expect("noted");
        File::options()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(b"done c"))
            .expect("cut off");
        let (second, cleared) = begin(1);
        assert!(!cleared && second.notice().is_some());
        assert!(second.is_done("a") && second.is_done("b-2") && !second.is_done("c"));
        let (third, cleared) = begin(2);
        assert!(cleared && !third.is_done("a"));
        draft::remove(&path).expect("removed");
        draft::remove(&path).expect("gone already");
        assert!(begin(2).1);
    }
}
