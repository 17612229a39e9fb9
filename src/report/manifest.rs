//! `manifest.json`: the contents of an output folder, for people and scripts.
//!
//! One file describes all profiles built there, with the Python builder's keys. It carries a hash of its own text, so that
//! damage is detected. Merging is pure; the caller reads and writes the file.

use super::{IndexSummary, RunSummary};
use crate::ids::Digest;
use crate::profile::Limits;
use crate::profile::recipe::Recipe;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the file's format.
    pub format: u32,
    pub tool: String,
    /// BLAKE3 of this file's text with zeros in place of these 64 digits.
    #[serde(default)]
    pub blake3: String,
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
    pub builder_keys: BuilderKeys,
    #[serde(flatten)]
    pub index: IndexSummary,
    /// BLAKE3 hash of the routing database's file, as the last build left it; `None` for a blob. Its bytes depend on the
    /// order in which shards were published, so it is omitted under `SOURCE_DATE_EPOCH` as well: equal builds have equal
    /// manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_blake3: Option<String>,
    /// Omitted under `SOURCE_DATE_EPOCH`, so that equal builds have equal manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunSummary>,
}

/// Keys of the Python builder of 0.11.3 that say how the rows were made. Absent in manifests of earlier versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuilderKeys {
    /// What made the tags: a text, which differs from every number of the Python builder's taggers. Its readers take an
    /// absent version for 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagger_version: Option<String>,
    /// Whether chunks with common names are linked (`gene_relations`, relation 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_autolink: Option<bool>,
    /// Smaller files are skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_file_bytes: Option<u64>,
}

impl BuilderKeys {
    pub fn of(recipe: &Recipe, limits: &Limits) -> Self {
        Self {
            tagger_version: Some(format!("helix-build {}", recipe.rules_version())),
            entity_autolink: Some(true),
            min_file_bytes: Some(limits.min_file_bytes),
        }
    }
}

/// The [`Manifest::format`] of this version.
const FORMAT: u32 = 1;

/// The text before the digits of the hash. Its first occurrence counts: the field precedes everything that a user names.
const HASH_FIELD: &str = "\"blake3\": \"";

/// The field after the hash.
const TARGETS_FIELD: &str = "\"targets\": {";

/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 64;

impl Manifest {
    /// Parse a manifest. `None` if another tool wrote it, or if it was changed since this tool wrote it: nothing in it is
    /// reliable then.
    pub fn parse(text: &str) -> Option<Self> {
        if !Self::is_intact(text) {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// Render the file's text, with its hash.
    pub fn to_text(&self) -> String {
        let blank = Self {
            blake3: "0".repeat(HASH_DIGITS),
            ..self.clone()
        };
        let text = serde_json::to_string_pretty(&blank).expect("values with text keys are JSON");
        let text = text + "\n";
        match split(&text) {
            Some((before, _, behind)) => [before, &hash(before, behind), behind].concat(),
            None => text,
        }
    }

    /// Whether the text is exactly what [`Self::to_text`] returned.
    pub fn is_intact(text: &str) -> bool {
        split(text).is_some_and(|(before, noted, behind)| hash(before, behind) == noted)
    }

    /// Whether this tool wrote the text, even if it was damaged since. Looks for two marks, so that no damage at a single
    /// place hides both.
    pub fn is_of_this_tool(text: &str) -> bool {
        let has_hash = || text.contains(HASH_FIELD) && text.contains(TARGETS_FIELD);
        text.contains("\"tool\": \"helix-build ") || has_hash() || is_named(text)
    }

    /// Whether the text is empty, so that a build may replace it.
    pub fn is_blank(text: &str) -> bool {
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        ["", "{}"].contains(&plain.trim_matches('\0'))
    }

    /// The format of a manifest of this tool, if it is not this version's. The text need not be intact: another version may
    /// record its hash differently.
    pub fn unknown_format(text: &str) -> Option<String> {
        let value: Value = serde_json::from_str(text).ok()?;
        let format = value.get("format")?;
        let is_known = format.as_u64() == Some(u64::from(FORMAT));
        (!is_known && Self::is_of_this_tool(text)).then(|| format.to_string())
    }

    /// Whether another tool wrote the text: a JSON object with a key that no manifest has, or with another tool's name, and
    /// without this tool's marks. An empty text, or one with only our keys, has no owner.
    pub fn is_of_another_tool(text: &str) -> bool {
        const KEYS: [&str; 4] = ["format", "tool", "blake3", "targets"];
        let object = serde_json::from_str::<serde_json::Map<String, Value>>(text);
        let is_strange = |object: serde_json::Map<String, Value>| {
            let tool = object.get("tool").and_then(Value::as_str);
            tool.is_some_and(|tool| !tool.starts_with("helix-build "))
                || object.keys().any(|key| !KEYS.contains(&key.as_str()))
        };
        !Self::is_of_this_tool(text) && object.is_ok_and(is_strange)
    }

    /// The recorded hash of the database at `path`, if its digest is `digest`.
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

    /// The recorded hash of a profile's routing database.
    pub fn routing_hash(&self, profile: &str) -> Option<&str> {
        let target = self.targets.get(&format!("{profile}-sharded"))?;
        target.routing_blake3.as_deref()
    }

    /// Add or replace one target.
    pub fn with(previous: Option<Self>, target: Target) -> Self {
        let mut targets = previous.map(|m| m.targets).unwrap_or_default();
        targets.insert(key(&target.index), target);
        Self {
            format: FORMAT,
            tool: concat!("helix-build ", env!("CARGO_PKG_VERSION")).to_owned(),
            blake3: String::new(),
            targets,
        }
    }
}

/// Whether the text is JSON, in any layout, that names this tool.
fn is_named(text: &str) -> bool {
    let value = serde_json::from_str::<Value>(text).unwrap_or_default();
    value["tool"]
        .as_str()
        .is_some_and(|tool| tool.starts_with("helix-build "))
}

/// Split the text into the part before the hash, the hash, and the part after it.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(HASH_FIELD)? + HASH_FIELD.len();
    let end = start + HASH_DIGITS;
    Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?))
}

