//! Publishes the segments of a plan: one shard by a task, or what is left by the commit.

use super::notes::ShardNote;
use super::plan_file::{FrozenPlan, PlanPart};
use super::refuse_ended;
use super::state::{self, Missing};
use super::task::Node;
use crate::engine::control::BuildControl;
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::layout::Layout;
use crate::engine::output::provenance::remembered;
use crate::engine::preflight::Prepared;
use crate::engine::publish::PublishedShard;
use crate::engine::publish::publisher::Publisher;
use crate::engine::run;
use crate::plan::Plan;
use crate::report::{BuildEvent, FinishedSegment, PublishOutcome};
use crate::store::hash_file;
use crate::store::ledger;
use crossbeam_channel::{RecvTimeoutError, unbounded};
use std::fs;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How the publication of a shard ended that did not fail.
#[derive(Clone, Debug)]
pub enum ShardOutcome {
    /// It is in its place, now or since an earlier task.
    Published {
        chunks: u64,
        bytes: u64,
    },
    Missing(Missing),
    /// Stopped by [`BuildControl::stop`]; nothing is kept.
    Paused,
}

/// How much of a published shard is read before it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// All of it: its hash must be the one that its task noted.
    Hash,
    /// Its size, and the digest that it states.
    Size,
}

/// How often a stop is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Publish the shard of this number, but do not register it: the commit does.
///
/// # Errors
/// `InvalidRequest` for a number that the plan does not have, `NotFound` if no build of the plan is in progress.
pub fn publish_shard(
    node: Node<'_>,
    number: u32,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<ShardOutcome> {
    let Node { plan, request, .. } = node;
    let layout = plan.layout(node.relocation);
    refuse_ended(plan, &layout)?;
    if let Some(shard) = published(plan, &layout, number, Trust::Size)? {
        let PublishedShard { chunks, bytes, .. } = shard;
        return Ok(ShardOutcome::Published { chunks, bytes });
    }
    let segments = plan.segments_of(number);
    let mut missing = Missing::default();
    for segment in &segments {
        if state::check(plan, &layout, *segment)?.is_none() {
            missing.add(plan, &layout, *segment);
        }
    }
    if !missing.is_empty() {
        return Ok(ShardOutcome::Missing(missing));
    }
    let part = plan.part(&segments, &super::Relocation::default())?;
    let PlanPart { plan: of_shard, .. } = part;
    let prepared = prepare(node, layout, of_shard);
    let publisher = Publisher::without_routing(request, &prepared)?;
    let publisher = Arc::new(publisher.staging(prepared.layout.staged(number)));
    if publish(&publisher, &prepared, control, observe)? == Stopped::Yes {
        return Ok(ShardOutcome::Paused);
    }
    let done = publisher.published.lock();
    let done = done.unwrap_or_else(PoisonError::into_inner);
    let Some(shard) = done.values().next() else {
        return Err(BuildError::new(
            ErrorKind::InvalidRequest,
            format!(
                "shard {number} is not in {}, which has {} to publish",
                plan.file().display(),
                plan.n_shards()
            ),
        ));
    };
    ShardNote::of(plan, shard).write(&prepared.layout, number)?;
    Ok(ShardOutcome::Published {
        chunks: shard.chunks,
        bytes: shard.bytes,
    })
}

/// Return a shard that a task has published and noted, if it is still as it was noted: where the task put it, or in its place,
/// where a commit moved it.
pub(super) fn published(
    plan: &FrozenPlan,
    layout: &Layout,
    number: u32,
    trust: Trust,
) -> Result<Option<PublishedShard>> {
    let (Some(note), Some(label)) = (
        ShardNote::read(plan, layout, number),
        plan.shard_label(number),
    ) else {
        return Ok(None);
    };
    let staged = layout.staged(number);
    let place = layout.shard(label);
    let path = if staged.exists() { &staged } else { &place };
    let bytes = fs::metadata(path).map(|found| found.len()).ok();
    let shard = note.published(place.clone());
    let states = || ledger::read_head(path).is_ok_and(|head| head.digest == shard.digest);
    if bytes != Some(note.bytes) || !states() {
        return Ok(None);
    }
    if trust == Trust::Hash && hash_file(path)? != note.blake3 {
        tracing::warn!(
            "{} is not as its task wrote it, and is published again",
            path.display()
        );
        return Ok(None);
    }
    Ok(Some(shard))
}

/// Prepare a build whose segments are complete, with this plan of its shards.
pub(super) fn prepare(node: Node<'_>, layout: Layout, of_shards: Arc<Plan>) -> Prepared {
    let (_, records) = remembered(node.request, &layout);
    Prepared {
        records,
        ..node.prepared(layout, of_shards)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Yes,
    No,
}

/// Publish every shard of the plan that has segments.
pub(super) fn publish(
    publisher: &Arc<Publisher>,
    prepared: &Prepared,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<Stopped> {
    // Unbounded: one small message a segment, one a shard.
    let (ready, segments) = unbounded();
    let (outcomes, published) = unbounded();
    for segment in prepared.survey.plan.queue() {
        let path = prepared.layout.segment(segment);
        let id = segment.id;
        let _ = ready.send(FinishedSegment { id, path });
    }
    drop(ready);
    let thread = Arc::clone(publisher)
        .start(segments, outcomes)
        .context("starting the publisher")?;
    let supervised = control.supervise();
    let mut failed = None;
    loop {
        control.turn();
        match published.recv_timeout(TICK).map(PublishOutcome::event) {
            Ok(Ok(event)) => observe(&event),
            Ok(Err(failure)) => {
                publisher.abandon();
                failed.get_or_insert(failure);
            }
            Err(RecvTimeoutError::Timeout) => {
                if control.is_stopped() {
                    publisher.abandon();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    supervised.publishing();
    if thread.join().is_err() {
        return Err(BuildError::new(ErrorKind::Failed, "the publisher panicked"));
    }
    match failed {
        Some(failure) => Err(run::build_error(failure)),
        None if control.is_stopped() => Ok(Stopped::Yes),
        None => Ok(Stopped::No),
    }
}
