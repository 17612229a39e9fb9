//! `version`: prints the version of the program and of its parts.

use super::output;
use crate::cli::GlobalFlags;
use crate::encode;
use crate::exit_code::ExitCode;
use crate::store::schema::FORMAT_VERSION;
use serde::Serialize;
use std::io::Write as _;

#[derive(Serialize)]
struct Version {
    version: &'static str,
    /// Format version of the `build_` tables.
    format: i64,
    /// The ONNX Runtime inside the binary, if any.
    embedded_runtime: Option<&'static str>,
    target: String,
}

pub fn run(global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        format: FORMAT_VERSION,
        embedded_runtime: encode::embedded_runtime(),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
    };
    output::text(|out| {
        if global.json {
            return output::json_line(out, "version", &version);
        }
        let runtime = version.embedded_runtime.unwrap_or("not embedded");
        writeln!(out, "helix-build {} ({})", version.version, version.target)?;
        writeln!(out, "format {}", version.format)?;
        writeln!(out, "runtime {runtime}")
    })
}
