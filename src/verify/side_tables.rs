//! Rows of other tables that belong to one chunk: tags, entities, path keys and the file stem.

use super::fault::{FaultKind, Finder};
use super::owners::ChunkOwner;
use crate::store::paths::{filename_stem, keys_of, path_tokens};
use crate::tag::Tags;
use rusqlite::{Connection, Statement};
use std::collections::BTreeSet;

/// Prepared lookups by chunk.
pub struct SideTables<'a> {
    tags: Statement<'a>,
    entities: Statement<'a>,
    path_keys: Statement<'a>,
    stem: Statement<'a>,
    /// Rows of `filename_index` that belong to the chunks seen.
    stems: i64,
}

impl<'a> SideTables<'a> {
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
            stems: 0,
        })
    }

    /// Tags, entities, path keys and file stem of one chunk.
    pub fn check(
        &mut self,
        gene_id: &str,
        tags: &Tags,
        owner: Option<&ChunkOwner>,
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
            let what = "the rows differ from the promoter's domains followed by its entities";
            finder.fault(FaultKind::SideTable, "promoter_index", gene_id, what);
        }
        let found: BTreeSet<String> = self
            .entities
            .query_map([gene_id], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if found != entities.into_iter().collect() {
            let what = "the rows differ from the promoter's entities";
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
        owner: &ChunkOwner,
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
            let what = "the rows differ from those that follow from the path and the keys";
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
}

fn pairs(
    statement: &mut Statement<'_>,
    gene_id: &str,
) -> Result<Vec<(String, String)>, rusqlite::Error> {
    statement
        .query_map([gene_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
