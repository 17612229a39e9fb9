//! What a build is asked to do.

use super::error::{Context as _, Result};
use super::output::layout::Layout;
use super::output::provenance::Provenance;
use super::watchdog::config::CrawlConfig;
use crate::plan::sizing::Vram;
use crate::plan::{Mode, PlanOptions};
use crate::profile::Profile;
use crate::profile::encoders::{Device, EncoderChoice};
use crate::store::routing::ShardCategory;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Default of [`BuildRequest::stall_timeout`]. A file of 200 KB is some hundred chunks, and slow models take seconds
/// for each; a disk that spins up or a network folder takes a minute.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// Everything that a build of one profile depends on. Plain values: nothing is read from the environment later.
///
/// [`BuildRequest::new`] fills in the defaults; set the fields that should differ.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    pub profile: Profile,
    /// Absolute. In sharded mode `-sharded` is appended to its last part.
    pub out_dir: PathBuf,
    /// How to start a worker process.
    pub worker: ProcessCommand,
    /// Worker processes; 0: choose by cores, memory and segments.
    pub workers: u32,
    /// Threads per worker that read, chunk and tag; 0: choose.
    pub file_workers: u32,
    /// Build afresh. Repeated after a stop, it resumes.
    pub rebuild: bool,
    /// Delete the shards of roots that are away.
    pub prune: bool,
    /// Replace what another profile file of the same name has built.
    pub take_over: bool,
    /// Longest silence of a worker that has work.
    pub stall_timeout: Duration,
    /// Bytes of memory for each worker; 0: its share of what is available.
    pub worker_memory: u64,
    /// Under which servers list the shards.
    pub category: ShardCategory,
    /// Blob or sharded, and how roots are split.
    pub plan: PlanOptions,
    /// Models, and the device of each. The devices must exist: see [`devices`](super::devices).
    pub encoders: EncoderChoice,
    /// Memory of each device that encoders are on, of those that tell.
    pub device_memory: Vec<(Device, Vram)>,
    /// Bytes of device memory for each worker's activations; 0: its share of what is free.
    pub vram_limit: u64,
    /// Indexes whose vectors may be reused, besides the output's own.
    pub reuse_from: Vec<PathBuf>,
    /// Seconds since 1970 to write as every date, so that equal inputs give equal files; `None`: the time of the build.
    pub source_date_epoch: Option<u32>,
    pub crawl: CrawlConfig,
    /// A command that prints a device's used and total memory; `None`: ask NVML.
    pub vram_probe: Option<String>,
    /// For rehearsals: the CPU is watched as if it were a device whose memory `vram_probe` tells.
    pub plays_device: bool,
}

/// The command that starts a child process of the engine. A worker is the `helix-build` executable with its hidden
/// `worker` command, or a host program that calls [`worker::run`](super::worker::run) when it is started so.
#[derive(Clone, Debug)]
pub struct ProcessCommand {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

impl ProcessCommand {
    /// The running executable with one argument.
    ///
    /// # Errors
    /// When the system does not tell which executable runs.
    pub fn this_program(argument: &str) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("finding this program")?,
            arguments: vec![argument.into()],
        })
    }

    /// To spawn, with its streams still to be set.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }
}

impl BuildRequest {
    /// A sharded build of `profile` below `out_dir`, with the profile's models on the CPU.
    ///
    /// # Errors
    /// When `out_dir` is empty or the working directory is gone.
    pub fn new(profile: Profile, out_dir: &Path, worker: ProcessCommand) -> Result<Self> {
        let encoders = EncoderChoice {
            sparse: profile.sparse.clone(),
            dense: profile.dense.clone(),
            coverage: profile.recipe.coverage,
            ..EncoderChoice::default()
        };
        let plan = PlanOptions {
            blob_label: profile.name.clone(),
            pace: super::pace(&encoders),
            ..PlanOptions::default()
        };
        Ok(Self {
            profile,
            out_dir: std::path::absolute(out_dir)?,
            worker,
            workers: 0,
            file_workers: 0,
            rebuild: false,
            prune: false,
            take_over: false,
            stall_timeout: STALL_TIMEOUT,
            worker_memory: 0,
            category: ShardCategory::default(),
            plan,
            encoders,
            device_memory: Vec::new(),
            vram_limit: 0,
            reuse_from: Vec::new(),
            source_date_epoch: None,
            crawl: CrawlConfig::default(),
            vram_probe: None,
            plays_device: false,
        })
    }

    pub fn mode(&self) -> Mode {
        self.plan.mode
    }

    /// Where the parts of the output lie.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.out_dir, &self.profile.name, self.mode())
    }

    /// Gives roots the labels that the output knows them by, so that those that are away keep theirs.
    pub fn recall_roots(&mut self) {
        if let Some(known) = Provenance::read(&self.layout())
            && !self.prune
        {
            self.profile.keep_labels(&known.roots());
        }
    }

    pub fn mode_name(&self) -> &'static str {
        match self.mode() {
            Mode::Blob => "blob",
            Mode::Sharded => "sharded",
        }
    }
}
