//! `build`: turns flags into requests, and events into messages.
//!
//! Calls the [`crate::engine`] once per profile, passes its events to the display and the metrics file, and turns
//! its outcome into an exit code.

use super::metrics_file::{self, MetricsFile};
use super::settings::{self, Settings};
use super::{profile_lookup, signals, summary};
use crate::cli::{BuildFlags, GlobalFlags, ProgressStyle};
use crate::engine::{self, BuildControl, BuildEvent, BuildOutcome, BuildRequest};
use crate::exit_code::{ExitCode, Failed};
use crate::profile::Profile;
use crate::progress::{Display, Style};
use std::ffi::OsString;
use std::path::Path;

/// Refuse a `--log-file` at a path that builds reserve. Without build flags, only existing indexes are considered. Call it
/// before the log is opened.
///
/// # Errors
/// Exit code 2.
pub fn refuse_log(flags: Option<&BuildFlags>, log: &Path) -> anyhow::Result<()> {
    let layouts = flags.map(settings::layouts).unwrap_or_default();
    Ok(engine::refuse_flag_file("--log-file", log, &layouts)?)
}

/// Check that the metrics file may be written: no other file is in its place.
///
/// # Errors
/// Exit code 2.
pub fn check_metrics(flags: &BuildFlags, request: &BuildRequest) -> anyhow::Result<()> {
    if let Some(file) = &flags.metrics_file {
        refuse_metrics(flags)?;
        engine::refuse_metrics(request, file)?;
        metrics_file::check(file)?;
    }
    Ok(())
}

fn refuse_metrics(flags: &BuildFlags) -> anyhow::Result<()> {
    if let Some(file) = &flags.metrics_file {
        engine::refuse_flag_file("--metrics-file", file, &settings::layouts(flags))?;
    }
    Ok(())
}

/// Write a failure that occurred before the build into the metrics file.
pub fn record_failure(flags: &BuildFlags, failed: &Failed) {
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
        let control = signals::install()?;
        refuse_metrics(flags)?;
        let profiles = profile_lookup::select(flags)?;
        Ok((control, profiles))
    };
    let (control, profiles) = prepare().inspect_err(|failed| record_failure(flags, failed))?;
    let run = Run {
        flags,
        global,
        control,
    };
    // Check all profiles before building any.
    let mut todo = Vec::new();
    for profile in profiles.found {
        let name = profile.name.clone();
        let settings = run.resolve(profile)?;
        let checked = engine::check(&settings.request).map_err(anyhow::Error::from);
        let checked = checked.map_err(Failed::of_profile(&name));
        checked.inspect_err(|failed| record_failure(flags, failed))?;
        todo.push(settings);
    }
    let mut worst = warn_of_absent(&profiles.absent, &todo);
    let mut failures = Vec::new();
    for settings in &todo {
        match run.build_profile(settings) {
            // A stop request is for all profiles.
            Ok(ExitCode::Paused) => {
                worst = ExitCode::Paused;
                break;
            }
            Ok(code) => worst = worst.or_worse(code),
            // Go on with the other profiles.
            Err(error) => {
                let failed = Failed::of_profile(&settings.request.profile.name)(error);
                worst = worst.or_worse(failed.code());
                super::log_failure(&failed);
                failures.push(failed);
            }
        }
    }
    for failed in &failures {
        super::print_failure(failed, global);
    }
    Ok(worst)
}

/// Warn of each profile without any root on this machine whose index exists. Return exit code 3 if there are any.
pub fn warn_of_absent(absent: &[String], others: &[Settings]) -> ExitCode {
    let mut worst = ExitCode::Success;
    for name in absent {
        if let Some(settings) = others.first()
            && settings.layout_of(name).database.exists()
        {
            tracing::warn!("profile {name}: all its roots are unavailable; keeping its index");
            worst = ExitCode::Incomplete;
        }
    }
    worst
}

/// What the builds of all profiles have in common.
struct Run<'a> {
    flags: &'a BuildFlags,
    global: &'a GlobalFlags,
    control: BuildControl,
}

impl Run<'_> {
    /// Resolve the settings of a profile. Records a failure in the metrics file, unless that file is the problem.
    fn resolve(&self, profile: Profile) -> Result<Settings, Failed> {
        let name = profile.name.clone();
        let resolved = Settings::resolve(self.flags, profile).map_err(Failed::of_profile(&name));
        let mut settings = resolved.inspect_err(|failed| record_failure(self.flags, failed))?;
        let request = &mut settings.request;
        request.worker.arguments.extend(log_flags(self.global));
        if let Some(file) = &self.global.log_file {
            request.profile.exclude_output(file);
        }
        check_metrics(self.flags, request).map_err(Failed::of_profile(&name))?;
        Ok(settings)
    }

    /// Build one profile and record the result in the metrics file.
    fn build_profile(&self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let file = self.flags.metrics_file.as_deref();
        let metrics = MetricsFile::start(file, &settings.request.profile.name)?;
        let ended = self.build(settings, &metrics);
        metrics.ended(match &ended {
            Ok(code) => *code,
            Err(error) => ExitCode::of(error),
        });
        ended
    }

    fn build(&self, settings: &Settings, metrics: &MetricsFile) -> anyhow::Result<ExitCode> {
        let mut display = display(self.flags, self.global);
        let mut observe = |event: &BuildEvent| {
            metrics.event(event);
            display.event(event);
        };
        for text in &settings.devices.notices {
            observe(&BuildEvent::Warning { text: text.clone() });
        }
        let ended = engine::build(&settings.request, &self.control, &mut observe);
        display.finish();
        let outcome = ended?;
        let code = match &outcome {
            BuildOutcome::Complete(_) => ExitCode::Success,
            BuildOutcome::Incomplete(_) => ExitCode::Incomplete,
            BuildOutcome::Paused => ExitCode::Paused,
        };
        summary::print(&outcome, &settings.request, code, self.global)?;
        Ok(code)
    }
}

/// Return the display of a build's progress.
pub fn display(flags: &BuildFlags, global: &GlobalFlags) -> Display {
    Display::new(style(flags.progress, global))
}

pub fn style(asked: Option<ProgressStyle>, global: &GlobalFlags) -> Style {
    match asked {
        Some(ProgressStyle::Bar) => Style::Bars,
        Some(ProgressStyle::Plain) => Style::Plain,
        Some(ProgressStyle::Json) => Style::Json,
        Some(ProgressStyle::None) => Style::None,
        Some(ProgressStyle::Auto) | None if global.quiet > 0 => Style::None,
        Some(ProgressStyle::Auto) | None => Style::for_stderr(),
    }
}

/// Return the flags that give workers the log level and the log file of their supervisor.
pub fn log_flags(global: &GlobalFlags) -> Vec<OsString> {
    let repeated = |flag: &str, times: u8| std::iter::repeat_n(OsString::from(flag), times.into());
    let log_file = global.log_file.iter();
    repeated("-v", global.verbose)
        .chain(repeated("-q", global.quiet))
        .chain(log_file.flat_map(|path| ["--log-file".into(), path.clone().into_os_string()]))
        .collect()
}
