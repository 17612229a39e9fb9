//! `build`: from a profile to an index that a server can mount.
//!
//! Joins the parts: settings, the walk and plan, the supervisor with its workers, the publisher, and
//! the report. The rules are theirs; the order of things is here.

mod devices;
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
use crate::exit_code::{Exit, ExitCode};
use crate::ids::ShardId;
use crate::plan::sizing::{Sizing, SizingInput, ram_per_worker, size_workers, vram_per_worker};
use crate::plan::{Mode, Plan, ShardPlan};
use crate::platform;
use crate::progress::{Display, Style};
use crate::protocol::{Failure, FailureKind};
use crate::publish::PublishedShard;
use crate::report::{BuildEvent, Ending, PlannedShard, RunSummary, Summary};
use crate::store::ledger::ShardLedger;
use crate::supervisor::{self, Links};
use anyhow::Context as _;
use crossbeam_channel::unbounded;
use job::{job, publishing};
use layout::Layout;
use lock::BuildLock;
use metrics::MetricsFile;
pub use prepare::already_built;
use prepare::{Prepared, prepare};
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use watch::MemoryReadings;

pub fn run(flags: &BuildFlags, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let interrupted = signals::install()?;
    let profiles = settings::profiles(flags.profile.as_deref())?;
    let style = style(flags.progress, global);
    let mut worst = ExitCode::Success;
    for profile in profiles {
        let mut settings = Settings::resolve(flags, profile)?;
        settings.worker_arguments = worker_arguments(global);
        let ended = build(&settings, style, &interrupted)
            .map_err(|error| space::explain(error, &settings))?;
        let code = match &ended {
            Ended::Built(summary) if summary.exit == ExitCode::Incomplete as u8 => {
                ExitCode::Incomplete
            }
            Ended::Built(_) => ExitCode::Success,
            Ended::Paused => ExitCode::Paused,
        };
        report::print(&ended, &settings, global)?;
        if code == ExitCode::Paused {
            return Ok(code);
        }
        if code != ExitCode::Success {
            worst = code;
        }
    }
    Ok(worst)
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

/// Workers are this program with a hidden command, and as talkative as their supervisor.
fn worker_arguments(global: &GlobalFlags) -> Vec<OsString> {
    let talk = |flag: &str, times: u8| std::iter::repeat_n(OsString::from(flag), times.into());
    std::iter::once(OsString::from("worker"))
        .chain(talk("-v", global.verbose))
        .chain(talk("-q", global.quiet))
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
    let (published, run) = match work(settings, &prepared, &sizing, &mut display, interrupted)? {
        Some(done) => done,
        None => {
            display.finish();
            return Ok(Ended::Paused);
        }
    };
    display.finish();
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

/// Encodes and publishes what is not there yet. `None`: paused.
fn work(
    settings: &Settings,
    prepared: &Prepared,
    sizing: &Sizing,
    display: &mut Display,
    interrupted: &Arc<AtomicBool>,
) -> anyhow::Result<Option<(Published, RunSummary)>> {
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
    let mut metrics = MetricsFile::start(settings, plan, sizing, prepared.unchanged.len())?;
    let publishing = Arc::new(publishing(settings, prepared)?);
    let mut run = RunSummary {
        workers: sizing.workers as u32,
        file_workers: sizing.file_workers as u32,
        unchanged_shards: prepared.unchanged.len() as u64,
        batch_fill: 1.0,
        ..RunSummary::default()
    };
    if !todo.is_empty() {
        let memory = MemoryReadings::start(settings)?;
        // Segment ids and one outcome per shard: small, and the supervisor must not block.
        let (ready, segments) = unbounded();
        let (outcomes, published) = unbounded();
        let publisher = Arc::clone(&publishing)
            .start(segments, outcomes)
            .context("starting the publisher")?;
        let links = Links {
            ready,
            published,
            memory: memory.receiver(),
            interrupted: Arc::clone(interrupted),
        };
        let job = job(settings, prepared, sizing, &todo)?;
        let mut devices = BTreeSet::new();
        let mut busy = Duration::ZERO;
        let (mut run_tokens, mut padded_tokens) = (0, 0);
        let outcome = supervisor::run(job, &links, &mut |event| {
            match &event {
                BuildEvent::WorkerReady { device, .. } => {
                    devices.insert(device.clone());
                }
                BuildEvent::SegmentOpened { already, .. } => run.resumed_chunks += already.chunks,
                BuildEvent::FilesCommitted { work, .. } => {
                    run.reused_chunks += work.reused_chunks;
                    busy += Duration::from_micros(work.busy_us);
                    run_tokens += work.run_tokens;
                    padded_tokens += work.padded_tokens;
                }
                BuildEvent::Watchdog(event) => run.watchdog.push((**event).clone()),
                _ => {}
            }
            metrics.event(&event);
            display.event(&event);
        });
        metrics.finish();
        // However it ended: a shard on its way into place is brought there and registered, others are
        // given up at their next segment.
        publishing.ending(&outcome.ending);
        drop(links);
        if publisher.join().is_err() {
            anyhow::bail!("the publisher panicked");
        }
        match outcome.ending {
            Ending::Paused => return Ok(None),
            Ending::Failed(failure) => return Err(failed(failure)),
            Ending::Complete => {}
        }
        run.devices = devices.into_iter().collect();
        if padded_tokens > 0 {
            run.batch_fill = run_tokens as f64 / padded_tokens as f64;
        }
        run.encoder_busy = share(busy, outcome.encoding * run.workers);
        run.cpu_s = outcome.workers_cpu.as_secs_f64();
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
