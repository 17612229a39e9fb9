//! `build`: from a profile to an index that a server can mount.
//!
//! Joins the parts: settings, the walk and plan, the supervisor with its workers, the publisher, and
//! the report. The rules are theirs; the order of things is here.

mod devices;
mod differences;
mod job;
mod layout;
mod links;
mod lock;
mod metrics;
mod prepare;
mod publishing;
mod report;
pub mod settings;
mod signals;
mod space;
pub mod survey;
mod unchanged;
mod watch;

use super::output;
use crate::cli::{BuildFlags, GlobalFlags, ProgressStyle};
use crate::encode;
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::ids::ShardId;
use crate::plan::sizing::{Sizing, SizingInput, ram_per_worker, size_workers, vram_per_worker};
use crate::plan::{Mode, Plan, ShardPlan};
use crate::platform;
use crate::profile::Profile;
use crate::progress::{Display, Style};
use crate::protocol::{Failure, FailureKind};
use crate::publish::PublishedShard;
use crate::report::{BuildEvent, Ending, PlannedShard, RunSummary, Summary, Totals};
use crate::store::ledger::ShardLedger;
use crate::supervisor::{self, Links};
use anyhow::Context as _;
use crossbeam_channel::unbounded;
use job::job;
use layout::Layout;
use lock::BuildLock;
use metrics::{MetricsFile, Todo};
pub use prepare::already_built;
use prepare::{Prepared, prepare};
use publishing::Publishing;
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use watch::MemoryReadings;

/// Notes in the metrics file that a run failed before it began to build.
pub fn note_failure(flags: &BuildFlags, failed: &Failed) {
    let profile = failed.profile.as_deref().unwrap_or_default();
    match MetricsFile::start(flags.metrics_file.as_deref(), profile) {
        Ok(metrics) => metrics.ended(failed.code()),
        Err(error) => tracing::warn!("{error:#}"),
    }
}

pub fn run(flags: &BuildFlags, global: &GlobalFlags) -> Result<ExitCode, Failed> {
    let prepare = || {
        let interrupted = signals::install()?;
        let profiles = settings::profiles(flags.profile.as_deref())?;
        Ok((interrupted, profiles))
    };
    let (interrupted, profiles) = prepare().inspect_err(|failed| note_failure(flags, failed))?;
    let mut worst = ExitCode::Success;
    for profile in profiles {
        let name = profile.name.clone();
        let run = Run {
            flags,
            global,
            interrupted: &interrupted,
        };
        let code = run.profile(profile).map_err(Failed::of_profile(&name))?;
        if code == ExitCode::Paused {
            return Ok(code);
        }
        if code != ExitCode::Success {
            worst = code;
        }
    }
    Ok(worst)
}

/// What the builds of all profiles share.
struct Run<'a> {
    flags: &'a BuildFlags,
    global: &'a GlobalFlags,
    interrupted: &'a Arc<AtomicBool>,
}

impl Run<'_> {
    /// Builds one profile, and notes how that ended.
    fn profile(&self, profile: Profile) -> anyhow::Result<ExitCode> {
        let metrics = MetricsFile::start(self.flags.metrics_file.as_deref(), &profile.name)?;
        let ended = self.build(profile, &metrics);
        metrics.ended(match &ended {
            Ok(code) => *code,
            Err(error) => ExitCode::of(error),
        });
        ended
    }

    fn build(&self, profile: Profile, metrics: &MetricsFile) -> anyhow::Result<ExitCode> {
        let mut settings = Settings::resolve(self.flags, profile)?;
        settings.worker_arguments = worker_arguments(self.global);
        let style = style(self.flags.progress, self.global);
        let ended = build(&settings, style, self.interrupted, metrics)
            .map_err(|error| space::explain(error, &settings))?;
        let code = match &ended {
            Ended::Built(summary) if summary.exit == ExitCode::Incomplete as u8 => {
                ExitCode::Incomplete
            }
            Ended::Built(_) => ExitCode::Success,
            Ended::Paused => ExitCode::Paused,
        };
        report::print(&ended, &settings, self.global)?;
        Ok(code)
    }
}

fn style(asked: Option<ProgressStyle>, global: &GlobalFlags) -> Style {
    match asked {
        Some(ProgressStyle::Bar) => Style::Bars,
        Some(ProgressStyle::Plain) => Style::Plain,
        Some(ProgressStyle::Json) => Style::Json,
        Some(ProgressStyle::None) => Style::None,
        Some(ProgressStyle::Auto) | None if global.quiet > 0 => Style::None,
        Some(ProgressStyle::Auto) | None => Style::for_stderr(),
    }
}

