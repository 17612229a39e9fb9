//! The input of a build.

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

/// Default of [`BuildRequest::stall_timeout`]. A file of 200 KB has about a hundred chunks, and slow models take seconds
/// for each. A disk that spins up or a network folder can take a minute.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// Everything that a build of one profile depends on, as plain values. The engine reads no environment variables.
///
/// [`BuildRequest::new`] fills in the defaults.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    pub profile: Profile,
    /// Absolute path of the output folder. Sharded mode appends `-sharded` to its name.
    pub out_dir: PathBuf,
    /// How to start a worker process.
    pub worker: ProcessCommand,
    /// Number of worker processes; 0: choose by cores, memory and segments.
    pub workers: u32,
    /// Threads per worker that read, chunk and tag; 0: choose.
    pub file_workers: u32,
    /// Build everything again. A repeated request resumes an interrupted rebuild.
    pub rebuild: bool,
    /// Delete the shards of unavailable roots.
    pub prune: bool,
    /// List every skipped file in the survey and the summary.
    pub list_skipped: bool,
    /// Replace an index that was built from another profile file of the same name.
    pub take_over: bool,
    /// Replace a worker that makes no progress for this long.
    pub stall_timeout: Duration,
    /// Memory limit of each worker in bytes; 0: its share of the available memory.
    pub worker_memory: u64,
    /// Category under which servers list the shards.
    pub category: ShardCategory,
    /// Blob or sharded mode, and how large roots are split.
    pub plan: PlanOptions,
    /// The models and their devices. The devices must exist: see [`devices`](super::devices).
    pub encoders: EncoderChoice,
    /// Memory of each encoder device that reports it.
    pub device_memory: Vec<(Device, Vram)>,
    /// Device memory for each worker's activations in bytes; 0: its share of the free memory.
    pub vram_limit: u64,
    /// Other indexes whose vectors may be reused.
    pub reuse_from: Vec<PathBuf>,
    /// Date to write everywhere, in seconds since 1970, so that equal inputs give equal files; `None`: the time of the
    /// build.
    pub source_date_epoch: Option<u32>,
    pub crawl: CrawlConfig,
    /// A command that prints used and total device memory; `None`: ask NVML.
    pub vram_probe: Option<String>,
    /// Watch the CPU as if it were a device with the memory that `vram_probe` reports, to rehearse incidents.
    pub plays_device: bool,
}

/// A command that starts a child process of the engine. A worker is the `helix-build` executable with its hidden `worker`
/// command, or a host program that calls [`worker::run`](super::worker::run).
#[derive(Clone, Debug)]
pub struct ProcessCommand {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

impl ProcessCommand {
    /// Return the running executable with one argument.
    ///
    /// # Errors
    /// If the system does not report which executable runs.
    pub fn this_program(argument: &str) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("finding this program")?,
            arguments: vec![argument.into()],
        })
    }

    /// Return a command to spawn. The caller sets its streams.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }
}

impl BuildRequest {
    /// Request a sharded build of `profile` below `out_dir`, with the profile's models on the CPU.
    ///
    /// # Errors
    /// If `out_dir` is empty, or if it is relative and the working directory no longer exists.
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
            list_skipped: false,
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

    /// Return the paths of the output.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.out_dir, &self.profile.name, self.mode())
    }

    /// Take over root labels from the output, so that unavailable roots keep theirs.
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
