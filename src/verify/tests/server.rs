//! An index that a server uses: what a server writes is not damage, and damage is not taken for a
//! server's work.

use super::*;

/// What a server does to a mounted shard: adds a chunk with all its rows, logs, delivers a chunk,
/// links two of ours by another relation, learns a link, drops a seed.
const SERVE: &str = "
INSERT INTO genes (gene_id, content, complement, codons, promoter, epigenetics, chromatin, is_fragment, source_id)
    VALUES ('00000000deadbeef', 'a note', 'a note', '[]', NULL, '{}', 1, 0, NULL);
INSERT INTO genes_fts (rowid, gene_id, content, complement)
    SELECT rowid, gene_id, content, complement FROM genes_fts_source WHERE gene_id = '00000000deadbeef';
INSERT INTO splade_terms VALUES ('00000000deadbeef', 'note', 1.5);
INSERT INTO splade_term_df VALUES ('note', 1);
INSERT INTO filename_index VALUES ('note', '00000000deadbeef');
INSERT INTO entity_graph VALUES ('config', '00000000deadbeef');
INSERT INTO gene_relations SELECT '00000000deadbeef', gene_id, 5, 0.5, 1 FROM genes WHERE rowid = 1;
INSERT OR REPLACE INTO gene_relations SELECT gene_id_a, gene_id_b, 101, 0.5, 1 FROM gene_relations LIMIT 1;
INSERT INTO harmonic_links (gene_id_a, gene_id_b, weight, updated_at)
    SELECT gene_id, '00000000deadbeef', 0.5, 1 FROM genes WHERE rowid = 2;
DELETE FROM harmonic_links WHERE rowid = (SELECT min(rowid) FROM harmonic_links WHERE source = 'seeded');
INSERT INTO health_log (query) VALUES ('q');
INSERT INTO cwola_log (ts) VALUES (1.0);
INSERT INTO orgs VALUES ('o', 'O', 'local', 1.0, NULL);
UPDATE genes SET chromatin = 0, last_seen = 9.0, last_verified_at = 9.0,
    epigenetics = json_set(epigenetics, '$.access_count', 1, '$.last_accessed', 9.5)
    WHERE compression_tier = 1;";

#[test]
fn an_index_that_a_server_has_used_is_sound() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    change(&fixture.shard("a"), SERVE);
    let report = fixture.verify(Level::Full);
    let seeds = |f: &Fault| f.table == "harmonic_links";
    assert!(!report.faults.listed().any(seeds), "{:#?}", listed(&report));
    assert!(report.is_sound(), "{:#?}", listed(&report));
    assert_eq!(report.shards[0].server_chunks, 1);
    assert!(report.shards[0].touched_chunks > 0);
}

/// A server compacts a thin chunk as soon as it has taken it in, and leaves its words in the index.
#[test]
fn a_server_may_compact_a_chunk_of_its_own() {
    let fixture = Fixture::new();
    change(&fixture.shard("a"), SERVE);
    let compact =
        "UPDATE genes SET content = '[COMPRESSED:euchromatin] source=unknown', compression_tier = 1
                   WHERE gene_id = '00000000deadbeef'";
    change(&fixture.shard("a"), compact);
    let report = fixture.verify(Level::Full);
    assert!(report.is_sound(), "{:#?}", listed(&report));
    // What the index says of another chunk is compared still.
    let retag = "UPDATE promoter_index SET tag_value = 'another' WHERE rowid = 1";
    change(&fixture.shard("a"), retag);
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "a", FaultKind::FullText, "genes_fts"),
        "{:#?}",
        listed(&report)
    );
}

