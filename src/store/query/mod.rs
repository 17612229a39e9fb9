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
use crate::batch::EncoderKind;
use crate::vector::{DenseVector, SparseVector};
use filter::Allowed;
use held::{Budget, MOST_BYTES, Shares};
use lexical::{Counted, Statistics};
use rank::{Ranked, Scored, ShardIndex, Wanted};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use rusqlite::Connection;
use serde::Serialize;
use shard::{Keep, OpenShard};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

/// How many hits of each tier are fused: rank 100 adds 1/160, a tenth of what could still change
/// the first page.
const FUSION_DEPTH: usize = 100;

/// Chunks that are looked at for each file wanted; more if they lie in too few files.
const CHUNKS_PER_FILE: usize = 4;

/// A smaller index is read sooner than threads are started: some 0.1 ms each, a query over 5,000 chunks takes 2 ms. Tests
/// use them for next to nothing.
const CHUNKS_FOR_THREADS: f64 = if cfg!(test) { 4.0 } else { 5_000.0 };

/// Readers of the dense vectors of one shard, at most. Each reads the ids of all chunks first, a sixth of reading the
/// vectors.
const MOST_READERS: usize = 4;

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

/// What each tier that was asked has.
#[derive(Default)]
struct Tiers<T = Vec<Ranked>> {
    lexical: T,
    sparse: T,
    dense: T,
}

/// The words of a query, and how often each shard and all of them hold these.
struct Words {
    global: Statistics,
    /// By [`ShardIndex`].
    counts: Vec<Vec<Counted>>,
    global_counts: Vec<Counted>,
    telling: Vec<bool>,
}

impl Words {
    /// Return whether a shard has any that is worth asking for.
    fn are_in(&self, at: ShardIndex) -> bool {
        let mut asked = self.counts[at.0].iter().zip(&self.telling);
        asked.any(|(word, is_telling)| *is_telling && word.holders > 0.0)
    }

