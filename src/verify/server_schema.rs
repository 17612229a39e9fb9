//! The tables, indexes and columns that known servers add to a database when they mount it: a closed list.
//!
//! Taken from the statements of cymatix-context 0.9.0 and 0.11.3 (`storage/ddl.py`, `sync/tracker.py`,
//! `backends/splade_backend.py`, `filename_anchor.py`), and tried by opening databases of this builder with both.
//! The tables that this builder creates for a server to fill are the builder's own and not listed here.

use super::schema_object::{SchemaObject, created_by};
use crate::store::schema;
use std::collections::BTreeMap;

/// What a server may have added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerSchema {
    /// To a database of chunks.
    Shard,
    /// To a routing database, which a server that was not told of shards takes for a database of chunks.
    Routing,
}

/// The view behind the full-text index as a server creates it where there is none.
const VIEW: &str = "
DROP VIEW genes_fts_source;
CREATE VIEW genes_fts_source AS
SELECT
    g.rowid AS rowid,
    g.gene_id AS gene_id,
    COALESCE(g.source_id,'') || ' ' ||
    COALESCE((SELECT GROUP_CONCAT(t.tag_value, ' ') FROM (
        SELECT pi.tag_value FROM promoter_index pi
        WHERE pi.gene_id = g.gene_id ORDER BY pi.rowid) t), '')
    || ' ' || g.content AS content,
    COALESCE(g.complement, '') AS complement
FROM genes g;
";

/// The tables and indexes that a server keeps in another way than the builder, as it creates them.
const KEPT_OTHERWISE: &str = "
DROP TABLE splade_terms;
DROP TABLE splade_term_df;
DROP TABLE entity_graph;
DROP TABLE gene_relations;
DROP TABLE filename_index;
DROP TABLE symbol_defs;
DROP INDEX idx_promoter_value;
CREATE TABLE splade_terms (gene_id TEXT NOT NULL, term TEXT NOT NULL, weight REAL NOT NULL);
CREATE INDEX idx_splade_term ON splade_terms(term, weight DESC);
CREATE INDEX idx_splade_term_cover ON splade_terms(term, gene_id, weight);
CREATE TABLE splade_term_df (term TEXT PRIMARY KEY, df INTEGER NOT NULL DEFAULT 0);
CREATE TABLE entity_graph (
    entity TEXT NOT NULL, gene_id TEXT NOT NULL, PRIMARY KEY (entity, gene_id)
);
CREATE INDEX idx_entity_graph_entity ON entity_graph(entity);
CREATE TABLE gene_relations (
    gene_id_a TEXT, gene_id_b TEXT, relation INTEGER, confidence REAL, updated_at REAL,
    PRIMARY KEY (gene_id_a, gene_id_b)
);
CREATE INDEX idx_gene_relations_rel_a ON gene_relations(relation, gene_id_a);
CREATE TABLE filename_index (
    filename_stem TEXT NOT NULL, gene_id TEXT NOT NULL, PRIMARY KEY (filename_stem, gene_id)
);
CREATE INDEX idx_filename_stem ON filename_index(filename_stem);
CREATE TABLE symbol_defs (
    symbol TEXT NOT NULL, gene_id TEXT NOT NULL, kind TEXT, PRIMARY KEY (symbol, gene_id)
);
CREATE INDEX idx_symbol_defs_symbol ON symbol_defs(symbol);
CREATE INDEX idx_promoter_value ON promoter_index(tag_value);
";

/// Tables that both kinds of database have: in a routing database they have its own shape.
const IN_BOTH: [&str; 4] = ["orgs", "parties", "participants", "agents"];

/// What SQLite keeps of `ANALYZE`, which operators run on harmonic_links; it cannot be created by hand.
const STATISTICS: [(&str, &str); 2] = [
    ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
    (
        "sqlite_stat4",
        "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
    ),
];

impl ServerSchema {
    /// Return the objects by name, in the server's shape.
    pub(super) fn objects(self) -> Result<BTreeMap<String, SchemaObject>, rusqlite::Error> {
        let mut objects = BTreeMap::new();
        if self == Self::Routing {
            objects.extend(created_by(&[
                schema::COMMON_TABLES,
                schema::SHARD_TABLES,
                schema::SERVER_TABLES,
                VIEW,
                KEPT_OTHERWISE,
                schema::SHARD_INDEXES,
                schema::COMMON_INDEXES,
                schema::SERVER_INDEXES,
            ])?);
            objects.retain(|name, _| !IN_BOTH.contains(&name.as_str()));
        }
        for (name, sql) in STATISTICS {
            objects.insert(name.to_owned(), SchemaObject::new("table", name, sql));
        }
        Ok(objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the builder keeps in another way is listed in the server's: an index over no rows is the builder's alone.
    #[test]
    fn no_index_of_a_server_is_empty_by_its_condition() {
        let objects = ServerSchema::Routing.objects().expect("a schema");
        assert!(objects.contains_key("gene_relations"));
        for (name, object) in &objects {
            let sql = object.sql.to_uppercase();
            assert!(!sql.ends_with(" IS NULL"), "{name}: {sql}");
        }
    }
}
