//! What a build knows besides its plan: the request, what the walk has found, and the output.

use super::FrozenPlan;
use crate::engine::cluster::relocation::Relocation;
use crate::engine::error::Result;
use crate::engine::output::layout::Layout;
use crate::engine::output::unavailable_roots::RetainedShards;
use crate::engine::request::{BuildRequest, ProcessCommand};
use crate::engine::survey::Survey;
use crate::plan::{Mode, Plan, PlanOptions};
use crate::profile::encoders::ModelSource;
use crate::profile::{MissingRoot, Profile, Root, Rules};
use crate::report::SkippedTally;
use crate::store::routing::ShardCategory;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl FrozenPlan {
    /// Return what the walk has found, with another plan.
    pub(in crate::engine::cluster) fn survey(
        &self,
        plan: Arc<Plan>,
        relocation: &Relocation,
    ) -> Survey {
        let head = &self.head;
        let mut retained: RetainedShards = head.retained.clone();
        for shard in retained.shards.values_mut() {
            shard.path = relocation.here(&shard.path);
        }
        Survey {
            plan,
            skipped: head.skipped.clone(),
            skipped_kinds: SkippedTally::of_entries(&head.skipped_kinds),
            skipped_files: Vec::new(),
            authored: BTreeMap::new(),
            unreadable: head.unreadable.clone(),
            missing_roots: head.missing_roots.clone(),
            not_indexed: head.not_indexed.clone(),
            retained,
            warnings: Vec::new(),
        }
    }

    /// Return the request of the build, with the paths of this machine. The devices are those of the machine that planned.
    pub fn request(&self, worker: ProcessCommand, relocation: &Relocation) -> Result<BuildRequest> {
        let head = &self.head;
        let mut encoders = head.encoders.clone();
        for source in [&mut encoders.sparse, &mut encoders.dense] {
            if let ModelSource::Directory(path) = source {
                *path = relocation.here(path);
            }
        }
        encoders.ort_lib = encoders.ort_lib.map(|path| relocation.here(&path));
        let roots = head.roots.iter();
        let roots = roots.map(|root| Root::new(root.label.clone(), relocation.here(&root.path)));
        let missing = head
            .missing_roots
            .iter()
            .map(|name| MissingRoot::named(name));
        let profile = Profile {
            name: head.profile.clone(),
            description: String::new(),
            file: self.file.clone(),
            folders: Vec::new(),
            roots: roots.collect(),
            missing: missing.collect(),
            rules: Rules {
                limits: head.limits,
                ..Rules::of(head.recipe.rules)
            },
            recipe: head.recipe.clone(),
            sparse: encoders.sparse.clone(),
            dense: encoders.dense.clone(),
            device: None,
            sparse_device: None,
            dense_device: None,
            precision: None,
            typed: Default::default(),
        };
        let out_dir = relocation.here(&head.out_dir);
        let request = BuildRequest::new(profile, &out_dir, worker)?;
        Ok(BuildRequest {
            plan: PlanOptions {
                mode: match head.blob {
                    true => Mode::Blob,
                    false => Mode::Sharded,
                },
                pace: crate::engine::pace(&encoders),
                ..request.plan
            },
            encoders,
            rebuild: head.rebuild,
            prune: head.prune,
            take_over: head.take_over,
            stall_timeout: Duration::from_secs(head.stall_timeout_s),
            category: ShardCategory::parse(&head.category).unwrap_or_default(),
            reuse_from: head
                .reuse_from
                .iter()
                .map(|path| relocation.here(path))
                .collect(),
            source_date_epoch: head.reproducible.then_some(head.epoch as u32),
            ..request
        })
    }

    /// Return the layout of the output on this machine.
    pub fn layout(&self, relocation: &Relocation) -> Layout {
        let mode = match self.head.blob {
            true => Mode::Blob,
            false => Mode::Sharded,
        };
        Layout::new(
            &relocation.here(&self.head.out_dir),
            &self.head.profile,
            mode,
        )
    }
}
