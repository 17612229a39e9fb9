//! What a check found.

use super::fault::Faults;
use super::level::Level;
use super::shard::ShardReport;
use crate::ids::Digest;
use crate::store::digest::{ContentDigest, digest_index};
use serde::Serialize;
use std::path::PathBuf;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub level: Level,
    /// A build of this index has begun and not finished: what is there was checked, and more is to come.
    pub unfinished: bool,
    /// A build was at work on the index during the check. What was sound in spite of it is sound.
    pub being_rebuilt: bool,
    /// Contradictions that the build may explain, so that they are not faults: nothing but another check tells.
    pub unconfirmed: u64,
    /// Labels under which other programs registered something: none of it was checked.
    pub foreign_shards: Vec<String>,
    /// Where another program's manifest lies in the place of the index's: no fault, but the next build will refuse to
    /// replace it.
    pub foreign_manifest: Option<PathBuf>,
    /// In the order of the labels.
    pub shards: Vec<ShardReport>,
    pub faults: Faults,
}

impl Report {
    pub(super) fn new(level: Level) -> Self {
        Self {
            level,
            unfinished: false,
            being_rebuilt: false,
            unconfirmed: 0,
            foreign_shards: Vec::new(),
            foreign_manifest: None,
            shards: Vec::new(),
            faults: Faults::default(),
        }
    }

    /// Nothing is wrong, and nothing is in doubt.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.unconfirmed == 0
    }

    /// Take the faults for what a build that is at work may explain.
    pub fn doubt(&mut self) {
        self.being_rebuilt = true;
        self.unconfirmed += std::mem::take(&mut self.faults).total();
    }

    /// Return the index's digest, recomputed from its rows; at level [`Level::Full`] and when every shard
    /// could be read.
    pub fn digest(&self) -> Option<Digest> {
        let digests: Option<Vec<_>> = self
            .shards
            .iter()
            .map(|shard| Some((shard.label.as_str(), shard.digest?)))
            .collect();
        Some(digest_index(digests.filter(|all| !all.is_empty())?))
    }

    /// Return what the index holds, however it is divided into shards; known when the digest is.
    pub fn content_digest(&self) -> Option<Digest> {
        self.digest()?;
        let contents = self.shards.iter().filter_map(|shard| shard.content);
        let sum = contents.fold(ContentDigest::default(), ContentDigest::and);
        Some(sum.to_digest())
    }
}
