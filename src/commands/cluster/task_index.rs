//! Which segments or which shard a task does: by a flag, or by the index that its scheduler gives it.

use super::Numbers;
use crate::cli::{PublishArgs, WorkerArgs};
use crate::engine::cluster::FrozenPlan;
use crate::exit_code::{Exit, ExitCode};

/// The variables that hold the index of a task: Slurm, Kubernetes (an Indexed Job), AWS Batch.
const VARIABLES: [&str; 3] = [
    "SLURM_ARRAY_TASK_ID",
    "JOB_COMPLETION_INDEX",
    "AWS_BATCH_JOB_ARRAY_INDEX",
];

/// Return the segments of a task. `None` if the index of the task lies beyond the plan.
///
/// # Errors
/// Exit code 2 without an index, and for segments that the plan does not have.
pub fn segments(args: &WorkerArgs, plan: &FrozenPlan) -> anyhow::Result<Option<Numbers>> {
    let n_segments = plan.n_segments();
    if let Some(numbers) = &args.segment {
        return match numbers.0.last() {
            Some(last) if *last >= n_segments => {
                let text = format!("--segment {last}: the plan has {n_segments} segments, from 0");
                Err(Exit::error(ExitCode::Usage, text))
            }
            _ => Ok(Some(numbers.clone())),
        };
    }
    let index = index("--segment LIST")?;
    let task = u64::from(index) + u64::from(args.size.offset);
    let first = task.saturating_mul(args.size.per_task.into());
    let end = first.saturating_add(args.size.per_task.into());
    let end = end.min(n_segments.into());
    let numbers: Numbers = Numbers((first..end).filter_map(|n| u32::try_from(n).ok()).collect());
    Ok((!numbers.0.is_empty()).then_some(numbers))
}

/// Return the number of the shard to publish.
///
/// # Errors
/// Exit code 2 without an index.
pub fn shard(args: &PublishArgs) -> anyhow::Result<u32> {
    match args.shard {
        Some(shard) => Ok(shard),
        None => Ok(index("--shard N")?.saturating_add(args.offset)),
    }
}

fn index(flag: &str) -> anyhow::Result<u32> {
    for name in VARIABLES {
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let value = value.to_string_lossy();
        return value.parse().map_err(|_| {
            let text = format!("{name}={value} is not a number: pass {flag}");
            Exit::error(ExitCode::Usage, text)
        });
    }
    let variables = VARIABLES.join(", ");
    let text = format!("which part of the plan? Pass {flag}, or set one of {variables}");
    Err(Exit::error(ExitCode::Usage, text))
}
