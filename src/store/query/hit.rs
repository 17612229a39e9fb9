//! From ranked chunks to hits: texts, places and files.

use super::error::QueryError;
use super::place::{self, Location};
use super::rank::{Ranked, ShardIndex};
use super::{Searcher, Tiers};
use crate::ranking::Why;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// From 1.
    pub rank: u32,
    pub score: f64,
    /// `genes.gene_id`: the first 64 bits of the text's SHA-256, in hexadecimal.
    #[serde(rename = "gene_id")]
    pub chunk_id: String,
    /// The first of `locations`: the file that owns the chunk, or the first one that passes the filter. Absolute, or as the
    /// server that added the chunk names its source.
    pub path: String,
    /// Lines of this file, from 1, both included; `None` for a chunk of a server or of another builder.
    pub line_start: Option<u32>,
    pub line_end: Option<u32>,
    /// Names of the definitions around the chunk, outermost first, then that of the only definition in it, between ` > `;
    /// `None` if there are none.
    pub symbol: Option<String>,
    /// Of the file, lower case; `None` if its name tells none.
    pub language: Option<String>,
    /// Label of the shard that ranked it best.
    pub shard: String,
    pub text: String,
    /// Rank in each tier, from 1, where the tier found it among its first hits.
    pub ranks: TierRanks,
    /// Every place in the index that holds this text, that of `path` first.
    #[serde(rename = "places")]
    pub locations: Vec<Location>,
    /// With [`super::HitUnit::File`]: chunks of this file among those that ranked high enough to be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunks: Option<u32>,
    /// Rank and score in each arm that found it among its first hits.
    #[serde(skip)]
    pub arms: ArmPlaces,
    /// What each arm and rule of the ranking gave; `None` without the ranking.
    #[serde(skip)]
    pub why: Option<Why>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TierRanks {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lexical: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<u32>,
}

/// Where one arm put a hit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ArmPlace {
    /// From 1.
    pub rank: u32,
    /// Of the arm alone: BM25, or a dot product.
    pub score: f64,
}

/// Where the arms put a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ArmPlaces {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lexical: Option<ArmPlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparse: Option<ArmPlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense: Option<ArmPlace>,
}

/// The places of chunks by shard and id.
type Places = HashMap<ShardIndex, HashMap<String, Vec<Location>>>;

impl Searcher {
    /// Keep the best chunk of each file, with the number of the file's chunks.
    pub(super) fn fold(
        &self,
        ranked: Vec<Ranked>,
    ) -> Result<Vec<(Ranked, Option<u32>)>, QueryError> {
        let mut at = HashMap::new();
        let mut folded: Vec<(Ranked, Option<u32>)> = Vec::new();
        for ranked in ranked {
            let shard = ranked.shards[0];
            let file = self.allowed(shard).file_of(&ranked.gene_id);
            let file = match file {
                Some(file) => (shard.0, file.to_string()),
                None => (usize::MAX, self.shard(shard).chunk(&ranked.gene_id)?.path),
            };
            let known = *at.entry(file).or_insert(folded.len());
            match folded.get_mut(known) {
                Some((_, chunks)) => *chunks = chunks.map(|n| n + 1),
                None => folded.push((ranked, Some(1))),
            }
        }
        Ok(folded)
    }

    /// Return the lines `first` to `last` of the file of a location, by number, as far as the index has them.
    pub fn lines(
        &self,
        location: &Location,
        first: u32,
        last: u32,
    ) -> Result<BTreeMap<u32, String>, QueryError> {
        match self
            .shards
            .iter()
            .find(|shard| shard.label == location.shard)
        {
            Some(shard) if shard.has_build_tables() => {
                shard.read(|connection| place::lines(connection, location, (first, last)))
            }
            _ => Ok(BTreeMap::new()),
        }
    }

    /// Return hits in this order, each with the number of chunks that it stands for.
    pub(super) fn hits(
        &self,
        ranked: &[(Ranked, Option<u32>)],
        tiers: &Tiers,
    ) -> Result<Vec<Hit>, QueryError> {
        let mut places = self.places(ranked)?;
        let mut hits = Vec::with_capacity(ranked.len());
        for (at, (ranked, chunks)) in ranked.iter().enumerate() {
            let hit = self.hit(ranked, tiers, &mut places)?;
            hits.push(Hit {
                rank: at as u32 + 1,
                chunks: *chunks,
                ..hit
            });
        }
        Ok(hits)
    }

    /// Read the places of all chunks, of each shard in one go.
    fn places(&self, ranked: &[(Ranked, Option<u32>)]) -> Result<Places, QueryError> {
        let mut chunks: BTreeMap<ShardIndex, Vec<&str>> = BTreeMap::new();
        for (ranked, _) in ranked {
            for at in &ranked.shards {
                chunks.entry(*at).or_default().push(&ranked.gene_id);
            }
        }
        let chunks = chunks.into_iter();
        chunks
            .map(|(at, chunks)| Ok((at, place::of_chunks(self.shard(at), &chunks)?)))
            .collect()
    }

    fn hit(&self, ranked: &Ranked, tiers: &Tiers, places: &mut Places) -> Result<Hit, QueryError> {
        let gene_id = &ranked.gene_id;
        let first = self.shard(ranked.shards[0]);
        let mut locations = Vec::new();
        for at in &ranked.shards {
            let known = places.get_mut(at).and_then(|known| known.remove(gene_id));
            let (shard, file) = (self.shard(*at), self.allowed(*at).file_of(gene_id));
            let owner = shard.chunk(gene_id)?.path;
            locations.extend(place::in_order(
                known.unwrap_or_default(),
                shard,
                &owner,
                file,
            ));
        }
        let (chunk, place) = (first.chunk(gene_id)?, locations[0].clone());
        let place_in = |tier: &[Ranked]| {
            let position = tier.iter().position(|other| other.gene_id == *gene_id)?;
            Some(ArmPlace {
                rank: position as u32 + 1,
                score: tier[position].score,
            })
        };
        let arms = ArmPlaces {
            lexical: place_in(&tiers.lexical),
            sparse: place_in(&tiers.sparse),
            dense: place_in(&tiers.dense),
        };
        let rank = |place: Option<ArmPlace>| place.map(|place| place.rank);
        Ok(Hit {
            rank: 0,
            score: ranked.score,
            chunk_id: gene_id.clone(),
            path: place.path,
            line_start: place.line_start,
            line_end: place.line_end,
            symbol: place::with_own(place.symbol, chunk.defined()),
            language: place.language,
            shard: first.label.clone(),
            text: chunk.text,
            ranks: TierRanks {
                lexical: rank(arms.lexical),
                sparse: rank(arms.sparse),
                dense: rank(arms.dense),
            },
            locations,
            chunks: None,
            arms,
            why: ranked.why,
        })
    }
}
