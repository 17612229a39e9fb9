//! The first line of a plan file.

use crate::encode::EncoderInfo;
use crate::engine::devices::DevicePreference;
use crate::engine::output::provenance::Provenance;
use crate::engine::output::unavailable_roots::RetainedShards;
use crate::file::SkipReason;
use crate::ids::{Digest, FileHash};
use crate::profile::Limits;
use crate::profile::encoders::EncoderChoice;
use crate::profile::recipe::Recipe;
use crate::report::{SkippedFile, SkippedGroup};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What writes and reads plans.
pub const TOOL: &str = concat!("helix-build ", env!("CARGO_PKG_VERSION"));

/// The text before the digits of the hash.
const HASH_FIELD: &str = "\"blake3\":\"";

/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;

/// The first line. The order of the first four fields is part of the format.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    pub tool: String,
    pub kind: String,
    pub format: u32,
    /// BLAKE3 of this line with zeros in place of these digits.
    pub blake3: String,
    pub profile: String,
    #[serde(with = "crate::platform::wire_path")]
    pub out_dir: PathBuf,
    pub blob: bool,
    pub category: String,
    pub prune: bool,
    pub take_over: bool,
    pub rebuild: bool,
    pub stall_timeout_s: u64,
    /// Seconds since 1970, for every time column.
    pub epoch: u64,
    /// `SOURCE_DATE_EPOCH` fixes it.
    pub reproducible: bool,
    pub fingerprint: Digest,
    pub encoder_info: EncoderInfo,
    pub encoders: EncoderChoice,
    pub devices: [Preference; 2],
    #[serde(with = "crate::platform::wire_path")]
    pub reuse_from: Vec<PathBuf>,
    pub recipe: Recipe,
    pub limits: Limits,
    pub provenance: Provenance,
    pub missing_roots: Vec<String>,
    pub not_indexed: Vec<String>,
    pub unreadable: Vec<SkippedFile>,
    pub skipped: BTreeMap<SkipReason, u64>,
    pub skipped_kinds: Vec<SkippedGroup>,
    pub retained: RetainedShards,
    pub roots: Vec<HeadRoot>,
    pub shards: Vec<HeadShard>,
}

/// A device that tasks look for, as [`DevicePreference`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    pub setting: String,
    pub is_specific: bool,
}

impl From<DevicePreference> for Preference {
    fn from(preference: DevicePreference) -> Self {
        Self {
            setting: preference.setting.to_string(),
            is_specific: preference.is_specific,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadRoot {
    pub label: String,
    #[serde(with = "crate::platform::wire_path")]
    pub path: PathBuf,
    pub files: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadShard {
    pub label: String,
    /// The digest of a shard that stays as it is; it has no segments here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<Digest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<HeadSegment>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadSegment {
    pub key: String,
    /// Position in the roots.
    pub root: u32,
    pub files: u64,
    /// Size of the files.
    pub bytes: u64,
    /// Where its line begins, from the end of the first line, and how long it is, without its end.
    pub at: u64,
    pub length: u64,
    /// Hash of its line.
    pub blake3: FileHash,
}

/// Render the line, with its hash and its end, and put the hash into `head`.
pub fn render(head: &mut Head) -> serde_json::Result<Vec<u8>> {
    head.blake3 = "0".repeat(HASH_DIGITS);
    let blank = serde_json::to_string(head)? + "\n";
    head.blake3 = blake3::hash(blank.as_bytes()).to_hex().to_string();
    Ok((serde_json::to_string(head)? + "\n").into_bytes())
}

/// Parse a line with its end. `None` if it is not as [`render`] wrote it.
pub fn parse(line: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(line).ok()?;
    let at = text.find(HASH_FIELD)? + HASH_FIELD.len();
    let digits = text.get(at..at + HASH_DIGITS)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&text.as_bytes()[..at]);
    hasher.update("0".repeat(HASH_DIGITS).as_bytes());
    hasher.update(&text.as_bytes()[at + HASH_DIGITS..]);
    if hasher.finalize().to_hex().as_str() != digits {
        return None;
    }
    serde_json::from_str(text).ok()
}
