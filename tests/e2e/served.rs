//! What a server did to chunks of ours, and what the next build of the unchanged files makes of it.

use crate::world::{World, files_below};
use rusqlite::Connection;
use serde_json::Value;

/// A server that follows folders hides the chunks of a file that is changed or gone. The file may come back as it was.
const HIDES: &str = "UPDATE genes SET chromatin = 2, compression_tier = 2 WHERE rowid < 3";

/// A server takes a text of ours in again, with the vectors of another encoder: its row replaces ours.
const TAKES_IN: &str = "
INSERT OR REPLACE INTO genes (gene_id, content, complement, codons, promoter, epigenetics, chromatin, is_fragment,
        source_id, observed_at, content_hash, last_verified_at, compression_tier, last_seen, embedding_dense_v2)
    SELECT g.gene_id, g.content, 'a summary', '[]', '{}', '{}', 0, 0, 'note.txt', 1.8e9, g.content_hash, 1.8e9, 0, 1.8e9,
           h.embedding_dense_v2
    FROM genes AS g JOIN genes AS h ON h.rowid = g.rowid + 1 WHERE g.rowid = 2;
DELETE FROM splade_terms WHERE gene_id = (SELECT gene_id FROM genes WHERE source_id = 'note.txt');
INSERT INTO splade_terms SELECT gene_id, 'walrus', 1.5 FROM genes WHERE source_id = 'note.txt'";

/// A server deletes a chunk.
const DELETES: &str = "DELETE FROM genes WHERE rowid = 2";

fn database(mode: &str) -> &'static str {
    match mode {
        "sharded" => "o-sharded/p/shards/root0.genome.db",
        _ => "o/p.db",
    }
}

fn change(world: &World, database: &str, sql: &str) {
    let connection = Connection::open(world.path(database)).expect("opens");
    connection.execute_batch(sql).expect("sound SQL");
    connection.close().expect("closes");
}

fn build(world: &World, out: &str, mode: &str) -> Value {
    let build = world.encoded_build(out).args(["--mode", mode]);
    let ran = build.run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.summary()
}

fn number(summary: &Value, key: &str) -> u64 {
    summary[key].as_u64().expect(key)
}

#[test]
fn a_build_of_unchanged_files_puts_chunks_of_ours_back() {
    for mode in ["sharded", "blob"] {
        for (what, lost) in [(HIDES, 0), (TAKES_IN, 1), (DELETES, 1)] {
            let world = World::corpus(2, 4);
            let first = build(&world, "o", mode);
            change(&world, database(mode), what);
            let second = build(&world, "o", mode);
            assert_eq!(second["digest"], first["digest"], "{mode}: {what}");
            let kept = u64::from(mode == "sharded");
            assert_eq!(number(&second, "unchanged_shards"), kept, "{mode}: {what}");
            let chunks = |shard: &Value| number(shard, "chunks");
            let of_shard = chunks(&second["shards"][0]);
            let reused = number(&second, "reused_chunks");
            assert_eq!(reused, of_shard - lost, "{mode}: {what}: {second}");
            world.verified(database(mode).trim_end_matches("/shards/root0.genome.db"));
            let third = build(&world, "o", mode);
            assert_eq!(number(&third, "unchanged_shards"), kept + 1, "{third}");
        }
    }
}

/// Without vectors no index tells which chunks are hidden.
#[test]
fn a_build_without_encoders_puts_hidden_chunks_back() {
    let world = World::corpus(2, 4);
    let first = world.build("o", &[]);
    change(&world, database("sharded"), HIDES);
    let second = world.build("o", &[]);
    assert_eq!(second["digest"], first["digest"]);
    assert_eq!(number(&second, "unchanged_shards"), 1, "{second}");
    world.verified("o-sharded/p");
}

/// What the rules hide is no reason to build again.
#[test]
fn chunks_that_the_rules_hide_stay_as_they_are() {
    let world = World::corpus(1, 4);
    world.write(
        "root0/locale/de/words.txt",
        "Der Walross hat zwei Hauer.\n".repeat(30),
    );
    world.compat_profile(&["root0"]);
    let hidden = |world: &World| -> i64 {
        let connection = Connection::open(world.path(database("sharded"))).expect("opens");
        let sql = "SELECT count(*) FROM genes WHERE chromatin = 2 AND compression_tier = 2";
        connection
            .query_row(sql, [], |row| row.get(0))
            .expect("counts")
    };
    let first = build(&world, "o", "sharded");
    let by_rules = hidden(&world);
    assert!(by_rules > 0, "{:?}", files_below(&world.path("root0")));
    assert_eq!(
        number(&build(&world, "o", "sharded"), "unchanged_shards"),
        1
    );
    change(
        &world,
        database("sharded"),
        "UPDATE genes SET chromatin = 2, compression_tier = 2",
    );
    assert!(hidden(&world) > by_rules);
    let second = build(&world, "o", "sharded");
    assert_eq!(second["digest"], first["digest"], "{second}");
    assert_eq!(hidden(&world), by_rules);
}

/// What servers write in the course of their work is no reason to build again.
#[test]
fn chunks_that_a_server_adds_or_delivers_are_no_reason_to_build_again() {
    for mode in ["sharded", "blob"] {
        let world = World::corpus(1, 4);
        build(&world, "o", mode);
        change(
            &world,
            database(mode),
            "UPDATE genes SET chromatin = 1, last_seen = 1.8e9, epigenetics = json_set(epigenetics, '$.access_count', 3);
             INSERT INTO genes (gene_id, content, chromatin, compression_tier) VALUES ('00000000deadbeef', 'a note', 2, 2);
             INSERT INTO health_log (query) VALUES ('q')",
        );
        let second = build(&world, "o", mode);
        assert_eq!(number(&second, "unchanged_shards"), 1, "{mode}: {second}");
    }
}

/// Keys that the Python builder of 0.11.3 writes, with what is true of our rows.
#[test]
fn the_manifest_says_what_made_tags_and_links_and_which_files_are_too_small() {
    for (rules, tagger, least) in [
        ("standard", "helix-build 5.1", 1),
        ("compat", "helix-build 5", 50),
    ] {
        let world = World::corpus(1, 8);
        if rules == "compat" {
            world.compat_profile(&["root0"]);
        }
        world.build("o", &[]);
        let text =
            std::fs::read_to_string(world.path("o-sharded/manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_str(&text).expect("JSON");
        let target = &manifest["targets"]["p-sharded"];
        assert_eq!(target["tagger_version"], tagger, "{text}");
        assert_eq!(target["entity_autolink"], true);
        assert_eq!(target["min_file_bytes"], least);
        assert!(target.get("commit_batch").is_none());
        let sql = "SELECT count(*) FROM gene_relations WHERE relation = 5";
        let connection = Connection::open(world.path(database("sharded"))).expect("opens");
        let links: i64 = connection
            .query_row(sql, [], |row| row.get(0))
            .expect("counts");
        assert!(links > 0);
    }
}
