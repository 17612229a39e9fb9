//! Checks that a plan contains every file once.

use super::{Plan, PlanRoot, ShardPlan};
use crate::file::RelPath;
use crate::ids::{SegmentId, ShardId};
use std::collections::BTreeSet;

/// A plan that loses or repeats a file: a bug of the planner, whatever the input.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoverageError {
    #[error("root {label}: {expected} files found, {planned} planned")]
    Count {
        label: String,
        expected: u64,
        planned: u64,
    },
    #[error("root {label}: {path} is planned twice")]
    Repeated { label: String, path: String },
    #[error("segment {id} does not continue where the one before it ends")]
    Gap { id: SegmentId },
    #[error("shard {id}: {missing} files are in no segment")]
    Tail { id: ShardId, missing: usize },
    #[error("two shards or segments are named {name}")]
    Name { name: String },
}

impl Plan {
    /// Check that every file given to the planner is in exactly one segment, and that names are unique. Called before a build
    /// uses the plan, since nothing later would notice a lost file.
    pub fn check_coverage(&self) -> Result<(), CoverageError> {
        let mut names = BTreeSet::new();
        for shard in &self.shards {
            check_segments(shard)?;
            let keys = shard.segments.iter().map(|segment| segment.key.as_str());
            for name in keys.chain([shard.label.as_str()]) {
                if !names.insert(name) {
                    return Err(CoverageError::Name { name: name.into() });
                }
            }
        }
        let mut planned: Vec<Vec<&RelPath>> = vec![Vec::new(); self.roots.len()];
        for file in self.shards.iter().flat_map(|shard| &shard.files) {
            planned[file.root as usize].push(&file.entry.path);
        }
        for (root, paths) in self.roots.iter().zip(planned) {
            check_root(root, paths)?;
        }
        Ok(())
    }
}

fn check_segments(shard: &ShardPlan) -> Result<(), CoverageError> {
    let mut next = 0;
    for segment in &shard.segments {
        if segment.files.start != next || segment.files.is_empty() {
            return Err(CoverageError::Gap { id: segment.id });
        }
        next = segment.files.end;
    }
    if next == shard.files.len() {
        return Ok(());
    }
    Err(CoverageError::Tail {
        id: shard.id,
        missing: shard.files.len().abs_diff(next),
    })
}

fn check_root(root: &PlanRoot, mut paths: Vec<&RelPath>) -> Result<(), CoverageError> {
    paths.sort();
    if let Some(pair) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(CoverageError::Repeated {
            label: root.label.clone(),
            path: pair[0].spelling().into_owned(),
        });
    }
    let planned = paths.len() as u64;
    if planned == root.n_files {
        return Ok(());
    }
    Err(CoverageError::Count {
        label: root.label.clone(),
        expected: root.n_files,
        planned,
    })
}
