//! `probe`: the child process in which [`engine::device_probe`](crate::engine::device_probe) tries a device.

use super::output;
use crate::encode::Encoders;
use crate::exit_code::ExitCode;
use crate::profile::encoders::EncoderChoice;
use anyhow::Context as _;
use std::io::Write as _;

/// Open the encoders given as JSON on standard input. Prints an error on standard output.
pub fn run() -> anyhow::Result<ExitCode> {
    let choice: EncoderChoice =
        serde_json::from_reader(std::io::stdin().lock()).context("reading the encoder choice")?;
    match Encoders::open(&choice) {
        Ok(_) => Ok(ExitCode::Success),
        Err(error) => {
            output::text(|out| write!(out, "{error}"))?;
            Ok(ExitCode::Unavailable)
        }
    }
}