/// As `sync/tracker.py` of 0.11.3 has it.
const SYNC: &str = "
CREATE TABLE IF NOT EXISTS sync_tracked ( path TEXT PRIMARY KEY, root TEXT NOT NULL, sha256 TEXT NOT NULL, mtime REAL NOT NULL, size INTEGER NOT NULL, synced_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS idx_sync_tracked_root ON sync_tracked(root);
CREATE TABLE IF NOT EXISTS sync_lock ( id INTEGER PRIMARY KEY CHECK (id = 1), holder TEXT NOT NULL, heartbeat_at REAL NOT NULL);
INSERT OR REPLACE INTO sync_tracked VALUES ('/srv/a/README.md', '/srv/a', '00', 1.0, 2, 3.0);
INSERT INTO sync_lock VALUES (1, 'host:1', 3.0);";

/// Some of what `storage/ddl.py` of 0.11.3 makes of a routing database that it takes for a database of chunks.
const MOUNTED_AS_CHUNKS: &str = "
    CREATE TABLE IF NOT EXISTS genes (
        gene_id      TEXT PRIMARY KEY,
        content      TEXT,
        complement   TEXT,
        codons       TEXT,     -- JSON list[str]
        promoter     TEXT,     -- JSON PromoterTags
        epigenetics  TEXT,     -- JSON EpigeneticMarkers
        chromatin    INTEGER,
        is_fragment  INTEGER,
        embedding    TEXT,     -- JSON list[float] | NULL
        source_id    TEXT,
        repo_root    TEXT,
        source_kind  TEXT,
        observed_at  REAL,
        mtime        REAL,
        content_hash TEXT,
        volatility_class TEXT,
        authority_class  TEXT,
        support_span     TEXT,
        last_verified_at REAL,
        version      INTEGER,
        supersedes   TEXT,
        key_values   TEXT,    -- JSON list[str] | NULL
        embedding_dense TEXT  -- JSON list[float] | NULL (BGE-M3, Step 4)
    );
    CREATE TABLE IF NOT EXISTS gene_relations (
        gene_id_a  TEXT,
        gene_id_b  TEXT,
        relation   INTEGER,
        confidence REAL,
        updated_at REAL,
        PRIMARY KEY (gene_id_a, gene_id_b)
    );
CREATE INDEX IF NOT EXISTS idx_gene_relations_rel_a ON gene_relations(relation, gene_id_a);
CREATE INDEX IF NOT EXISTS idx_gene_relations_rel_b ON gene_relations(relation, gene_id_b);
    CREATE TABLE IF NOT EXISTS promoter_index (
        gene_id   TEXT,
        tag_type  TEXT,   -- 'domain' | 'entity'
        tag_value TEXT
    );
CREATE VIEW IF NOT EXISTS genes_fts_source AS
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
CREATE VIRTUAL TABLE genes_fts USING fts5(
    gene_id,
    content,
    complement,
    content='genes_fts_source',
    content_rowid='rowid'
);
CREATE INDEX IF NOT EXISTS idx_genes_dense_v2_hot ON genes(gene_id) WHERE embedding_dense_v2 IS NOT NULL AND chromatin < 2;
    CREATE TABLE IF NOT EXISTS health_log (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        timestamp  REAL,
        query      TEXT,
        ellipticity REAL,
        coverage   REAL,
        density    REAL,
        freshness  REAL,
        genes_expressed INTEGER,
        genes_available INTEGER,
        status     TEXT
    );
ANALYZE;";

#[test]
fn what_a_known_server_adds_is_sound() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    change(&fixture.routing(), MOUNTED_AS_CHUNKS);
    change(&fixture.shard("a"), SYNC);
    change(&fixture.shard("a"), "ANALYZE harmonic_links");
    let report = fixture.verify(Level::Full);
    assert!(report.is_sound(), "{:#?}", listed(&report));
    let checked: Vec<_> = report
        .shards
        .iter()
        .map(|shard| shard.bytes_checked)
        .collect();
    assert_eq!(checked, [false, true]);
}

