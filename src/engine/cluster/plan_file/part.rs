//! Plans of some segments, and of the whole index.

use super::head::HeadShard;
use super::{FrozenFile, FrozenPlan};
use crate::engine::cluster::relocation::Relocation;
use crate::engine::error::Result;
use crate::file::RelPath;
use crate::ids::{SegmentId, ShardId};
use crate::plan::{Plan, PlanRoot, PlannedFile, Scope, Segment, ShardPlan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Some segments of a plan with their files, as a plan of its own.
#[derive(Debug)]
pub struct PlanPart {
    pub plan: Arc<Plan>,
    /// The number of each segment.
    pub numbers: BTreeMap<SegmentId, u32>,
    /// The files of each segment.
    pub files: BTreeMap<SegmentId, Vec<FrozenFile>>,
    pub authored: BTreeMap<String, BTreeSet<RelPath>>,
}

impl FrozenPlan {
    /// Return these segments as a plan of their own, with the roots as they are on this machine.
    ///
    /// # Errors
    /// Those of [`files`](Self::files).
    pub fn part(&self, numbers: &BTreeSet<u32>, relocation: &Relocation) -> Result<PlanPart> {
        let mut part = PlanPart {
            plan: Arc::default(),
            numbers: BTreeMap::new(),
            files: BTreeMap::new(),
            authored: BTreeMap::new(),
        };
        let mut shards: Vec<ShardPlan> = Vec::new();
        let mut last = None;
        for number in numbers {
            let files = self.files(*number)?;
            let Some((head, segment)) = self.segment(*number) else {
                continue;
            };
            let position = self.segments[*number as usize].0;
            if last != Some(position) {
                last = Some(position);
                shards.push(empty_shard(ShardId(shards.len() as u32), head));
            }
            let shard = shards.last_mut().expect("one was added");
            let id = SegmentId {
                shard: shard.id,
                index: shard.segments.len() as u32,
            };
            let first = shard.files.len();
            let label = &self.head.roots[segment.root as usize].label;
            let written = files.iter().filter(|file| file.is_authored);
            let written = written.map(|file| file.entry.path.clone());
            part.authored
                .entry(label.clone())
                .or_default()
                .extend(written);
            shard.files.extend(files.iter().map(|file| PlannedFile {
                root: segment.root,
                entry: file.entry.clone(),
            }));
            shard.bytes += segment.bytes;
            shard.segments.push(Segment {
                id,
                files: first..shard.files.len(),
                bytes: segment.bytes,
                key: segment.key.clone(),
            });
            part.numbers.insert(id, *number);
            part.files.insert(id, files);
        }
        part.plan = Arc::new(Plan {
            roots: self.roots(relocation),
            shards,
            reasons: Vec::new(),
        });
        Ok(part)
    }

    /// Return the plan of the whole index, but with the files of these shards only: nothing asks for the others'.
    pub(in crate::engine::cluster) fn whole(&self, todo: &BTreeSet<u32>) -> Result<Plan> {
        let shards = (0..).map(ShardId).zip(&self.head.shards);
        let mut shards: Vec<_> = shards.map(|(id, head)| empty_shard(id, head)).collect();
        for number in todo {
            let segments = self.segments_of(*number);
            let part = self.part(&segments, &Relocation::default())?;
            let Some(of_part) = part.plan.shards.first() else {
                continue;
            };
            let shard = &mut shards[self.shards[*number as usize].0];
            let segments = of_part.segments.iter().map(|segment| Segment {
                id: SegmentId {
                    shard: shard.id,
                    ..segment.id
                },
                ..segment.clone()
            });
            shard.segments = segments.collect();
            shard.files.clone_from(&of_part.files);
            shard.bytes = of_part.bytes;
        }
        Ok(Plan {
            roots: self.roots(&Relocation::default()),
            shards,
            reasons: Vec::new(),
        })
    }

    fn roots(&self, relocation: &Relocation) -> Vec<PlanRoot> {
        let roots = self.head.roots.iter().map(|root| PlanRoot {
            label: root.label.clone(),
            path: relocation.here(&root.path),
            n_files: root.files,
            bytes: root.bytes,
        });
        roots.collect()
    }
}

fn empty_shard(id: ShardId, head: &HeadShard) -> ShardPlan {
    ShardPlan {
        id,
        label: head.label.clone(),
        scope: Scope::Everything,
        files: Vec::new(),
        bytes: 0,
        segments: Vec::new(),
    }
}
