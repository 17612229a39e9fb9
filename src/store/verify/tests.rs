//! Verification of small indexes built through the write side, sound and damaged.

use super::*;
use crate::file::RelPath;
use crate::store::digest::digest_shard;
use crate::store::routing::RoutingDb;
use crate::store::segment::SegmentReader;
use crate::store::shard::{ShardLoader, seal};
use crate::store::tests::sample::{self, Entry, corpus, indexed, shard_header};
use rusqlite::Connection;
use std::collections::BTreeMap;

const EPOCH: f64 = sample::EPOCH;

/// A sharded index of two shards in its own folder; `a` holds the sample, `b` two files more.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let fixture = Self { folder };
        let more = [
            indexed("b/one.rs", &["fn One Config Parser", "plain words"]),
            indexed("b/two.rs", &["Config parser shared by all: port=80 Host=h"]),
        ];
        build(&fixture.shard("a"), "a", &corpus());
        build(&fixture.shard("b"), "b", &more);
        fixture.register();
        fixture
    }

    fn shard(&self, label: &str) -> PathBuf {
        self.folder.path().join(format!("{label}.genome.db"))
    }

    fn routing(&self) -> PathBuf {
        self.folder.path().join(ROUTING_NAME)
    }

    fn register(&self) {
        let mut routing = RoutingDb::open_or_create(&self.routing(), EPOCH).expect("opened");
        for label in ["a", "b"] {
            routing
                .register(&self.shard(label), None)
                .expect("registered");
        }
        routing.finish().expect("closed");
    }

    /// Notes the hash of each shard's file, as publishing does.
    fn note_bytes(&self) {
        for label in ["a", "b"] {
            let hash = blake3::hash(&std::fs::read(self.shard(label)).expect("read"));
            let sql = format!(
                "UPDATE shards SET metadata = json_set(metadata, '$.build.file_blake3', '{}')
                 WHERE shard_name = '{label}'",
                hash.to_hex()
            );
            change(&self.routing(), &sql);
        }
    }

    fn verify(&self, level: Level) -> Report {
        verify(self.folder.path(), level).expect("an index")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("listed");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

fn build(path: &Path, label: &str, files: &[Entry]) {
    let segment = path.with_extension("segment");
    sample::write_segment(&segment, files);
    let root = format!("/srv/{label}");
    let header = shard_header(label, &[(label, root.as_str())]);
    let mut loader = ShardLoader::create(path, header, std::sync::Arc::default()).expect("created");
    let paths: Vec<RelPath> = files.iter().map(|(f, _)| f.entry.path.clone()).collect();
    let reader = SegmentReader::open(&segment).expect("a segment");
    loader.load_segment(&reader, 0, &paths).expect("loaded");
    drop(reader);
    let loaded = loader.finish().expect("finished");
    seal(path, loaded, &std::sync::Arc::default()).expect("sealed");
    std::fs::remove_file(segment).expect("removed");
}

/// Runs SQL as another program would, and leaves nothing beside the file.
fn change(path: &Path, sql: &str) {
    let connection = Connection::open(path).expect("opened");
    connection
        .execute_batch("PRAGMA foreign_keys = OFF")
        .expect("a pragma");
    connection.execute_batch(sql).expect(sql);
    connection.close().expect("closed");
}

fn flip(path: &Path, offset: usize, mask: u8) {
    let mut bytes = std::fs::read(path).expect("read");
    bytes[offset] ^= mask;
    std::fs::write(path, bytes).expect("written");
}

fn listed(report: &Report) -> Vec<String> {
    let listed = report.faults.listed();
    listed
        .map(|f| format!("{} {:?} {} {}: {}", f.shard, f.kind, f.table, f.row, f.what))
        .collect()
}

fn has(report: &Report, shard: &str, kind: FaultKind, table: &str) -> bool {
    let mut listed = report.faults.listed();
    listed.any(|f| f.shard == shard && f.kind == kind && f.table == table)
}

#[test]
fn a_fresh_index_is_sound_and_is_left_as_it_was() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    let before: BTreeMap<String, Vec<u8>> = fixture
        .names()
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                std::fs::read(fixture.folder.path().join(name)).expect("read"),
            )
        })
        .collect();
    for level in [Level::Quick, Level::Full] {
        let report = fixture.verify(level);
        assert!(report.is_sound(), "{level:?}: {:#?}", listed(&report));
        assert_eq!(report.digest().is_some(), level == Level::Full);
        assert_eq!(report.shards.len(), 2);
        assert_eq!((report.shards[0].files, report.shards[1].chunks), (6, 3));
    }
    let report = fixture.verify(Level::Full);
    let a = digest_shard(&fixture.shard("a")).expect("digested");
    assert_eq!(report.shards[0].digest, Some(a.digest));
    assert_eq!(report.shards[0].dense_dims, [4].into());
    assert!(report.shards[0].text_bytes > 100);
    let names: Vec<String> = before.keys().cloned().collect();
    assert_eq!(fixture.names(), names);
    for (name, bytes) in before {
        assert_eq!(
            std::fs::read(fixture.folder.path().join(name)).expect("read"),
            bytes
        );
    }
}