/// What is neither the builder's nor a known server's.
const NOBODYS: [(&str, &str); 8] = [
    (
        "t",
        "CREATE TRIGGER t AFTER UPDATE ON {} BEGIN SELECT 1; END",
    ),
    (
        "t",
        "CREATE TRIGGER t AFTER INSERT ON {} BEGIN DELETE FROM {} WHERE rowid > 1; END",
    ),
    ("v", "CREATE VIEW v AS SELECT * FROM {}"),
    ("t", "CREATE TABLE t (a)"),
    ("t_fts", "CREATE VIRTUAL TABLE t_fts USING fts5(a)"),
    ("i", "CREATE INDEX i ON {}(metadata)"),
    (
        "i",
        "CREATE UNIQUE INDEX i ON {}(metadata) WHERE metadata IS NULL",
    ),
    // Under a name of the list, in another shape.
    (
        "sync_lock",
        "DROP TABLE IF EXISTS sync_lock; CREATE TABLE sync_lock (id INTEGER PRIMARY KEY, holder TEXT, heartbeat_at REAL)",
    ),
];

#[test]
fn what_nobody_makes_is_a_fault_in_every_database() {
    for (name, sql) in NOBODYS {
        for (is_routing, table) in [(true, "shards"), (false, "participants")] {
            let fixture = Fixture::new();
            fixture.note_bytes();
            let (path, shard) = match is_routing {
                true => (fixture.routing(), ROUTING_NAME),
                false => (fixture.shard("a"), "a"),
            };
            let sql = sql.replace("{}", table);
            change(&path, &sql);
            for level in [Level::Quick, Level::Full] {
                let report = fixture.verify(level);
                let mut faults = report.faults.listed();
                assert!(
                    faults
                        .any(|f| f.shard == shard && f.kind == FaultKind::Schema && f.row == name),
                    "{sql}: {:#?}",
                    listed(&report)
                );
            }
        }
    }
}

#[test]
fn what_a_server_writes_explains_other_bytes() {
    for sql in [
        SYNC,
        "UPDATE genes SET last_verified_at = 9.0 WHERE rowid = 1",
        "UPDATE genes SET last_seen = 9.0 WHERE rowid = 1",
        "UPDATE genes SET live_truth_score = 0.5 WHERE rowid = 1",
        "UPDATE harmonic_links SET weight = 0.5, updated_at = 9.0 WHERE rowid = 1",
        "UPDATE harmonic_links SET miss_count = 0.5, updated_at = 9.0 WHERE rowid = 1",
    ] {
        let fixture = Fixture::new();
        fixture.note_bytes();
        change(&fixture.shard("a"), sql);
        let report = fixture.verify(Level::Full);
        assert!(report.is_sound(), "{sql}: {:#?}", listed(&report));
    }
}

#[test]
fn notes_of_files_and_chunks_and_statistics_are_the_builders_or_a_servers() {
    for (sql, table) in [
        (
            "UPDATE sync_tracked SET size = size + 1 WHERE rowid = 1",
            "sync_tracked",
        ),
        (
            "UPDATE sync_tracked SET sha256 = replace(sha256, 'a', 'b')",
            "sync_tracked",
        ),
        (
            "UPDATE build_files SET sha256 = NULL WHERE file_id = 1",
            "build_files",
        ),
        (
            "UPDATE bed_provenance SET identity_sha256 = gene_count",
            "bed_provenance",
        ),
        ("UPDATE bed_provenance SET notes = 'x'", "bed_provenance"),
        ("DELETE FROM bed_provenance", "bed_provenance"),
        (
            "UPDATE sqlite_stat1 SET stat = '100000 11' WHERE idx = 'idx_harmonic_b'",
            "sqlite_stat1",
        ),
        (
            "DELETE FROM sqlite_stat1 WHERE idx = 'idx_harmonic_b'",
            "sqlite_stat1",
        ),
    ] {
        let fixture = Fixture::new();
        change(&fixture.shard("a"), sql);
        let report = fixture.verify(Level::Full);
        let found = report.faults.listed().any(|fault| fault.table == table);
        assert!(found, "{sql}: {:#?}", listed(&report));
    }
    for sql in [
        "DELETE FROM sync_tracked WHERE rowid = 1",
        "INSERT INTO bed_provenance (at_utc, event, provenance_version, cymatix_version)
         VALUES ('2026-01-01T00:00:00Z', 'ingest', 1, '0.11.3')",
        "ANALYZE harmonic_links",
        "DELETE FROM harmonic_links; ANALYZE",
    ] {
        let fixture = Fixture::new();
        change(&fixture.shard("a"), sql);
        let report = fixture.verify(Level::Full);
        let tables = ["sync_tracked", "bed_provenance", "sqlite_stat1"];
        let found = report
            .faults
            .listed()
            .find(|fault| tables.contains(&&*fault.table));
        assert!(found.is_none(), "{sql}: {:#?}", listed(&report));
    }
}

