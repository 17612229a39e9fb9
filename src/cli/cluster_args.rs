//! The commands of a build over many machines.

use crate::engine::cluster::{Mapping, Numbers};
use clap::Args;
use std::path::PathBuf;

/// The plan of a build over many machines.
#[derive(Args, Clone, Debug)]
pub struct PlanFile {
    /// Plan that `plan --out` wrote
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub map: MapFlag,
}

#[derive(Args, Clone, Debug, Default)]
pub struct MapFlag {
    /// Folder OLD of the plan is NEW on this machine; repeatable
    #[arg(
        long,
        value_name = "OLD=NEW",
        env = "HELIX_BUILD_MAP",
        value_delimiter = ';'
    )]
    pub map: Vec<Mapping>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct ScratchFlag {
    /// Folder for unfinished work, on a disk of this machine [default:
    /// SLURM_TMPDIR, TMPDIR or /tmp]
    #[arg(long, value_name = "DIR", env = "HELIX_BUILD_SCRATCH")]
    pub scratch: Option<PathBuf>,
}

/// Which segments are a task of an array.
#[derive(Args, Clone, Copy, Debug)]
pub struct TaskSize {
    /// Add this to the index of the task, for arrays of limited length
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: u32,
    /// Segments of a task
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub per_task: u32,
}

impl Default for TaskSize {
    fn default() -> Self {
        Self {
            offset: 0,
            per_task: 1,
        }
    }
}

#[derive(Args, Clone, Debug, Default)]
#[command(
    after_help = "Examples:\n  helix-build worker --plan plan.json --segment 3\n  sbatch --array=0-99 --wrap \"exec helix-build worker --plan plan.json\"\n\nExit codes: 0 done, 3 done without some files, 65 poisoned (do not retry),\n75 stopped by SIGTERM or SIGUSR1 (queue again)"
)]
pub struct WorkerArgs {
    /// Plan that `plan --out` wrote
    // Without it, this process is a child of a build.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Segments to do, like 1,3,7-9 [default: those of the task's index:
    /// SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX]
    #[arg(long, value_name = "LIST", requires = "plan")]
    pub segment: Option<Numbers>,
    #[command(flatten)]
    pub size: TaskSize,
    #[command(flatten)]
    pub map: MapFlag,
    #[command(flatten)]
    pub scratch: ScratchFlag,
    /// Worker processes; 0: automatic [default: 0]
    #[arg(long, value_name = "N", requires = "plan", value_parser = clap::value_parser!(u32).range(..=256))]
    pub shard_workers: Option<u32>,
    /// Device of the encoders: auto, cpu, cuda or cuda:N [default: the plan's]
    #[arg(long, requires = "plan")]
    pub device: Option<String>,
    /// Memory limit per worker process; 0: its share, at least 4096
    #[arg(long, value_name = "MIB", requires = "plan")]
    pub worker_memory: Option<u32>,
    /// Use this ONNX Runtime library [default: the plan's]
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub ort_lib: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  helix-build publish --plan plan.json --shard 0")]
pub struct PublishArgs {
    #[command(flatten)]
    pub plan: PlanFile,
    /// Number of the shard [default: the task's index, as for `worker`]
    #[arg(long, value_name = "N")]
    pub shard: Option<u32>,
    /// Add this to the index of the task, for arrays of limited length
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: u32,
    #[command(flatten)]
    pub scratch: ScratchFlag,
}

#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  helix-build commit --plan plan.json\n\nExit code 66: parts are missing; the message lists them, and nothing is changed"
)]
pub struct CommitArgs {
    #[command(flatten)]
    pub plan: PlanFile,
    #[command(flatten)]
    pub scratch: ScratchFlag,
    /// Trust published shards by size and stated digest, without reading them
    #[arg(long)]
    pub quick: bool,
}

#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  sbatch --array=$(helix-build missing --plan plan.json) task.sh\n\nLists no segment that fails wherever it is tried; `status` does"
)]
pub struct MissingArgs {
    #[command(flatten)]
    pub plan: PlanFile,
    #[command(flatten)]
    pub size: TaskSize,
    /// Length of the array: list no index from this on
    #[arg(long, value_name = "N")]
    pub tasks: Option<u32>,
}

#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  helix-build status --plan plan.json")]
pub struct StatusArgs {
    #[command(flatten)]
    pub plan: PlanFile,
}
