//! The commit: publishes what no task has published, registers all shards, and concludes like any build.
//!
//! Reads the disk, not the sources. Nothing is registered unless every part is there.

use super::plan_file::FrozenPlan;
use super::shard::{self, Stopped, Trust};
use super::state::{self, Missing};
use super::task::Node;
use super::{committed, note_committed, refuse_ended};
use crate::engine::control::BuildControl;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::layout::Layout;
use crate::engine::output::lock::BuildLock;
use crate::engine::output::{obstacles, remove_stale_attempts};
use crate::engine::preflight::Prepared;
use crate::engine::publish::publisher::Publisher;
use crate::engine::publish::{self, PublishedShard, reconcile};
use crate::engine::run::Published;
use crate::engine::{BuildOutcome, conclude, preflight};
use crate::ids::ShardId;
use crate::platform;
use crate::report::{BuildEvent, RunSummary};
use crate::store::ledger::{self, ShardLedger};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// How a commit ended that did not fail.
#[derive(Clone, Debug)]
pub enum CommitOutcome {
    Built(BuildOutcome),
    /// Nothing was changed.
    Missing(Missing),
}

/// Commit a build over many machines. A commit that was killed can be repeated, and
/// also one that succeeded: it returns the same summary then, unless something else was built there since.
///
/// # Errors
/// `NotFound` if no build of the plan is in progress; else as [`build`](crate::engine::build).
pub fn commit(
    node: Node<'_>,
    trust: Trust,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<CommitOutcome> {
    let began = Instant::now();
    let Node { plan, request, .. } = node;
    let layout = plan.layout(node.relocation);
    if committed(plan, &layout).is_none() {
        refuse_ended(plan, &layout)?;
    }
    let _lock = BuildLock::take(&layout.lock())?;
    obstacles::refuse(request)?;
    let Parts {
        published,
        todo,
        missing,
        in_place,
    } = match committed(plan, &layout) {
        Some(digests) => Parts::committed(plan, &layout, &digests),
        None => {
            refuse_ended(plan, &layout)?;
            Parts::find(plan, &layout, trust)?
        }
    };
    if !missing.is_empty() {
        return Ok(CommitOutcome::Missing(missing));
    }
    // Of tasks that were killed. One that still runs publishes what the commit publishes.
    remove_stale_attempts(&layout)?;
    let whole = Arc::new(plan.whole(&todo)?);
    let mut prepared = shard::prepare(node, layout, whole);
    preflight::refuse_foreign(
        request,
        &prepared.layout,
        &prepared.survey,
        &prepared.records,
    )?;
    prepared.unchanged = in_place;
    let publisher = Arc::new(Publisher::new(request, &prepared)?);
    if shard::publish(&publisher, &prepared, control, observe)? == Stopped::Yes {
        return Ok(CommitOutcome::Built(BuildOutcome::Paused));
    }
    deliver(plan, &publisher, &prepared, &published)?;
    let (published, deleted) = finish(node, &prepared, publisher, published)?;
    let run = RunSummary {
        elapsed_s: began.elapsed().as_secs_f64(),
        cpu_s: platform::process_cpu_time().as_secs_f64(),
        unchanged_shards: prepared.unchanged.len() as u64,
        batch_fill: 1.0,
        deleted,
        ..RunSummary::default()
    };
    // Before the mark of the plan goes.
    note_committed(plan, &prepared.layout)?;
    let summary = conclude::conclude(request, &prepared, &published, run, observe)?;
    let index = &summary.index;
    let failed = !index.quarantined.is_empty() || !index.unreadable.is_empty();
    let outcome = match failed || prepared.survey.is_incomplete(request) {
        true => BuildOutcome::Incomplete(Box::new(summary)),
        false => BuildOutcome::Complete(Box::new(summary)),
    };
    Ok(CommitOutcome::Built(outcome))
}

/// What of a plan is on the disk.
#[derive(Default)]
struct Parts {
    /// Shards that tasks have published.
    published: Published,
    /// Numbers of the shards that have to be published. Their segments are complete, unless something is missing.
    todo: BTreeSet<u32>,
    missing: Missing,
    /// Shards that are in their place and complete.
    in_place: BTreeMap<ShardId, ShardLedger>,
}

impl Parts {
    /// What a commit has left, whose shards had these digests.
    fn committed(plan: &FrozenPlan, layout: &Layout, digests: &[String]) -> Self {
        let mut parts = Self::default();
        let mut digests = digests.iter();
        for (id, label) in plan.all_shards() {
            parts.keep(layout, (id, label), digests.next());
        }
        parts
    }

    fn find(plan: &FrozenPlan, layout: &Layout, trust: Trust) -> Result<Self> {
        let mut parts = Self::default();
        let shards = 0..plan.n_shards();
        let look = |number| Ok((number, shard::published(plan, layout, number, trust)?));
        let shards: Vec<_> = shards.into_par_iter().map(look).collect::<Result<_>>()?;
        for (number, shard) in shards {
            match shard {
                Some(shard) => {
                    parts.published.insert(plan.shard_id(number), shard);
                }
                None => {
                    parts.todo.insert(number);
                }
            }
        }
        let segments: Vec<u32> = parts
            .todo
            .iter()
            .flat_map(|it| plan.segments_of(*it))
            .collect();
        let look = |number| Ok((number, state::check(plan, layout, number)?.is_some()));
        let segments: Vec<_> = segments.into_par_iter().map(look).collect::<Result<_>>()?;
        for (number, is_complete) in segments {
            if !is_complete {
                parts.missing.add(plan, layout, number);
            }
        }
        for (id, label, digest) in plan.unchanged() {
            parts.keep(layout, (id, label), Some(&digest.to_string()));
        }
        Ok(parts)
    }

    /// Keep the shard that is in its place if it has this digest.
    fn keep(&mut self, layout: &Layout, (id, label): (ShardId, &str), digest: Option<&String>) {
        match ledger::read_head(&layout.shard(label)) {
            Ok(head) if digest == Some(&head.digest.to_string()) => {
                self.in_place.insert(id, head);
            }
            _ => self.missing.changed_shards.push(label.to_owned()),
        }
    }
}

/// Move the shards that tasks have published to their places, and register them.
fn deliver(
    plan: &FrozenPlan,
    publisher: &Publisher,
    prepared: &Prepared,
    published: &Published,
) -> Result<()> {
    let layout = &prepared.layout;
    for number in 0..plan.n_shards() {
        let Some(shard) = published.get(&plan.shard_id(number)) else {
            continue;
        };
        let staged = layout.staged(number);
        if staged.exists() {
            let label = plan.shard_label(number).unwrap_or_default();
            publisher.refuse_foreign_target(&shard.path, label)?;
            publish::move_to_place(&staged, &shard.path)?;
        }
        if let Some(routing) = &publisher.routing {
            let mut routing = routing.lock().unwrap_or_else(PoisonError::into_inner);
            publish::register(&mut routing, shard)?;
        }
    }
    Ok(())
}

/// Make the routing database match the plan. Return all published shards, and the labels of deleted ones.
fn finish(
    node: Node<'_>,
    prepared: &Prepared,
    publisher: Arc<Publisher>,
    earlier: Published,
) -> Result<(Published, Vec<String>)> {
    let publisher = Arc::into_inner(publisher)
        .ok_or_else(|| BuildError::new(ErrorKind::Failed, "the publisher is still running"))?;
    let published = publisher.published.into_inner();
    let mut published: BTreeMap<_, PublishedShard> =
        published.unwrap_or_else(PoisonError::into_inner);
    published.extend(earlier);
    let deleted = match publisher.routing {
        None => Vec::new(),
        Some(routing) => {
            let routing = routing.into_inner().unwrap_or_else(PoisonError::into_inner);
            reconcile::reconcile_routing(routing, node.request, prepared)?
        }
    };
    Ok((published, deleted))
}
