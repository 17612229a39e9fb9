//! The commands: each turns its arguments into an exit code.
//!
//! Results go to standard output, everything else to standard error.

mod build;
mod cluster;
mod doctor;
mod encode;
mod environment;
mod eval;
mod folders;
mod index_choice;
mod init;
mod inspect;
mod inspect_text;
mod metrics_file;
mod models;
mod models_fetch;
mod output;
mod plan;
mod probe;
mod profile;
mod profile_lookup;
pub(crate) mod program;
mod query;
mod relocate;
mod secrets;
mod serve;
mod settings;
mod signals;
mod skipped;
mod summary;
mod text_lines;
mod verify;
mod version;

use crate::cli::{self, Command, GlobalFlags};
use crate::engine::worker;
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::platform;
use crate::telemetry::LOG_ONLY;
use crate::terminal;
use anyhow::{Context as _, anyhow};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Run a command. An error without an exit code means [`ExitCode::Failure`], and so does a panic. A worker may panic: its
/// supervisor reports that.
pub fn run(command: Command, global: &GlobalFlags) -> Result<ExitCode, Failed> {
    if command.is_child() {
        return dispatch(command, global);
    }
    // Unwind safe: the process ends without using the command's state again.
    match catch_unwind(AssertUnwindSafe(|| dispatch(command, global))) {
        Ok(ended) => ended,
        Err(_) => Err(anyhow!("internal error: the program panicked; see above").into()),
    }
}

/// Refuse a `--log-file` at a path that builds reserve. Call it before the log is opened.
///
/// # Errors
/// Exit code 2.
pub fn refuse_log(command: &Command, global: &GlobalFlags) -> Result<(), Failed> {
    let flags = match command {
        Command::Build(flags) | Command::Plan { build: flags, .. } => Some(flags),
        // Their supervisor has checked it.
        child if child.is_child() => return Ok(()),
        _ => None,
    };
    match &global.log_file {
        Some(log) => Ok(build::refuse_log(flags, log)?),
        None => Ok(()),
    }
}

/// Record in the metrics file of a build that the log could not be started.
pub fn record_failed_start(command: &Command, failed: &Failed) {
    if let Command::Build(flags) = command
        && !flags.dry_run
    {
        build::record_failure(flags, failed);
    }
}

/// Print a failure on standard error, write it to the log and, with `--json`, print it as the last line of standard output.
/// Return the exit code.
pub fn report_failure(failed: &Failed, global: &GlobalFlags) -> ExitCode {
    log_failure(failed);
    print_failure(failed, global);
    failed.code()
}

/// Print a failure on standard error and write it to the log.
fn log_failure(failed: &Failed) {
    let error = text_of(failed);
    // Ignore errors: if standard error is closed, the exit code remains.
    let text = format!("error: {error}");
    let _ = writeln!(std::io::stderr(), "{}", terminal::line(&text));
    let profile = failed.profile.as_deref();
    let exit = failed.code() as u8;
    tracing::error!(target: LOG_ONLY, profile, exit, "{error}");
}

/// With `--json`, print a failure on standard output.
fn print_failure(failed: &Failed, global: &GlobalFlags) {
    if global.json {
        let (exit, error) = (failed.code() as u8, text_of(failed));
        let line = serde_json::json!({"exit": exit, "error": error, "profile": failed.profile});
        let _ = output::text(|out| output::json_line(out, "failed", &line));
    }
}

fn text_of(failed: &Failed) -> String {
    let mut error = format!("{:#}", failed.error);
    let mut causes = failed
        .error
        .chain()
        .filter_map(|cause| cause.downcast_ref());
    if let Some(limit) = causes.find_map(platform::file_limit_met)
        && !error.contains(&limit)
    {
        error = format!("{error}; {limit}");
    }
    terminal::redacted(&error).into_owned()
}

fn dispatch(command: Command, global: &GlobalFlags) -> Result<ExitCode, Failed> {
    let ended = match command {
        Command::Build(flags) if flags.dry_run => return plan::run(&flags, None, None, global),
        Command::Build(flags) => return build::run(&flags, global),
        Command::Plan { build, why, out } => {
            return plan::run(&build, why.as_deref(), out.as_deref(), global);
        }
        Command::Query(args) => query::run(&args, global),
        Command::Eval(args) => eval::run(&args, global),
        Command::Serve(args) => serve::run(&args, global),
        Command::Init(args) => init::run(&args, global),
        Command::Encode(args) => encode::run(&args, global),
        Command::Verify(args) => verify::run(&args, global),
        Command::Relocate(args) => relocate::run(&args, global),
        Command::Inspect(args) => inspect::run(&args, global),
        Command::Profile { action } => {
            let ran = profile::run(&action, global);
            return ran.map_err(|error| Failed {
                error,
                profile: profile::named(&action),
            });
        }
        Command::Models { action } => models::run(&action, global),
        Command::Doctor(args) => doctor::run(&args, global),
        Command::Version => version::run(global),
        Command::Completions { shell } => output::raw(|out| {
            // Write to memory first: the generator panics if it cannot write.
            let mut script = Vec::new();
            cli::completions(shell, &mut script);
            out.write_all(&script)
        }),
        Command::Man { command } => manual(&command),
        Command::Probe => probe::run(),
        Command::Worker(args) => match &args.plan {
            None => worker::run().context("worker").map(|()| ExitCode::Success),
            Some(plan) => cluster::worker(plan, &args, global),
        },
        Command::Publish(args) => cluster::publish(&args, global),
        Command::Commit(args) => cluster::commit(&args, global),
        Command::Missing(args) => cluster::missing(&args, global),
        Command::Status(args) => cluster::status(&args, global),
    };
    Ok(ended?)
}

fn manual(command: &[String]) -> anyhow::Result<ExitCode> {
    let Some(page) = cli::manual(command) else {
        let name = command.join(" ");
        let text = format!("there is no command `{name}`; `helix-build --help` lists them");
        return Err(Exit::error(ExitCode::Usage, text));
    };
    output::raw(|out| out.write_all(&page))
}
