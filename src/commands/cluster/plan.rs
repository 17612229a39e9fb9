//! `plan --out`: writes the plan of a build over many machines.

use super::{Numbers, Settings, output};
use crate::cli::{BuildFlags, GlobalFlags};
use crate::commands::settings;
use crate::engine;
use crate::engine::cluster::{self, Begun};
use crate::exit_code::{Exit, ExitCode, Failed};
use crate::progress;
use std::io::Write as _;
use std::path::Path;

/// Write the plan of the one profile to `file`.
pub fn begin(
    flags: &BuildFlags,
    file: &Path,
    profiles: Vec<Settings>,
    global: &GlobalFlags,
) -> Result<ExitCode, Failed> {
    let mut profiles = profiles.into_iter();
    let (Some(settings), None) = (profiles.next(), profiles.next()) else {
        let text = "--out FILE is the plan of one profile: name it with --profile";
        return Err(Exit::error(ExitCode::Usage, text).into());
    };
    let name = settings.request.profile.name.clone();
    begin_one(flags, file, settings, global).map_err(Failed::of_profile(&name))
}

fn begin_one(
    flags: &BuildFlags,
    file: &Path,
    settings: Settings,
    global: &GlobalFlags,
) -> anyhow::Result<ExitCode> {
    engine::refuse_flag_file("--out", file, &settings::layouts(flags))?;
    let mut request = settings.request;
    // The runtime that was found here for a device of this machine.
    request.encoders.ort_lib.clone_from(&flags.models.ort_lib);
    let preferences = settings.preferences.map(Into::into);
    let Begun {
        plan,
        warnings,
        is_incomplete,
    } = cluster::begin(&request, preferences, file)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let code = match is_incomplete {
        true => ExitCode::Incomplete,
        false => ExitCode::Success,
    };
    let shards = (0..plan.n_shards()).filter_map(|number| plan.shard_label(number));
    let shards: Vec<&str> = shards.collect();
    let array = Numbers((0..plan.n_segments()).collect()).to_string();
    let shown = file.display();
    output::text(|out| {
        if global.json {
            let line = serde_json::json!({
                "profile": plan.profile(), "plan": shown.to_string(), "blake3": plan.hash(),
                "segments": plan.n_segments(), "array": array, "shards": shards,
                "output": request.layout().database.display().to_string(), "exit": code as u8,
            });
            return output::json_line(out, "plan_file", &line);
        }
        writeln!(
            out,
            "{}: {} in {}, plan {shown}",
            plan.profile(),
            progress::count(plan.n_segments().into(), "segment"),
            progress::count(shards.len() as u64, "shard"),
        )?;
        if plan.n_segments() > 0 {
            writeln!(
                out,
                "tasks {array}: helix-build worker --plan {shown} --segment N"
            )?;
        }
        writeln!(out, "then: helix-build commit --plan {shown}")
    })?;
    Ok(code)
}