#[test]
fn a_seed_may_be_missing_once_a_server_has_learned_of_links() {
    let fixture = Fixture::new();
    let promote =
        "UPDATE harmonic_links SET source = 'co_retrieved', co_count = 5, updated_at = 9.0
                   WHERE rowid = (SELECT min(rowid) FROM harmonic_links WHERE source = 'seeded')";
    change(&fixture.shard("a"), promote);
    let report = fixture.verify(Level::Full);
    let seeds = |f: &Fault| f.table == "harmonic_links";
    assert!(!report.faults.listed().any(seeds), "{:#?}", listed(&report));
}

#[test]
fn an_index_that_a_server_has_open_is_read_with_its_log() {
    let fixture = Fixture::new();
    let server = Connection::open(fixture.shard("a")).expect("opened");
    server
        .execute_batch("INSERT INTO health_log (query) VALUES ('q')")
        .expect("sound SQL");
    let report = fixture.verify(Level::Full);
    assert!(report.is_sound(), "{:#?}", listed(&report));
    assert!(report.shards[0].is_mounted);
    server
        .execute_batch("UPDATE genes SET content = content || '!' WHERE rowid = 1")
        .expect("sound SQL");
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "a", FaultKind::ChunkId, "genes"),
        "{:#?}",
        listed(&report)
    );
}

/// What a server does when it takes in a text that we have: it replaces the row and what follows.
const TAKE_IN_AGAIN: &str = "
INSERT INTO genes_fts (genes_fts, rowid, gene_id, content, complement)
    SELECT 'delete', rowid, gene_id, content, complement FROM genes_fts_source WHERE rowid = 2;
INSERT OR REPLACE INTO genes (gene_id, content, complement, codons, promoter, epigenetics, chromatin,
        is_fragment, source_id, observed_at, content_hash, last_verified_at, compression_tier, last_seen)
    SELECT gene_id, content, 'a summary', '[]', '{}', '{}', 0, 0, 'note.txt', 1.8e9, content_hash, 1.8e9, 0, 1.8e9
    FROM genes WHERE rowid = 2;
DELETE FROM promoter_index WHERE gene_id = (SELECT gene_id FROM genes WHERE source_id = 'note.txt');
DELETE FROM entity_graph WHERE gene_id = (SELECT gene_id FROM genes WHERE source_id = 'note.txt');
DELETE FROM filename_index WHERE gene_id = (SELECT gene_id FROM genes WHERE source_id = 'note.txt');
DELETE FROM path_key_index WHERE gene_id = (SELECT gene_id FROM genes WHERE source_id = 'note.txt');
DELETE FROM splade_terms WHERE gene_id = (SELECT gene_id FROM genes WHERE source_id = 'note.txt');
INSERT INTO genes_fts (rowid, gene_id, content, complement)
    SELECT rowid, gene_id, content, complement FROM genes_fts_source
    WHERE gene_id = (SELECT gene_id FROM genes WHERE source_id = 'note.txt');";

