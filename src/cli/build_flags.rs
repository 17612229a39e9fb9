//! The flags of `build` and `plan`.

use super::ModelFlags;
use crate::engine::STALL_TIMEOUT;
use crate::store;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Limit for worker processes and for threads in each. More than any machine needs, but small enough that a typo does no
/// harm.
const MAX_WORKERS: i64 = 256;

const STALL_TIMEOUT_S: u32 = STALL_TIMEOUT.as_secs() as u32;

/// The flags of a build. All are optional: environment variables, the profile and defaults supply the rest.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Build")]
pub struct BuildFlags {
    /// Folders to index as they are, without a profile
    #[arg(value_name = "PATH", help_heading = None::<&'static str>)]
    pub paths: Vec<PathBuf>,
    /// Name of the index of these folders [default: that of the first folder]
    #[arg(long, value_name = "NAME", requires = "paths")]
    pub name: Option<String>,
    /// Index only what matches this pattern, below these folders; repeatable
    #[arg(long, value_name = "PATTERN", requires = "paths")]
    pub include: Vec<String>,
    /// Skip what matches this pattern, below these folders; repeatable
    #[arg(long, value_name = "PATTERN", requires = "paths")]
    pub exclude: Vec<String>,
    /// Profiles to build: a name, a TOML file, a comma-separated list, or `all`
    #[arg(long, value_name = "NAME", env = "HELIX_BUILD_PROFILE")]
    pub profile: Option<String>,
    /// Write one database per root (sharded) or a single one (blob)
    #[arg(long, env = "HELIX_BUILD_MODE")]
    pub mode: Option<OutputMode>,
    /// Output folder; sharded mode appends `-sharded` [default: ./genomes]
    #[arg(long, value_name = "DIR", env = "HELIX_BUILD_OUT_DIR")]
    pub out_dir: Option<PathBuf>,
    /// Worker processes, each with its own encoders; 0: automatic [default: 0]
    #[arg(
        long,
        value_name = "N",
        env = "HELIX_BUILD_SHARD_WORKERS",
        value_parser = clap::value_parser!(u32).range(..=MAX_WORKERS),
        visible_alias = "parallel"
    )]
    pub shard_workers: Option<u32>,
    /// Threads per worker for reading and chunking; 0: automatic [default: 0]
    #[arg(
        long,
        value_name = "N",
        env = "HELIX_BUILD_SHARD_FILE_WORKERS",
        value_parser = clap::value_parser!(u32).range(..=MAX_WORKERS),
        alias = "workers"
    )]
    pub shard_file_workers: Option<u32>,
    /// Build shards in the profile's order instead of largest first
    #[arg(long)]
    pub no_shard_sort: bool,
    /// Build everything again; resumes if it was interrupted
    #[arg(long)]
    pub rebuild: bool,
    /// Delete the shards of missing or empty roots
    #[arg(long)]
    pub prune: bool,
    /// Replace an index built from another profile of the same name
    #[arg(long)]
    pub take_over: bool,
    /// List every skipped file with its reason
    #[arg(long)]
    pub skipped: bool,
    /// Category under which servers list the shards [default: reference]
    #[arg(long, value_name = "CATEGORY")]
    pub shard_category: Option<ShardCategory>,
    /// Ignored; accepted for compatibility with the Python script
    #[arg(long, value_name = "N", hide = true)]
    pub chunksize: Option<u32>,
    /// Largest batch on a GPU; the CPU always encodes one text at a time
    #[arg(long, value_name = "N", env = "HELIX_BUILD_BATCH_SIZE")]
    pub batch_size: Option<u32>,
    /// Split roots with at least this many bytes; 0: never
    #[arg(long, value_name = "BYTES")]
    pub auto_subshard_threshold_bytes: Option<u64>,
    /// Split roots with at least this many files; 0: never
    #[arg(long, value_name = "FILES")]
    pub auto_subshard_threshold_files: Option<u64>,
    /// Device of the encoders: auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, env = "HELIX_BUILD_DEVICE")]
    pub device: Option<String>,
    /// Device of the sparse encoder; overrides --device
    #[arg(long, value_name = "DEVICE", env = "HELIX_BUILD_SPARSE_DEVICE")]
    pub sparse_device: Option<String>,
    /// Device of the dense encoder; overrides --device
    #[arg(long, value_name = "DEVICE", env = "HELIX_BUILD_DENSE_DEVICE")]
    pub dense_device: Option<String>,
    /// Precision of your own models on a GPU: fp32, tf32 or fp16 [default: fp32]
    #[arg(long, env = "HELIX_BUILD_PRECISION")]
    pub precision: Option<String>,
    /// Device memory per worker for activations; 0: its share [default: 0]
    #[arg(long, value_name = "MIB", env = "HELIX_BUILD_VRAM_LIMIT")]
    pub vram_limit: Option<u32>,
    #[command(flatten)]
    pub models: ModelFlags,
    /// Reuse vectors from an index with the same encoders; repeatable
    #[arg(long, value_name = "DIR")]
    pub reuse_from: Vec<PathBuf>,
    /// Replace a worker that makes no progress for this long
    #[arg(
        long,
        value_name = "SECONDS",
        env = "HELIX_BUILD_STALL_TIMEOUT",
        default_value_t = STALL_TIMEOUT_S,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub stall_timeout: u32,
    /// Memory limit per worker; 0: its share, at least 4096
    #[arg(
        long,
        value_name = "MIB",
        env = "HELIX_BUILD_WORKER_MEMORY",
        default_value_t = 0
    )]
    pub worker_memory: u32,
    /// Slowdown that counts as a crawl when device memory is full [default: 5]
    #[arg(long, value_name = "X")]
    pub crawl_factor: Option<String>,
    /// Consecutive slow batches that count as a crawl [default: 8]
    #[arg(long, value_name = "N")]
    pub crawl_window: Option<String>,
    /// Reaction to a crawl: ladder, cpu or off [default: ladder]
    #[arg(long, value_name = "ACTION")]
    pub crawl_action: Option<String>,
    /// Command that prints used and total device memory; replaces NVML
    #[arg(long, value_name = "COMMAND", env = "HELIX_BUILD_VRAM_PROBE")]
    pub vram_probe: Option<String>,
    /// Write Prometheus metrics to this file
    #[arg(long, value_name = "FILE", env = "HELIX_BUILD_METRICS_FILE")]
    pub metrics_file: Option<PathBuf>,
    /// Progress display on standard error [default: auto]
    #[arg(long, value_name = "STYLE", env = "HELIX_BUILD_PROGRESS")]
    pub progress: Option<ProgressStyle>,
    /// Show what would be done, like `plan`
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputMode {
    Blob,
    Sharded,
}

/// The categories that the format defines.
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
