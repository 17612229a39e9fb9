//! The rows of a routing database's `shards` table, ours and other programs'.
//!
//! The one place that reads them. Reads only; [`routing`](super::routing) writes them. Rows may hold anything, since
//! other programs write to the table too: a value of another type reads as empty, and hides no other row.

use super::connect::open_read_only;
use super::digest::ContentDigest;
use super::error::StoreError;
use super::names::SHARDS_FOLDER;
use crate::ids::{Digest, FileHash};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One row of the routing database's `shards` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredShard {
    /// `shards.shard_name`: the shard's label.
    pub name: String,
    pub category: String,
    /// Where the shard lies. In an index that was copied or moved that is beside its routing database, though servers
    /// open the path as it is recorded; `verify` reports such a row.
    pub path: PathBuf,
    /// `shards.path`.
    pub recorded_path: PathBuf,
    /// Servers consult only shards whose health is `ok`.
    pub health: String,
    pub chunks: i64,
    pub bytes: i64,
    /// `shards.metadata`, JSON. The publisher writes its record there.
    pub metadata: Option<String>,
    /// The record in `metadata`. `None` when another program registered the shard.
    pub build: Option<BuildRecord>,
}

/// What the publisher records of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildRecord {
    pub fingerprint: Digest,
    pub digest: Digest,
    pub content: ContentDigest,
    /// Of the whole file as it was published.
    pub file_hash: Option<FileHash>,
}

impl RegisteredShard {
    /// Return the value at `key` of the publisher's record, also when the rest of the record cannot be read.
    pub fn recorded(&self, key: &str) -> Option<String> {
        recorded(self.metadata.as_deref(), key)
    }
}

fn recorded(metadata: Option<&str>, key: &str) -> Option<String> {
    let metadata: serde_json::Value = serde_json::from_str(metadata?).ok()?;
    Some(metadata["build"][key].as_str()?.to_owned())
}

/// Read the shards that the routing database at `path` lists, in the order of their names.
pub fn registered_shards(path: &Path) -> Result<Vec<RegisteredShard>, StoreError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    read_registered(&open_read_only(path)?, folder).map_err(StoreError::sql(path))
}

/// [`registered_shards`] of an open routing database that lies in `folder`.
pub fn read_registered(
    routing: &Connection,
    folder: &Path,
) -> Result<Vec<RegisteredShard>, rusqlite::Error> {
    let mut statement = routing.prepare(
        "SELECT shard_name, path, health, gene_count, byte_size, metadata, category FROM shards
         ORDER BY shard_name",
    )?;
    let rows = statement.query_map([], |row| {
        let text = |at| -> rusqlite::Result<Option<String>> {
            let text = row.get_ref(at)?.as_str_or_null().ok().flatten();
            Ok(text.map(str::to_owned))
        };
        let number =
            |at| -> rusqlite::Result<i64> { Ok(row.get_ref(at)?.as_i64().unwrap_or_default()) };
        let recorded_path = PathBuf::from(text(1)?.unwrap_or_default());
        let metadata = text(5)?;
        // Another program means the path that it wrote.
        let path = match recorded(metadata.as_deref(), "digest") {
            Some(_) => shard_path(folder, &recorded_path),
            None => folder.join(&recorded_path),
        };
        Ok(RegisteredShard {
            name: text(0)?.unwrap_or_default(),
            category: text(6)?.unwrap_or_default(),
            path,
            recorded_path,
            health: text(2)?.unwrap_or_default(),
            chunks: number(3)?,
            bytes: number(4)?,
            build: metadata.as_deref().and_then(BuildRecord::from_metadata),
            metadata,
        })
    })?;
    rows.collect()
}

/// Return the shard of that file name in the index's own folder, else the path as recorded.
fn shard_path(folder: &Path, recorded: &Path) -> PathBuf {
    let own = recorded
        .file_name()
        .map(|name| folder.join(SHARDS_FOLDER).join(name));
    match own {
        Some(own) if own.is_file() => own,
        _ => folder.join(recorded),
    }
}

/// `shards.metadata`.
#[derive(Serialize, Deserialize)]
struct Metadata {
    build: BuildText,
}

#[derive(Serialize, Deserialize)]
struct BuildText {
    fingerprint: String,
    digest: String,
    content_digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_blake3: Option<String>,
}

impl BuildRecord {
    /// Return the JSON for `shards.metadata`.
    pub(super) fn to_metadata(self) -> String {
        let metadata = Metadata {
            build: BuildText {
                fingerprint: self.fingerprint.to_string(),
                digest: self.digest.to_string(),
                content_digest: self.content.to_digest().to_string(),
                file_blake3: self.file_hash.map(|hash| hash.to_string()),
            },
        };
        serde_json::to_string(&metadata).expect("strings always have a JSON form")
    }

    fn from_metadata(metadata: &str) -> Option<Self> {
        let Metadata { build } = serde_json::from_str(metadata).ok()?;
        Some(Self {
            fingerprint: Digest::parse(&build.fingerprint)?,
            digest: Digest::parse(&build.digest)?,
            content: ContentDigest::from_digest(Digest::parse(&build.content_digest)?),
            file_hash: build
                .file_blake3
                .and_then(|text| Digest::parse(&text))
                .map(|digest| FileHash(digest.0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_a_shard_reads_back() {
        let build = BuildRecord {
            fingerprint: Digest([1; 32]),
            digest: Digest([2; 32]),
            content: ContentDigest::from_digest(Digest([3; 32])),
            file_hash: Some(FileHash([4; 32])),
        };
        let metadata = build.to_metadata();
        assert_eq!(BuildRecord::from_metadata(&metadata), Some(build));
        assert_eq!(BuildRecord::from_metadata(r#"{"other":true}"#), None);
    }
}
