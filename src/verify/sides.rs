//! The rows of other tables that belong to one chunk.

use super::chunks::Place;
use super::fault::{FaultKind, Finder};
use crate::ids::ChunkId;
use crate::store::links::EntityLink;
use crate::store::paths::{filename_stem, keys_of, path_tokens};
use crate::tag::Tags;
use rusqlite::{Connection, Statement};
use std::collections::BTreeSet;

/// The relation that the builder writes: shared entities.
const SHARED_ENTITIES: i64 = 5;

/// Whether a server has learned of links: made some, or counted how often a seed held.
const LEARNING: &str = "
SELECT EXISTS (SELECT 1 FROM harmonic_links
               WHERE source <> 'seeded' OR co_count <> 0 OR miss_count <> 0)";

/// Prepared lookups by chunk.
pub struct Sides<'a> {
    tags: Statement<'a>,
    entities: Statement<'a>,
    path_keys: Statement<'a>,
    stem: Statement<'a>,
    relations: Statement<'a>,
    /// Rows of `filename_index` that belong to the chunks seen.
    stems: i64,
}

impl<'a> Sides<'a> {
    pub fn prepare(connection: &'a Connection) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            tags: connection.prepare(
                "SELECT tag_type, tag_value FROM promoter_index WHERE gene_id = ?1 ORDER BY rowid",
            )?,
            entities: connection.prepare("SELECT entity FROM entity_graph WHERE gene_id = ?1")?,
            path_keys: connection
                .prepare("SELECT path_token, kv_key FROM path_key_index WHERE gene_id = ?1")?,
            stem: connection.prepare(
                "SELECT 1 FROM filename_index WHERE filename_stem = ?1 AND gene_id = ?2",
            )?,
            relations: connection.prepare(
                "SELECT gene_id_b, relation, confidence FROM gene_relations AS l
                 WHERE gene_id_a = ?1 AND EXISTS
                     (SELECT 1 FROM build_routes AS r WHERE r.gene_id = l.gene_id_b)",
            )?,
            stems: 0,
        })
    }

    /// Tags, entities, path keys and file stem of one chunk.
    pub fn check(
        &mut self,
        gene_id: &str,
        tags: &Tags,
        owner: Option<&Place>,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let lower = |list: &[String]| {
            list.iter()
                .map(|tag| tag.to_lowercase())
                .collect::<Vec<_>>()
        };
        let (domains, entities) = (lower(&tags.domains), lower(&tags.entities));
        let domain_rows = domains
            .iter()
            .map(|tag| ("domain".to_string(), tag.clone()));
        let entity_rows = entities
            .iter()
            .map(|tag| ("entity".to_string(), tag.clone()));
        let expected: Vec<_> = domain_rows.chain(entity_rows).collect();
        if pairs(&mut self.tags, gene_id)? != expected {
            let what = "the rows are not the promoter's domains and then its entities";
            finder.fault(FaultKind::SideTable, "promoter_index", gene_id, what);
        }
        let found: BTreeSet<String> = self
            .entities
            .query_map([gene_id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if found != entities.into_iter().collect() {
            let what = "the rows are not the promoter's entities";
            finder.fault(FaultKind::SideTable, "entity_graph", gene_id, what);
        }
        match owner {
            Some(owner) => self.paths(gene_id, tags, owner, finder),
            None => Ok(()),
        }
    }

    fn paths(
        &mut self,
        gene_id: &str,
        tags: &Tags,
        owner: &Place,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let keys = keys_of(&tags.key_values);
        let tokens = path_tokens(&format!("{}/{}", owner.root_label, owner.path));
        let expected: BTreeSet<(String, String)> = tokens
            .iter()
            .flat_map(|token| keys.iter().map(|key| (token.clone(), key.clone())))
            .collect();
        let found: BTreeSet<_> = pairs(&mut self.path_keys, gene_id)?.into_iter().collect();
        if found != expected {
            let what = "the rows are not those of the path and the keys";
            finder.fault(FaultKind::SideTable, "path_key_index", gene_id, what);
        }
        let name = owner.path.rsplit('/').next().unwrap_or_default();
        if let Some(stem) = filename_stem(name) {
            self.stems += 1;
            if !self.stem.exists([stem.as_str(), gene_id])? {
                let what = format!("there is no row for the stem {stem}");
                finder.fault(FaultKind::SideTable, "filename_index", gene_id, what);
            }
        }
        Ok(())
    }

    /// A chunk's links to other chunks of the builder. A server may have made another relation of
    /// one of them, never one of its own kind more.
    pub fn relations(
        &mut self,
        gene_id: &str,
        expected: &[EntityLink],
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let found: Vec<(String, i64, f64)> = self
            .relations
            .query_map([gene_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        let ours = found.iter().filter(|row| row.1 == SHARED_ENTITIES);
        let surplus = ours
            .clone()
            .any(|row| !expected.iter().any(|link| link.to.to_string() == row.0));
        let sound = |link: &EntityLink| {
            found.iter().any(|(to, relation, confidence)| {
                *to == link.to.to_string()
                    && (*relation != SHARED_ENTITIES || *confidence == link.confidence)
            })
        };
        if surplus || !expected.iter().all(sound) {
            let what = "the rows are not the links that follow from the shared entities";
            finder.fault(FaultKind::SideTable, "gene_relations", gene_id, what);
        }
        Ok(())
    }

    /// What only the whole table shows: file stems beyond those that were looked up.
    pub fn finish(
        &self,
        connection: &Connection,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let rows: i64 = connection.query_row(
            "SELECT count(*) FROM filename_index AS f
             WHERE EXISTS (SELECT 1 FROM build_routes AS r WHERE r.gene_id = f.gene_id)",
            [],
            |row| row.get(0),
        )?;
        if rows > self.stems {
            let what = format!("{rows} rows, and the paths give {}", self.stems);
            finder.fault(FaultKind::SideTable, "filename_index", "", what);
        }
        Ok(())
    }

    /// The seeds of the harmonic graph. A server drops links that do not prove themselves, so one
    /// that is missing is a fault only while no server has written.
    pub fn seeds(
        &self,
        connection: &Connection,
        expected: &[(ChunkId, ChunkId)],
        is_pristine: bool,
        finder: &mut Finder<'_>,
    ) -> Result<(), rusqlite::Error> {
        let expected: BTreeSet<(String, String)> = expected
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

fn pairs(
    statement: &mut Statement<'_>,
    gene_id: &str,
) -> Result<Vec<(String, String)>, rusqlite::Error> {
    statement
        .query_map([gene_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
