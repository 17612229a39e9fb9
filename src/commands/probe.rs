//! `probe`: the child process in which [`engine::device_probe`](crate::engine::device_probe) tries a device.

use super::output;
use crate::encode::Encoders;
use crate::exit_code::ExitCode;
use crate::platform;
use crate::profile::encoders::EncoderChoice;
use anyhow::Context as _;
use std::io::{self, BufRead as _, Write as _};
use std::thread;

/// Open the encoders given as a line of JSON on standard input. Prints an error on standard output. Ends at once when
/// standard input does: the parent is gone, and a driver may hang.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.context("reading the encoder choice")?;
    let choice: EncoderChoice =
        serde_json::from_str(&line).context("reading the encoder choice")?;
    thread::Builder::new()
        .name("parent".to_owned())
        .spawn(|| {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            platform::exit_now(i32::from(ExitCode::Failure as u8));
        })
        .context("starting the thread that watches the parent")?;
    match Encoders::open(&choice) {
        Ok(_) => Ok(ExitCode::Success),
        Err(error) => {
            output::text(|out| write!(out, "{error}"))?;
            Ok(ExitCode::Unavailable)
        }
    }
}
