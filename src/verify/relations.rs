//! Relations between chunks: those of shared entities, and the seeds of the harmonic graph.
//!
//! Both follow from the tags of the chunks and their order, so they are computed again and compared.

use super::fault::{FaultKind, Finder};
use crate::ids::ChunkId;
use crate::store::chromatin;
use crate::store::relations::{EntityRelation, EntityRelations, SeedPairs};
use crate::tag::{Tags, Visibility};
use rusqlite::{Connection, Statement};
use std::collections::BTreeSet;

/// The relation that the builder writes: shared entities.
const SHARED_ENTITIES: i64 = 5;

/// Whether a server has learned of links: made some, or counted how often a seed held.
const LEARNING: &str = "
SELECT EXISTS (SELECT 1 FROM harmonic_links
               WHERE source <> 'seeded' OR co_count <> 0 OR miss_count <> 0)";

/// The relations that follow from the chunks passed so far.
pub struct ExpectedRelations<'a> {
    entities: EntityRelations,
    seeds: SeedPairs,
    stored: Statement<'a>,
}

impl<'a> ExpectedRelations<'a> {
    pub fn prepare(connection: &'a Connection) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            entities: EntityRelations::default(),
            seeds: SeedPairs::default(),
            stored: connection.prepare(
                "SELECT gene_id_b, relation, confidence FROM gene_relations AS l
                 WHERE gene_id_a = ?1 AND EXISTS
                     (SELECT 1 FROM build_routes AS r WHERE r.gene_id = l.gene_id_b)",
            )?,
        })
    }

    /// Check the relations of the next chunk. `tier` is its visibility as built.
    pub fn check(
        &mut self,
        gene_id: &str,
        tags: &Tags,
        tier: Option<i64>,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let Some(id) = ChunkId::parse(gene_id) else {
            return Ok(()); // The id is not that of any text, which is a fault already.
        };
        let mut entities: Vec<String> = tags.entities.iter().map(|e| e.to_lowercase()).collect();
        entities.sort_unstable();
        entities.dedup();
        let expected = self.entities.next(id, &entities);
        let visibility = tier
            .and_then(|tier| u8::try_from(tier).ok())
            .and_then(chromatin::parse)
            .unwrap_or(Visibility::Hidden);
        self.seeds.next(id, tags, visibility);
        self.of_entities(gene_id, &expected, finder)
    }

    /// A chunk's links to other chunks of the builder. A server may have made another relation of
    /// one of them, never one of its own kind more.
    fn of_entities(
        &mut self,
        gene_id: &str,
        expected: &[EntityRelation],
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let found: Vec<(String, i64, f64)> = self
            .stored
            .query_map([gene_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        let ours = found.iter().filter(|row| row.1 == SHARED_ENTITIES);
        let surplus = ours
            .clone()
            .any(|row| !expected.iter().any(|link| link.to.to_string() == row.0));
        let sound = |link: &EntityRelation| {
            found.iter().any(|(to, relation, confidence)| {
                *to == link.to.to_string()
                    && (*relation != SHARED_ENTITIES || *confidence == link.confidence)
            })
        };
        if surplus || !expected.iter().all(sound) {
            let what = "the rows differ from the relations that follow from the shared entities";
            finder.fault(FaultKind::SideTable, "gene_relations", gene_id, what);
        }
        Ok(())
    }

    /// The seeds of the harmonic graph. A server drops links that do not prove themselves, so one
    /// that is missing is a fault only while no server has written.
    pub fn finish(
        &self,
        connection: &Connection,
        is_pristine: bool,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let expected: BTreeSet<(String, String)> = self
            .seeds
            .pairs()
            .iter()
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .collect();
        let found: BTreeSet<(String, String)> = connection
            .prepare("SELECT gene_id_a, gene_id_b FROM harmonic_links WHERE source = 'seeded'")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let surplus = found
            .difference(&expected)
            .map(|pair| (pair, "does not follow"));
        let missing = expected
            .difference(&found)
            .map(|pair| (pair, "is missing, though it follows"));
        let is_learning: bool = connection.query_row(LEARNING, [], |row| row.get(0))?;
        let missing = missing.filter(|_| is_pristine && !is_learning);
        for ((a, b), what) in surplus.chain(missing) {
            let what = format!("the seed {what} from the tags of the first chunks");
            finder.fault(
                FaultKind::SideTable,
                "harmonic_links",
                format!("{a} {b}"),
                what,
            );
        }
        Ok(())
    }
}
