//! `build`: from a profile to an index that a server can mount.
//!
//! Joins the parts: settings, the walk and plan, the supervisor with its workers, the publisher, and
//! the report. The rules are theirs; the order of things is here.

mod layout;
mod lock;
mod publishing;
mod report;
pub mod settings;
mod signals;
pub mod survey;
mod unchanged;

use super::output;
use crate::cli::{BuildFlags, GlobalFlags, ProgressStyle};
use crate::encode;
use crate::exit_code::{Exit, ExitCode};
use crate::ids::{Digest, SegmentId, ShardId, WorkerId};
use crate::plan::sizing::{RAM_PER_WORKER_BYTES, Sizing, SizingInput, size_workers};
use crate::plan::{Mode, Plan, ShardPlan};
use crate::platform;
use crate::profile::recipe::encoder_fingerprint;
use crate::progress::{Display, Style};
use crate::protocol::{Failure, FailureKind, SegmentTask, WorkerSetup};
use crate::publish::{self, PublishedShard};
use crate::report::{BuildEvent, Ending, PlannedShard, RunSummary, Summary};
use crate::store::ledger::ShardLedger;
use crate::store::routing::RoutingDb;
use crate::store::shard::ShardHeader;
use crate::supervisor::{self, Job, Links};
use anyhow::Context as _;
use crossbeam_channel::unbounded;
use layout::Layout;
use lock::BuildLock;
use publishing::Publishing;
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use survey::Survey;

/// A worker with work shows progress at least this often, or is taken for stuck: a file of 200 KB is
/// some hundred chunks, and slow models take seconds for each.
const STALL: Duration = Duration::from_secs(600);

