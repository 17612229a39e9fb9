//! The `helix-build` program: reads the command line, runs a command, ends with its exit code.

use helix_build::exit_code::ExitCode;
use helix_build::{cli, commands, encode, failpoint, gpu, telemetry};
use std::io::Write as _;

/// Most of the time outside the encoders goes into many small strings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // First of all, while there is one thread: they set environment variables.
    encode::forbid_telemetry();
    gpu::order_by_bus();
    failpoint::start();
    let (command, flags) = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    let ended = telemetry::start(&flags).and_then(|()| commands::run(command, &flags));
    let code = match ended {
        Ok(code) => code,
        Err(error) => {
            // Standard error may be closed; the exit code says it then.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::of(&error)
        }
    };
    code.into()
}
