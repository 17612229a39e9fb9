//! `manifest.json`: what lies in an output folder, for people and scripts.
//!
//! One file for all profiles built there, keyed as the Python builder keys it. Merging is pure;
//! reading and writing the file is the caller's.

use super::{IndexSummary, RunSummary};
use crate::ids::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Shape of this file.
    pub format: u32,
    pub tool: String,
    /// `<profile>` for a blob, `<profile>-sharded` for shards.
    pub targets: BTreeMap<String, Target>,
}

/// One built profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Unix seconds; follows `SOURCE_DATE_EPOCH`.
    pub built_at: f64,
    /// Names, hashes and licences of the encoders.
    pub encoders: Value,
    /// The choices that shaped the output.
    pub recipe: Value,
    #[serde(flatten)]
    pub index: IndexSummary,
    /// Left out under `SOURCE_DATE_EPOCH`, so that equal builds have equal manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSummary>,
}

impl Manifest {
    /// Reads a manifest; one that cannot be read (another tool's, a damaged one) is replaced.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The hash noted of the database at `path` in the state with this digest.
    pub fn file_hash(&self, path: &Path, digest: &Digest) -> Option<String> {
        let (path, digest) = (path.display().to_string(), digest.to_string());
        let mut shards = self
            .targets
            .values()
            .flat_map(|target| &target.index.shards);
        shards
            .find(|shard| shard.path == path && shard.digest == digest)?
            .file_blake3
            .clone()
    }

    /// Adds or replaces one target.
    pub fn with(previous: Option<Self>, target: Target) -> Self {
        let mut targets = previous.map(|m| m.targets).unwrap_or_default();
        targets.insert(key(&target.index), target);
        Self {
            format: 1,
            tool: concat!("helix-build ", env!("CARGO_PKG_VERSION")).to_owned(),
            targets,
        }
    }
}

fn key(index: &IndexSummary) -> String {
    match index.mode.as_str() {
        "blob" => index.profile.clone(),
        mode => format!("{}-{mode}", index.profile),
    }
}
