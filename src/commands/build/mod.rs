//! `build`: from a profile to an index that a server can mount.
//!
//! Joins the parts: settings, the walk and plan, the supervisor with its workers, the publisher, and
//! the report. The rules are theirs; the order of things is here.

mod delivery;
mod devices;
mod differences;
mod failures;
mod flag_files;
mod job;
mod kept;
mod layout;
mod lock;
mod metrics;
mod obstacles;
mod prepare;
mod provenance;
mod publishing;
mod rebuild;
mod report;
mod secrets;
pub mod settings;
mod signals;
mod space;
pub mod survey;
mod unchanged;
mod watch;
mod work;

use super::output;
use crate::cli::{BuildFlags, GlobalFlags, ProgressStyle};
use crate::encode;
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::ids::ShardId;
use crate::plan::sizing::{Sizing, SizingInput, ram_per_worker, size_workers, vram_per_worker};
use crate::plan::{Mode, Plan};
use crate::platform;
use crate::profile::Profile;
use crate::progress::{Display, Style};
use crate::report::{BuildEvent, RunSummary, Summary};
use crate::store::ledger::ShardLedger;
use lock::BuildLock;
use metrics::MetricsFile;
use prepare::prepare;
pub use prepare::{Foreseen, foresee};
use rebuild::Rebuild;
use settings::Settings;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use work::{Published, Site};

/// Exit code 2 when `--log-file` names what a build has another use for. Without flags of a build it is told by what is
/// there alone. Ask before the log is opened.
pub fn refuse_log(flags: Option<&BuildFlags>, log: &Path) -> anyhow::Result<()> {
    let layouts = flags.map(settings::layouts).unwrap_or_default();
    flag_files::refuse("--log-file", log, &layouts)
}

fn refuse_metrics(flags: &BuildFlags) -> anyhow::Result<()> {
    match &flags.metrics_file {
        Some(file) => flag_files::refuse("--metrics-file", file, &settings::layouts(flags)),
        None => Ok(()),
    }
}

/// Notes in the metrics file that a run failed before it began to build.
pub fn note_failure(flags: &BuildFlags, failed: &Failed) {
    // Then it is no place for figures.
    if refuse_metrics(flags).is_err() {
        return;
    }
    let profile = failed.profile.as_deref().unwrap_or_default();
    match MetricsFile::start(flags.metrics_file.as_deref(), profile) {
        Ok(metrics) => metrics.ended(failed.code()),
        Err(error) => tracing::warn!("{error:#}"),
    }
}

pub fn run(flags: &BuildFlags, global: &GlobalFlags) -> Result<ExitCode, Failed> {
    let prepare = || {
        let interrupted = signals::install()?;
        refuse_metrics(flags)?;
        let profiles = settings::profiles(flags.profile.as_deref())?;
        Ok((interrupted, profiles))
    };
    let (interrupted, profiles) = prepare().inspect_err(|failed| note_failure(flags, failed))?;
    let run = Run {
        flags,
        global,
        interrupted: &interrupted,
    };
    // All are looked at before any is built.
    let mut todo = Vec::new();
    for profile in profiles.found {
        let name = profile.name.clone();
        let settings = run.resolve(profile)?;
        let refused = refuse(&settings).map_err(Failed::of_profile(&name));
        refused.inspect_err(|failed| note_failure(flags, failed))?;
        todo.push(settings);
    }
    let mut worst = tell_absent(&profiles.absent, &todo);
    let mut failures = Vec::new();
    for settings in &todo {
        match run.profile(settings) {
            // What was told to stop begins nothing more.
            Ok(ExitCode::Paused) => {
                worst = ExitCode::Paused;
                break;
            }
            Ok(code) => worst = worst.or_worse(code),
            // The others have nothing to do with it.
            Err(error) => {
                let failed = Failed::of_profile(&settings.profile.name)(error);
                worst = worst.or_worse(failed.code());
                super::tell_failure(&failed);
                failures.push(failed);
            }
        }
    }
    for failed in &failures {
        super::print_failure(failed, global);
    }
    Ok(worst)
}

/// Tells of profiles of which every root is away, and whose index stays: exit code 3 if there are any.
pub fn tell_absent(absent: &[String], others: &[Settings]) -> ExitCode {
    let mut worst = ExitCode::Success;
    for name in absent {
        if let Some(settings) = others.first()
            && settings.layout_of(name).database.exists()
        {
            tracing::warn!("profile {name}: every root of it is away; its index stays");
            worst = ExitCode::Incomplete;
        }
    }
    worst
}

/// What the builds of all profiles share.
struct Run<'a> {
    flags: &'a BuildFlags,
    global: &'a GlobalFlags,
    interrupted: &'a Arc<AtomicBool>,
}

impl Run<'_> {
    /// What a profile means with these flags; a failure is noted, unless the file for it is what is wrong.
    fn resolve(&self, profile: Profile) -> Result<Settings, Failed> {
        let name = profile.name.clone();
        let resolved = Settings::resolve(self.flags, profile).map_err(Failed::of_profile(&name));
        let mut settings = resolved.inspect_err(|failed| note_failure(self.flags, failed))?;
        settings.worker_arguments = worker_arguments(self.global);
        if let Some(file) = &self.global.log_file {
            settings.profile.leave_out(file);
        }
        if let Some(file) = &self.flags.metrics_file {
            obstacles::refuse_metrics(&settings, file).map_err(Failed::of_profile(&name))?;
        }
        Ok(settings)
    }

    /// Builds one profile, and notes how that ended.
    fn profile(&self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let file = self.flags.metrics_file.as_deref();
        let metrics = MetricsFile::start(file, &settings.profile.name)?;
        let ended = self.build(settings, &metrics);
        metrics.ended(match &ended {
            Ok(code) => *code,
            Err(error) => ExitCode::of(error),
        });
        ended
    }

    fn build(&self, settings: &Settings, metrics: &MetricsFile) -> anyhow::Result<ExitCode> {
        let style = style(self.flags.progress, self.global);
        let ended = build(settings, style, self.interrupted, metrics)
            .map_err(|error| space::explain(error, settings))?;
        let code = match &ended {
            Ended::Built(summary) if summary.exit == ExitCode::Incomplete as u8 => {
                ExitCode::Incomplete
            }
            Ended::Built(_) => ExitCode::Success,
            Ended::Paused => ExitCode::Paused,
        };
        report::print(&ended, settings, self.global)?;
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

/// What must not be built, before anything is done.
///
/// # Errors
/// What is in the way, with its exit code.
pub fn refuse(settings: &Settings) -> anyhow::Result<()> {
    let layout = settings.layout();
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
    obstacles::refuse(settings)?;
    match settings.take_over {
        true => Ok(()),
        false => provenance::refuse_another(&settings.profile, &layout),
    }
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
    let layout = settings.layout();
    let _lock = BuildLock::take(&layout.lock())?;
    let prepared = prepare(settings, layout)?;
    let mut display = Display::new(style);
    let said = prepared.survey.warnings.iter();
    let rebuild = prepared.rebuild.as_ref().and_then(Rebuild::notice);
    for text in said.chain(&settings.devices.notices).chain(&rebuild) {
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

/// The database that a build with these settings writes.
pub fn database(settings: &Settings) -> PathBuf {
    settings.layout().database
}
