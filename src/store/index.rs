//! A finished index: its databases, their labels, and which of them are the builder's.
//!
//! Values, and a look at the label of a shard whose row another program wrote.

use super::build_meta::read_text;
use super::registered::RegisteredShard;
use super::surroundings::Surroundings;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// A finished index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    /// A routing database and the shards registered in it, by name.
    Sharded {
        routing: PathBuf,
        shards: Vec<RegisteredShard>,
    },
    /// One database: a blob, or one shard looked at alone.
    Single { path: PathBuf },
}

impl Index {
    /// Return the database that names the index: the routing database, or the only one.
    pub fn database(&self) -> &Path {
        match self {
            Self::Sharded { routing: path, .. } | Self::Single { path } => path,
        }
    }

    /// Return where the build that wrote the index keeps what belongs to it.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings::of(self.database())
    }

    /// [`Self::databases`] without those that other programs registered.
    pub fn databases_of_ours(&self) -> Vec<(String, PathBuf)> {
        let foreign = self.foreign();
        let mut databases = self.databases();
        databases.retain(|(label, _)| !foreign.contains(label));
        databases
    }

    /// Labels under which other programs registered something: rows without a record of a build, unless the file is
    /// our shard of that label, and rows with the record or the file of another row, whose shard they name.
    pub fn foreign(&self) -> BTreeSet<String> {
        let Self::Sharded { shards, .. } = self else {
            return BTreeSet::new();
        };
        let digests: Vec<_> = shards
            .iter()
            .map(|shard| shard.recorded("digest"))
            .collect();
        let mut by_digest: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut by_path: HashMap<&Path, Vec<&str>> = HashMap::new();
        for (shard, digest) in shards.iter().zip(&digests) {
            by_path.entry(&shard.path).or_default().push(&shard.name);
            if let Some(digest) = digest {
                by_digest.entry(digest).or_default().push(&shard.name);
            }
        }
        let is_foreign = |(shard, digest): (&RegisteredShard, &Option<String>)| {
            let label = || read_text(&shard.path, "label").ok();
            let is_foreign = match digest {
                None => label().as_ref() != Some(&shard.name),
                Some(digest) => {
                    let alike = || {
                        by_digest[digest.as_str()]
                            .iter()
                            .chain(&by_path[&*shard.path])
                    };
                    let is_of =
                        |label: String| label != shard.name && alike().any(|name| *name == label);
                    alike().any(|name| *name != shard.name) && label().is_some_and(is_of)
                }
            };
            is_foreign.then(|| shard.name.clone())
        };
        shards.iter().zip(&digests).filter_map(is_foreign).collect()
    }

    /// Return every database with its label, in the order of the labels.
    pub fn databases(&self) -> Vec<(String, PathBuf)> {
        match self {
            Self::Sharded { shards, .. } => shards
                .iter()
                .map(|shard| (shard.name.clone(), shard.path.clone()))
                .collect(),
            Self::Single { path } => vec![(label_of(path), path.clone())],
        }
    }
}

/// Return the label of a database that no routing database names: its file name without `.genome.db`
/// or `.db`.
pub fn label_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".db").unwrap_or(&name);
    stem.strip_suffix(".genome").unwrap_or(stem).to_string()
}
