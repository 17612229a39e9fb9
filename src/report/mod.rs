//! What a build reports: events while it runs, a summary and a manifest at its end.
//!
//! Values only. The engine emits events, `progress` draws them, and `commands` prints the summary.

mod manifest;
pub mod marks;
mod metrics;
mod skipped;
mod summary;
mod totals;
mod watchdog;

pub use manifest::{BuilderKeys, Manifest, Target};
pub use metrics::{DeviceMetrics, Metrics, Runs};
pub(crate) use skipped::kind;
pub use skipped::{SkippedGroup, SkippedTally};
pub use summary::{
    FileHead, FileSecrets, Heads, IndexSummary, RunSummary, ServerSummary, ShardSummary,
    SkippedFile, Summary, TextSecrets, TextSummary, UnavailableRoot,
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

/// Target of log lines for the log file only: standard error shows the same in its own form.
pub const LOG_ONLY: &str = "helix_build::log";

/// Something that happened in a build. Events come in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BuildEvent {
    /// The plan is ready: `shards` are to be built, `unchanged` shards are complete already.
    Planned {
        profile: String,
        shards: Vec<PlannedShard>,
        unchanged: usize,
        workers: u32,
        file_workers: u32,
        /// Segments of all shards, complete ones included.
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
    /// The worker started or resumed a segment. `already` is the work that an earlier run left in it.
    SegmentOpened {
        worker: WorkerId,
        segment: SegmentId,
        already: Work,
    },
    /// An earlier run had completed the segment: no worker opens it. `work` is what it holds.
    SegmentResumed {
        segment: SegmentId,
        work: Work,
    },
    /// Files were committed to the segment: the work they added, and the last file's path.
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
    /// The committed work of the segment is discarded, and the segment is encoded again on another device.
    SegmentUndone {
        segment: SegmentId,
        work: Work,
    },
    /// A reading of a device's memory; `None` if it failed.
    DeviceMemory {
        device: String,
        memory: Option<DeviceMemory>,
    },
    Watchdog(Box<WatchdogEvent>),
    WorkerLost {
        worker: WorkerId,
        reason: String,
    },
    /// A file is skipped because it crashed or hung its worker.
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
    /// A problem that does not stop the build.
    Warning {
        text: String,
    },
    Pausing,
}

/// A shard to build, for the progress display.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedShard {
    pub shard: ShardId,
    pub label: String,
    pub files: u64,
    pub bytes: u64,
}

/// How the work of supervisor and workers ended.
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
    /// The segment file.
    pub path: PathBuf,
}

/// How the publication of one shard went.
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

impl PublishOutcome {
    /// Return the event of a published shard, or why it was not published.
    ///
    /// # Errors
    /// The failure.
    pub fn event(self) -> Result<BuildEvent, Failure> {
        match self {
            Self::Published {
                shard,
                chunks,
                bytes,
            } => Ok(BuildEvent::ShardPublished {
                shard,
                chunks,
                bytes,
            }),
            Self::Failed { failure, .. } => Err(failure),
        }
    }
}