#[test]
fn a_single_database_is_checked_by_itself() {
    let fixture = Fixture::new();
    let report = verify(&fixture.shard("a"), Level::Full).expect("an index");
    assert!(report.is_sound(), "{:#?}", listed(&report));
    assert_eq!(report.shards[0].label, "a");
    assert!(verify(&fixture.folder.path().join("nothing"), Level::Quick).is_err());
}

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

#[test]
fn what_a_server_writes_explains_other_bytes() {
    for sql in [
        "CREATE INDEX idx_of_a_later_server ON genes(authority_class)",
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

/// Every fault says where and what to do. Those of single rows name the row; others at least the
/// table, or the file.
fn names_its_place(fault: &Fault) {
    use FaultKind::*;
    assert!(!fault.shard.is_empty() && !fault.what.is_empty() && !fault.advice.is_empty());
    assert!(
        !fault.table.is_empty() || !fault.row.is_empty(),
        "{fault:?}"
    );
    let of_a_row = [
        ChunkId,
        Column,
        Orphan,
        DenseVector,
        Ledger,
        Routing,
        Digest,
        Replaced,
    ];
    if of_a_row.contains(&fault.kind) {
        assert!(!fault.row.is_empty(), "{fault:?}");
    }
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
            "UPDATE genes SET epigenetics = replace(epigenetics, '\"access_count\":0', '\"access_count\":1') WHERE rowid = 1",
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
            "UPDATE gene_relations SET relation = 4 WHERE rowid = 1",
            "gene_relations",
        ),
        (
            "UPDATE gene_relations SET updated_at = -1.0 WHERE rowid = 1",
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

/// Damage to shard `a`, the fault it must lead to, and whether the quick check sees it too.
const DAMAGES: &[(&str, Level, FaultKind, &str)] = {
    use FaultKind::*;
    use Level::*;
    &[
        ("UPDATE genes SET content = 'x' || content WHERE rowid = 2", Full, ChunkId, "genes"),
        ("UPDATE genes SET content = 'x' || content WHERE rowid = 2", Full, FullText, "genes_fts"),
        ("UPDATE genes SET complement = 'other' WHERE rowid = 2", Full, FullText, "genes_fts"),
        ("UPDATE genes SET complement = upper(complement) WHERE rowid = 2", Full, Digest, "shards"),
        ("UPDATE genes SET content_hash = lower(hex(randomblob(32))) WHERE rowid = 1", Full, ChunkId, "genes"),
        ("UPDATE build_routes SET gene_id = '0123456789abcdef' WHERE gene_id = (SELECT gene_id FROM genes WHERE rowid = 3);
          UPDATE genes SET gene_id = '0123456789abcdef' WHERE rowid = 3", Full, ChunkId, "genes"),
        ("UPDATE genes SET gene_id = '0123456789abcdef' WHERE rowid = 3", Quick, Ledger, "build_routes"),
        ("UPDATE genes SET promoter = '{}' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET promoter = json_set(promoter, '$.intent_class', 'odd') WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET promoter = json_set(promoter, '$.sequence_index', 7) WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET epigenetics = NULL WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET codons = 'fn' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET key_values = '[\"nothing\"]' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET complement = NULL WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET chromatin = 7 WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET chromatin = (chromatin + 1) % 3 WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET source_id = '/elsewhere' WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET mtime = 5.0 WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET is_fragment = 1 - is_fragment WHERE rowid = 1", Full, Column, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = x'0000803f' WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = zeroblob(16) WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = x'000080' WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET embedding_dense_v2 = x'0000c07f000000000000000000000000' WHERE rowid = 1", Full, DenseVector, "genes"),
        ("UPDATE genes SET volatility_class = 'low' WHERE rowid = 1", Full, Digest, "shards"),
        ("DELETE FROM genes WHERE rowid = 2", Quick, Counts, "genes_fts"),
        ("DELETE FROM genes WHERE rowid = 2", Quick, Ledger, "build_routes"),
        ("DELETE FROM genes WHERE rowid = 2", Quick, Orphan, "splade_terms"),
        ("DELETE FROM genes WHERE rowid = 2", Full, Ledger, "build_sources"),
        ("DELETE FROM genes_fts_docsize WHERE id = 1", Quick, Counts, "genes_fts"),
        ("INSERT INTO genes_fts (genes_fts) VALUES ('delete-all')", Quick, Counts, "genes_fts"),
        ("DELETE FROM promoter_index WHERE rowid = 1", Full, SideTable, "promoter_index"),
        ("UPDATE promoter_index SET tag_value = 'Other' WHERE rowid = 1", Full, SideTable, "promoter_index"),
        ("UPDATE promoter_index SET tag_type = 'other' WHERE rowid = 1", Full, SideTable, "promoter_index"),
        ("INSERT INTO promoter_index VALUES ('0123456789abcdef', 'domain', 'x')", Quick, Orphan, "promoter_index"),
        ("DELETE FROM entity_graph WHERE rowid = 1", Full, SideTable, "entity_graph"),
        ("INSERT INTO entity_graph VALUES ('x', '0123456789abcdef')", Quick, Orphan, "entity_graph"),
        ("DELETE FROM gene_relations WHERE rowid = 1", Full, SideTable, "gene_relations"),
        ("UPDATE gene_relations SET confidence = 0.123 WHERE rowid = 1", Full, SideTable, "gene_relations"),
        ("UPDATE gene_relations SET confidence = 1.5 WHERE rowid = 1", Full, Column, "gene_relations"),
        ("INSERT INTO gene_relations VALUES ('x', 'y', 5, 1.0, 0)", Quick, Orphan, "gene_relations"),
        ("DELETE FROM path_key_index WHERE path_token = (SELECT min(path_token) FROM path_key_index)", Full, SideTable, "path_key_index"),
        ("INSERT INTO path_key_index VALUES ('x', 'y', '0123456789abcdef')", Quick, Orphan, "path_key_index"),
        ("DELETE FROM filename_index WHERE rowid = 1", Full, SideTable, "filename_index"),
        ("INSERT INTO filename_index SELECT 'surplus', gene_id FROM genes LIMIT 1", Full, SideTable, "filename_index"),
        ("INSERT INTO filename_index VALUES ('x', '0123456789abcdef')", Quick, Orphan, "filename_index"),
        ("INSERT INTO splade_terms SELECT * FROM splade_terms WHERE rowid = 1", Full, SparseVector, "splade_terms"),
        ("UPDATE splade_terms SET weight = 0.0 WHERE rowid = 1", Full, SparseVector, "splade_terms"),
        ("UPDATE splade_terms SET weight = 'x' WHERE rowid = 1", Full, SparseVector, "splade_terms"),
        ("UPDATE splade_terms SET weight = weight + 0.0001 WHERE rowid = 1", Full, Digest, "shards"),
        ("DELETE FROM splade_terms WHERE rowid = 1", Full, SparseVector, "splade_term_df"),
        ("UPDATE splade_term_df SET df = df + 1 WHERE rowid = 1", Full, SparseVector, "splade_term_df"),
        ("INSERT INTO splade_term_df VALUES ('surplus', 1)", Full, SparseVector, "splade_term_df"),
        ("DELETE FROM splade_term_df", Full, SparseVector, "splade_term_df"),
        ("UPDATE harmonic_links SET weight = 0.0", Full, Column, "harmonic_links"),
        ("DELETE FROM harmonic_links WHERE rowid = 1", Full, SideTable, "harmonic_links"),
        ("INSERT INTO harmonic_links (gene_id_a, gene_id_b, weight, updated_at) VALUES ('x', 'y', 1.0, 0)", Quick, Orphan, "harmonic_links"),
        ("INSERT INTO symbol_defs VALUES ('s', '0123456789abcdef', NULL)", Quick, Orphan, "symbol_defs"),
        ("DELETE FROM build_files WHERE file_id = 2", Quick, Counts, "build_meta"),
        ("DELETE FROM build_files WHERE file_id = 2", Full, Ledger, "build_files"),
        ("DELETE FROM build_files WHERE file_id = 1", Full, Ledger, "build_sources"),
        ("UPDATE build_files SET path = 'zz' WHERE file_id = 2", Full, Ledger, "build_files"),
        ("UPDATE build_files SET path = '../up' WHERE file_id = 2", Full, Ledger, "build_files"),
        ("UPDATE build_files SET skip_reason = 'mood' WHERE file_id = 2", Full, Ledger, "build_files"),
        ("UPDATE build_files SET blake3 = NULL WHERE file_id = 1", Full, Ledger, "build_files"),
        ("UPDATE build_files SET root_id = 9 WHERE file_id = 1", Full, Ledger, "build_files"),
        ("UPDATE build_files SET chunks = 9 WHERE file_id = 1", Full, Ledger, "build_files"),
        ("UPDATE build_files SET size = size + 1 WHERE file_id = 1", Full, Digest, "shards"),
        ("DELETE FROM build_sources WHERE file_id = 1 AND seq = 0", Full, Ledger, "build_files"),
        ("DELETE FROM build_sources WHERE file_id = 1 AND seq = 0", Quick, Counts, "build_segments"),
        ("UPDATE build_meta SET value = 99 WHERE key = 'chunks'", Quick, Counts, "build_meta"),
        ("DELETE FROM build_meta WHERE key = 'tool_version'", Quick, Ledger, "build_meta"),
        ("UPDATE build_meta SET value = 2 WHERE key = 'format'", Full, Unreadable, "build_meta"),
        ("UPDATE build_routes SET terms = '[]'", Full, Digest, "shards"),
        ("DROP INDEX idx_splade_gene", Quick, Schema, "splade_terms"),
        ("DROP TABLE filename_index", Quick, Schema, "filename_index"),
        ("DROP VIEW genes_fts_source", Quick, Schema, "genes_fts_source"),
        ("DROP TABLE okf_links", Quick, Schema, "okf_links"),
        ("ALTER TABLE genes ADD COLUMN odd", Quick, Schema, "genes"),
        ("PRAGMA user_version = 3", Quick, Header, ""),
        ("PRAGMA application_id = 3", Quick, Header, ""),
        ("PRAGMA journal_mode = DELETE", Quick, Header, ""),
        ("PRAGMA journal_mode = DELETE; PRAGMA page_size = 1024; VACUUM", Quick, Header, ""),
    ]
};

#[test]
fn every_damage_to_a_shard_is_named() {
    let fixture = Fixture::new();
    let sound = std::fs::read(fixture.shard("a")).expect("read");
    let mut unseen = Vec::new();
    for (sql, level, kind, table) in DAMAGES {
        std::fs::write(fixture.shard("a"), &sound).expect("written");
        change(&fixture.shard("a"), sql);
        let report = fixture.verify(*level);
        if !has(&report, "a", *kind, table) {
            unseen.push(format!("{sql}\n{kind:?} {table}\n{:#?}", listed(&report)));
        }
        report.faults.listed().for_each(names_its_place);
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}

const ROUTING_DAMAGES: &[(&str, Level, FaultKind, &str)] = {
    use FaultKind::*;
    use Level::*;
    &[
        (
            "UPDATE shards SET gene_count = 99 WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET health = 'cold' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET path = 'a.genome.db' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET metadata = '{}' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "shards",
        ),
        (
            "UPDATE shards SET shard_name = 'c' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE shards SET shard_name = 'c' WHERE shard_name = 'a'",
            Quick,
            Routing,
            "source_index",
        ),
        (
            "DELETE FROM fingerprint_index",
            Quick,
            Routing,
            "fingerprint_index",
        ),
        (
            "DELETE FROM source_index WHERE rowid = 1",
            Quick,
            Routing,
            "source_index",
        ),
        (
            "DELETE FROM fingerprint_index WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET source_id = NULL WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET entities = '[]' WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET domains = NULL WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE fingerprint_index SET is_parent = 1 - is_parent WHERE rowid = 1",
            Full,
            Routing,
            "fingerprint_index",
        ),
        (
            "UPDATE source_index SET content_hash = '' WHERE rowid = 1",
            Full,
            Routing,
            "source_index",
        ),
        (
            "DROP INDEX idx_fp_shard",
            Quick,
            Schema,
            "fingerprint_index",
        ),
        ("DROP TABLE source_index", Quick, Schema, "source_index"),
        ("DROP TABLE shards", Quick, Unreadable, "shards"),
    ]
};

#[test]
fn every_damage_to_the_routing_database_is_named() {
    let fixture = Fixture::new();
    let sound = std::fs::read(fixture.routing()).expect("read");
    let mut unseen = Vec::new();
    for (sql, level, kind, table) in ROUTING_DAMAGES {
        std::fs::write(fixture.routing(), &sound).expect("written");
        change(&fixture.routing(), sql);
        let report = fixture.verify(*level);
        report.faults.listed().for_each(names_its_place);
        if !has(&report, ROUTING_NAME, *kind, table) {
            unseen.push(format!("{sql}\n{kind:?} {table}\n{:#?}", listed(&report)));
        }
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
    std::fs::write(fixture.routing(), &sound).expect("written");
    change(
        &fixture.routing(),
        "UPDATE shards SET metadata = replace(metadata, '\"digest\":\"', '\"digest\":\"0')",
    );
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "a", FaultKind::Digest, "shards"),
        "{:#?}",
        listed(&report)
    );
}

#[test]
fn links_to_nowhere_are_found_across_shards() {
    let fixture = Fixture::new();
    let link = |to: &str| {
        format!(
            "INSERT INTO harmonic_links (gene_id_a, gene_id_b, weight, updated_at)
             SELECT gene_id, {to}, 1.0, 0 FROM genes WHERE rowid = 1"
        )
    };
    let other = {
        let b = Connection::open(fixture.shard("b")).expect("opened");
        let sql = "SELECT quote(gene_id) FROM genes WHERE rowid = 1";
        b.query_row(sql, [], |row| row.get::<_, String>(0))
            .expect("a chunk")
    };
    change(&fixture.shard("a"), &link(&other));
    assert!(fixture.verify(Level::Full).is_sound());
    change(&fixture.shard("a"), &link("'0123456789abcdef'"));
    let report = fixture.verify(Level::Full);
    assert!(has(
        &report,
        ROUTING_NAME,
        FaultKind::Orphan,
        "harmonic_links"
    ));
}

#[test]
fn what_is_missing_or_left_over_beside_the_index_is_told() {
    let fixture = Fixture::new();
    let beside = |name: &str| fixture.folder.path().join(name);
    for name in [
        "a.genome.db.tmp-12-0",
        "a.genome.db-journal",
        "b.genome.db-shm",
        "b.genome.db-wal",
    ] {
        std::fs::write(beside(name), "").expect("written");
        let report = fixture.verify(Level::Quick);
        let mut left = report.faults.listed();
        assert!(
            left.any(|f| f.kind == FaultKind::LeftBeside && f.row == name),
            "{name}"
        );
        std::fs::remove_file(beside(name)).expect("removed");
    }
    std::fs::rename(fixture.shard("b"), beside("moved")).expect("renamed");
    let report = fixture.verify(Level::Full);
    assert!(has(&report, "b", FaultKind::Missing, ""));
    assert!(report.digest().is_none());
    assert!(!fixture.shard("b").exists());
    std::fs::write(fixture.shard("b"), "not a database").expect("written");
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "b", FaultKind::Unreadable, ""),
        "{:#?}",
        listed(&report)
    );
}

#[test]
fn dense_vectors_of_two_lengths_are_a_fault() {
    let fixture = Fixture::new();
    change(
        &fixture.shard("a"),
        "UPDATE genes SET embedding_dense_v2 = x'0000803f'",
    );
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, ROUTING_NAME, FaultKind::DenseVector, "genes"),
        "{:#?}",
        listed(&report)
    );
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told() {
    let fixture = Fixture::new();
    let path = fixture.shard("a");
    let stamp = file::Stamp::of(&path).expect("a file");
    let mut faults = Faults::default();
    let mut finder = Finder {
        shard: "a",
        faults: &mut faults,
    };
    stamp.check_unchanged(&path, &mut finder);
    assert!(finder.faults.is_empty());
    change(
        &path,
        "INSERT INTO health_log (query) VALUES (hex(zeroblob(9000)))",
    );
    stamp.check_unchanged(&path, &mut finder);
    assert_eq!(faults.counts().get(&FaultKind::Changed), Some(&1));
}

/// Changes a byte of a text that stands in the pages of `index`, and nowhere else.
fn damage_index(path: &Path, index: &str, text: &[u8]) {
    let root: u32 = Connection::open(path)
        .expect("opened")
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [index],
            |row| row.get(0),
        )
        .expect("an index");
    let root = root as usize;
    let mut bytes = std::fs::read(path).expect("read");
    let page = &mut bytes[(root - 1) * 4096..root * 4096];
    let at = page.windows(text.len()).position(|window| window == text);
    page[at.expect("a key of one page")] ^= 1;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn an_index_that_does_not_hold_the_rows_of_its_table_is_found() {
    let fixture = Fixture::new();
    let sound = std::fs::read(fixture.shard("a")).expect("read");
    let id = {
        let db = Connection::open(fixture.shard("a")).expect("opened");
        let sql = "SELECT gene_id FROM genes WHERE rowid = 1";
        db.query_row(sql, [], |row| row.get::<_, String>(0))
            .expect("a chunk")
    };
    for (index, text) in [
        ("idx_splade_term", "##config"),
        ("idx_splade_term_cover", "##config"),
        ("idx_splade_gene", id.as_str()),
        ("idx_promoter_gene", id.as_str()),
        ("idx_entity_graph_gene", id.as_str()),
    ] {
        std::fs::write(fixture.shard("a"), &sound).expect("written");
        damage_index(&fixture.shard("a"), index, text.as_bytes());
        let report = fixture.verify(Level::Full);
        let mut listed_faults = report.faults.listed();
        let found = listed_faults.any(|f| f.shard == "a" && f.kind == FaultKind::Structure);
        assert!(found, "{index}: {:#?}", listed(&report));
    }
}

/// A cheap, fixed sequence of numbers; the seed is the first.
fn numbers(seed: u64) -> impl Iterator<Item = usize> {
    let step = |n: &u64| {
        Some(
            n.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    std::iter::successors(step(&seed), step).map(|n| (n >> 33) as usize)
}

#[test]
fn no_flipped_bit_stays_unseen_in_a_file_whose_hash_was_noted() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    let path = fixture.shard("a");
    let sound = std::fs::read(&path).expect("read");
    for seed in 0..100 {
        let mut number = numbers(seed);
        let (offset, bit) = (number.next(), number.next());
        let offset = offset.expect("endless") % sound.len();
        std::fs::write(&path, &sound).expect("written");
        flip(&path, offset, 1 << (bit.expect("endless") % 8));
        let report = fixture.verify(Level::Full);
        assert!(
            !report.is_sound(),
            "seed {seed}: byte {offset} of {}",
            sound.len()
        );
    }
}

/// Every value of every table, or the error that reading it meets.
fn dump(path: &Path) -> Vec<String> {
    let connection = crate::store::open_read_only(path).expect("opened");
    let read = || -> Result<Vec<String>, rusqlite::Error> {
        let tables: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'genes_fts%' ORDER BY name")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut values = Vec::new();
        for table in tables {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
            let names: Vec<String> = statement.column_names().map(str::to_string).collect();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                for (column, name) in names.iter().enumerate() {
                    let name = format!("{table}.{name}");
                    if !UNCOVERED.contains(&name.as_str()) {
                        values.push(format!("{name} {:?}", row.get_ref(column)?));
                    }
                }
            }
        }
        Ok(values)
    };
    read().unwrap_or_else(|error| vec![error.to_string()])
}

/// Columns that a server rewrites, or that are for people only: nothing but the hash of the file
/// covers them.
const UNCOVERED: [&str; 15] = [
    "build_files.detail",
    "build_files.mtime_ns",
    "build_meta.value",
    "build_segments.device",
    "gene_relations.updated_at",
    "genes.epigenetics",
    "genes.last_seen",
    "genes.last_verified_at",
    "genes.live_truth_score",
    "harmonic_links.co_count",
    "harmonic_links.created_at",
    "harmonic_links.miss_count",
    "harmonic_links.updated_at",
    "harmonic_links.weight",
    "orgs.created_at",
];

#[test]
fn without_a_noted_hash_unseen_flips_change_no_row() {
    let fixture = Fixture::new();
    let path = fixture.shard("a");
    let sound = std::fs::read(&path).expect("read");
    let rows = dump(&path);
    for seed in 1000..1100 {
        let mut number = numbers(seed);
        let (offset, bit) = (number.next(), number.next());
        let offset = offset.expect("endless") % sound.len();
        std::fs::write(&path, &sound).expect("written");
        flip(&path, offset, 1 << (bit.expect("endless") % 8));
        if fixture.verify(Level::Full).is_sound() {
            assert_eq!(dump(&path), rows, "seed {seed}: byte {offset}");
        }
    }
}
