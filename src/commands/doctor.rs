//! `doctor`: checks this machine and says how to fix what is missing.
//!
//! Loads the models and encodes one sentence. Changes only the cache of the runtime.

use super::output;
use super::{environment, profile_lookup, settings};
use crate::batch::EncoderKind;
use crate::cli::{DoctorArgs, GlobalFlags};
use crate::encode::{self, Encoders, RuntimeOrigin};
use crate::engine::{ProcessCommand, device_probe};
use crate::exit_code::ExitCode;
use crate::profile::encoders::{Device, EncoderChoice, ModelSource};
use crate::profile::list_profiles;
use crate::{gpu, platform, progress};
use serde::Serialize;
use std::io::Write as _;

/// The result of one check.
#[derive(Serialize)]
struct Finding {
    what: &'static str,
    /// Whether builds are impossible without it.
    needed: bool,
    ok: bool,
    /// What was found, or the problem and its fix.
    detail: String,
}

/// Run all checks. Exit code 13 if something needed is missing.
pub fn run(args: &DoctorArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let choice = settings::encoder_choice(&args.models)?;
    let findings = [
        runtime(&choice),
        models(&choice),
        devices(),
        cuda(&choice),
        cores(),
        profiles(),
        output_folder(),
    ];
    output::text(|out| {
        for finding in &findings {
            if global.json {
                output::json_line(out, "finding", finding)?;
                continue;
            }
            let mark = match (finding.ok, finding.needed) {
                (true, _) => "ok     ",
                (false, true) => "MISSING",
                (false, false) => "none   ",
            };
            writeln!(out, "{mark} {:9} {}", finding.what, finding.detail)?;
        }
        Ok(())
    })?;
    let is_usable = findings.iter().all(|finding| finding.ok || !finding.needed);
    Ok(if is_usable {
        ExitCode::Success
    } else {
        ExitCode::Unavailable
    })
}

fn finding(what: &'static str, needed: bool, result: Result<String, String>) -> Finding {
    let ok = result.is_ok();
    let (Ok(detail) | Err(detail)) = result;
    Finding {
        what,
        needed,
        ok,
        detail,
    }
}

fn runtime(choice: &EncoderChoice) -> Finding {
    let result = encode::runtime_info(choice)
        .map(|info| {
            let origin = match info.origin {
                RuntimeOrigin::Embedded => "embedded",
                RuntimeOrigin::Named => "chosen by you",
            };
            format!(
                "ONNX Runtime {} ({origin}), {}",
                info.version,
                info.path.display()
            )
        })
        .map_err(|error| error.to_string());
    finding("runtime", true, result)
}

fn models(choice: &EncoderChoice) -> Finding {
    let open = || {
        let info = encode::describe(choice)?;
        let mut encoders = Encoders::open(choice)?;
        let encoded = encoders.encode_query("how are files cut into chunks")?;
        let name = |model: &Option<encode::ModelInfo>| {
            model
                .as_ref()
                .map_or_else(|| "none".to_owned(), |m| m.name.clone())
        };
        Ok(format!(
            "sparse {} ({} terms for a test sentence), dense {} ({} dimensions), on {}",
            name(&info.sparse),
            encoded.sparse.map_or(0, |v| v.0.len()),
            name(&info.dense),
            encoded.dense.map_or(0, |v| v.0.len()),
            encoders.device_name()
        ))
    };
    let explain = |error: encode::EncodeError| {
        let source = match error.kind() {
            Some(EncoderKind::Sparse) => &choice.sparse,
            Some(EncoderKind::Dense) => &choice.dense,
            None => &ModelSource::None,
        };
        match source {
            ModelSource::Directory(dir) => {
                let dir = dir.display();
                format!("{error}; run `helix-build models check {dir}` for details")
            }
            ModelSource::Embedded | ModelSource::Server(_) | ModelSource::None => error.to_string(),
        }
    };
    finding("models", true, open().map_err(explain))
}

fn devices() -> Finding {
    let gpus = gpu::list().map_err(|error| error.to_string());
    let result = gpus.and_then(|gpus| {
        let lines: Vec<_> = gpus
            .iter()
            .map(|gpu| {
                format!(
                    "{}: {}, {} free of {}",
                    gpu.index,
                    gpu.name,
                    progress::bytes(gpu.free_bytes),
                    progress::bytes(gpu.total_bytes)
                )
            })
            .collect();
        match lines.as_slice() {
            [] => Err("no NVIDIA device".to_owned()),
            lines => Ok(lines.join("; ")),
        }
    });
    finding("gpu", false, result)
}

/// Try the first CUDA device with these models, in a child process.
fn cuda(choice: &EncoderChoice) -> Finding {
    let device = Device::Cuda(0);
    let libraries = environment::library_paths();
    let runtime = encode::find_cuda_runtime(choice.ort_lib.as_deref(), &libraries);
    let result = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            let on_device = EncoderChoice {
                sparse_device: device,
                dense_device: device,
                ort_lib: Some(runtime.clone()),
                max_batch: 1,
                ..choice.clone()
            };
            let probe = ProcessCommand::this_program("probe").map_err(|error| error.to_string())?;
            device_probe::probe(&probe, &on_device).map_err(|error| error.to_string())?;
            Ok(format!(
                "{device} works with these models, using {}",
                runtime.display()
            ))
        });
    finding("cuda", false, result)
}

fn cores() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = match platform::available_memory_bytes() {
        Some(bytes) => format!("{} of memory available", progress::bytes(bytes)),
        None => "memory unknown".to_owned(),
    };
    finding("machine", true, Ok(format!("{cores} cores, {memory}")))
}

fn profiles() -> Finding {
    let dirs = profile_lookup::search_dirs();
    let names: Vec<_> = list_profiles(&dirs).into_iter().map(|p| p.name).collect();
    let result = match names.as_slice() {
        [] => Err(
            "no profiles found; pass --profile PATH.toml to use a file from anywhere".to_owned(),
        ),
        names => Ok(names.join(", ")),
    };
    finding("profiles", false, result)
}

/// Check whether the default output folder can be written.
fn output_folder() -> Finding {
    let result = std::env::current_dir()
        .and_then(|here| {
            let probe = tempfile::tempfile_in(&here);
            probe.map(|_| format!("{} is writable", here.join("genomes-sharded").display()))
        })
        .map_err(|error| format!("the working directory is not writable ({error}): use --out-dir"));
    finding("output", false, result)
}
