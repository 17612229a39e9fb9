//! What tasks write down beside the segments: `tasks/<n>.json` for a segment, `tasks/shard-<n>.json` for a shard.
//!
//! Notes help people (`status`) and save reading: they never make an incomplete segment complete. A note that is lost or of
//! another plan costs a check of the segment file.

use super::plan_file::FrozenPlan;
use crate::engine::error::Result;
use crate::engine::output::layout::Layout;
use crate::engine::output::lock;
use crate::engine::publish::PublishedShard;
use crate::ids::{Digest, FileHash};
use crate::named_file;
use crate::report::SkippedFile;
use crate::store::digest::ContentDigest;
use crate::store::{StoreError, transfer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far a task is with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// A task began, and has said nothing since: it works, or it was killed.
    Begun,
    /// Stopped by a signal; what it has done is kept.
    Paused,
    /// Failed for a reason of its machine: another try may succeed.
    Failed,
    /// Fails wherever it is tried.
    Poisoned,
    Done,
}

/// The note on a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// The plan's hash.
    pub plan: String,
    pub state: TaskState,
    pub host: String,
    pub process: u32,
    /// Seconds since 1970.
    pub at: u64,
    /// For people: why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Size of the segment file once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Files of it that were not indexed although they should have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<SkippedFile>,
}

impl Note {
    pub fn new(plan: &FrozenPlan, state: TaskState) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            plan: plan.hash().to_owned(),
            state,
            host: lock::host(),
            process: std::process::id(),
            at: since.map_or(0, |since| since.as_secs()),
            error: String::new(),
            bytes: None,
            failures: Vec::new(),
        }
    }

    /// Read the note on a segment of this plan, if there is one.
    pub fn read(plan: &FrozenPlan, layout: &Layout, number: u32) -> Option<Self> {
        let note: Self = read(&segment_path(layout, number))?;
        (note.plan == plan.hash()).then_some(note)
    }

    pub fn write(&self, layout: &Layout, number: u32) -> Result<()> {
        write(&segment_path(layout, number), self)
    }
}

/// The note on a shard that was published, but is not registered yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardNote {
    plan: String,
    digest: Digest,
    content_digest: Digest,
    files: u64,
    chunks: u64,
    pub bytes: u64,
    pub blake3: FileHash,
}

impl ShardNote {
    pub fn of(plan: &FrozenPlan, shard: &PublishedShard) -> Self {
        Self {
            plan: plan.hash().to_owned(),
            digest: shard.digest,
            content_digest: shard.content.to_digest(),
            files: shard.files,
            chunks: shard.chunks,
            bytes: shard.bytes,
            blake3: shard.file_hash,
        }
    }

    /// Return what was published at `path`.
    pub fn published(&self, path: PathBuf) -> PublishedShard {
        PublishedShard {
            path,
            digest: self.digest,
            content: ContentDigest::from_digest(self.content_digest),
            files: self.files,
            chunks: self.chunks,
            bytes: self.bytes,
            file_hash: self.blake3,
        }
    }

    pub fn read(plan: &FrozenPlan, layout: &Layout, number: u32) -> Option<Self> {
        let note: Self = read(&shard_path(layout, number))?;
        (note.plan == plan.hash()).then_some(note)
    }

    pub fn write(&self, layout: &Layout, number: u32) -> Result<()> {
        write(&shard_path(layout, number), self)
    }
}

fn segment_path(layout: &Layout, number: u32) -> PathBuf {
    layout.tasks().join(format!("{number}.json"))
}

fn shard_path(layout: &Layout, number: u32) -> PathBuf {
    layout.tasks().join(format!("shard-{number}.json"))
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = named_file::read_text(path, named_file::MOST_TEXT_BYTES).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(path: &Path, note: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(note)? + "\n";
    let beside = |n: u64| path.with_added_extension(n.to_string());
    Ok(transfer::put_note(text.as_bytes(), path, beside).map_err(|error: StoreError| error)?)
}
