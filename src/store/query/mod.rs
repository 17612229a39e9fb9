//! The builder's own reading of an index: lexical, sparse, dense, and the three fused.
//!
//! For checking an index and for people without a server. Reads only, and makes no vectors: the
//! caller encodes the query. Only hot chunks (`chromatin < 2`) are answered, as servers do. All
//! orders are total, so the same index gives the same answer on every run, whether it is one
//! database or many shards.

mod candidates;
mod error;
mod files;
mod filter;
mod held;
mod hit;
mod lexical;
mod place;
mod rank;
mod routes;
mod shard;
mod terms;
mod tiers;
mod vectors;

#[cfg(test)]
mod tests;

pub use error::QueryError;
pub use files::IndexedFile;
pub use filter::{Filter, PathFilter, Unmatched};
pub use hit::{ArmPlace, ArmPlaces, Hit, TierRanks};
pub use place::{Location, numbered};
pub use shard::Reading;
pub use terms::terms;

use super::build_meta::EncoderRecord;
use super::connect::{most_open_databases, open_read_only};
use super::error::StoreError;
use super::index::Index;
use super::maker::{Maker, maker_of};
use crate::vector::{DenseVector, SparseVector};
use filter::Allowed;
use held::{Budget, MOST_BYTES};
use rank::{Ranked, ShardIndex};
use rayon::ThreadPool;
use rusqlite::Connection;
use serde::Serialize;
use shard::{Keep, OpenShard};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tiers::Tiers;

/// How many hits of each tier are fused: rank 100 adds 1/160, a tenth of what could still change
/// the first page.
const FUSION_DEPTH: usize = 100;

/// Chunks that are looked at for each file wanted; more if they lie in too few files.
const CHUNKS_PER_FILE: usize = 4;

/// Which tiers answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Lexical,
    Sparse,
    Dense,
    /// All that have something to go by, combined and ranked.
    Hybrid,
}

/// Which shards are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    #[default]
    Everywhere,
    /// Only the shards to which a server would route the query's terms.
    Routed,
}

/// What one hit stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HitUnit {
    #[default]
    Chunk,
    /// A file, with its best chunk.
    File,
}

/// Whether hits of [`Mode::Hybrid`] are ordered by more than the arms' scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ranking {
    /// By the [rules](crate::ranking) about files, definitions and names.
    #[default]
    On,
    /// By reciprocal rank in the arms.
    Off,
}

/// A question. The vectors come from the encoders with which the index was built.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub text: &'a str,
    pub sparse: Option<&'a SparseVector>,
    pub dense: Option<&'a DenseVector>,
    pub mode: Mode,
    pub scope: Scope,
    pub unit: HitUnit,
    pub ranking: Ranking,
    /// Hits wanted.
    pub k: usize,
}

/// An index ready for any number of queries.
pub struct Searcher {
    shards: Vec<OpenShard>,
    /// Threads that read shards; `None` if one is enough or the system has no more.
    pool: OnceLock<Option<ThreadPool>>,
    routing: Option<(PathBuf, Mutex<Connection>)>,
    skipped: Vec<String>,
    /// By [`ShardIndex`]; empty without a filter.
    allowed: Vec<Allowed>,
    /// Whether a question has been answered.
    has_answered: AtomicBool,
}

impl Searcher {
    /// Open every database of the index, and keep as many open as the system allows. Skip shards whose health is not
    /// `ok`, as servers do, and what other programs registered, unless it is a shard of another builder that can be
    /// searched: see [`Self::skipped`].
    pub fn open(index: &Index) -> Result<Self, QueryError> {
        Self::open_as(index, Reading::default(), MOST_BYTES)
    }

    /// As [`Self::open`], to be read as `reading` says.
    ///
    /// # Errors
    /// As there.
    pub fn open_reading(index: &Index, reading: Reading) -> Result<Self, QueryError> {
        Self::open_as(index, reading, MOST_BYTES)
    }

    /// As [`Self::open`], with another limit on the memory that is held between queries.
    fn open_as(index: &Index, reading: Reading, most_bytes: usize) -> Result<Self, QueryError> {
        let (routing, databases) = match index {
            Index::Single { .. } => (None, index.databases()),
            Index::Sharded { routing, shards } => {
                let healthy = shards.iter().filter(|s| s.health == "ok");
                let databases = healthy.map(|s| (s.name.clone(), s.path.clone())).collect();
                let connection = open_read_only(routing)?;
                (Some((routing.clone(), Mutex::new(connection))), databases)
            }
        };
        // The first ones stay open: of a ring that is read round and round, those used last are needed last.
        let kept = most_open_databases();
        let keep = |n| if n < kept { Keep::Open } else { Keep::Closed };
        let foreign = index.foreign();
        let budget = Arc::new(Budget::of(most_bytes));
        let mut skipped = Vec::new();
        let mut shards = Vec::new();
        for (label, path) in databases {
            let is_foreign = foreign.contains(&label);
            if is_foreign && maker_of(&path) != Maker::AnotherBuilder {
                skipped.push(label);
                continue;
            }
            match OpenShard::open(label.clone(), path, (keep(shards.len()), reading), &budget) {
                Ok(shard) => shards.push(shard),
                Err(_) if is_foreign => skipped.push(label),
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            shards,
            pool: OnceLock::new(),
            routing,
            skipped,
            allowed: Vec::new(),
            has_answered: AtomicBool::new(false),
        })
    }

