//! The digest of an index: what changes it, and what does not.

use super::loading::built;
use super::sample::{
    Entry, build_shard, corpus, count, indexed, load, open, shard_header, write_segment,
};
use crate::ids::Digest;
use crate::store::digest::{ShardDigest, digest_index, digest_shard};
use crate::store::shard::ShardLoader;
use rusqlite::Connection;
use std::fs;
use std::path::Path;

#[test]
fn neither_cuts_nor_places_nor_attempts_show() {
    let files = corpus();
    let (_one, whole) = built(&files, &[]);
    let expected = digest_shard(&whole).expect("a digest");
    for cuts in [vec![1], vec![1, 1, 1, 1, 1], vec![0, 3], vec![5]] {
        let (_other, path) = built(&files, &cuts);
        assert_eq!(digest_shard(&path).expect("a digest"), expected, "{cuts:?}");
    }
    let moved = crate::test_folder::create();
    build_shard(moved.path(), "s.genome.db", "/elsewhere/x", &files, &[2]);
    let moved = moved.path().join("s.genome.db");
    assert_eq!(digest_shard(&moved).expect("a digest"), expected);
    let (_again, again) = built(&files, &[2]);
    let (_third, third) = built(&files, &[2]);
    assert!(fs::read(again).expect("read") == fs::read(third).expect("read"));
}

