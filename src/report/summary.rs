//! The last line of a build: what scripts and CI read.
//!
//! Field names are a contract: fields may be added, none changes its meaning. What the index is
//! ([`IndexSummary`]) is kept apart from how this run went ([`RunSummary`]): the first depends on
//! inputs and settings alone.

use super::{SkippedGroup, WatchdogEvent};
use crate::file::{SkipReason, TextKind};
use crate::profile::recipe::SecretsInText;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    #[serde(flatten)]
    pub index: IndexSummary,
    #[serde(flatten)]
    pub run: RunSummary,
    /// Every skipped file, if the request asks for the list.
    #[serde(skip)]
    pub skipped_files: Vec<SkippedFile>,
}

/// What was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexSummary {
    pub profile: String,
    /// `blob` or `sharded`.
    pub mode: String,
    /// Absolute path of the database to open.
    pub output: String,
    /// Logical digest of the whole index: every row, without build times.
    pub digest: String,
    /// Digest of files, chunks and vectors alone: equal for blob and sharded builds.
    pub content_digest: String,
    /// Hash of everything, apart from the inputs, that shapes the output.
    pub fingerprint: String,
    /// Files indexed.
    pub files: u64,
    /// Distinct chunks, per shard.
    pub chunks: u64,
    /// Bytes of the indexed files.
    pub source_bytes: u64,
    /// Files skipped, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// The same by reason and kind of file, with examples; the largest 200 groups.
    #[serde(default)]
    pub skipped_kinds: Vec<SkippedGroup>,
    /// Files of which only the beginning is indexed.
    #[serde(default, skip_serializing_if = "Heads::is_empty")]
    pub heads: Heads,
    /// Files that killed their worker.
    pub quarantined: Vec<SkippedFile>,
    /// Files and folders to index that could not be read.
    pub unreadable: Vec<SkippedFile>,
    /// What was done with credentials in the text of indexed files, and how many there were.
    #[serde(default)]
    pub secrets_in_text: TextSecrets,
    /// How texts were read.
    #[serde(default, skip_serializing_if = "TextSummary::is_plain")]
    pub text: TextSummary,
    pub missing_roots: Vec<String>,
    /// Unavailable roots whose shards are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<UnavailableRoot>,
    /// Encoder servers that made the vectors: the index is not reproducible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<ServerSummary>,
    /// Labels of roots whose changes are not in a blob that waits for another root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_indexed: Vec<String>,
    pub shards: Vec<ShardSummary>,
}

/// An encoder server that made the vectors of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSummary {
    /// `sparse` or `dense`.
    pub kind: String,
    pub url: String,
    pub model: String,
    pub revision: Option<String>,
}

/// Files of which only the beginning is indexed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    pub files: u64,
    /// The first of them, 20 at most.
    pub examples: Vec<FileHead>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHead {
    pub root: String,
    pub path: String,
    pub indexed_bytes: u64,
    pub bytes: u64,
}

impl Heads {
    /// Examples in a summary: more are noise in a manifest.
    const MOST_EXAMPLES: usize = 20;

    pub fn is_empty(&self) -> bool {
        self.files == 0
    }

    pub fn add(&mut self, head: FileHead) {
        self.files += 1;
        if self.examples.len() < Self::MOST_EXAMPLES {
            self.examples.push(head);
        }
    }
}

/// Values that look like credentials in the text of indexed files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSecrets {
    /// `keep`: they are in the index. `redact`: they were replaced. `skip`: there are none, see `skipped`.
    pub setting: SecretsInText,
    pub values: u64,
    /// The files that have any, in the order of the shards.
    pub files: Vec<FileSecrets>,
}

/// How the texts of indexed files were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSummary {
    /// Files in another encoding than UTF-8, by its name.
    pub encodings: BTreeMap<String, u64>,
    /// Places where bytes were no characters and U+FFFD stands instead, and the files that have any.
    pub replaced: u64,
    pub replaced_files: u64,
    /// Runs of encoded data (data URIs, base64, hexadecimal digits) that were left out, and the files that have any.
    pub elided: u64,
    pub elided_files: u64,
}

impl TextSummary {
    /// Whether every file is UTF-8 and was indexed as it is.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Count one indexed file.
    pub fn add(&mut self, text: &TextKind) {
        if &*text.encoding != "UTF-8" {
            *self.encodings.entry(text.encoding.to_string()).or_default() += 1;
        }
        self.replaced += u64::from(text.replaced);
        self.replaced_files += u64::from(text.replaced > 0);
        self.elided += u64::from(text.elided);
        self.elided_files += u64::from(text.elided > 0);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSecrets {
    pub root: String,
    pub path: String,
    pub values: u32,
}

/// How one run went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    pub elapsed_s: f64,
    /// CPU time of supervisor and workers, without workers that were killed.
    pub cpu_s: f64,
    /// Share of the workers' time between first start and last segment spent in session runs, 0..1.
    pub encoder_busy: f64,
    /// Share of the tokens in batches that are not padding, 0..1: 1 on the CPU, and if nothing was encoded.
    #[serde(default = "full")]
    pub batch_fill: f64,
    /// Chunks whose vectors were reused from an earlier index.
    pub reused_chunks: u64,
    /// Chunks found in segments of an interrupted run.
    pub resumed_chunks: u64,
    /// Shards that were complete already.
    pub unchanged_shards: u64,
    /// Labels of shards that were deleted because of the profile or `--prune`.
    #[serde(default)]
    pub deleted: Vec<String>,
    pub workers: u32,
    pub file_workers: u32,
    pub devices: Vec<String>,
    /// What the watchdog detected, and what it did.
    pub watchdog: Vec<WatchdogEvent>,
}

/// The value for summaries without the field.
fn full() -> f64 {
    1.0
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardSummary {
    pub label: String,
    pub path: String,
    pub digest: String,
    pub files: u64,
    pub chunks: u64,
    /// Size of the database.
    pub bytes: u64,
    /// BLAKE3 hash of the file as it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_blake3: Option<String>,
}

/// An unavailable root whose shards are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnavailableRoot {
    /// Its label, or for a missing one the entry of the profile; the path of a folder that a pattern matched before.
    pub root: String,
    pub path: String,
    /// Why it is unavailable, for people.
    pub detail: String,
    /// Labels.
    pub shards: Vec<String>,
}

/// A file to index that was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFile {
    pub root: String,
    pub path: String,
    pub reason: SkipReason,
    pub detail: String,
}
