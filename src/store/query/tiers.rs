//! What each tier finds in all shards, read by several threads.

use super::error::QueryError;
use super::held::Shares;
use super::lexical::{self, Counted, Statistics};
use super::rank::{self, Ranked, Scored, ShardIndex, Wanted};
use super::{Mode, Query, Ranking, Searcher, vectors};
use crate::batch::EncoderKind;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::Ordering;
use std::thread;

/// A smaller index is read sooner than threads are started: some 0.1 ms each, a query over 5,000 chunks takes 2 ms. Tests
/// use them for next to nothing.
const CHUNKS_FOR_THREADS: f64 = if cfg!(test) { 4.0 } else { 5_000.0 };

/// Readers of the dense vectors of one shard, at most. Each reads the ids of all chunks first, a sixth of reading the
/// vectors.
const MOST_READERS: usize = 4;

/// What each tier that was asked has.
#[derive(Default)]
pub(super) struct Tiers<T = Vec<Ranked>> {
    pub lexical: T,
    pub sparse: T,
    pub dense: T,
}

/// The words of a query, and how often each shard and all of them hold these.
pub(super) struct Words {
    pub global: Statistics,
    /// By [`ShardIndex`].
    counts: Vec<Vec<Counted>>,
    pub global_counts: Vec<Counted>,
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
    /// Return what each tier that `query` asks finds in the shards `asked`, at most `depth` chunks each.
    pub(super) fn tiers(
        &self,
        query: &Query<'_>,
        terms: &[String],
        asked: &[ShardIndex],
        depth: usize,
    ) -> Result<(Tiers, Option<Words>), QueryError> {
        let words = matches!(query.mode, Mode::Lexical | Mode::Hybrid)
            .then(|| self.words(terms))
            .transpose()?;
        let (mode, sparse, dense) = (query.mode, query.sparse, query.dense);
        let sparse = asked_vector(mode, Mode::Sparse, EncoderKind::Sparse, sparse)?;
        let dense = asked_vector(mode, Mode::Dense, EncoderKind::Dense, dense)?;
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
                    // Meanwhile the helpers read vectors, of which fewer are left.
                    if n_helpers > 0 && is_ranked && shard.has_build_tables() {
                        held.places(connection)?;
                    }
                    if let Some(vector) = dense {
                        found.dense = vectors::dense(connection, held, vector, &wanted, &shares)?;
                    }
                    Ok(found)
                })
            };
            let Some(vector) = dense.filter(|_| n_helpers > 0) else {
                return read();
            };
            let help = |_| {
                shard.read_apart(|connection, held| {
                    vectors::dense(connection, held, vector, &wanted, &shares)
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
    pub(super) fn in_parallel<I: Sync, T: Send>(
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

/// Return the vector of the tier `own`, if `mode` asks for it. Hybrid does without.
fn asked_vector<T>(
    mode: Mode,
    own: Mode,
    kind: EncoderKind,
    vector: Option<T>,
) -> Result<Option<T>, QueryError> {
    if mode == own && vector.is_none() {
        return Err(QueryError::NoVector { kind });
    }
    Ok(vector.filter(|_| mode == own || mode == Mode::Hybrid))
}