/// For starting (a model of a gigabyte on a cold disk) and for ending.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(flags: &BuildFlags, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let interrupted = signals::install()?;
    let profiles = settings::profiles(flags.profile.as_deref())?;
    let style = style(flags.progress, global);
    let mut worst = ExitCode::Success;
    for profile in profiles {
        let mut settings = Settings::resolve(flags, profile)?;
        settings.worker_arguments = worker_arguments(global);
        let ended = build(&settings, style, &interrupted)?;
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

/// What is known before any work is done.
struct Prepared {
    survey: Survey,
    layout: Layout,
    fingerprint: Digest,
    encoders: encode::EncoderInfo,
    /// Seconds since 1970, for every time column.
    epoch: f64,
    /// Whether `SOURCE_DATE_EPOCH` fixes it.
    reproducible: bool,
    /// Complete already, with what they say of themselves.
    unchanged: BTreeMap<ShardId, ShardLedger>,
}

fn build(
    settings: &Settings,
    style: Style,
    interrupted: &Arc<AtomicBool>,
) -> anyhow::Result<Ended> {
    let began = Instant::now();
    let layout = Layout::new(&settings.out_dir, &settings.profile.name, settings.mode);
    let _lock = BuildLock::take(&layout.lock())?;
    let prepared = prepare(settings, layout)?;
    let mut display = Display::new(style);
    for text in &prepared.survey.warnings {
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

/// The encoders of these settings and the fingerprint of their build. Unusable ones are exit code 13.
fn identify(settings: &Settings) -> anyhow::Result<(encode::EncoderInfo, Digest)> {
    let encoders = encode::describe(&settings.encoders).map_err(|error| {
        Exit::error(
            ExitCode::Unavailable,
            format!("{:#}", anyhow::Error::new(error)),
        )
    })?;
    let fingerprint = settings.profile.recipe.fingerprint(encoders.hashes());
    Ok((encoders, fingerprint))
}

/// The shards of a plan that are complete already, with what they say of themselves. A shard of another
/// fingerprint is exit code 12.
fn find_unchanged(
    settings: &Settings,
    layout: &Layout,
    plan: &Plan,
    fingerprint: Digest,
) -> anyhow::Result<BTreeMap<ShardId, ShardLedger>> {
    let mut found = BTreeMap::new();
    if settings.rebuild {
        return Ok(found);
    }
    for shard in &plan.shards {
        let path = layout.shard(&shard.label);
        let limits = &settings.profile.rules.limits;
        if let Some(ledger) = unchanged::unchanged(&path, plan, shard, fingerprint, limits)? {
            found.insert(shard.id, ledger);
        }
    }
    Ok(found)
}

/// What of a plan is built already, for `plan`; reads only.
pub fn already_built(
    settings: &Settings,
    plan: &Plan,
) -> anyhow::Result<BTreeMap<ShardId, ShardLedger>> {
    let layout = Layout::new(&settings.out_dir, &settings.profile.name, settings.mode);
    let (_, fingerprint) = identify(settings)?;
    find_unchanged(settings, &layout, plan, fingerprint)
}

fn prepare(settings: &Settings, layout: Layout) -> anyhow::Result<Prepared> {
    let (encoders, fingerprint) = identify(settings)?;
    let survey = survey::survey(settings)?;
    publish::remove_stale_attempts(&layout.shards)?;
    std::fs::create_dir_all(layout.segments())
        .with_context(|| format!("creating {}", layout.segments().display()))?;
    if settings.rebuild {
        let segments = layout.segments();
        std::fs::remove_dir_all(&segments)
            .and_then(|()| std::fs::create_dir_all(&segments))
            .with_context(|| format!("emptying {}", segments.display()))?;
    }
    let unchanged = find_unchanged(settings, &layout, &survey.plan, fingerprint)?;
    let (epoch, reproducible) = epoch()?;
    Ok(Prepared {
        survey,
        layout,
        fingerprint,
        encoders,
        epoch,
        reproducible,
        unchanged,
    })
}

/// The time to write everywhere: `SOURCE_DATE_EPOCH` when set, else now.
fn epoch() -> anyhow::Result<(f64, bool)> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            let seconds: u32 = text.trim().parse().map_err(|_| {
                Exit::error(
                    ExitCode::Usage,
                    format!("SOURCE_DATE_EPOCH={text} is not a number of seconds since 1970"),
                )
            })?;
            Ok((seconds.into(), true))
        }
        Err(_) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            // A clock before 1970 is a broken clock, not a reason to stop.
            Ok((now.map_or(0.0, |now| now.as_secs_f64()), false))
        }
    }
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
    size_workers(&SizingInput {
        cpus: cores(),
        ram_bytes: platform::available_memory_bytes(),
        vram: None,
        workers: settings.workers as usize,
        file_workers: settings.file_workers as usize,
        n_segments: todo.map(|s| s.segments.len()).sum(),
        ram_per_worker_bytes: RAM_PER_WORKER_BYTES,
        ..SizingInput::default()
    })
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
    let publishing = Arc::new(publishing(settings, prepared)?);
    let mut run = RunSummary {
        workers: sizing.workers as u32,
        file_workers: sizing.file_workers as u32,
        unchanged_shards: prepared.unchanged.len() as u64,
        ..RunSummary::default()
    };
    if !todo.is_empty() {
        // Segment ids and one outcome per shard: small, and the supervisor must not block.
        let (ready, segments) = unbounded();
        let (outcomes, published) = unbounded();
        let publisher = Arc::clone(&publishing)
            .start(segments, outcomes)
            .context("starting the publisher")?;
        let links = Links {
            ready,
            published,
            interrupted: Arc::clone(interrupted),
        };
        let job = job(settings, prepared, sizing, &todo)?;
        let mut devices = BTreeSet::new();
        let mut busy = Duration::ZERO;
        let outcome = supervisor::run(job, &links, &mut |event| {
            match &event {
                BuildEvent::WorkerReady { device, .. } => {
                    devices.insert(device.clone());
                }
                BuildEvent::SegmentOpened { already, .. } => run.resumed_chunks += already.chunks,
                BuildEvent::FilesCommitted { work, .. } => {
                    run.reused_chunks += work.reused_chunks;
                    busy += Duration::from_micros(work.busy_us);
                }
                _ => {}
            }
            display.event(&event);
        });
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
        FailureKind::Unavailable => ExitCode::Unavailable,
        FailureKind::FingerprintMismatch => ExitCode::FingerprintMismatch,
        FailureKind::Output | FailureKind::Internal => ExitCode::Failure,
    };
    let advice = match failure.kind {
        FailureKind::Output => "; what is finished is kept: run again to go on",
        _ => "",
    };
    Exit::error(code, format!("{}{advice}", failure.text))
}

