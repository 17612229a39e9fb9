//! The commands of a build over many machines: `plan --out`, `worker`, `publish`, `missing`, `status`, `commit`.
//!
//! Each reads the plan file, adds what this machine has (devices, scratch folder, index of the task) and calls the engine.

mod plan;
mod show;
mod task_index;

pub use plan::begin;
pub use show::{missing, status};

use super::settings::Settings;
use super::{build, environment, output, signals, summary};
use crate::cli::{CommitArgs, GlobalFlags, PlanFile, PublishArgs, ScratchFlag, WorkerArgs};
use crate::engine::cluster::{
    self, CommitOutcome, FrozenPlan, Mapping, Node, Numbers, Preference, Relocation, Scratch,
    ShardOutcome, TaskOutcome, Trust,
};
use crate::engine::devices::{self, DevicePreference, DeviceSearch};
use crate::engine::{BuildEvent, BuildOutcome, BuildRequest, ProcessCommand};
use crate::exit_code::{Exit, ExitCode};
use crate::profile::DeviceSetting;
use crate::progress::{self, Display};
use anyhow::Context as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Do the segments of a task.
pub fn worker(plan: &Path, args: &WorkerArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let opened = Opened::read(plan, &args.map.map)?;
    let Some(numbers) = task_index::segments(args, &opened.plan)? else {
        let n = opened.plan.n_segments();
        return output::text(|out| {
            let line =
                serde_json::json!({"profile": opened.plan.profile(), "segments": "", "exit": 0});
            match global.json {
                true => output::json_line(out, "task", &line),
                false => writeln!(out, "nothing to do: the plan has {n} segments"),
            }
        });
    };
    let control = signals::install()?;
    let scratch = scratch(&args.scratch)?;
    let request = opened.request_of_task(args, global)?;
    let mut display = Display::new(build::style(None, global));
    let mut observe = |event: &BuildEvent| display.event(event);
    let node = opened.node(&request, &scratch);
    let ended = cluster::run_task(node, &numbers.0, &control, &mut observe);
    display.finish();
    let (code, failures) = match ended? {
        TaskOutcome::Done { failures } if failures.is_empty() => (ExitCode::Success, failures),
        TaskOutcome::Done { failures } => (ExitCode::Incomplete, failures),
        TaskOutcome::Paused => (ExitCode::Paused, Vec::new()),
    };
    let profile = opened.plan.profile();
    output::text(|out| {
        if global.json {
            let line = serde_json::json!({
                "profile": profile, "segments": numbers.to_string(), "failures": failures, "exit": code as u8,
            });
            return output::json_line(out, "task", &line);
        }
        if code == ExitCode::Paused {
            return writeln!(out, "{profile}: paused; queue the task again to resume");
        }
        writeln!(out, "{profile}: done: segments {numbers}")?;
        for file in &failures {
            let (reason, root) = (file.reason, &file.root);
            writeln!(out, "  {reason}: {root}/{} {}", file.path, file.detail)?;
        }
        Ok(())
    })?;
    Ok(code)
}

/// Publish a shard.
pub fn publish(args: &PublishArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let opened = Opened::read(&args.plan.plan, &args.plan.map.map)?;
    let plan = &opened.plan;
    let number = task_index::shard(args)?;
    let Some(label) = plan.shard_label(number) else {
        let n = plan.n_shards();
        if args.shard.is_none() {
            return output::text(|out| writeln!(out, "nothing to do: the plan has {n} shards"));
        }
        let text = format!("--shard {number}: the plan has {n} shards to publish, from 0");
        return Err(Exit::error(ExitCode::Usage, text));
    };
    let control = signals::install()?;
    let scratch = scratch(&args.scratch)?;
    let request = opened.request()?;
    let node = opened.node(&request, &scratch);
    let ended = cluster::publish_shard(node, number, &control, &mut |_| {})?;
    let (code, text) = match ended {
        ShardOutcome::Published { chunks, bytes } => (
            ExitCode::Success,
            format!(
                "published {label} ({}, {})",
                progress::count(chunks, "chunk"),
                progress::bytes(bytes)
            ),
        ),
        ShardOutcome::Paused => (
            ExitCode::Paused,
            format!("{label}: stopped; queue the task again"),
        ),
        ShardOutcome::Missing(missing) => {
            let text = format!("shard {label}: {missing}");
            return Err(Exit::error(ExitCode::MissingParts, text));
        }
    };
    output::text(|out| match global.json {
        true => {
            let line = serde_json::json!({"shard": label, "exit": code as u8});
            output::json_line(out, "shard_task", &line)
        }
        false => writeln!(out, "{text}"),
    })?;
    Ok(code)
}

