//! `probe`: the child process that tries a device for [`engine::device_probe`](crate::engine::device_probe).

use super::output;
use crate::encode::Encoders;
use crate::exit_code::ExitCode;
use crate::profile::encoders::EncoderChoice;
use anyhow::Context as _;
use std::io::Write as _;

/// Opens the encoders named on standard input, as JSON. What goes wrong is said on standard output.
pub fn run() -> anyhow::Result<ExitCode> {
    let choice: EncoderChoice =
        serde_json::from_reader(std::io::stdin().lock()).context("reading the choice")?;
    match Encoders::open(&choice) {
        Ok(_) => Ok(ExitCode::Success),
        Err(error) => {
            output::text(|out| write!(out, "{error}"))?;
            Ok(ExitCode::Unavailable)
        }
    }
}
