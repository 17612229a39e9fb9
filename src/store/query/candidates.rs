//! What the ranking needs to know of the first chunks of each tier, and their order by it.

use super::error::QueryError;
use super::rank::{Ranked, ShardIndex};
use super::tiers::{Tiers, Words};
use super::{FUSION_DEPTH, Searcher};
use crate::ranking::{self, Candidate, Question};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Weight of a word of which the full-text index has no count, since it is too short: that of a word in every twentieth
/// chunk.
const UNCOUNTED: f64 = 3.0;

/// Least weight of a word: one in every chunk still counts in a name.
const LEAST_WEIGHT: f64 = 0.05;

/// A chunk of some tiers, with its scaled scores there.
struct Found {
    ranked: Ranked,
    arms: ranking::Arms,
}

impl Searcher {
    /// Return the chunks of the tiers in the order of the ranking, which sees the first [`FUSION_DEPTH`] of each. The
    /// others of `fused` follow, with score 0.
    pub(super) fn reranked(
        &self,
        text: &str,
        words: Option<&Words>,
        tiers: &Tiers,
        fused: Vec<Ranked>,
    ) -> Result<Vec<Ranked>, QueryError> {
        let found = found(tiers);
        let by_shard = self.by_shard(&found);
        let read = |(at, chunks): &(ShardIndex, Vec<usize>)| self.candidates(*at, chunks, &found);
        let mut candidates: Vec<Option<Candidate>> = vec![None; found.len()];
        for (at, candidate) in self.in_parallel(&by_shard, read)?.into_iter().flatten() {
            candidates[at] = Some(candidate);
        }
        let candidates: Vec<Candidate> = candidates.into_iter().flatten().collect();
        let question = Question::of(text, |word| weight(words, word));
        let mut ranked: Vec<Ranked> = Vec::with_capacity(fused.len());
        for placed in ranking::rank(&question, &candidates) {
            ranked.push(Ranked {
                score: placed.why.score(),
                why: Some(placed.why),
                ..found[placed.candidate].ranked.clone()
            });
        }
        let known = found.iter().map(|found| found.ranked.gene_id.as_str());
        let known: HashSet<&str> = known.collect();
        let rest = fused.into_iter();
        let rest = rest.filter(|ranked| !known.contains(ranked.gene_id.as_str()));
        ranked.extend(rest.map(|ranked| Ranked {
            score: 0.0,
            ..ranked
        }));
        Ok(ranked)
    }

    /// Return the chunks of each shard, by their positions. A chunk in several shards is read in the first.
    fn by_shard(&self, found: &[Found]) -> Vec<(ShardIndex, Vec<usize>)> {
        let mut by_shard: BTreeMap<ShardIndex, Vec<usize>> = BTreeMap::new();
        for (at, found) in found.iter().enumerate() {
            by_shard.entry(found.ranked.shards[0]).or_default().push(at);
        }
        by_shard.into_iter().collect()
    }

    fn candidates(
        &self,
        at: ShardIndex,
        chunks: &[usize],
        found: &[Found],
    ) -> Result<Vec<(usize, Candidate)>, QueryError> {
        let shard = self.shard(at);
        let files = self.files_of(at, chunks, found)?;
        shard.read(|connection| {
            let mut candidates = Vec::with_capacity(chunks.len());
            for (chunk, file) in chunks.iter().zip(files) {
                let found = &found[*chunk];
                let candidate = read(connection, at, found, file)?;
                candidates.push((*chunk, candidate));
            }
            Ok(candidates)
        })
    }

    /// Return file and number in the file of the place at which each chunk is shown.
    fn files_of(
        &self,
        at: ShardIndex,
        chunks: &[usize],
        found: &[Found],
    ) -> Result<Vec<Option<(i64, i64)>>, QueryError> {
        let shard = self.shard(at);
        if !shard.has_build_tables() {
            return Ok(vec![None; chunks.len()]);
        }
        shard.read_held(|connection, held| {
            let known = held.chunks(connection)?;
            let places = held.places(connection)?;
            let place = |chunk: &usize| {
                let gene_id = &found[*chunk].ranked.gene_id;
                let wanted = self.allowed(at).file_of(gene_id);
                let mut places = places.of(known.position(gene_id)?);
                match wanted {
                    Some(wanted) => places.find(|(file, _)| *file == wanted),
                    None => places.next(),
                }
            };
            Ok(chunks.iter().map(place).collect())
        })
    }
}

/// Return the first chunks of all tiers, in the order of tiers and ranks.
fn found(tiers: &Tiers) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (arm, tier) in [&tiers.lexical, &tiers.sparse, &tiers.dense]
        .into_iter()
        .enumerate()
    {
        let first = &tier[..tier.len().min(FUSION_DEPTH)];
        let scores: Vec<f64> = first.iter().map(|ranked| ranked.score).collect();
        for (ranked, scaled) in first.iter().zip(ranking::scale(&scores)) {
            let at = *known.entry(ranked.gene_id.clone()).or_insert_with(|| {
                found.push(Found {
                    ranked: ranked.clone(),
                    arms: [None; 3],
                });
                found.len() - 1
            });
            let one = &mut found[at];
            one.arms[arm] = Some(scaled);
            for shard in &ranked.shards {
                if !one.ranked.shards.contains(shard) {
                    one.ranked.shards.push(*shard);
                }
            }
        }
    }
    found
}

const CHUNK: &str = "SELECT coalesce(codons, ''), coalesce(content, ''), coalesce(source_id, '')
     FROM genes WHERE gene_id = ?1";

const FILE: &str = "SELECT f.path, f.language, s.symbols FROM build_sources AS s
     JOIN build_files AS f ON f.file_id = s.file_id WHERE s.file_id = ?1 AND s.seq = ?2";

fn read(
    connection: &Connection,
    at: ShardIndex,
    found: &Found,
    place: Option<(i64, i64)>,
) -> Result<Candidate, rusqlite::Error> {
    let mut statement = connection.prepare_cached(CHUNK)?;
    let (labels, text, source): (String, String, String) = statement
        .query_row([&found.ranked.gene_id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let labels: Vec<String> = serde_json::from_str(&labels).unwrap_or_default();
    let defined = labels
        .iter()
        .filter_map(|label| label.strip_prefix("define:"));
    let mut candidate = Candidate {
        arms: found.arms,
        defined: defined.map(str::to_owned).collect(),
        text,
        ..Candidate::default()
    };
    let file = match place {
        Some(place) => connection.prepare_cached(FILE)?.query_row(place, |row| {
            let symbols: String = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, serde_json::from_str(&symbols)))
        }),
        None => Err(rusqlite::Error::QueryReturnedNoRows),
    };
    match file.optional()? {
        Some((path, language, symbols)) => {
            candidate.path = path;
            candidate.language = language;
            candidate.around = symbols.unwrap_or_default();
        }
        None => candidate.path = source,
    }
    candidate.file = (at.0, candidate.path.clone());
    Ok(candidate)
}

/// Return how rare a word is.
fn weight(words: Option<&Words>, word: &str) -> f64 {
    let count = words.and_then(|words| {
        let counted = words
            .global_counts
            .iter()
            .find(|counted| counted.term == word)?;
        Some(((words.global.chunks + 1.0) / (counted.holders + 0.5)).ln())
    });
    count.unwrap_or(UNCOUNTED).max(LEAST_WEIGHT)
}
