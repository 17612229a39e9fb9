//! Restricts answers to some shards, languages and paths.
//!
//! A chunk passes if any of its places does. What passes is read once, so that the tiers leave the others out before they
//! count their best.

use super::error::QueryError;
use super::shard::OpenShard;
use crate::profile::{BadPattern, Patterns};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{MAIN_SEPARATOR, Path};

/// Which chunks may be answered. The default allows all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Labels; empty: all shards.
    pub shards: Vec<String>,
    /// Lower-case names as in `build_files.language`; empty: all.
    pub languages: Vec<String>,
    /// Files that match one of these pass; empty: all.
    pub paths: Vec<PathFilter>,
}

/// One restriction to files and folders.
#[derive(Clone, Debug)]
pub struct PathFilter {
    typed: String,
    below: Patterns,
    absolute: Patterns,
}

impl PathFilter {
    /// Compile a pattern as in profiles, on the path below the root or on a folder above it. `absolute` are the same in
    /// other words: patterns on the absolute path, with `/` between folders.
    ///
    /// # Errors
    /// The first invalid pattern.
    pub fn compile(typed: &str, absolute: &[String]) -> Result<Self, BadPattern> {
        Ok(Self {
            typed: typed.to_owned(),
            below: Patterns::compile([typed])?,
            absolute: Patterns::compile(absolute.iter().map(String::as_str))?,
        })
    }

    /// Return whether a file below `root` passes; an empty root leaves `path` absolute.
    fn has(&self, root: &str, path: &str) -> bool {
        if self.below.matching_or_above(below(path)).is_some() {
            return true;
        }
        if self.absolute.is_empty() {
            return false;
        }
        let mut absolute = format!("{}/{path}", root.trim_end_matches('/'));
        if MAIN_SEPARATOR != '/' {
            absolute = absolute.replace(MAIN_SEPARATOR, "/");
        }
        self.absolute.matching_or_above(below(&absolute)).is_some()
    }
}

fn below(path: &str) -> &Path {
    Path::new(path.trim_start_matches('/'))
}

/// The path filters that no file matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmatched {
    /// As typed.
    pub paths: Vec<String>,
    /// Absolute paths of the folders in the shards that are asked.
    pub roots: Vec<String>,
}

/// What the files of the index are, as far as filters ask.
#[derive(Default)]
struct Known {
    languages: BTreeSet<String>,
    roots: BTreeSet<String>,
    /// For each path filter whether a file matches it.
    is_matched: Vec<bool>,
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

/// Return what of each shard passes, and the path filters that match nothing.
///
/// # Errors
/// `NoShard` and `NoLanguage` for a name that the index does not have: nothing would pass.
pub fn apply(
    filter: &Filter,
    shards: &[OpenShard],
) -> Result<(Vec<Allowed>, Unmatched), QueryError> {
    for label in &filter.shards {
        if !shards.iter().any(|shard| shard.label == *label) {
            let known = shards.iter().map(|shard| shard.label.clone()).collect();
            let label = label.clone();
            return Err(QueryError::NoShard { label, known });
        }
    }
    let mut known = Known {
        is_matched: vec![false; filter.paths.len()],
        ..Known::default()
    };
    let mut allowed = Vec::with_capacity(shards.len());
    for shard in shards {
        let is_asked = filter.shards.is_empty() || filter.shards.contains(&shard.label);
        allowed.push(match is_asked {
            false => Allowed::Some(HashMap::new()),
            true if filter.languages.is_empty() && filter.paths.is_empty() => Allowed::All,
            true => Allowed::Some(chunks(filter, shard, &mut known)?),
        });
    }
    let is_unknown = |language: &&String| !known.languages.contains(*language);
    if let Some(language) = filter.languages.iter().find(is_unknown) {
        return Err(QueryError::NoLanguage {
            language: language.clone(),
            known: known.languages.into_iter().collect(),
        });
    }
    let matched = filter.paths.iter().zip(known.is_matched);
    let unmatched = matched.filter(|(_, is_matched)| !is_matched);
    let unmatched = Unmatched {
        paths: unmatched.map(|(path, _)| path.typed.clone()).collect(),
        roots: known.roots.into_iter().collect(),
    };
    Ok((allowed, unmatched))
}

impl Known {
    /// Return whether a file passes the path filters, and note which.
    fn is_path(&mut self, filter: &Filter, root: &str, path: &str) -> bool {
        let mut passes = filter.paths.is_empty();
        for (path_filter, is_matched) in filter.paths.iter().zip(&mut self.is_matched) {
            if path_filter.has(root, path) {
                *is_matched = true;
                passes = true;
            }
        }
        passes
    }
}

fn chunks(
    filter: &Filter,
    shard: &OpenShard,
    known: &mut Known,
) -> Result<HashMap<String, Option<i64>>, QueryError> {
    if !shard.has_build_tables() {
        return shard.read(|connection| {
            let sql = "SELECT gene_id, coalesce(source_id, '') FROM genes";
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut found = HashMap::new();
            while let Some(row) = rows.next()? {
                if filter.languages.is_empty()
                    && known.is_path(filter, "", row.get_ref(1)?.as_str()?)
                {
                    found.insert(row.get(0)?, None);
                }
            }
            Ok(found)
        });
    }
    shard.read(|connection| {
        let sql = "SELECT f.file_id, f.path, coalesce(f.language, ''), r.path FROM build_files AS f
                   JOIN build_roots AS r ON r.root_id = f.root_id WHERE f.skip_reason IS NULL";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut files: HashSet<i64> = HashSet::new();
        while let Some(row) = rows.next()? {
            let language = row.get_ref(2)?.as_str()?;
            let root = row.get_ref(3)?.as_str()?;
            if !known.roots.contains(root) {
                known.roots.insert(root.to_owned());
            }
            if !language.is_empty() && !known.languages.contains(language) {
                known.languages.insert(language.to_owned());
            }
            let is_language =
                filter.languages.is_empty() || filter.languages.iter().any(|it| it == language);
            if known.is_path(filter, root, row.get_ref(1)?.as_str()?) && is_language {
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