#[test]
fn one_database_and_many_shards_have_the_same_content() {
    let alpha = corpus();
    let mut beta = corpus();
    beta.truncate(3);
    // The same text, cut hard in one root and not in the other.
    beta.push(indexed(
        "zz.txt",
        &["other", "other text", "plain words only"],
    ));
    let folder = crate::test_folder::create();
    let build = |name: &str, parts: &[(&str, &[Entry])]| -> ShardDigest {
        let path = folder.path().join(name);
        let roots: Vec<(&str, &str)> = parts.iter().map(|(label, _)| (*label, "/r")).collect();
        let mut loader =
            ShardLoader::create(&path, shard_header(name, &roots), std::sync::Arc::default())
                .expect("created");
        for (root_id, (label, files)) in parts.iter().enumerate() {
            let segment = folder.path().join(format!("{name}-{label}.segment"));
            write_segment(&segment, files);
            load(&mut loader, &segment, root_id as u32, files);
        }
        loader.finish().expect("finished");
        digest_shard(&path).expect("a digest")
    };
    let blob = build("blob", &[("a", &alpha), ("b", &beta)]);
    let (a, b) = (build("a", &[("a", &alpha)]), build("b", &[("b", &beta)]));
    assert_eq!(a.content.and(b.content), blob.content);
    assert_ne!(a.content, b.content);
    let index = |shards: [(&'static str, Digest); 2]| digest_index(shards);
    assert_eq!(
        index([("a", a.digest), ("b", b.digest)]),
        index([("b", b.digest), ("a", a.digest)])
    );
    assert_ne!(
        index([("a", a.digest), ("b", b.digest)]),
        index([("a", b.digest), ("b", a.digest)])
    );
}

/// The digest after `sql` was run on a copy of a shard.
fn digest_after(shard: &Path, sql: &str) -> ShardDigest {
    let copy = shard.with_extension("copy");
    fs::copy(shard, &copy).expect("copied");
    let conn: Connection = open(&copy);
    conn.execute_batch(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!(
        count(&conn, "SELECT total_changes()") > 0,
        "changed nothing: {sql}"
    );
    drop(conn);
    digest_shard(&copy).expect("a digest")
}

#[test]
fn a_changed_row_changes_the_digest() {
    let (_folder, path) = built(&corpus(), &[2]);
    let sound = digest_shard(&path).expect("a digest");
    for sql in [
        "UPDATE genes SET content = content || ' ' WHERE rowid = 2",
        "UPDATE genes SET complement = 'x' WHERE rowid = 2",
        "UPDATE genes SET promoter = '{}' WHERE rowid = 2",
        "UPDATE genes SET source_id = source_id || 'x' WHERE rowid = 2",
        "UPDATE genes SET key_values = '[]' WHERE rowid = 2",
        "UPDATE genes SET compression_tier = 3 WHERE rowid = 2",
        "UPDATE genes SET embedding_dense_v2 = NULL WHERE rowid = 2",
        "DELETE FROM genes WHERE rowid = 2",
        "UPDATE splade_terms SET weight = weight + 0.0001 WHERE term = (SELECT min(term) FROM splade_terms)",
        "DELETE FROM splade_terms WHERE term = (SELECT max(term) FROM splade_terms)",
        "UPDATE promoter_index SET tag_value = 'x' WHERE rowid = 1",
        "DELETE FROM entity_graph WHERE entity = (SELECT min(entity) FROM entity_graph)",
        "DELETE FROM filename_index WHERE filename_stem = (SELECT min(filename_stem) FROM filename_index)",
        "DELETE FROM path_key_index WHERE kv_key = 'host'",
        "UPDATE build_files SET size = size + 1 WHERE file_id = 1",
        "UPDATE build_files SET skip_reason = 'binary' WHERE skip_reason IS NOT NULL",
        "UPDATE build_sources SET is_fragment = 1 - is_fragment WHERE file_id = 1 AND seq = 0",
        "UPDATE build_sources SET line_end = line_end + 1 WHERE file_id = 1 AND seq = 1",
        "UPDATE build_sources SET byte_end = byte_end + 1 WHERE byte_start = 0",
        "UPDATE build_sources SET symbols = '[]' WHERE seq = 1",
        "UPDATE build_files SET encoding = 'GBK' WHERE file_id = 1",
        "UPDATE build_files SET language = 'ada' WHERE file_id = 1",
        "DELETE FROM build_sources WHERE file_id = 1 AND seq = 1",
        "UPDATE build_routes SET terms = '[]'",
        "UPDATE build_roots SET label = 'x'",
    ] {
        assert_ne!(digest_after(&path, sql).digest, sound.digest, "{sql}");
    }
    for sql in [
        "UPDATE splade_terms SET weight = weight + 0.0001 WHERE term = (SELECT min(term) FROM splade_terms)",
        "UPDATE genes SET embedding_dense_v2 = NULL WHERE rowid = 2",
        "UPDATE build_sources SET is_fragment = 1 - is_fragment WHERE file_id = 1 AND seq = 0",
        "UPDATE build_files SET blake3 = NULL WHERE file_id = 1",
    ] {
        assert_ne!(digest_after(&path, sql).content, sound.content, "{sql}");
    }
}

#[test]
fn what_a_server_changes_leaves_the_digest_alone() {
    let (_folder, path) = built(&corpus(), &[2]);
    let sound = digest_shard(&path).expect("a digest");
    for sql in [
        "UPDATE genes SET epigenetics = '{}', chromatin = 1, last_verified_at = 1, last_seen = 2, \
         live_truth_score = 0.5, observed_at = 3, mtime = NULL",
        "INSERT INTO genes (gene_id, content, source_id) VALUES ('00000000000000ff', 'new', '/n'); \
         INSERT INTO promoter_index VALUES ('00000000000000ff', 'domain', 'new'); \
         INSERT INTO splade_terms VALUES ('00000000000000ff', 'new', 1.0); \
         INSERT INTO splade_term_df VALUES ('new', 1); \
         INSERT INTO entity_graph VALUES ('new', '00000000000000ff')",
        "INSERT INTO harmonic_links (gene_id_a, gene_id_b, weight, updated_at) \
         SELECT gene_id, 'elsewhere', 1.0, 0 FROM genes",
        "UPDATE harmonic_links SET weight = 0.3, co_count = 2, updated_at = 9",
        "UPDATE harmonic_links SET source = 'co_retrieved', co_count = 5",
        "INSERT INTO gene_relations SELECT gene_id, gene_id, 101, 1.0, 0 FROM genes",
        "UPDATE gene_relations SET relation = 1, confidence = 0.9",
        "INSERT INTO health_log (query) VALUES ('q')",
        "UPDATE build_segments SET device = 'cuda:0'",
        "UPDATE build_meta SET value = 9.5 WHERE key = 'epoch'",
        "UPDATE build_files SET mtime_ns = 0, detail = NULL",
    ] {
        assert_eq!(digest_after(&path, sql), sound, "{sql}");
    }
}
