//! Which chunks of a shard are linked: by shared entities, and as seeds of the harmonic graph.
//!
//! Pure and bounded: every chunk looks at a fixed number of others, and the answer depends on the
//! order of the chunks only. `shard` writes the rows.

use super::paths::keys_of;
use crate::ids::ChunkId;
use crate::tag::{Tags, Visibility};
use std::collections::HashMap;

/// Earlier chunks to which one chunk is linked at most. The format's limit.
const MAX_PEERS: usize = 10;

/// How far back one entity is followed. An entity of hundreds of chunks says little about any two of
/// them, and following it in full would make loading quadratic.
const MAX_MENTIONS: usize = 32;

/// Chunks among which seeds are sought. The format's limit.
const SEED_CHUNKS: usize = 200;

/// Partners of one seed at most. All pairs of 200 open chunks sharing a word would be 19,900 rows
/// that say nothing; a reader looks at the five heaviest.
const MAX_PARTNERS: usize = 5;

/// Links new chunks to earlier ones that share entities.
///
/// Memory: 8 bytes a chunk, 8 a mention, 16 to 32 a distinct entity.
#[derive(Debug, Default)]
pub struct EntityRelations {
    /// Hash of an entity to the index of its latest mention.
    latest: HashMap<u64, u32>,
    mentions: Vec<Mention>,
    chunks: Vec<ChunkId>,
}

#[derive(Clone, Copy, Debug)]
struct Mention {
    chunk: u32,
    /// The mention before this one, of the same entity.
    previous: Option<std::num::NonZeroU32>,
}

/// A link from a chunk to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EntityRelation {
    pub to: ChunkId,
    /// Shared entities over the chunk's own, in (0, 1].
    pub confidence: f64,
}

impl EntityRelations {
    /// Take the next chunk with its distinct lower-case entities. Links go to earlier chunks that
    /// share at least two: most shared first, then the nearest.
    pub fn next(&mut self, id: ChunkId, entities: &[String]) -> Vec<EntityRelation> {
        let chunk = self.chunks.len() as u32;
        self.chunks.push(id);
        let mut seen: Vec<u32> = Vec::new();
        for entity in entities {
            let latest = self.latest.entry(hash(entity)).or_insert(0);
            let previous = std::num::NonZeroU32::new(*latest);
            seen.extend(walk(&self.mentions, previous).take(MAX_MENTIONS));
            self.mentions.push(Mention { chunk, previous });
            // Indexes count from 1, so that 0 says "none".
            *latest = self.mentions.len() as u32;
        }
        seen.sort_unstable_by(|a, b| b.cmp(a));
        let mut peers: Vec<(usize, u32)> = seen
            .chunk_by(|a, b| a == b)
            .filter(|same| same.len() >= 2)
            .map(|same| (same.len(), same[0]))
            .collect();
        peers.sort_by(|a, b| b.cmp(a));
        peers
            .iter()
            .take(MAX_PEERS)
            .map(|(shared, peer)| EntityRelation {
                to: self.chunks[*peer as usize],
                confidence: *shared as f64 / entities.len() as f64,
            })
            .collect()
    }
}

/// Return the chunks that mention one entity, latest first.
fn walk(
    mentions: &[Mention],
    latest: Option<std::num::NonZeroU32>,
) -> impl Iterator<Item = u32> + '_ {
    let at = |index: std::num::NonZeroU32| mentions[index.get() as usize - 1];
    std::iter::successors(latest.map(at), move |mention| mention.previous.map(at))
        .map(|mention| mention.chunk)
}