fn hash(before: &str, behind: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [before, &"0".repeat(HASH_DIGITS), behind] {
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn key(index: &IndexSummary) -> String {
    match index.mode.as_str() {
        "blob" => index.profile.clone(),
        mode => format!("{}-{mode}", index.profile),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::recipe::RuleSet;

    fn manifest() -> Manifest {
        let text = r#"{"profile":"blake3\": \"p","mode":"sharded","output":"/o","digest":"d",
            "content_digest":"c","fingerprint":"f","files":1,"chunks":2,"source_bytes":3,"skipped":{},
            "quarantined":[],"unreadable":[],"missing_roots":[],"shards":[]}"#;
        let index: IndexSummary = serde_json::from_str(text).expect("a summary");
        let target = Target {
            built_at: 1.5,
            encoders: Value::Null,
            recipe: Value::Null,
            builder_keys: BuilderKeys::of(&Recipe::default(), &Limits::of(RuleSet::Standard)),
            index,
            routing_blake3: Some("r".to_owned()),
            run: None,
        };
        Manifest::with(None, target)
    }

    #[test]
    fn a_manifest_reads_back() {
        let manifest = manifest();
        let text = manifest.to_text();
        let read = Manifest::parse(&text).expect("intact");
        assert_eq!(read.targets, manifest.targets);
        assert_eq!(read.to_text(), text);
        assert_eq!(read.routing_hash("blake3\": \"p"), Some("r"));
        assert_eq!(read.routing_hash("q"), None);
        assert_eq!(Manifest::unknown_format(&text), None);
        let later = Manifest {
            format: 7,
            ..manifest
        };
        let unknown = |text: &str| Manifest::unknown_format(text);
        assert_eq!(unknown(&later.to_text()).as_deref(), Some("7"));
        // Its hash may differ or have another name.
        let other = text.replacen("\"format\": 1", "\"format\": 3", 1);
        assert_eq!(unknown(&other).as_deref(), Some("3"));
        let bare = "{\"format\":2,\"tool\":\"helix-build 9.0.0\",\"indexes\":[]}";
        assert_eq!(unknown(bare).as_deref(), Some("2"));
        assert_eq!(unknown("{\"format\": 2, \"tool\": \"other 1\"}"), None);
    }

    #[test]
    fn every_flipped_bit_is_detected_and_none_hides_who_wrote_it() {
        let text = manifest().to_text();
        for at in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            let damaged = String::from_utf8_lossy(&bytes);
            assert!(Manifest::parse(&damaged).is_none(), "bit {at}");
            assert!(Manifest::is_of_this_tool(&damaged), "bit {at}");
        }
        let other = r#"{"targets": {}, "tool": "other 1"}"#;
        let app = r#"{"name": "an app", "blake3": "x"}"#;
        for foreign in ["", " \n", "{}", "[]", "null", "\0\0", "{", other, app] {
            assert!(Manifest::parse(foreign).is_none());
            assert!(!Manifest::is_of_this_tool(foreign));
            let is_blank = ["", " \n", "{}", "\0\0"].contains(&foreign);
            assert_eq!(Manifest::is_blank(foreign), is_blank, "{foreign:?}");
            let is_another = foreign == other || foreign == app;
            assert_eq!(Manifest::is_of_another_tool(foreign), is_another);
        }
        assert!(!Manifest::is_of_another_tool(&text));
    }
}
