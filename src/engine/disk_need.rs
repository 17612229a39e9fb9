//! Estimates how much space a build takes, before it begins.
//!
//! Looks at sizes of files and at the free space of the output's disk. The estimates come from the bytes of the planned
//! files: how much of them turns out to be generated, repeated or undecodable is known only once they are read. So a
//! build is refused only if not even empty shards would fit.

use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::request::BuildRequest;
use crate::ids::ShardId;
use crate::plan::{Plan, ShardPlan};
use crate::platform;
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::progress;
use std::path::Path;

/// Bytes per byte of text.
#[derive(Clone, Copy)]
struct PerByte {
    bare: u64,
    sparse: u64,
    dense: u64,
}

/// What an index takes, in halves, rounded up. 12.6 MB of code and prose in 13 shards took 6.9 times their bytes with 256
/// dense numbers a chunk, and 9.1 times with the embedded model's 48 sparse terms as well. Of 6.9, the dense numbers are 0.7
/// by their size. A sparse term takes 63 bytes, so 128 of them take 5 times a chunk's text.
const INDEX_HALVES: PerByte = PerByte {
    bare: 13,
    sparse: 11,
    dense: 2,
};

/// What a build takes at most while it works, measured on 520 KB of code with the embedded models, which had 128 sparse terms
/// a chunk then. Without vectors: 8 in
/// the shard, 2.4 in segments, 1 in the routing database and 1 in its log. Sparse vectors: 11 in the shard, 0.5 in
/// segments, 4 put aside. Dense vectors: 384 numbers per 1,500 bytes of text, in the shard and in segments.
const AT_MOST: PerByte = PerByte {
    bare: 13,
    sparse: 16,
    dense: 2,
};

/// A shard of a few files, with its segment and its rows in the routing database.
const EMPTY_SHARD_BYTES: u64 = 700 << 10;

/// The empty routing database, its log and the manifest.
const FIXED_BYTES: u64 = 1 << 20;

/// Less than any shard takes, also on a file system that compresses: an empty one has 400 KiB.
const LEAST_SHARD_BYTES: u64 = 64 << 10;

/// The space that a build takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskNeed {
    /// Of the finished index: shards that stay as they are, and an estimate of the others.
    pub index_bytes: u64,
    /// What the build needs at most beside what lies there now, an estimate: shards to be written lie beside those that
    /// they replace, and beside their segments. 0 if there is nothing to do.
    pub needed_bytes: u64,
    /// Free on the disk of the output; `None` if unknown.
    pub free_bytes: Option<u64>,
    /// Less is surely too little.
    least_bytes: u64,
    /// Free for the administrator.
    most_free_bytes: Option<u64>,
}

impl DiskNeed {
    /// Estimate the need of the shards of `plan` for which `is_built` says no. Only reads.
    pub fn look(request: &BuildRequest, plan: &Plan, is_built: impl Fn(ShardId) -> bool) -> Self {
        let layout = request.layout();
        let size =
            |shard: &ShardPlan| std::fs::metadata(layout.shard(&shard.label)).map(|it| it.len());
        let (built, todo): (Vec<_>, Vec<_>) =
            plan.shards.iter().partition(|shard| is_built(shard.id));
        let kept: u64 = built.iter().filter_map(|shard| size(shard).ok()).sum();
        let encoders = &request.encoders;
        let new = todo
            .iter()
            .map(|shard| EMPTY_SHARD_BYTES + shard.bytes * INDEX_HALVES.with(encoders) / 2);
        let n_new = todo.iter().filter(|shard| size(shard).is_err()).count() as u64;
        let free = layout.work.ancestors().find_map(platform::free_space);
        Self {
            index_bytes: kept + new.sum::<u64>(),
            needed_bytes: match todo.is_empty() {
                true => 0,
                false => at_most(&todo, encoders),
            },
            free_bytes: free.map(|free| free.bytes),
            least_bytes: match todo.is_empty() {
                true => 0,
                false => n_new.max(1) * LEAST_SHARD_BYTES,
            },
            most_free_bytes: free.map(|free| free.most_bytes),
        }
    }

