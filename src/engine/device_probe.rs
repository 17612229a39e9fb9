//! Tries a device in a child process.
//!
//! Opening encoders on a device loads libraries and creates a context that stays until the process ends, and a broken driver
//! may crash or hang the process. So a child opens them, and is killed if it takes too long.

use super::request::ProcessCommand;
use crate::profile::encoders::EncoderChoice;
use std::io::{self, Read as _, Write as _};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Enough to load a model of a gigabyte from a cold disk and to start CUDA for the first time, which compiles kernels on some
/// cards.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Interval between two looks at the child.
const INTERVAL: Duration = Duration::from_millis(20);

/// Why a process could not open the encoders, for people.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("trying it failed: {0}")]
    Process(io::Error),
    #[error("it did not start in {} s", .0.as_secs())]
    Timeout(Duration),
    /// It ended without an explanation.
    #[error("trying it ended with {0}")]
    Ended(ExitStatus),
    /// The child's explanation.
    #[error("{0}")]
    Refused(String),
}

/// Check in a child process that these encoders can be opened.
pub fn probe(command: &ProcessCommand, choice: &EncoderChoice) -> Result<(), ProbeError> {
    let (status, output) = run(command, choice)?;
    match (status.success(), output.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err(ProbeError::Ended(status)),
        (false, false) => Err(ProbeError::Refused(output)),
    }
}

/// Run the child until it ends. Return its status and its output.
fn run(
    command: &ProcessCommand,
    choice: &EncoderChoice,
) -> Result<(ExitStatus, String), ProbeError> {
    let child = command
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(ProbeError::Process)?;
    let mut child = Guard(child);
    // Shorter than the buffer of a pipe, so this cannot block. The pipe stays open: its end tells a hung child that this
    // process is gone.
    if let Some(stdin) = &mut child.0.stdin {
        let text =
            serde_json::to_string(choice).map_err(|error| ProbeError::Process(error.into()))?;
        writeln!(stdin, "{text}").map_err(ProbeError::Process)?;
    }
    let deadline = Instant::now() + TIMEOUT;
    let status = loop {
        match child.0.try_wait().map_err(ProbeError::Process)? {
            Some(status) => break status,
            None if Instant::now() > deadline => return Err(ProbeError::Timeout(TIMEOUT)),
            None => thread::sleep(INTERVAL),
        }
    };
    let mut output = String::new();
    if let Some(mut stdout) = child.0.stdout.take() {
        let read = stdout.read_to_string(&mut output);
        read.map_err(ProbeError::Process)?;
    }
    Ok((status, output))
}

/// A child that is killed and reaped on drop.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
