//! Restricts answers to some shards, languages and paths.
//!
//! A chunk passes if any of its places does. What passes is read once, so that the tiers leave the others out before they
//! count their best.

use super::error::QueryError;
use super::shard::OpenShard;
use crate::profile::Patterns;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// Which chunks may be answered. The default allows all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Labels; empty: all shards.
    pub shards: Vec<String>,
    /// Lower-case names as in `build_files.language`; empty: all.
    pub languages: Vec<String>,
    /// Patterns as in profiles, on the path below the root or on a folder above it; empty: all.
    pub paths: Patterns,
}

/// What of a shard may be answered.
#[derive(Debug, Default)]
pub enum Allowed {
    #[default]
    All,
    /// Chunks by id, each with the first file that holds it and passes; no file in a shard of another builder.
    Some(HashMap<String, Option<i64>>),
}

impl Allowed {
    pub fn has(&self, gene_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(chunks) => chunks.contains_key(gene_id),
        }
    }

    /// Return whether nothing passes.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Some(chunks) if chunks.is_empty())
    }

    /// Return the file as which a chunk passes; `None` if that is its owner.
    pub fn file_of(&self, gene_id: &str) -> Option<i64> {
        match self {
            Self::All => None,
            Self::Some(chunks) => *chunks.get(gene_id)?,
        }
    }
}

/// Return what of each shard passes.
///
/// # Errors
/// `NoShard` and `NoLanguage` for a name that the index does not have: nothing would pass.
pub fn apply(filter: &Filter, shards: &[OpenShard]) -> Result<Vec<Allowed>, QueryError> {
    for label in &filter.shards {
        if !shards.iter().any(|shard| shard.label == *label) {
            let known = shards.iter().map(|shard| shard.label.clone()).collect();
            let label = label.clone();
            return Err(QueryError::NoShard { label, known });
        }
    }
    let mut languages = BTreeSet::new();
    let mut allowed = Vec::with_capacity(shards.len());
    for shard in shards {
        let is_asked = filter.shards.is_empty() || filter.shards.contains(&shard.label);
        allowed.push(match is_asked {
            false => Allowed::Some(HashMap::new()),
            true if filter.languages.is_empty() && filter.paths.is_empty() => Allowed::All,
            true => Allowed::Some(chunks(filter, shard, &mut languages)?),
        });
    }
    let is_known = |language: &&String| !languages.contains(*language);
    match filter.languages.iter().find(is_known) {
        None => Ok(allowed),
        Some(language) => Err(QueryError::NoLanguage {
            language: language.clone(),
            known: languages.into_iter().collect(),
        }),
    }
}

fn chunks(
    filter: &Filter,
    shard: &OpenShard,
    languages: &mut BTreeSet<String>,
) -> Result<HashMap<String, Option<i64>>, QueryError> {
    let is_path = |path: &str| {
        let path = Path::new(path.trim_start_matches('/'));
        filter.paths.is_empty() || filter.paths.matching_or_above(path).is_some()
    };
    if !shard.has_build_tables() {
        return shard.read(|connection| {
            let sql = "SELECT gene_id, coalesce(source_id, '') FROM genes";
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut found = HashMap::new();
            while let Some(row) = rows.next()? {
                if filter.languages.is_empty() && is_path(row.get_ref(1)?.as_str()?) {
                    found.insert(row.get(0)?, None);
                }
            }
            Ok(found)
        });
    }
    shard.read(|connection| {
        let sql = "SELECT file_id, path, coalesce(language, '') FROM build_files WHERE skip_reason IS NULL";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut files: HashSet<i64> = HashSet::new();
        while let Some(row) = rows.next()? {
            let language = row.get_ref(2)?.as_str()?;
            if !language.is_empty() && !languages.contains(language) {
                languages.insert(language.to_owned());
            }
            let is_language =
                filter.languages.is_empty() || filter.languages.iter().any(|it| it == language);
            if is_language && is_path(row.get_ref(1)?.as_str()?) {
                files.insert(row.get(0)?);
            }
        }
        let sql = "SELECT gene_id, file_id FROM build_sources ORDER BY file_id, seq";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut found = HashMap::new();
        while let Some(row) = rows.next()? {
            let file = row.get(1)?;
            if files.contains(&file) {
                found.entry(row.get(0)?).or_insert(Some(file));
            }
        }
        Ok(found)
    })
}
