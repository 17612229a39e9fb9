//! The working part of a build: runs the supervisor and the publisher side by side and collects the run's figures.
//!
//! Decides neither what is built nor in which order.

use super::control::BuildControl;
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::job::job;
use crate::engine::preflight::Prepared;
use crate::engine::publish::publisher::Publisher;
use crate::engine::publish::{PublishedShard, reconcile};
use crate::engine::request::BuildRequest;
use crate::engine::resume;
use crate::engine::supervisor::{self, Channels};
use crate::engine::watch::MemoryReadings;
use crate::failure::{Failure, FailureKind};
use crate::ids::ShardId;
use crate::plan::ShardPlan;
use crate::plan::sizing::Sizing;
use crate::platform;
use crate::report::{BuildEvent, Ending, PlannedShard, PublishOutcome, RunSummary, Totals};
use crossbeam_channel::{Receiver, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How long a build goes on publishing complete shards after it was asked to stop. Service managers wait ten seconds for
/// a process to end; the rest is for abandoning the others and for moving a shard into place.
const PUBLISHING_GRACE: Duration = Duration::from_secs(6);

/// The shards that a run has published.
pub type Published = BTreeMap<ShardId, PublishedShard>;

/// One run of a build, past its preflight.
pub struct BuildRun<'a> {
    pub request: &'a BuildRequest,
    pub prepared: &'a Prepared,
    pub control: &'a BuildControl,
}

impl BuildRun<'_> {
    /// Encode and publish the shards that are not complete yet. Return `None` if the build was paused.
    pub fn execute(
        &self,
        sizing: &Sizing,
        observe: &mut dyn FnMut(&BuildEvent),
    ) -> Result<Option<(Published, RunSummary)>> {
        let Self {
            request, prepared, ..
        } = *self;
        let plan = &prepared.survey.plan;
        let todo: Vec<&ShardPlan> = plan
            .shards
            .iter()
            .filter(|shard| !prepared.unchanged.contains_key(&shard.id))
            .collect();
        observe(&BuildEvent::Planned {
            profile: request.profile.name.clone(),
            shards: todo.iter().map(|shard| planned(shard)).collect(),
            unchanged: prepared.unchanged.len(),
            workers: sizing.workers as u32,
            file_workers: sizing.file_workers as u32,
            segments: plan.queue().count(),
        });
        let publisher = Arc::new(Publisher::new(request, prepared)?);
        let mut run = RunSummary {
            workers: sizing.workers as u32,
            file_workers: sizing.file_workers as u32,
            unchanged_shards: prepared.unchanged.len() as u64,
            batch_fill: 1.0,
            ..RunSummary::default()
        };
        if !todo.is_empty() {
            match self.encode(sizing, &todo, &publisher, &mut run, observe)? {
                Ending::Paused => return Ok(None),
                Ending::Failed(failure) => return Err(build_error(failure)),
                Ending::Complete => {}
            }
        }
        let publisher = Arc::into_inner(publisher)
            .ok_or_else(|| BuildError::new(ErrorKind::Failed, "the publisher is still running"))?;
        let published = publisher
            .published
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(routing) = publisher.routing {
            let routing = routing.into_inner().unwrap_or_else(PoisonError::into_inner);
            run.deleted = reconcile::reconcile_routing(routing, request, prepared)?;
        }
        run.cpu_s += platform::process_cpu_time().as_secs_f64();
        Ok(Some((published, run)))
    }

    /// Run the supervisor and the publisher to their end, and add the figures to `run`.
    fn encode(
        &self,
        sizing: &Sizing,
        todo: &[&ShardPlan],
        publisher: &Arc<Publisher>,
        run: &mut RunSummary,
        observe: &mut dyn FnMut(&BuildEvent),
    ) -> Result<Ending> {
        let memory = MemoryReadings::start(self.request)?;
        // Unbounded, since the supervisor must not block: segment ids and one outcome per shard are small.
        let (ready, segments) = unbounded();
        let (outcomes, published) = unbounded();
        let thread = Arc::clone(publisher)
            .start(segments, outcomes)
            .context("starting the publisher")?;
        let job = job(self.request, self.prepared, sizing, todo)?;
        let channels = Channels {
            ready,
            published,
            checked: resume::check_segments(&job).context("starting the check of segments")?,
            memory: memory.receiver(),
            control: self.control.clone(),
        };
        let mut devices = BTreeSet::new();
        let supervised = self.control.supervise();
        let outcome = supervisor::run(job, &channels, &mut |event| {
            match &event {
                BuildEvent::WorkerReady { device, .. } => {
                    devices.insert(device.clone());
                }
                BuildEvent::Watchdog(event) => run.watchdog.push((**event).clone()),
                _ => {}
            }
            observe(&event);
        });
        supervised.publishing();
        let Channels {
            ready, published, ..
        } = channels;
        // No more segments come.
        drop(ready);
        if outcome.ending == Ending::Paused {
            let since = outcome.interrupted.unwrap_or_else(Instant::now);
            publish_until(since + PUBLISHING_GRACE, &published, observe);
        }
        // A shard that is being moved into place is finished and registered; the others end soon.
        publisher.abandon();
        if thread.join().is_err() {
            return Err(BuildError::new(ErrorKind::Failed, "the publisher panicked"));
        }
        drop(supervised);
        let Totals {
            done,
            resumed,
            spent,
            ..
        } = outcome.totals;
        run.resumed_chunks = resumed.chunks;
        run.reused_chunks = done.reused_chunks;
        run.devices = devices.into_iter().collect();
        if spent.padded_tokens > 0 {
            run.batch_fill = spent.run_tokens as f64 / spent.padded_tokens as f64;
        }
        let busy = Duration::from_micros(spent.busy_us);
        run.encoder_busy = share(busy, outcome.encoding * run.workers);
        run.cpu_s = outcome.workers_cpu.as_secs_f64();
        Ok(outcome.ending)
    }
}

/// Wait until every shard whose segments are all there is published, but not past `deadline`.
fn publish_until(
    deadline: Instant,
    published: &Receiver<PublishOutcome>,
    observe: &mut dyn FnMut(&BuildEvent),
) {
    loop {
        match published.recv_deadline(deadline).map(PublishOutcome::event) {
            Ok(Ok(event)) => observe(&event),
            // The next run meets the cause again.
            Ok(Err(failure)) => observe(&BuildEvent::Warning { text: failure.text }),
            Err(_) => return,
        }
    }
}

fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    (part.as_secs_f64() / whole.as_secs_f64()).min(1.0)
}

pub fn planned(shard: &ShardPlan) -> PlannedShard {
    PlannedShard {
        shard: shard.id,
        label: shard.label.clone(),
        files: shard.files.len() as u64,
        bytes: shard.bytes,
    }
}

pub fn build_error(failure: Failure) -> BuildError {
    let kind = match failure.kind {
        FailureKind::Unavailable | FailureKind::Device(_) => ErrorKind::Unavailable,
        FailureKind::FingerprintMismatch => ErrorKind::FingerprintMismatch,
        FailureKind::DiskFull => ErrorKind::DiskFull,
        FailureKind::Output | FailureKind::Deaths | FailureKind::Internal => ErrorKind::Failed,
    };
    let advice = match failure.kind {
        FailureKind::Output => "; finished work is kept: run the same command again to resume",
        _ => "",
    };
    BuildError::new(kind, format!("{}{advice}", failure.text))
}