/// Publish what is left, register everything, and conclude the build.
pub fn commit(args: &CommitArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let opened = Opened::read(&args.plan.plan, &args.plan.map.map)?;
    let control = signals::install()?;
    let scratch = scratch(&args.scratch)?;
    let request = opened.request()?;
    let trust = match args.quick {
        true => Trust::Size,
        false => Trust::Hash,
    };
    let mut observe = |event: &BuildEvent| {
        if let BuildEvent::Warning { text } = event {
            tracing::warn!("{text}");
        }
    };
    let node = opened.node(&request, &scratch);
    let outcome = match cluster::commit(node, trust, &control, &mut observe)? {
        CommitOutcome::Built(outcome) => outcome,
        CommitOutcome::Missing(missing) => {
            return Err(Exit::error(ExitCode::MissingParts, missing.to_string()));
        }
    };
    let code = match &outcome {
        BuildOutcome::Complete(_) => ExitCode::Success,
        BuildOutcome::Incomplete(_) => ExitCode::Incomplete,
        BuildOutcome::Paused => ExitCode::Paused,
    };
    summary::print(&outcome, &request, code, global)?;
    Ok(code)
}

/// A plan, and where its paths are on this machine.
struct Opened {
    plan: FrozenPlan,
    relocation: Relocation,
}

impl Opened {
    fn read(plan: &Path, map: &[Mapping]) -> anyhow::Result<Self> {
        Ok(Self {
            plan: FrozenPlan::read(plan)?,
            relocation: map.iter().cloned().collect(),
        })
    }

    fn of(args: &PlanFile) -> anyhow::Result<Self> {
        Self::read(&args.plan, &args.map.map)
    }

    fn node<'a>(&'a self, request: &'a BuildRequest, scratch: &'a Scratch) -> Node<'a> {
        Node {
            plan: &self.plan,
            request,
            relocation: &self.relocation,
            scratch: scratch.path(),
        }
    }

    fn request(&self) -> anyhow::Result<BuildRequest> {
        let worker = ProcessCommand::this_program("worker")?;
        Ok(self.plan.request(worker, &self.relocation)?)
    }

    /// Return the plan's request with the devices and workers of this machine.
    fn request_of_task(
        &self,
        args: &WorkerArgs,
        global: &GlobalFlags,
    ) -> anyhow::Result<BuildRequest> {
        let mut request = self.request()?;
        request.worker.arguments.extend(build::log_flags(global));
        if let Some(library) = &args.ort_lib {
            request.encoders.ort_lib = Some(library.clone());
        }
        request.encoders.visible_devices = environment::visible_devices();
        let [sparse, dense] = self.plan.preferences();
        let preference = |planned: &Preference| {
            let setting = args.device.as_deref().unwrap_or(&planned.setting);
            let setting = setting.parse::<DeviceSetting>();
            let setting = setting
                .map_err(|error| Exit::error(ExitCode::Usage, format!("--device: {error}")))?;
            anyhow::Ok(DevicePreference {
                setting,
                is_specific: args.device.is_none() && planned.is_specific,
            })
        };
        let (sparse, dense) = (preference(sparse)?, preference(dense)?);
        let probe = ProcessCommand::this_program("probe")?;
        let search = DeviceSearch {
            probe: &probe,
            libraries: &environment::library_paths(),
        };
        let devices = devices::choose(sparse, dense, &mut request.encoders, search)?;
        for notice in &devices.notices {
            tracing::warn!("{notice}");
        }
        request.device_memory = devices.memory;
        request.workers = args.shard_workers.unwrap_or(0);
        request.worker_memory = u64::from(args.worker_memory.unwrap_or(0)) << 20;
        Ok(request)
    }
}

/// Make a folder for unfinished work, which is removed when the command ends.
fn scratch(flag: &ScratchFlag) -> anyhow::Result<Scratch> {
    let of_slurm = || std::env::var_os("SLURM_TMPDIR").map(PathBuf::from);
    let base = flag.scratch.clone().or_else(of_slurm);
    let base = base.unwrap_or_else(std::env::temp_dir);
    Scratch::make(&base).with_context(|| {
        format!(
            "making a scratch folder in {}: name another with --scratch",
            base.display()
        )
    })
}
