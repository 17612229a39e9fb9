//! The work of a build: supervisor and publisher side by side, and the figures of the run.
//!
//! What is done and in which order is theirs; here they are started, heard and joined.

use super::control::BuildControl;
use crate::engine::error::Context as _;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::job::{self, job};
use crate::engine::preflight::Prepared;
use crate::engine::publish::queue::Publishing;
use crate::engine::publish::{PublishedShard, registry};
use crate::engine::request::BuildRequest;
use crate::engine::supervisor::{self, Channels};
use crate::engine::watch::MemoryReadings;
use crate::failure::{Failure, FailureKind};
use crate::ids::ShardId;
use crate::plan::ShardPlan;
use crate::plan::sizing::Sizing;
use crate::platform;
use crate::report::{BuildEvent, Ending, PlannedShard, RunSummary, Totals};
use crossbeam_channel::unbounded;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub type Published = BTreeMap<ShardId, PublishedShard>;

/// What the work on one profile has at hand.
pub struct Site<'a> {
    pub request: &'a BuildRequest,
    pub prepared: &'a Prepared,
    pub control: &'a BuildControl,
}

impl Site<'_> {
    /// Encodes and publishes what is not there yet. `None`: paused.
    pub fn work(
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
        let publishing = Arc::new(job::publishing(request, prepared)?);
        let mut run = RunSummary {
            workers: sizing.workers as u32,
            file_workers: sizing.file_workers as u32,
            unchanged_shards: prepared.unchanged.len() as u64,
            batch_fill: 1.0,
            ..RunSummary::default()
        };
        if !todo.is_empty() {
            let ending = self.encode(sizing, &todo, &publishing, &mut run, observe)?;
            match ending {
                Ending::Paused => return Ok(None),
                Ending::Failed(failure) => return Err(failed(failure)),
                Ending::Complete => {}
            }
        }
        let publishing = Arc::into_inner(publishing)
            .ok_or_else(|| BuildError::new(ErrorKind::Failed, "the publisher is still running"))?;
        let published = publishing
            .published
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(routing) = publishing.routing {
            let routing = routing.into_inner().unwrap_or_else(PoisonError::into_inner);
            run.deleted = registry::deliver(routing, request, prepared)?;
        }
        run.cpu_s += platform::process_cpu_time().as_secs_f64();
        Ok(Some((published, run)))
    }

    /// Runs supervisor and publisher to their end, and keeps the figures of the run.
    fn encode(
        &self,
        sizing: &Sizing,
        todo: &[&ShardPlan],
        publishing: &Arc<Publishing>,
        run: &mut RunSummary,
        observe: &mut dyn FnMut(&BuildEvent),
    ) -> Result<Ending> {
        let memory = MemoryReadings::start(self.request)?;
        // Segment ids and one outcome per shard: small, and the supervisor must not block.
        let (ready, segments) = unbounded();
        let (outcomes, published) = unbounded();
        let publisher = Arc::clone(publishing)
            .start(segments, outcomes)
            .context("starting the publisher")?;
        let channels = Channels {
            ready,
            published,
            memory: memory.receiver(),
            control: self.control.clone(),
        };
        let job = job(self.request, self.prepared, sizing, todo)?;
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
        // However it ended: a shard on its way into place is brought there and registered, others are
        // given up at their next segment.
        supervised.publishing();
        publishing.ending(&outcome.ending);
        drop(channels);
        if publisher.join().is_err() {
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

fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    (part.as_secs_f64() / whole.as_secs_f64()).min(1.0)
}

fn planned(shard: &ShardPlan) -> PlannedShard {
    PlannedShard {
        shard: shard.id,
        label: shard.label.clone(),
        files: shard.files.len() as u64,
        bytes: shard.bytes,
    }
}

fn failed(failure: Failure) -> BuildError {
    let code = match failure.kind {
        FailureKind::Unavailable | FailureKind::Device(_) => ErrorKind::Unavailable,
        FailureKind::FingerprintMismatch => ErrorKind::FingerprintMismatch,
        FailureKind::DiskFull => ErrorKind::DiskFull,
        FailureKind::Output | FailureKind::Internal => ErrorKind::Failed,
    };
    let advice = match failure.kind {
        FailureKind::Output => "; what is finished is kept: run again to go on",
        _ => "",
    };
    BuildError::new(code, format!("{}{advice}", failure.text))
}
