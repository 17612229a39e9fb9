//! Whether a device works, found out in a process of its own.
//!
//! Opening encoders on a device loads libraries and makes a context that no process gets rid of, and a broken
//! driver may take the process down or hang it. The supervisor wants none of that: it asks a child, and ends it
//! when it takes too long.

use super::request::ProcessCommand;
use crate::profile::encoders::EncoderChoice;
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A model of a gigabyte on a cold disk, and a first start of CUDA, which compiles kernels on some cards.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Whether a process can open these encoders. The error says, for people, why not.
pub fn probe(command: &ProcessCommand, choice: &EncoderChoice) -> Result<(), String> {
    ask(command, choice).unwrap_or_else(|error| Err(format!("trying it failed: {error}")))
}

fn ask(command: &ProcessCommand, choice: &EncoderChoice) -> io::Result<Result<(), String>> {
    let child = command
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut child = Guard(child);
    // Less than a pipe holds, so this cannot block.
    if let Some(mut stdin) = child.0.stdin.take() {
        stdin.write_all(&serde_json::to_vec(choice)?)?;
    }
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.0.try_wait()? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                let seconds = PATIENCE.as_secs();
                return Ok(Err(format!("it did not start in {seconds} s")));
            }
            None => thread::sleep(LOOK),
        }
    };
    let mut said = String::new();
    if let Some(mut stdout) = child.0.stdout.take() {
        stdout.read_to_string(&mut said)?;
    }
    Ok(match (status.success(), said.as_str()) {
        (true, _) => Ok(()),
        (false, "") => Err(format!("trying it ended with {status}")),
        (false, _) => Err(said),
    })
}

/// Killed and reaped when it is let go of.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