#[test]
fn a_text_that_a_server_takes_in_again_is_no_damage() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    change(&fixture.shard("a"), TAKE_IN_AGAIN);
    let report = fixture.verify(Level::Full);
    let kinds: Vec<_> = report
        .faults
        .listed()
        .map(|f| (f.kind, f.table.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [(FaultKind::Replaced, "genes")],
        "{:#?}",
        listed(&report)
    );
    report.faults.listed().for_each(names_its_place);
    // Damage to another row is seen beside it.
    change(
        &fixture.shard("a"),
        "UPDATE genes SET content = content || '!' WHERE rowid = 1",
    );
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "a", FaultKind::ChunkId, "genes"),
        "{:#?}",
        listed(&report)
    );
}

#[test]
fn a_chunk_that_a_server_has_compacted_is_told_apart() {
    let fixture = Fixture::new();
    let compact = "UPDATE genes SET content = '[COMPRESSED:euchromatin] source=x', compression_tier = 1 WHERE rowid = 1";
    change(&fixture.shard("a"), compact);
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "a", FaultKind::Replaced, "genes"),
        "{:#?}",
        listed(&report)
    );
    assert!(
        !has(&report, "a", FaultKind::ChunkId, "genes"),
        "{:#?}",
        listed(&report)
    );
}

/// Damage to what a server may write, which no server would write so.
#[test]
fn damage_is_not_taken_for_a_servers_work() {
    for (sql, table) in [
        (
            "UPDATE genes SET last_seen = last_seen + 0.5 WHERE rowid = 1",
            "genes",
        ),
        (
            "UPDATE genes SET last_verified_at = NULL WHERE rowid = 1",
            "genes",
        ),
        ("UPDATE genes SET last_seen = -5.0 WHERE rowid = 1", "genes"),
        (
            "UPDATE genes SET live_truth_score = 0.0 WHERE rowid = 1",
            "genes",
        ),
        (
            "UPDATE genes SET epigenetics = replace(epigenetics, '\"last_accessed\":1', '\"last_accessed\":3') WHERE rowid = 1",
            "genes",
        ),
        (
            "UPDATE harmonic_links SET weight = 0.5 WHERE rowid = 1",
            "harmonic_links",
        ),
        (
            "UPDATE harmonic_links SET co_count = 1 WHERE rowid = 1",
            "harmonic_links",
        ),
        (
            "UPDATE harmonic_links SET created_at = 7.0 WHERE rowid = 1",
            "harmonic_links",
        ),
        (
            "UPDATE gene_relations SET relation = 4 WHERE (gene_id_a, gene_id_b) = (SELECT gene_id_a, gene_id_b FROM gene_relations LIMIT 1)",
            "gene_relations",
        ),
        (
            "UPDATE gene_relations SET updated_at = -1.0 WHERE (gene_id_a, gene_id_b) = (SELECT gene_id_a, gene_id_b FROM gene_relations LIMIT 1)",
            "gene_relations",
        ),
    ] {
        let fixture = Fixture::new();
        change(&fixture.shard("a"), sql);
        let report = fixture.verify(Level::Full);
        assert!(
            has(&report, "a", FaultKind::Column, table),
            "{sql}: {:#?}",
            listed(&report)
        );
    }
    let fixture = Fixture::new();
    change(&fixture.shard("a"), "UPDATE orgs SET org_id = 'mocal'");
    assert!(has(
        &fixture.verify(Level::Quick),
        "a",
        FaultKind::Counts,
        "orgs"
    ));
    change(&fixture.routing(), "UPDATE orgs SET org_id = 'mocal'");
    assert!(has(
        &fixture.verify(Level::Quick),
        ROUTING_NAME,
        FaultKind::Routing,
        "orgs"
    ));
}

/// A server that follows folders takes the lease and gives it back, and leaves no row.
#[test]
fn a_server_may_have_followed_folders_without_a_change() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    let lease = "INSERT INTO sync_lock VALUES (1, 'host:17', 1.8e9); DELETE FROM sync_lock";
    change(&fixture.shard("a"), lease);
    let report = fixture.verify(Level::Full);
    assert!(report.is_sound(), "{:#?}", listed(&report));
}