    /// Answer all later queries with chunks that pass `filter` only. Return the path filters that match no file.
    ///
    /// # Errors
    /// `NoShard` and `NoLanguage` for a name that the index does not have; `Store`.
    pub fn restrict(&mut self, filter: &Filter) -> Result<Unmatched, QueryError> {
        let (allowed, unmatched) = filter::apply(filter, &self.shards)?;
        self.allowed = allowed;
        Ok(unmatched)
    }

    fn allowed(&self, at: ShardIndex) -> &Allowed {
        self.allowed.get(at.0).unwrap_or(&Allowed::All)
    }

    /// Labels under which other programs registered what cannot be searched.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Return how the vectors of the index were made. `None` when no shard is the builder's.
    pub fn encoder_record(&self) -> Result<Option<EncoderRecord>, QueryError> {
        let records = self.shards.iter().map(OpenShard::encoder_record);
        records.filter_map(Result::transpose).next().transpose()
    }

    /// Answer one query, best hit first.
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, QueryError> {
        let terms = terms(query.text);
        let asked = self.asked(query.scope, &terms)?;
        let mut n_chunks = match query.unit {
            HitUnit::Chunk => query.k,
            HitUnit::File => query.k.saturating_mul(CHUNKS_PER_FILE),
        };
        loop {
            let (ranked, tiers) = self.ranked(query, &terms, &asked, n_chunks)?;
            let folded: Vec<(Ranked, Option<u32>)> = match query.unit {
                HitUnit::Chunk => ranked.into_iter().map(|ranked| (ranked, None)).collect(),
                HitUnit::File => {
                    let is_all = ranked.len() < n_chunks;
                    let folded = self.fold(ranked)?;
                    if folded.len() < query.k && !is_all {
                        n_chunks = n_chunks.saturating_mul(CHUNKS_PER_FILE);
                        continue;
                    }
                    folded
                }
            };
            let shown = &folded[..folded.len().min(query.k)];
            return self.hits(shown, &tiers);
        }
    }

    /// Return the best `n_chunks` chunks, and the ranks of each tier.
    fn ranked(
        &self,
        query: &Query<'_>,
        terms: &[String],
        asked: &[ShardIndex],
        n_chunks: usize,
    ) -> Result<(Vec<Ranked>, Tiers), QueryError> {
        let depth = match query.mode {
            Mode::Hybrid => n_chunks.max(FUSION_DEPTH),
            _ => n_chunks,
        };
        let is_of_vectors = matches!(query.mode, Mode::Sparse | Mode::Dense);
        if is_of_vectors && terms.is_empty() && query.sparse.is_none() && query.dense.is_none() {
            return Err(QueryError::NoWords);
        }
        let (tiers, words) = self.tiers(query, terms, asked, depth)?;
        let fused = || {
            let tiers = [&tiers.lexical[..], &tiers.sparse, &tiers.dense];
            rank::fuse(&tiers, n_chunks)
        };
        let ranked = match query.mode {
            Mode::Lexical => tiers.lexical.clone(),
            Mode::Sparse => tiers.sparse.clone(),
            Mode::Dense => tiers.dense.clone(),
            Mode::Hybrid if query.ranking == Ranking::Off => fused(),
            Mode::Hybrid => {
                let mut ranked = self.reranked(query.text, words.as_ref(), &tiers, fused())?;
                ranked.truncate(n_chunks);
                ranked
            }
        };
        Ok((ranked, tiers))
    }

    /// Return the shards that a query in `scope` consults, by label, in the order in which a server would
    /// ask them.
    pub fn consulted(&self, text: &str, scope: Scope) -> Result<Vec<&str>, QueryError> {
        let asked = self.asked(scope, &terms(text))?;
        Ok(asked
            .iter()
            .map(|at| self.shard(*at).label.as_str())
            .collect())
    }

    fn shard(&self, at: ShardIndex) -> &OpenShard {
        &self.shards[at.0]
    }

    fn asked(&self, scope: Scope, terms: &[String]) -> Result<Vec<ShardIndex>, QueryError> {
        let mut asked = self.in_scope(scope, terms)?;
        asked.retain(|at| !self.allowed(*at).is_none());
        Ok(asked)
    }

    fn in_scope(&self, scope: Scope, terms: &[String]) -> Result<Vec<ShardIndex>, QueryError> {
        let everywhere = || (0..self.shards.len()).map(ShardIndex).collect();
        if scope == Scope::Everywhere {
            return Ok(everywhere());
        }
        let (path, routing) = self.routing.as_ref().ok_or(QueryError::NotRouted)?;
        if terms.is_empty() {
            return Ok(everywhere());
        }
        let routing = routing.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = routes::routed(&routing, terms).map_err(StoreError::sql(path))?;
        let position = |label: &String| self.shards.iter().position(|s| s.label == *label);
        Ok(labels.iter().filter_map(position).map(ShardIndex).collect())
    }
}
