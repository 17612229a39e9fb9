//! The `helix-build` program: reads the command line, runs a command, ends with its exit code.

use super::environment;
use super::{record_failed_start, refuse_log, report_failure};
use crate::cli::{self, Command};
use crate::exit_code::Failed;
use crate::{encode, failpoint, gpu, platform, telemetry};
use std::io::Write as _;
use std::process::ExitCode;

/// Run the program on this process's arguments. Call it first in `main`, while there is one thread: it sets environment
/// variables.
pub fn run() -> ExitCode {
    encode::forbid_telemetry();
    gpu::order_by_bus();
    failpoint::start();
    platform::raise_open_files();
    platform::ignore_file_size_signal();
    let (command, flags) = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => cli::refuse(&error),
    };
    let is_worker = command.is_child();
    let is_server = matches!(command, Command::Serve(_));
    let ended = refuse_log(&command, &flags)
        .and_then(|()| telemetry::start(&command, &flags).map_err(Failed::from))
        .and_then(|()| take_encoder_key().map_err(Failed::from))
        .inspect_err(|failed| record_failed_start(&command, failed))
        .and_then(|()| super::run(command, &flags));
    let code = ended.unwrap_or_else(|failed| report_failure(&failed, &flags));
    if !is_worker {
        tracing::info!(target: telemetry::LOG_ONLY, "ends with exit code {}", code as u8);
    }
    if is_server {
        // Its threads may still read the index or run a model, whose libraries the runtime would take down under them.
        let _ = std::io::stdout().flush();
        platform::exit_now(i32::from(code as u8));
    }
    code.into()
}

/// Take the key of encoder servers from the environment.
fn take_encoder_key() -> anyhow::Result<()> {
    let key = environment::encoder_key()?;
    key.into_iter().for_each(encode::use_key);
    Ok(())
}
