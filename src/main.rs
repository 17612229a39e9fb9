//! The `helix-build` program: reads the command line, runs a command, ends with its exit code.

use helix_build::exit_code::Failed;
use helix_build::{cli, commands, encode, failpoint, gpu, platform, telemetry};

/// Most of the time outside the encoders goes into many small strings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // First of all, while there is one thread: they set environment variables.
    encode::forbid_telemetry();
    gpu::order_by_bus();
    failpoint::start();
    platform::raise_open_files();
    platform::ignore_file_size_signal();
    let (command, flags) = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => cli::refuse(&error),
    };
    let is_worker = matches!(command, cli::Command::Worker);
    let ended = commands::refuse_log(&command, &flags)
        .and_then(|()| telemetry::start(&command, &flags).map_err(Failed::from))
        .inspect_err(|failed| commands::note_failed_start(&command, failed))
        .and_then(|()| commands::run(command, &flags));
    let code = ended.unwrap_or_else(|failed| commands::report_failure(&failed, &flags));
    if !is_worker {
        tracing::info!(target: telemetry::LOG_ONLY, "ends with exit code {}", code as u8);
    }
    code.into()
}