/// Workers are this program with a hidden command, and as talkative as their supervisor, also in its log file.
fn worker_arguments(global: &GlobalFlags) -> Vec<OsString> {
    let talk = |flag: &str, times: u8| std::iter::repeat_n(OsString::from(flag), times.into());
    let log_file = global.log_file.iter();
    std::iter::once(OsString::from("worker"))
        .chain(talk("-v", global.verbose))
        .chain(talk("-q", global.quiet))
        .chain(log_file.flat_map(|path| ["--log-file".into(), path.clone().into_os_string()]))
        .collect()
}

/// How the build of one profile ended, when it did not fail.
pub enum Ended {
    Built(Box<Summary>),
    Paused,
}

fn build(
    settings: &Settings,
    style: Style,
    interrupted: &Arc<AtomicBool>,
    metrics: &MetricsFile,
) -> anyhow::Result<Ended> {
    let began = Instant::now();
    let layout = Layout::new(&settings.out_dir, &settings.profile.name, settings.mode);
    links::refuse(&layout)?;
    if settings.mode == Mode::Sharded && layout.database.to_str().is_none() {
        return Err(Exit::error(
            ExitCode::Usage,
            format!(
                "{}: the routing database would name shards that no server can open, since this path is \
                 not Unicode; give another with --out-dir, or use --mode blob",
                layout.database.display()
            ),
        ));
    }
    let _lock = BuildLock::take(&layout.lock())?;
    let prepared = prepare(settings, layout)?;
    let mut display = Display::new(style);
    let said = prepared.survey.warnings.iter();
    for text in said.chain(&settings.devices.notices) {
        display.event(&BuildEvent::Warning { text: text.clone() });
    }
    let sizing = size(settings, &prepared.survey.plan, &prepared.unchanged);
    let site = Site {
        settings,
        prepared: &prepared,
        interrupted,
        metrics,
    };
    let worked = site.work(&sizing, &mut display);
    display.finish();
    let Some((published, run)) = worked? else {
        return Ok(Ended::Paused);
    };
    let run = RunSummary {
        elapsed_s: began.elapsed().as_secs_f64(),
        ..run
    };
    let summary = report::conclude(settings, &prepared, &published, run)?;
    Ok(Ended::Built(Box::new(summary)))
}

/// How many workers this build gets.
pub fn size(
    settings: &Settings,
    plan: &Plan,
    unchanged: &BTreeMap<ShardId, ShardLedger>,
) -> Sizing {
    let todo = plan
        .shards
        .iter()
        .filter(|s| !unchanged.contains_key(&s.id));
    let models = model_sizes(settings);
    size_workers(&SizingInput {
        cpus: cores(),
        ram_bytes: platform::available_memory_bytes(),
        vram: settings.devices.vram,
        workers: settings.workers as usize,
        file_workers: settings.file_workers as usize,
        n_segments: todo.map(|s| s.segments.len()).sum(),
        ram_per_worker_bytes: ram_per_worker(models.all()),
        vram_per_worker_bytes: vram_per_worker(models.on_device(&settings.encoders)),
    })
}

/// Zeros when a model cannot be looked at: whoever opens it says why.
fn model_sizes(settings: &Settings) -> encode::ModelBytes {
    encode::model_bytes(&settings.encoders).unwrap_or_default()
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

type Published = BTreeMap<ShardId, PublishedShard>;

/// What the work on one profile has at hand.
struct Site<'a> {
    settings: &'a Settings,
    prepared: &'a Prepared,
    interrupted: &'a Arc<AtomicBool>,
    metrics: &'a MetricsFile,
}

impl Site<'_> {
    /// Encodes and publishes what is not there yet. `None`: paused.
    fn work(
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
            report::deliver_routing(routing, settings, prepared)?;
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
        };
        let job = job(self.settings, self.prepared, sizing, todo)?;
        let mut devices = BTreeSet::new();
        let mut totals = Totals::default();
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
        publishing.ending(&outcome.ending);
        drop(links);
        if publisher.join().is_err() {
            anyhow::bail!("the publisher panicked");
        }
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

/// The database that a build with these settings writes.
pub fn database(settings: &Settings) -> PathBuf {
    Layout::new(&settings.out_dir, &settings.profile.name, settings.mode).database
}
