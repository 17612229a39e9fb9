//! Orders scored chunks and fuses orders. Pure.

use super::filter::Allowed;
use super::held::{Chunks, Position};
use crate::ranking::Why;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Constant of reciprocal rank fusion: Cormack, Clarke and Buettcher (SIGIR 2009) found 60 good
/// over many collections; a smaller one lets a single tier's first hits decide alone.
const FUSION_K: f64 = 60.0;

/// Position of a shard in its [`Searcher`](super::Searcher).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardIndex(pub usize);

/// What a tier is asked for in one shard.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub shard: ShardIndex,
    /// Most chunks.
    pub depth: usize,
    pub allowed: &'a Allowed,
}

impl Wanted<'_> {
    /// Return whether a chunk passes the filter.
    pub fn allows(&self, position: Position, chunks: &Chunks) -> bool {
        matches!(self.allowed, Allowed::All) || self.allowed.has(&chunks.id(position))
    }

    /// Return the chunks at these positions of the shard with their scores.
    pub fn scored(&self, best: Vec<(f64, Position)>, chunks: &Chunks) -> Vec<Scored> {
        let scored = best.into_iter().map(|(score, position)| Scored {
            gene_id: chunks.id(position).into_owned(),
            score,
            shard: self.shard,
        });
        scored.collect()
    }
}

/// A chunk with its score in one tier of one shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub gene_id: String,
    pub score: f64,
    pub shard: ShardIndex,
}

/// Best score first; equal scores by chunk id, then by shard, so that the order is one and the same
/// on every run.
pub fn by_rank(a: &Scored, b: &Scored) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| a.gene_id.cmp(&b.gene_id))
        .then_with(|| a.shard.cmp(&b.shard))
}

/// A chunk that lies in one or more shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    pub gene_id: String,
    pub score: f64,
    /// Where it was found, the best score first.
    pub shards: Vec<ShardIndex>,
    /// What the score is made of, after the ranking.
    pub why: Option<Why>,
}

/// Merge the shards' lists into one of at most `depth` chunks, best first. A chunk found in
/// several shards takes one place, with its best score. Each list must hold the best `depth` of its
/// shard, so that nothing that belongs here is missing.
pub fn merge(mut found: Vec<Scored>, depth: usize) -> Vec<Ranked> {
    found.sort_by(by_rank);
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    let mut ranked: Vec<Ranked> = Vec::new();
    for scored in found {
        if let Some(at) = place.get(&scored.gene_id) {
            // Two readers of one shard may find the same.
            if !ranked[*at].shards.contains(&scored.shard) {
                ranked[*at].shards.push(scored.shard);
            }
            continue;
        }
        place.insert(scored.gene_id.clone(), ranked.len());
        ranked.push(Ranked {
            gene_id: scored.gene_id,
            score: scored.score,
            shards: vec![scored.shard],
            why: None,
        });
    }
    ranked.truncate(depth);
    ranked
}

/// Reciprocal rank fusion: the sum over tiers of `1 / (60 + rank)`, ranks from 1.
pub fn fuse(tiers: &[&[Ranked]], depth: usize) -> Vec<Ranked> {
    let mut fused: BTreeMap<&str, Ranked> = BTreeMap::new();
    for tier in tiers {
        for (at, hit) in tier.iter().enumerate() {
            let gain = 1.0 / (FUSION_K + at as f64 + 1.0);
            let entry = fused.entry(&hit.gene_id).or_insert_with(|| Ranked {
                gene_id: hit.gene_id.clone(),
                score: 0.0,
                shards: Vec::new(),
                why: None,
            });
            entry.score += gain;
            for shard in &hit.shards {
                if !entry.shards.contains(shard) {
                    entry.shards.push(*shard);
                }
            }
        }
    }
    let mut ranked: Vec<Ranked> = fused.into_values().collect();
    // The map is in the order of the ids and the sort is stable: ties stay so.
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked.truncate(depth);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(gene_id: &str, score: f64, shard: usize) -> Scored {
        Scored {
            gene_id: gene_id.into(),
            score,
            shard: ShardIndex(shard),
        }
    }

    #[test]
    fn a_chunk_in_two_shards_takes_one_place() {
        let found = vec![
            scored("b", 2.0, 1),
            scored("a", 2.0, 0),
            scored("b", 3.0, 2),
        ];
        let ranked = merge(found, 9);
        assert_eq!(ranked.len(), 2);
        assert_eq!(ranked[0].shards, [ShardIndex(2), ShardIndex(1)]);
        assert_eq!(ranked[0].score, 3.0);
        assert_eq!(ranked[1].gene_id, "a");
    }

    #[test]
    fn fusion_adds_reciprocal_ranks() {
        let one = merge(vec![scored("a", 9.0, 0), scored("b", 8.0, 0)], 9);
        let two = merge(vec![scored("b", 0.5, 1)], 9);
        let fused = fuse(&[&one, &two], 9);
        assert_eq!(fused[0].gene_id, "b");
        assert!((fused[0].score - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-12);
        assert_eq!(fused[0].shards, [ShardIndex(0), ShardIndex(1)]);
        assert!((fused[1].score - 1.0 / 61.0).abs() < 1e-12);
    }
}
