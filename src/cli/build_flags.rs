//! The flags of `build` and `plan`.

use super::ModelFlags;
use crate::store;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Processes, or threads in each, that may be asked for: more than any machine has use for, and few
/// enough that a slip of the finger does not stop it.
const MOST_WORKERS: i64 = 256;

/// A file of 200 KB is some hundred chunks, and slow models take seconds for each; a disk that wakes up
/// or a network folder takes a minute. Halved, it would still do; doubled, operators wait for nothing.
const STALL_TIMEOUT_S: u32 = 600;

/// All optional: what is not typed comes from the environment, the profile or a default.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Build")]
pub struct BuildFlags {
    /// Profiles to build: names, a comma list, `all`, or the path of a TOML file
    #[arg(long, value_name = "NAME", env = "HELIX_BUILD_PROFILE")]
    pub profile: Option<String>,
    /// One database, or one per root with a routing database
    #[arg(long, env = "HELIX_BUILD_MODE")]
    pub mode: Option<OutputMode>,
    /// Where the output goes; `-sharded` is added to it in sharded mode [default: ./genomes]
    #[arg(long, value_name = "DIR", env = "HELIX_BUILD_OUT_DIR")]
    pub out_dir: Option<PathBuf>,
    /// Worker processes, each with its own encoders; 0 chooses [default: 0]
    #[arg(
        long,
        value_name = "N",
        env = "HELIX_BUILD_SHARD_WORKERS",
        value_parser = clap::value_parser!(u32).range(..=MOST_WORKERS),
        visible_alias = "parallel"
    )]
    pub shard_workers: Option<u32>,
    /// Threads per worker that read, chunk and tag; 0 chooses [default: 0]
    #[arg(
        long,
        value_name = "N",
        env = "HELIX_BUILD_SHARD_FILE_WORKERS",
        value_parser = clap::value_parser!(u32).range(..=MOST_WORKERS),
        alias = "workers"
    )]
    pub shard_file_workers: Option<u32>,
    /// Build shards in the order in which the profile names them, not largest first
    #[arg(long)]
    pub no_shard_sort: bool,
    /// Build afresh, whatever is there; repeated after a stop, it goes on
    #[arg(long)]
    pub rebuild: bool,
    /// Delete the shards of roots that are missing or empty
    #[arg(long)]
    pub prune: bool,
    /// Replace the index that another profile file of the same name has built
    #[arg(long)]
    pub take_over: bool,
    /// Category under which servers list the shards [default: reference]
    #[arg(long, value_name = "CATEGORY")]
    pub shard_category: Option<ShardCategory>,
    /// Accepted for the Python script's sake: work is always handed out in segments
    #[arg(long, value_name = "N", hide = true)]
    pub chunksize: Option<u32>,
    /// Chunks per run on a GPU at most; the CPU always takes one
    #[arg(long, value_name = "N", env = "HELIX_BUILD_BATCH_SIZE")]
    pub batch_size: Option<u32>,
    /// Split a root into several shards from this many bytes on; 0: never
    #[arg(long, value_name = "BYTES")]
    pub auto_subshard_threshold_bytes: Option<u64>,
    /// Split a root into several shards from this many files on; 0: never
    #[arg(long, value_name = "FILES")]
    pub auto_subshard_threshold_files: Option<u64>,
    /// Where the encoders run: auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, env = "HELIX_BUILD_DEVICE")]
    pub device: Option<String>,
    /// Where the sparse encoder runs, if not where `--device` says
    #[arg(long, value_name = "DEVICE", env = "HELIX_BUILD_SPARSE_DEVICE")]
    pub sparse_device: Option<String>,
    /// Where the dense encoder runs, if not where `--device` says
    #[arg(long, value_name = "DEVICE", env = "HELIX_BUILD_DENSE_DEVICE")]
    pub dense_device: Option<String>,
    /// Numbers that your models compute in on a GPU: fp32, tf32 or fp16 [default: fp32]
    #[arg(long, env = "HELIX_BUILD_PRECISION")]
    pub precision: Option<String>,
    /// Device memory for the activations of each worker; 0: its share of what is free [default: 0]
    #[arg(long, value_name = "MIB", env = "HELIX_BUILD_VRAM_LIMIT")]
    pub vram_limit: Option<u32>,
    #[command(flatten)]
    pub models: ModelFlags,
    /// Take vectors over from an index of the same encoders (may be repeated)
    #[arg(long, value_name = "DIR")]
    pub reuse_from: Vec<PathBuf>,
    /// A worker without progress for this long is ended and its segment given to another
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HELIX_BUILD_STALL_TIMEOUT",
        default_value_t = STALL_TIMEOUT_S,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub stall_timeout: u32,
    /// Memory that a worker may take; 0: its share of what is available, 4096 at least
    #[arg(
        long,
        value_name = "MIB",
        env = "HELIX_BUILD_WORKER_MEMORY",
        default_value_t = 0
    )]
    pub worker_memory: u32,
    /// A device this many times slower than it was, with its memory full, crawls [default: 5]
    #[arg(long, value_name = "X")]
    pub crawl_factor: Option<String>,
    /// Batches in a row that make a crawl, and a baseline [default: 8]
    #[arg(long, value_name = "N")]
    pub crawl_window: Option<String>,
    /// What to do about a crawl: ladder, cpu or off [default: ladder]
    #[arg(long, value_name = "ACTION")]
    pub crawl_action: Option<String>,
    /// Read the device's memory with this command, not by NVML: it prints used and total
    #[arg(long, value_name = "COMMAND", env = "HELIX_BUILD_VRAM_PROBE")]
    pub vram_probe: Option<String>,
    /// Keep figures for Prometheus in this file
    #[arg(long, value_name = "FILE", env = "HELIX_BUILD_METRICS_FILE")]
    pub metrics_file: Option<PathBuf>,
    /// How progress is shown, on standard error [default: auto]
    #[arg(long, value_name = "STYLE", env = "HELIX_BUILD_PROGRESS")]
    pub progress: Option<ProgressStyle>,
    /// Say what would be done, like `plan`
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputMode {
    Blob,
    Sharded,
}

/// The closed set of the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ShardCategory {
    Participant,
    Agent,
    #[default]
    Reference,
    Org,
    Cold,
}

impl From<ShardCategory> for store::routing::ShardCategory {
    fn from(category: ShardCategory) -> Self {
        match category {
            ShardCategory::Participant => Self::Participant,
            ShardCategory::Agent => Self::Agent,
            ShardCategory::Reference => Self::Reference,
            ShardCategory::Org => Self::Org,
            ShardCategory::Cold => Self::Cold,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    Auto,
    Bar,
    Plain,
    Json,
    None,
}
