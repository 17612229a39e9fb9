//! Explains a full disk: how much space the build still needs, and how much is free.
//!
//! Runs after a build has failed because a disk was full. Reads the inputs and the output, changes nothing.

use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::preflight::already_built;
use crate::engine::request::BuildRequest;
use crate::engine::survey::survey;
use crate::ids::ShardId;
use crate::plan::Plan;
use crate::platform::{self, Free};
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::progress;
use std::collections::BTreeSet;

/// Output bytes per byte of text, measured on 520 KB of code with the embedded models. Without vectors: 8 in the shard,
/// 2.4 in segments, 1 in the routing database and 1 in its log.
const BARE: u64 = 13;
/// Sparse vectors: 11 in the shard, 0.5 in segments, 4 while its indexes are sorted.
const SPARSE: u64 = 16;
/// Dense vectors: 384 numbers per 1,500 bytes of text, in the shard and in segments.
const DENSE: u64 = 2;

/// A shard of a few files, with its segment and its rows in the routing database.
const EMPTY_SHARD_BYTES: u64 = 700 << 10;

/// The empty routing database, its log and the manifest.
const FIXED_BYTES: u64 = 1 << 20;

/// If fewer new files than this can be created, the disk may be out of inodes instead of space. A build creates about ten
/// files, and one per unfinished segment.
const FEW_FILES: u64 = 100;

/// If the disk was full, add the needed and the free space to the error.
pub fn explain(error: BuildError, request: &BuildRequest) -> BuildError {
    if error.kind() != ErrorKind::DiskFull {
        return error;
    }
    let needed = match needed_bytes(request) {
        Ok(bytes) => format!("about {} are", progress::bytes(bytes)),
        // The inputs cannot be read either; the first error matters more.
        Err(_) => "more space is".to_owned(),
    };
    let layout = request.layout();
    let free = match layout.work.ancestors().find_map(platform::free_space) {
        Some(Free {
            bytes,
            files: Some(files),
        }) if files < FEW_FILES => {
            format!(
                ", {} and {files} new files are free",
                progress::bytes(bytes)
            )
        }
        Some(Free { bytes, .. }) => format!(", {} are free", progress::bytes(bytes)),
        None => String::new(),
    };
    let text = format!(
        "{error:#}; {needed} needed for {}{free}; finished work is kept: free some space and run the same command again to \
         resume",
        layout.database.display()
    );
    BuildError::new(ErrorKind::DiskFull, text)
}

/// Estimate the space that the missing shards need, including temporary files.
fn needed_bytes(request: &BuildRequest) -> Result<u64> {
    let plan = survey(request)?.plan;
    let built = already_built(request, &plan)?.into_keys().collect();
    Ok(estimate(&plan, &built, &request.encoders))
}

fn estimate(plan: &Plan, built: &BTreeSet<ShardId>, encoders: &EncoderChoice) -> u64 {
    let per_byte = |source: &ModelSource, bytes| match source {
        ModelSource::None => 0,
        ModelSource::Embedded | ModelSource::Directory(_) => bytes,
    };
    let per_byte = BARE + per_byte(&encoders.sparse, SPARSE) + per_byte(&encoders.dense, DENSE);
    let todo = plan
        .shards
        .iter()
        .filter(|shard| !built.contains(&shard.id));
    todo.map(|shard| EMPTY_SHARD_BYTES + shard.bytes * per_byte)
        .sum::<u64>()
        + FIXED_BYTES
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
            let built = built.iter().map(|n| ShardId(*n)).collect();
            estimate(&plan, &built, encoders) >> 20
        };
        assert_eq!(needed(&[], &bare), 1 + 2 * 13 + 1);
        assert_eq!(needed(&[0], &bare), 1 + 13);
        assert_eq!(needed(&[0, 1], &bare), 1);
        assert_eq!(needed(&[0], &EncoderChoice::default()), 1 + 13 + 16 + 2);
    }
}
