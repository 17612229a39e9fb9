//! The routing database lists exactly the shards that were registered.

use super::sample::{EPOCH, build_shard, corpus, count, indexed, open, rows};
use crate::store::digest::digest_shard;
use crate::store::registered::registered_shards;
use crate::store::routing::RoutingDb;
use std::fs;
use std::path::{Path, PathBuf};

fn register(routing: &mut RoutingDb, shard: &Path) {
    routing.register(shard, None).expect("registered");
}

fn shard(folder: &Path) -> PathBuf {
    build_shard(folder, "s.genome.db", "/r", &corpus(), &[2]);
    folder.join("s.genome.db")
}

#[test]
fn a_registered_shard_routes_by_tags_and_words() {
    let folder = crate::test_folder::create();
    let (main, shard) = (folder.path().join("main.genome.db"), shard(folder.path()));
    let mut routing = RoutingDb::open_or_create(&main, EPOCH).expect("created");
    register(&mut routing, &shard);
    let listed = routing.shards().expect("listed");
    routing.finish().expect("finished");

    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), &listed[0].path), ("s", &shard));
    let digest = digest_shard(&shard).expect("a digest");
    assert_eq!(listed[0].chunks as u64, digest.chunks);
    let build = listed[0].build.expect("our own");
    assert_eq!(
        (build.digest, build.content),
        (digest.digest, digest.content)
    );
    assert_eq!(registered_shards(&main).expect("listed"), listed);
    let left: Vec<_> = fs::read_dir(&folder)
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("main"))
        .collect();
    assert_eq!(left, ["main.genome.db"]);
    assert_eq!(fs::read(&main).expect("read")[18..20], [2, 2]);

    let conn = open(&main);
    conn.execute("ATTACH ?1 AS shard", [shard.to_string_lossy()])
        .expect("attached");
    for table in ["fingerprint_index", "source_index"] {
        let ids = |from: &str| {
            rows(
                &conn,
                &format!("SELECT gene_id FROM {from} ORDER BY gene_id"),
            )
        };
        assert_eq!(ids(table), ids("shard.genes"), "{table}");
        // In the order of the primary key, which is cheap where the table is large.
        let as_inserted = rows(
            &conn,
            &format!("SELECT gene_id FROM {table} ORDER BY rowid"),
        );
        assert_eq!(as_inserted, ids(table), "{table}");
    }
    let readme = "SELECT domains, entities, key_values, is_parent, sequence_idx \
                  FROM fingerprint_index WHERE source_id = '/r/README.md' ORDER BY is_parent DESC";
    assert_eq!(
        rows(&conn, readme)[0],
        concat!(
            r#"["README","Topic"]|["Überblick","Parser","Config","Tabbed","TICK","extra"]|"#,
            "Null|Integer(1)|Null"
        )
    );
    let other = "SELECT count(*) FROM source_index AS s JOIN shard.genes AS g USING (gene_id) \
                 WHERE s.content_hash IS NOT g.content_hash OR s.mtime IS NOT g.mtime \
                 OR s.observed_at IS NOT g.observed_at OR s.volatility_class <> 'medium'";
    assert_eq!(count(&conn, other), 0);
}

#[test]
fn registering_again_replaces_and_unregistering_removes() {
    let folder = crate::test_folder::create();
    let (main, shard) = (folder.path().join("main.genome.db"), shard(folder.path()));
    let mut routing = RoutingDb::open_or_create(&main, EPOCH).expect("created");
    register(&mut routing, &shard);
    let smaller = folder.path().join("smaller");
    fs::create_dir(&smaller).expect("created");
    build_shard(
        &smaller,
        "s.genome.db",
        "/r",
        &[indexed("a.txt", &["Only"])],
        &[],
    );
    register(&mut routing, &smaller.join("s.genome.db"));
    drop(routing);
    let rows_of = |table: &str| count(&open(&main), &format!("SELECT count(*) FROM {table}"));
    for table in ["shards", "fingerprint_index", "source_index"] {
        assert_eq!(rows_of(table), 1, "{table}");
    }
    let mut routing = RoutingDb::open_or_create(&main, EPOCH).expect("opened");
    routing.unregister(|shard| shard.name == "s").expect("kept");
    assert_eq!(routing.shards().expect("listed").len(), 1);
    routing.unregister(|_| false).expect("removed");
    routing.finish().expect("finished");
    for table in ["shards", "fingerprint_index", "source_index"] {
        assert_eq!(rows_of(table), 0, "{table}");
    }
}

#[test]
fn who_opens_the_database_waits_for_who_creates_it() {
    let folder = crate::test_folder::create();
    let path = folder.path().join("main.genome.db");
    // Another process is half way through creating it: there is a database, not yet with a log.
    let other = rusqlite::Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| RoutingDb::open_or_create(&path, EPOCH));
        // It must not give up meanwhile; the length of the pause decides nothing.
        std::thread::sleep(std::time::Duration::from_millis(100));
        other.execute_batch("COMMIT").expect("done");
        let opened = opened.join().expect("no panic");
        assert!(opened.is_ok(), "{opened:?}");
    });
}