fn publishing(settings: &Settings, prepared: &Prepared) -> anyhow::Result<Publishing> {
    let layout = &prepared.layout;
    let routing = match settings.mode {
        Mode::Blob => None,
        Mode::Sharded => {
            let routing = RoutingDb::open_or_create(&layout.database, prepared.epoch)?;
            Some(Mutex::new(routing.with_category(settings.category)))
        }
    };
    Ok(Publishing {
        plan: Arc::new(prepared.survey.plan.clone()),
        layout: layout.clone(),
        header: ShardHeader {
            label: String::new(),
            roots: Vec::new(),
            fingerprint: prepared.fingerprint,
            encoder_fingerprint: encoder_fingerprint(prepared.encoders.hashes()),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            encoder: serde_json::to_string(&prepared.encoders)?,
            recipe: serde_json::to_string(&settings.profile.recipe)?,
            epoch: prepared.epoch,
            sorter_threads: sorter_threads(prepared),
        },
        routing,
        published: Mutex::default(),
        stopping: AtomicBool::new(false),
    })
}

/// While other shards are still being encoded, every core has work. The last and only one has them to
/// itself.
fn sorter_threads(prepared: &Prepared) -> u32 {
    match prepared.survey.plan.shards.len() - prepared.unchanged.len() {
        1 => cores().min(4) as u32,
        _ => 0,
    }
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn job(
    settings: &Settings,
    prepared: &Prepared,
    sizing: &Sizing,
    todo: &[&ShardPlan],
) -> anyhow::Result<Job> {
    let plan = &prepared.survey.plan;
    let tasks = todo
        .iter()
        .flat_map(|shard| {
            shard
                .segments
                .iter()
                .map(|segment| task(prepared, plan, shard, segment.id))
        })
        .collect::<Option<Vec<_>>>()
        .context("the plan names a segment that it does not have")?;
    Ok(Job {
        program: std::env::current_exe().context("finding this program for its workers")?,
        arguments: settings.worker_arguments.clone(),
        setup: WorkerSetup {
            worker: WorkerId(0),
            file_workers: sizing.file_workers as u32,
            encoders: settings.encoders.clone(),
            device: settings.device,
            recipe: settings.profile.recipe.clone(),
            fingerprint: prepared.fingerprint,
            encoder_fingerprint: encoder_fingerprint(prepared.encoders.hashes()),
            limits: settings.profile.rules.limits,
            reuse: reuse(settings, prepared, todo),
        },
        workers: sizing.workers as u32,
        tasks,
        shards: todo.iter().map(|shard| shard.id).collect(),
        limits: supervisor::state::Limits {
            stall: STALL,
            patience: PATIENCE,
        },
    })
}

fn task(prepared: &Prepared, plan: &Plan, shard: &ShardPlan, id: SegmentId) -> Option<SegmentTask> {
    let segment = plan.segment(id)?;
    let files = shard.segment_files(segment);
    let root = plan.roots.get(files.first()?.root as usize)?;
    Some(SegmentTask {
        id,
        path: prepared.layout.segment(segment),
        shard_label: shard.label.clone(),
        root_label: root.label.clone(),
        root_path: root.path.clone(),
        files: files.iter().map(|file| file.entry.clone()).collect(),
        quarantined: Vec::new(),
        careful: false,
    })
}

/// Databases whose vectors may be taken over: the shards that this build replaces, and those of the
/// indexes named by `--reuse-from`. After `--rebuild` only the latter.
fn reuse(settings: &Settings, prepared: &Prepared, todo: &[&ShardPlan]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if !settings.rebuild {
        let own = todo.iter().map(|shard| prepared.layout.shard(&shard.label));
        paths.extend(own.filter(|path| path.exists()));
    }
    for folder in &settings.reuse_from {
        if let Ok(index) = crate::store::locate::locate(folder) {
            paths.extend(index.databases().into_iter().map(|(_, path)| path));
        } else {
            tracing::warn!("--reuse-from {}: no index there", folder.display());
        }
    }
    paths
}

/// The database that a build with these settings writes.
pub fn database(settings: &Settings) -> PathBuf {
    Layout::new(&settings.out_dir, &settings.profile.name, settings.mode).database
}