    fn scale(&self, at: ShardIndex) -> lexical::Scale<'_> {
        lexical::Scale {
            own_counts: &self.counts[at.0],
            global: self.global,
            global_counts: &self.global_counts,
            asked: &self.telling,
        }
    }
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

    fn tiers(
        &self,
        query: &Query<'_>,
        terms: &[String],
        asked: &[ShardIndex],
        depth: usize,
    ) -> Result<(Tiers, Option<Words>), QueryError> {
        let is_asked = |mode| query.mode == mode || query.mode == Mode::Hybrid;
        let words = is_asked(Mode::Lexical)
            .then(|| self.words(terms))
            .transpose()?;
        let sparse = match query.sparse {
            _ if !is_asked(Mode::Sparse) => None,
            None if query.mode == Mode::Sparse => {
                return Err(QueryError::NoVector {
                    kind: EncoderKind::Sparse,
                });
            }
            vector => vector,
        };
        let dense = match query.dense {
            _ if !is_asked(Mode::Dense) => None,
            None if query.mode == Mode::Dense => {
                return Err(QueryError::NoVector {
                    kind: EncoderKind::Dense,
                });
            }
            vector => vector,
        };
        let n_helpers = self.n_helpers(asked.len());
        let is_ranked = query.mode == Mode::Hybrid && query.ranking == Ranking::On;
        let read = |at: &ShardIndex| {
            let mut found = Tiers::<Vec<Scored>>::default();
            let words = words.as_ref().filter(|words| words.are_in(*at));
            if words.is_none() && sparse.is_none() && dense.is_none() {
                return Ok(found);
            }
            let wanted = Wanted {
                shard: *at,
                depth,
                allowed: self.allowed(*at),
            };
            let shard = self.shard(*at);
            let shares = Shares::default();
            // All in one opening: where many shards share few descriptors, opening is what costs.
            let read = || {
                shard.read_held(|connection, held| {
                    if let Some(words) = words {
                        found.lexical =
                            lexical::search(connection, held, &words.scale(*at), &wanted)?;
                    }
                    if let Some(vector) = sparse {
                        found.sparse = vectors::sparse(connection, held, vector, &wanted)?;
                    }
                    match dense {
                        Some(vector) if n_helpers > 0 => {
                            // Meanwhile the helpers read vectors, of which fewer are left.
                            if is_ranked && shard.has_build_tables() {
                                held.places(connection)?;
                            }
                            found.dense =
                                vectors::dense_shares(connection, held, vector, &wanted, &shares)?;
                        }
                        Some(vector) => {
                            found.dense = vectors::dense(connection, held, vector, &wanted)?;
                        }
                        None => {}
                    }
                    Ok(found)
                })
            };
            let Some(vector) = dense.filter(|_| n_helpers > 0) else {
                return read();
            };
            let help = |_| {
                shard.read_apart(|connection, held| {
                    vectors::dense_shares(connection, held, vector, &wanted, &shares)
                })
            };
            let help = || -> Result<Vec<Option<Vec<Scored>>>, QueryError> {
                (0..n_helpers).into_par_iter().map(help).collect()
            };
            let (found, others) = rayon::join(read, help);
            let mut found = found?;
            found.dense.extend(others?.into_iter().flatten().flatten());
            Ok(found)
        };
        let mut found = Tiers::<Vec<Scored>>::default();
        for shard in self.in_parallel(asked, read)? {
            found.lexical.extend(shard.lexical);
            found.sparse.extend(shard.sparse);
            found.dense.extend(shard.dense);
        }
        let tiers = Tiers {
            lexical: rank::merge(found.lexical, depth),
            sparse: rank::merge(found.sparse, depth),
            dense: rank::merge(found.dense, depth),
        };
        Ok((tiers, words))
    }

    /// Word statistics are those of the whole index, whichever shards are asked: a routed query then
    /// scores as an unrouted one.
    fn words(&self, terms: &[String]) -> Result<Words, QueryError> {
        let statistics = self.shards.iter().map(|s| s.statistics);
        let global = statistics.fold(Statistics::default(), Statistics::plus);
        let counts = self.in_parallel(&self.shards, |shard| {
            shard.read_held(|connection, held| lexical::count(connection, held, terms))
        })?;
        let global_counts = lexical::sum(terms, &counts);
        let telling = lexical::telling(&global_counts, global);
        Ok(Words {
            global,
            counts,
            global_counts,
            telling,
        })
    }

    /// Call `read` for all items, on several threads where there is enough to read. The results are in the order of the
    /// items; of several errors the first counts.
    fn in_parallel<I: Sync, T: Send>(
        &self,
        items: &[I],
        read: impl Fn(&I) -> Result<T, QueryError> + Send + Sync,
    ) -> Result<Vec<T>, QueryError> {
        match self.pool() {
            Some(pool) => {
                let read: Vec<Result<T, QueryError>> =
                    pool.install(|| items.par_iter().map(&read).collect());
                read.into_iter().collect()
            }
            None => items.iter().map(read).collect(),
        }
    }

    /// Return how many threads may help to read the dense vectors of each of `n_shards` shards. Only the first question is
    /// helped, for which they are not held, where threads would be idle.
    fn n_helpers(&self, n_shards: usize) -> usize {
        if self.has_answered.swap(true, Ordering::Relaxed) {
            return 0;
        }
        let n_threads = self.pool().map_or(1, ThreadPool::current_num_threads);
        (n_threads / n_shards.max(1)).clamp(1, MOST_READERS) - 1
    }

    fn pool(&self) -> Option<&ThreadPool> {
        let start = || {
            let chunks: f64 = self
                .shards
                .iter()
                .map(|shard| shard.statistics.chunks)
                .sum();
            let n_threads = thread::available_parallelism().map_or(1, |n| n.get());
            if n_threads == 1 || chunks < CHUNKS_FOR_THREADS {
                return None;
            }
            // Without threads, for example under a limit on processes, the caller's own reads.
            ThreadPoolBuilder::new().num_threads(n_threads).build().ok()
        };
        self.pool.get_or_init(start).as_ref()
    }
}
