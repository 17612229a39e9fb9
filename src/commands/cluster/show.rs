//! `missing` and `status`: how far a build over many machines is.

use super::{Numbers, Opened, output};
use crate::cli::{GlobalFlags, MissingArgs, StatusArgs};
use crate::engine::cluster::{ClusterState, FrozenPlan, TaskState, Trust, cluster_state};
use crate::exit_code::ExitCode;
use crate::progress;
use std::io::{self, Write};

/// Print the indexes of the tasks that are not done, in the notation of arrays.
pub fn missing(args: &MissingArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let opened = Opened::of(&args.plan)?;
    let layout = opened.plan.layout(&opened.relocation);
    let state = cluster_state(&opened.plan, &layout, Trust::Hash)?;
    let poisoned = state.poisoned();
    if !poisoned.0.is_empty() {
        tracing::warn!("not listed, since they fail wherever they are tried: {poisoned}");
    }
    let tasks = state.missing().0.into_iter();
    let tasks = tasks.map(|segment| segment / args.size.per_task);
    let tasks = tasks.filter_map(|task| task.checked_sub(args.size.offset));
    let tasks = tasks.filter(|task| args.tasks.is_none_or(|most| *task < most));
    let tasks = Numbers(tasks.collect());
    output::text(|out| match global.json {
        true => {
            let line =
                serde_json::json!({"array": tasks.to_string(), "poisoned": poisoned.to_string()});
            output::json_line(out, "missing", &line)
        }
        false if tasks.0.is_empty() => Ok(()),
        false => writeln!(out, "{tasks}"),
    })
}

/// Print the state of every part that needs attention, and of all together.
pub fn status(args: &StatusArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let opened = Opened::of(&args.plan)?;
    let layout = opened.plan.layout(&opened.relocation);
    let state = cluster_state(&opened.plan, &layout, Trust::Size)?;
    output::text(|out| {
        if global.json {
            return output::json_line(out, "status", &state);
        }
        print(out, &opened.plan, &state)?;
        writeln!(out, "output: {}", layout.database.display())
    })
}

fn print(out: &mut impl Write, plan: &FrozenPlan, state: &ClusterState) -> io::Result<()> {
    let of = |wanted: Option<TaskState>| {
        let parts = state.parts.iter().filter(|part| part.state() == wanted);
        Numbers(parts.map(|part| part.number).collect())
    };
    let bytes = |done_only: bool| {
        let parts = state.parts.iter();
        let parts = parts.filter(|part| !done_only || part.state() == Some(TaskState::Done));
        parts.map(|part| part.source_bytes).sum::<u64>()
    };
    writeln!(
        out,
        "{}: {} of {} done ({} of {} of files), {} of {} published",
        plan.profile(),
        of(Some(TaskState::Done)).0.len(),
        progress::count(state.parts.len() as u64, "segment"),
        progress::bytes(bytes(true)),
        progress::bytes(bytes(false)),
        state.published.len(),
        progress::count(plan.n_shards().into(), "shard"),
    )?;
    let states = [
        (None, "not begun"),
        (Some(TaskState::Begun), "begun"),
        (Some(TaskState::Paused), "paused"),
        (Some(TaskState::Failed), "failed"),
        (Some(TaskState::Poisoned), "poisoned"),
    ];
    for (wanted, name) in states {
        let numbers = of(wanted);
        if !numbers.0.is_empty() {
            writeln!(out, "  {name:10} {numbers}")?;
        }
    }
    for part in &state.parts {
        let Some(note) = &part.note else {
            continue;
        };
        if !note.error.is_empty() {
            let (number, host) = (part.number, &note.host);
            writeln!(out, "  segment {number} on {host}: {}", note.error)?;
        }
        for file in &note.failures {
            let (reason, root) = (file.reason, &file.root);
            writeln!(out, "  {reason}: {root}/{} {}", file.path, file.detail)?;
        }
    }
    Ok(())
}
