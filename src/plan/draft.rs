//! A shard before it has an id.

use super::segments::{self, SegmentSize};
use super::{PlanRoot, PlannedFile, Scope, Segment, ShardPlan};
use crate::ids::{SegmentId, ShardId};
use std::ops::Range;

pub struct Draft {
    pub label: String,
    pub scope: Scope,
    /// In canonical order.
    pub files: Vec<PlannedFile>,
    pub bytes: u64,
}

impl Draft {
    pub fn new(label: String, scope: Scope, files: Vec<PlannedFile>) -> Self {
        let bytes = files.iter().map(|file| file.entry.size).sum();
        Self {
            label,
            scope,
            files,
            bytes,
        }
    }

    /// Give the shard its id and cut it into segments.
    pub fn into_shard(self, shard: ShardId, roots: &[PlanRoot], size: SegmentSize) -> ShardPlan {
        let segments = (0..)
            .zip(self.runs(roots, size))
            .map(|(index, (files, key))| Segment {
                id: SegmentId { shard, index },
                bytes: self.files[files.clone()].iter().map(|f| f.entry.size).sum(),
                key,
                files,
            })
            .collect();
        ShardPlan {
            id: shard,
            label: self.label,
            scope: self.scope,
            files: self.files,
            bytes: self.bytes,
            segments,
        }
    }

    /// Return the files and the key of each segment. A segment never spans two roots, since its paths are relative to one.
    fn runs(&self, roots: &[PlanRoot], size: SegmentSize) -> Vec<(Range<usize>, String)> {
        let mut runs = Vec::new();
        let mut start = 0;
        for of_root in self.files.chunk_by(|a, b| a.root == b.root) {
            let label = &roots[of_root[0].root as usize].label;
            let hash_of = |file: &PlannedFile| segments::path_hash(label, &file.entry.path);
            let hashes: Vec<u64> = of_root.iter().map(hash_of).collect();
            let sizes: Vec<u64> = of_root.iter().map(|file| file.entry.size).collect();
            runs.extend(segments::cut(&sizes, &hashes, size).into_iter().map(|run| {
                let key = format!("{}-{:016x}", self.label, hashes[run.start]);
                (start + run.start..start + run.end, key)
            }));
            start += of_root.len();
        }
        runs
    }
}
