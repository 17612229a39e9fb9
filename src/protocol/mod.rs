//! The messages between supervisor and worker, over the worker's stdin and stdout.
//!
//! Values and framing only: nothing here starts a process or touches a database. Both ends are the same executable. The
//! first frame each way is a `Hello` with the build id, so that neither misreads a binary that was replaced meanwhile. End
//! of stdin means stop.

mod frame;

pub use frame::{FrameError, MAX_FRAME_BYTES, read_frame, write_frame};

use crate::batch::{Batch, EncoderKind};
use crate::failure::Failure;
use crate::file::{FileEntry, RelPath};
use crate::ids::{Digest, FileHash, SegmentId, ShardId, WorkerId};
use crate::profile::Limits;
use crate::profile::encoders::EncoderChoice;
use crate::profile::recipe::Recipe;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Identify the executable: both ends must be built from the same sources.
pub fn build_id() -> String {
    format!("{} protocol {PROTOCOL_VERSION}", env!("CARGO_PKG_VERSION"))
}

/// Raised with every change of a message.
const PROTOCOL_VERSION: u32 = 7;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    Hello {
        build_id: String,
    },
    /// Sent once, after both hellos. The worker answers `Ready` or `Failed`.
    Setup(Box<WorkerSetup>),
    /// Work on this segment, after those sent before.
    Assign(Box<SegmentTask>),
    /// Release unused device memory with the next batch.
    ReleaseMemory,
    /// Finish the file in hand, commit it, send `Stopped` and exit.
    Stop,
}

/// Everything that is the same for all segments of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSetup {
    pub worker: WorkerId,
    /// Threads of the chunk/tag pool.
    pub file_workers: u32,
    pub encoders: EncoderChoice,
    pub recipe: Recipe,
    /// As the supervisor computed it. The worker computes it again and fails if they differ.
    pub fingerprint: Digest,
    /// Fingerprint of everything that shapes the vectors.
    pub encoder_fingerprint: Digest,
    /// Checked again when a file is read, since files change after the walk.
    pub limits: Limits,
    /// A file that takes longer than this to read, chunk and tag is reported as an [`InputCrash`].
    pub file_timeout: Duration,
    /// The CPU stands in for a device: report each text as a batch.
    pub plays_device: bool,
    /// Resident memory in bytes beyond which the worker gives up; 0: no limit.
    pub memory_limit: u64,
    /// Published databases whose vectors may be reused, if their encoders are the same.
    #[serde(with = "crate::platform::wire_path")]
    pub reuse: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentTask {
    pub id: SegmentId,
    /// The segment file to create or continue.
    #[serde(with = "crate::platform::wire_path")]
    pub path: PathBuf,
    pub shard_label: String,
    pub root_label: String,
    /// Absolute.
    #[serde(with = "crate::platform::wire_path")]
    pub root_path: PathBuf,
    /// In canonical order.
    pub files: Vec<FileEntry>,
    /// Those of `files` that people wrote, as their repository says: their content is not judged.
    pub authored: Vec<RelPath>,
    /// Positions in `files` to skip because they crashed their worker, with the reasons.
    pub quarantined: Vec<(u32, String)>,
    /// Positions of the files that may have been replaced by others of the same size and time: what an earlier run
    /// committed of them counts only if their bytes are the same.
    pub suspect: Vec<u32>,
    /// The files must be as they were planned; others are skipped as changed. By position, the hashes that are known of
    /// their bytes. `None`: a file is indexed as it is when it is read.
    pub planned: Option<BTreeMap<u32, FileHash>>,
    /// Careful mode: one file at a time, each announced by `FileStarted`, to find the file that kills.
    pub careful: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    Hello {
        build_id: String,
        pid: u32,
    },
    /// Encoders are open and warm.
    Ready {
        /// Where the sessions run, for people and the ledger.
        device: String,
        /// Problems with the encoders, for people.
        warnings: Vec<String>,
    },
    /// The segment file was opened; `done` is the work found in it.
    SegmentOpened {
        segment: SegmentId,
        done: Work,
    },
    /// In careful mode: the worker is about to start this file.
    FileStarted {
        segment: SegmentId,
        file: u32,
    },
    /// Chunks of a long file were encoded since the last message; the file is not done.
    Progress,
    /// On a device: a batch of `n_slots` tokens, padding included, is about to start.
    BatchStarted {
        shard: ShardId,
        encoder: EncoderKind,
        n_slots: u64,
    },
    /// On a device: the batch has finished.
    BatchFinished {
        shard: ShardId,
        batch: Batch,
    },
    /// One or more files were committed: the work they added, and the last one's name.
    FilesCommitted {
        segment: SegmentId,
        work: Work,
        file: String,
    },
    /// All files of the segment are committed and the segment file is closed.
    SegmentDone {
        segment: SegmentId,
    },
    /// The answer to `Stop`, or to the end of stdin.
    Stopped {
        /// User and system CPU time of the worker process, in microseconds.
        cpu_us: u64,
    },
    /// The last message of a worker that cannot go on.
    Failed(Failure),
    /// The last message of a worker that its input has crashed or hung: another worker would fail the same way.
    InputCrashed(InputCrash),
}

impl FromWorker {
    /// Whether it is the worker's last message.
    pub fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Stopped { .. } | Self::Failed(_) | Self::InputCrashed(_)
        )
    }
}

/// A crash or hang of a worker that its input caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputCrash {
    /// The file, if it is known; otherwise it is one of those in work.
    pub file: Option<(SegmentId, u32)>,
    /// For people, and for the ledger if the file is skipped.
    pub reason: String,
}

/// An amount of work done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub files: u64,
    pub chunks: u64,
    /// Bytes of files, as planned.
    pub bytes: u64,
    /// Real tokens encoded, without padding and special tokens.
    pub tokens: u64,
    /// Tokens that the sessions of both encoders ran over, including special tokens, and the same with padding and blank
    /// rows.
    pub run_tokens: u64,
    pub padded_tokens: u64,
    /// Chunks whose vectors were reused from an earlier index.
    pub reused_chunks: u64,
    /// Microseconds inside session runs.
    pub busy_us: u64,
    /// Files skipped.
    pub skipped: u64,
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.chunks += other.chunks;
        self.bytes += other.bytes;
        self.tokens += other.tokens;
        self.run_tokens += other.run_tokens;
        self.padded_tokens += other.padded_tokens;
        self.reused_chunks += other.reused_chunks;
        self.busy_us += other.busy_us;
        self.skipped += other.skipped;
    }
}

/// Subtract work that was undone. Saturates at zero.
impl std::ops::SubAssign for Work {
    fn sub_assign(&mut self, other: Self) {
        let less = |from: &mut u64, part: u64| *from = from.saturating_sub(part);
        less(&mut self.files, other.files);
        less(&mut self.chunks, other.chunks);
        less(&mut self.bytes, other.bytes);
        less(&mut self.tokens, other.tokens);
        less(&mut self.run_tokens, other.run_tokens);
        less(&mut self.padded_tokens, other.padded_tokens);
        less(&mut self.reused_chunks, other.reused_chunks);
        less(&mut self.busy_us, other.busy_us);
        less(&mut self.skipped, other.skipped);
    }
}