fn hash(entity: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(entity.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// What a seed is compared by.
#[derive(Debug)]
struct Seed {
    id: ChunkId,
    /// Domains, entities and keys, as the numbers of the words in ascending order.
    words: [Vec<u32>; 3],
    is_open: bool,
}

/// Collects the first chunks of a shard and pairs those that agree.
#[derive(Debug, Default)]
pub struct SeedPairs {
    seeds: Vec<Seed>,
    numbers: HashMap<String, u32>,
}

impl SeedPairs {
    pub fn next(&mut self, id: ChunkId, tags: &Tags, visibility: Visibility) {
        if self.seeds.len() < SEED_CHUNKS {
            let words = [
                self.numbered(&tags.domains),
                self.numbered(&tags.entities),
                self.numbered(&keys_of(&tags.key_values)),
            ];
            self.seeds.push(Seed {
                id,
                words,
                is_open: visibility == Visibility::Open,
            });
        }
    }

    fn numbered(&mut self, words: &[String]) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(words.len());
        for word in words {
            let next = self.numbers.len() as u32;
            numbers.push(*self.numbers.entry(word.clone()).or_insert(next));
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Pairs (earlier, later) that agree in two of four: a domain, an entity, a key, both open. The
    /// pairs that agree most come first and each chunk has room for five, so the result is fixed by
    /// the chunks and their order.
    pub fn pairs(&self) -> Vec<(ChunkId, ChunkId)> {
        let mut candidates = Vec::new();
        for (a, first) in self.seeds.iter().enumerate() {
            for (b, second) in self.seeds.iter().enumerate().skip(a + 1) {
                let (signals, shared) = agreement(first, second);
                if signals >= 2 {
                    candidates.push((signals, shared, a, b));
                }
            }
        }
        candidates.sort_by_key(|(signals, shared, a, b)| {
            (std::cmp::Reverse((*signals, *shared)), *a, *b)
        });
        let mut partners = vec![0; self.seeds.len()];
        let mut pairs = Vec::new();
        for (_, _, a, b) in candidates {
            if partners[a] < MAX_PARTNERS && partners[b] < MAX_PARTNERS {
                partners[a] += 1;
                partners[b] += 1;
                pairs.push((self.seeds[a].id, self.seeds[b].id));
            }
        }
        pairs
    }
}

/// Return how many of the four signals two seeds share, and how many tags in all.
fn agreement(a: &Seed, b: &Seed) -> (usize, usize) {
    let shared: [usize; 3] = std::array::from_fn(|kind| common(&a.words[kind], &b.words[kind]));
    let signals = shared.iter().filter(|n| **n > 0).count() + usize::from(a.is_open && b.is_open);
    (signals, shared.iter().sum())
}

/// Return how many numbers stand in both; each is in ascending order.
fn common(mut a: &[u32], mut b: &[u32]) -> usize {
    let mut count = 0;
    while let ([first, rest_of_a @ ..], [second, rest_of_b @ ..]) = (a, b) {
        count += usize::from(first == second);
        if first <= second {
            a = rest_of_a;
        }
        if second <= first {
            b = rest_of_b;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn id(n: u8) -> ChunkId {
        ChunkId([n; 8])
    }

    fn entities(names: &str) -> Vec<String> {
        names.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn two_shared_entities_make_a_link_and_one_does_not() {
        let mut links = EntityRelations::default();
        assert!(links.next(id(1), &entities("a b c")).is_empty());
        assert!(links.next(id(2), &entities("a x")).is_empty());
        let found = links.next(id(3), &entities("a b x y"));
        assert_eq!(
            found,
            [
                EntityRelation {
                    to: id(2),
                    confidence: 0.5
                },
                EntityRelation {
                    to: id(1),
                    confidence: 0.5
                },
            ]
        );
    }

    #[test]
    fn links_are_bounded_and_prefer_the_most_shared() {
        let mut links = EntityRelations::default();
        links.next(id(0), &entities("a b c"));
        for n in 1..30 {
            links.next(id(n), &entities("a b"));
        }
        let found = links.next(id(99), &entities("a b c"));
        assert_eq!(found.len(), MAX_PEERS);
        assert_eq!(
            found[0],
            EntityRelation {
                to: id(0),
                confidence: 1.0
            }
        );
        assert_eq!(found[1].to, id(29));
    }

    proptest! {
        #[test]
        fn common_numbers_are_counted(
            a in proptest::collection::btree_set(0u32..20, 0..15),
            b in proptest::collection::btree_set(0u32..20, 0..15),
        ) {
            let listed = |set: &BTreeSet<u32>| set.iter().copied().collect::<Vec<_>>();
            prop_assert_eq!(common(&listed(&a), &listed(&b)), a.intersection(&b).count());
        }
    }

    #[test]
    fn seeds_need_two_signals_and_take_five_partners() {
        let tagged = |domain: &str| Tags {
            domains: vec![domain.into()],
            ..Tags::default()
        };
        let mut seeds = SeedPairs::default();
        for n in 0..8 {
            seeds.next(id(n), &tagged("same"), Visibility::Open);
        }
        seeds.next(id(8), &tagged("other"), Visibility::Open);
        seeds.next(id(9), &tagged("same"), Visibility::Hidden);
        let pairs = seeds.pairs();
        let of = |n: u8| {
            pairs
                .iter()
                .filter(|(a, b)| *a == id(n) || *b == id(n))
                .count()
        };
        assert_eq!(of(0), MAX_PARTNERS);
        assert!((0..8).all(|n| of(n) <= MAX_PARTNERS));
        assert_eq!((of(8), of(9)), (0, 0));
    }
}
