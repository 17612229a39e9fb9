//! What a build tells: events while it runs, a summary and a manifest at its end.
//!
//! Values only. The engine emits events; `progress` draws them; `commands` prints the summary.

mod manifest;
pub mod marks;
mod metrics;
mod summary;
mod totals;
mod watchdog;

pub use manifest::{Manifest, Target};
pub use metrics::{DeviceMetrics, Metrics, Runs};
pub use summary::{
    FileSecrets, IndexSummary, KeptRoot, RunSummary, ShardSummary, SkippedFile, Summary,
    TextSecrets,
};
pub use totals::Totals;
pub use watchdog::{
    LOG_PREFIX, StreamFigures, WatchdogCounts, WatchdogEvent, WatchdogEventKind, WatchdogResponse,
};

use crate::device::DeviceMemory;
use crate::failure::Failure;
use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::protocol::Work;
use serde::Serialize;
use std::path::PathBuf;

/// Target of log lines that are for the log file alone: standard error says the same in its own way.
pub const LOG_ONLY: &str = "helix_build::log";

/// Something that happened in a build, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BuildEvent {
    /// The plan is made; `todo` is what is left to do, `unchanged` shards are complete already.
    Planned {
        profile: String,
        shards: Vec<PlannedShard>,
        unchanged: usize,
        workers: u32,
        file_workers: u32,
        /// Of all shards, those that are complete included.
        #[serde(skip)]
        segments: usize,
    },
    WorkerStarting {
        worker: WorkerId,
    },
    WorkerReady {
        worker: WorkerId,
        device: String,
    },
    /// The worker began or resumed a segment. `already` is what an earlier run left in it.
    SegmentOpened {
        worker: WorkerId,
        segment: SegmentId,
        already: Work,
    },
    /// Files are in the segment for good: the work they added, and the last one's name.
    FilesCommitted {
        worker: WorkerId,
        segment: SegmentId,
        work: Work,
        file: String,
    },
    SegmentDone {
        worker: WorkerId,
        segment: SegmentId,
    },
    /// What was committed of the segment is done again, on another device.
    SegmentUndone {
        segment: SegmentId,
        work: Work,
    },
    /// A reading of a device's memory; `None`: it could not be read.
    DeviceMemory {
        device: String,
        memory: Option<DeviceMemory>,
    },
    Watchdog(Box<WatchdogEvent>),
    WorkerLost {
        worker: WorkerId,
        reason: String,
    },
    /// A file was left out because it brought its worker down.
    Quarantined {
        segment: SegmentId,
        path: String,
        reason: String,
    },
    ShardPublished {
        shard: ShardId,
        chunks: u64,
        bytes: u64,
    },
    /// Nothing that stops the build.
    Warning {
        text: String,
    },
    Pausing,
}

/// A shard as the progress display needs it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedShard {
    pub shard: ShardId,
    pub label: String,
    pub files: u64,
    pub bytes: u64,
}

/// How the part of a build that supervisor and workers do came to an end.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Every segment was done and every shard published.
    Complete,
    /// Stopped on request; what is committed is kept.
    Paused,
    Failed(Failure),
}

/// A segment that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedSegment {
    pub id: SegmentId,
    /// Its file.
    pub path: PathBuf,
}

/// What a publisher says of one shard.
#[derive(Clone, Debug, PartialEq)]
pub enum PublishOutcome {
    Published {
        shard: ShardId,
        chunks: u64,
        bytes: u64,
    },
    Failed {
        shard: ShardId,
        failure: Failure,
    },
}