    /// Return a warning if the free space may not be enough.
    pub fn warning(&self) -> Option<String> {
        let free = self.free_bytes.filter(|free| *free < self.needed_bytes)?;
        Some(format!(
            "the disk of the output has {} left, and this build may take up to {}: free some space if it fails; finished \
             work is kept then",
            progress::bytes(free),
            progress::bytes(self.needed_bytes)
        ))
    }

    /// Refuse a build that cannot fit.
    ///
    /// # Errors
    /// `DiskFull`.
    pub fn refuse_hopeless(&self, output: &Path) -> Result<()> {
        match self.most_free_bytes {
            Some(free) if free < self.least_bytes => Err(BuildError::new(
                ErrorKind::DiskFull,
                format!(
                    "{}: the disk is full: empty shards alone take {}",
                    output.display(),
                    progress::bytes(self.least_bytes)
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Return what the shards of `plan` for which `is_built` says no need at most, with temporary files.
pub fn needed_bytes(
    plan: &Plan,
    encoders: &EncoderChoice,
    is_built: impl Fn(ShardId) -> bool,
) -> u64 {
    let todo = plan.shards.iter().filter(|shard| !is_built(shard.id));
    at_most(&todo.collect::<Vec<_>>(), encoders)
}

fn at_most(todo: &[&ShardPlan], encoders: &EncoderChoice) -> u64 {
    let shards = todo
        .iter()
        .map(|shard| EMPTY_SHARD_BYTES + shard.bytes * AT_MOST.with(encoders));
    shards.sum::<u64>() + FIXED_BYTES
}

impl PerByte {
    /// Return the sum for a build with these encoders.
    fn with(self, encoders: &EncoderChoice) -> u64 {
        let sparse = match &encoders.sparse {
            ModelSource::None => 0,
            // 48 of 128 terms.
            ModelSource::Embedded => (self.sparse * 3).div_ceil(8),
            ModelSource::Directory(_) | ModelSource::Server(_) => self.sparse,
        };
        let dense = match &encoders.dense {
            ModelSource::None => 0,
            ModelSource::Embedded | ModelSource::Directory(_) | ModelSource::Server(_) => {
                self.dense
            }
        };
        self.bare + sparse + dense
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{FileEntry, RelPath};
    use crate::plan::{PlanOptions, RootFiles, plan};

    #[test]
    fn the_need_grows_with_what_is_left_and_with_vectors() {
        let roots = ["a", "b"].map(|label| RootFiles {
            label: label.to_owned(),
            path: format!("/{label}").into(),
            files: vec![FileEntry {
                path: RelPath::from_spelling("x.rs").expect("a path"),
                size: 1 << 20,
                mtime_ns: 0,
            }],
        });
        let plan = plan(roots.into(), &PlanOptions::default());
        let bare = EncoderChoice {
            sparse: ModelSource::None,
            dense: ModelSource::None,
            ..EncoderChoice::default()
        };
        let needed = |built: &[u32], encoders: &EncoderChoice| {
            needed_bytes(&plan, encoders, |shard| built.contains(&shard.0)) >> 20
        };
        assert_eq!(needed(&[], &bare), 1 + 2 * 13 + 1);
        assert_eq!(needed(&[0], &bare), 1 + 13);
        assert_eq!(needed(&[0, 1], &bare), 1);
        assert_eq!(needed(&[0], &EncoderChoice::default()), 1 + 13 + 6 + 2);
    }

    #[test]
    fn a_build_is_warned_below_the_estimate_and_refused_below_what_is_sure() {
        let need = |free: Option<u64>| DiskNeed {
            index_bytes: 1000,
            needed_bytes: 2000,
            free_bytes: free,
            least_bytes: 100,
            most_free_bytes: free,
        };
        let verdict = |free| {
            let need = need(free);
            let output = Path::new("/out");
            (
                need.warning().is_some(),
                need.refuse_hopeless(output).is_err(),
            )
        };
        assert_eq!(verdict(Some(2000)), (false, false));
        assert_eq!(verdict(Some(1999)), (true, false));
        assert_eq!(verdict(Some(100)), (true, false));
        assert_eq!(verdict(Some(99)), (true, true));
        assert_eq!(verdict(None), (false, false));
    }
}
