//! What each command does, from resolved arguments to exit code.
//!
//! Results go to standard output, everything else to standard error. The engine's parts meet here:
//! this is the only layer that knows both the supervisor and the publisher.

mod build;
mod doctor;
mod inspect;
mod models;
mod output;
mod plan;
mod probe;
mod profile;
mod query;
mod verify;
mod version;

use crate::cli::{self, Command, GlobalFlags};
use crate::exit_code::ExitCode;
use crate::worker;
use anyhow::Context as _;

/// Runs a command. An error carries its exit code, or means [`ExitCode::Failure`].
pub fn run(command: Command, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build(flags) if flags.dry_run => plan::run(&flags, None, global),
        Command::Build(flags) => build::run(&flags, global),
        Command::Plan { build, why } => plan::run(&build, why.as_deref(), global),
        Command::Query(args) => query::run(&args, global),
        Command::Verify(args) => verify::run(&args, global),
        Command::Inspect(args) => inspect::run(&args, global),
        Command::Profile { action } => profile::run(&action, global),
        Command::Models { action } => models::run(&action, global),
        Command::Doctor(args) => doctor::run(&args, global),
        Command::Version => version::run(global),
        Command::Completions { shell } => output::text(|out| {
            cli::completions(shell, out);
            Ok(())
        }),
        Command::Man => output::text(cli::manual),
        Command::Probe => probe::run(),
        Command::Worker => worker::run().context("worker").map(|()| ExitCode::Success),
    }
}
