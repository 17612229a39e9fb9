//! The work of a build: supervisor and publisher side by side, and the figures of the run.
//!
//! What is done and in which order is theirs; here they are started, heard and joined.

use super::job::{self, job};
use super::metrics::{MetricsFile, Todo};
use super::prepare::Prepared;
use super::publishing::Publishing;
use super::settings::Settings;
use super::signals::Supervised;
use super::watch::MemoryReadings;
use super::{delivery, space};
use crate::exit_code::{Exit, ExitCode};
use crate::ids::ShardId;
use crate::plan::ShardPlan;
use crate::plan::sizing::Sizing;
use crate::platform;
use crate::progress::Display;
use crate::protocol::{Failure, FailureKind};
use crate::publish::PublishedShard;
use crate::report::{BuildEvent, Ending, PlannedShard, RunSummary, Totals};
use crate::supervisor::{self, Links};
use anyhow::Context as _;
use crossbeam_channel::unbounded;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub type Published = BTreeMap<ShardId, PublishedShard>;

/// What the work on one profile has at hand.
pub struct Site<'a> {
    pub settings: &'a Settings,
    pub prepared: &'a Prepared,
    pub interrupted: &'a Arc<AtomicBool>,
    pub metrics: &'a MetricsFile,
}

impl Site<'_> {
    /// Encodes and publishes what is not there yet. `None`: paused.
    pub fn work(
        &self,
        sizing: &Sizing,
        display: &mut Display,
    ) -> anyhow::Result<Option<(Published, RunSummary)>> {
        let Self {
            settings, prepared, ..
        } = *self;
        let plan = &prepared.survey.plan;
        let todo: Vec<&ShardPlan> = plan
            .shards
            .iter()
            .filter(|shard| !prepared.unchanged.contains_key(&shard.id))
            .collect();
        display.event(&BuildEvent::Planned {
            profile: settings.profile.name.clone(),
            shards: todo.iter().map(|shard| planned(shard)).collect(),
            unchanged: prepared.unchanged.len(),
            workers: sizing.workers as u32,
            file_workers: sizing.file_workers as u32,
        });
        self.metrics.planned(&Todo {
            shards: plan.shards.len(),
            unchanged: prepared.unchanged.len(),
            segments: plan.queue().count(),
            workers: sizing.workers,
        });
        let publishing = Arc::new(job::publishing(settings, prepared)?);
        let mut run = RunSummary {
            workers: sizing.workers as u32,
            file_workers: sizing.file_workers as u32,
            unchanged_shards: prepared.unchanged.len() as u64,
            batch_fill: 1.0,
            ..RunSummary::default()
        };
        if !todo.is_empty() {
            let ending = self.encode(sizing, &todo, &publishing, &mut run, display)?;
            match ending {
                Ending::Paused => return Ok(None),
                Ending::Failed(failure) => return Err(failed(failure)),
                Ending::Complete => {}
            }
        }
        let publishing = Arc::into_inner(publishing).context("the publisher is still running")?;
        let published = publishing
            .published
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(routing) = publishing.routing {
            let routing = routing.into_inner().unwrap_or_else(PoisonError::into_inner);
            run.deleted = delivery::deliver(routing, settings, prepared)?;
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
        display: &mut Display,
    ) -> anyhow::Result<Ending> {
        let memory = MemoryReadings::start(self.settings)?;
        // Segment ids and one outcome per shard: small, and the supervisor must not block.
        let (ready, segments) = unbounded();
        let (outcomes, published) = unbounded();
        let publisher = Arc::clone(publishing)
            .start(segments, outcomes)
            .context("starting the publisher")?;
        let links = Links {
            ready,
            published,
            memory: memory.receiver(),
            interrupted: Arc::clone(self.interrupted),
            turns: Arc::default(),
        };
        let job = job(self.settings, self.prepared, sizing, todo)?;
        let mut devices = BTreeSet::new();
        let mut totals = Totals::default();
        let supervised = Supervised::begin(Arc::clone(&links.turns));
        let outcome = supervisor::run(job, &links, &mut |event| {
            totals.add(&event);
            match &event {
                BuildEvent::WorkerReady { device, .. } => {
                    devices.insert(device.clone());
                }
                BuildEvent::Watchdog(event) => run.watchdog.push((**event).clone()),
                _ => {}
            }
            self.metrics.event(&event);
            display.event(&event);
        });
        // However it ended: a shard on its way into place is brought there and registered, others are
        // given up at their next segment.
        supervised.publishing();
        publishing.ending(&outcome.ending);
        drop(links);
        if publisher.join().is_err() {
            anyhow::bail!("the publisher panicked");
        }
        drop(supervised);
        let Totals {
            done,
            resumed,
            spent,
            ..
        } = totals;
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

fn failed(failure: Failure) -> anyhow::Error {
    let code = match failure.kind {
        FailureKind::Unavailable | FailureKind::DeviceMemory | FailureKind::Device => {
            ExitCode::Unavailable
        }
        FailureKind::FingerprintMismatch => ExitCode::FingerprintMismatch,
        FailureKind::Full => return space::DiskFull(failure.text).into(),
        FailureKind::Output | FailureKind::Internal => ExitCode::Failure,
    };
    let advice = match failure.kind {
        FailureKind::Output => "; what is finished is kept: run again to go on",
        _ => "",
    };
    Exit::error(code, format!("{}{advice}", failure.text))
}
