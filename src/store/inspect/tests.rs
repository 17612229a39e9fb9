//! Views of a shard built through the write side.

use super::*;
use crate::store::index::Index;
use crate::store::locate::locate;
use crate::store::tests::sample::{build_shard, corpus};

fn shard() -> (tempfile::TempDir, Index) {
    let folder = crate::test_folder::create();
    build_shard(folder.path(), "s.genome.db", "/srv/data", &corpus(), &[2]);
    let index = locate(&folder.path().join("s.genome.db")).expect("an index");
    (folder, index)
}

#[test]
fn a_shard_is_summed_up() {
    let (_folder, index) = shard();
    let views = inspect_shards(&index, None).expect("read");
    let [view] = views.as_slice() else {
        panic!("one shard, not {}", views.len());
    };
    assert_eq!(view.label, "s");
    assert_eq!(view.roots[0].path, "/srv/data");
    assert_eq!((view.files, view.skipped["unreadable"]), (5, 1));
    assert_eq!(view.meta["format"], 4);
    assert_eq!(view.segments.len(), 1);
    assert_eq!((view.segments[0].segments, view.segments[0].files), (2, 6));
    let genes = view
        .tables
        .iter()
        .find(|t| t.table == "genes")
        .expect("a table");
    assert_eq!(genes.rows, view.chunks);
    if let Some(bytes) = genes.bytes {
        assert!(bytes >= 4096 && bytes < view.bytes as i64);
    }
    assert!(
        serde_json::to_string(view)
            .expect("JSON")
            .contains("\"hot_chunks\"")
    );
    assert!(
        inspect_shards(&index, Some("other"))
            .expect("read")
            .is_empty()
    );
}

#[test]
fn a_file_is_found_by_its_path_or_its_end() {
    let (_folder, index) = shard();
    for path in [
        "/srv/data/lib/crawl-watchdog.rs",
        "crawl-watchdog.rs",
        "lib/crawl-watchdog.rs",
        "./lib/crawl-watchdog.rs",
    ] {
        let files = inspect_file(&index, path).expect("read");
        assert_eq!(files.len(), 1, "{path}");
        assert_eq!(files[0].path, "/srv/data/lib/crawl-watchdog.rs");
        let owners: Vec<_> = files[0]
            .chunks
            .iter()
            .map(|c| (c.sequence, c.is_owner))
            .collect();
        assert_eq!(owners, [(0, false), (1, true), (2, true), (3, false)]);
    }
    let file = &inspect_file(&index, "crawl-watchdog.rs").expect("read")[0];
    assert_eq!(file.language.as_deref(), Some("prose"));
    let second = &file.chunks[1];
    assert_eq!((second.byte_start, second.byte_end), (Some(43), Some(64)));
    assert_eq!((second.line_start, second.line_end), (1, 1));
    assert_eq!(second.symbols, ["Outer"]);
    assert!(
        inspect_file(&index, "watchdog.rs")
            .expect("read")
            .is_empty()
    );
    assert!(inspect_file(&index, "%").expect("read").is_empty());
    let broken = inspect_file(&index, "broken.rs").expect("read");
    assert_eq!(broken[0].skip_reason.as_deref(), Some("unreadable"));
    assert_eq!(broken[0].detail.as_deref(), Some("permission denied"));
}

#[test]
fn a_chunk_is_shown_whole() {
    let (_folder, index) = shard();
    let file = &inspect_file(&index, "crawl-watchdog.rs").expect("read")[0];
    let id = &file.chunks[0].gene_id;
    let chunks = inspect_chunk(&index, id, 3).expect("read");
    assert_eq!(chunks.len(), 1);
    let chunk = &chunks[0];
    assert_eq!(
        chunk.columns["content"],
        "Config parser shared by all: port=80 Host=h"
    );
    assert_eq!(chunk.columns["promoter"]["intent_class"], "fact");
    assert_eq!(chunk.columns["embedding_dense_v2"], "16 bytes");
    assert_eq!(chunk.dense_dim, Some(4));
    assert_eq!(chunk.top_terms.len(), 3);
    assert!(chunk.sparse_terms > 3 && chunk.top_terms[0].weight >= chunk.top_terms[1].weight);
    assert_eq!(
        chunk.sources,
        ["/srv/data/README.md", "/srv/data/lib/crawl-watchdog.rs"]
    );
    assert!(chunk.tags[0].starts_with("domain:"));
    assert_eq!(chunk.route_words[0], "TICK");
    assert_eq!(
        inspect_chunk(&index, &id[..8], 0).expect("read")[0].gene_id,
        *id
    );
    assert!(
        inspect_chunk(&index, "0123456789abcdef", 3)
            .expect("read")
            .is_empty()
    );
}

#[test]
fn related_chunks_come_by_weight_and_then_the_latest_first() {
    let (folder, index) = shard();
    let conn = rusqlite::Connection::open(folder.path().join("s.genome.db")).expect("opened");
    conn.execute_batch(
        "INSERT INTO genes (gene_id, content) VALUES ('00000000deadbeef', 'of a server');
         DELETE FROM gene_relations;
         INSERT INTO gene_relations
             SELECT (SELECT gene_id FROM build_routes WHERE rowid = 1), gene_id, 5, 0.5, 0
             FROM genes WHERE gene_id <> (SELECT gene_id FROM build_routes WHERE rowid = 1);",
    )
    .expect("changed");
    let ids = |sql: &str| -> Vec<String> {
        let mut statement = conn.prepare(sql).expect("a query");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("ids")
    };
    let first = &ids("SELECT gene_id FROM build_routes WHERE rowid = 1")[0];
    let mut expected = vec!["00000000deadbeef".to_owned()];
    expected.extend(ids(
        "SELECT gene_id FROM build_routes WHERE rowid > 1 ORDER BY rowid DESC",
    ));
    let views = inspect_chunk(&index, first, 3).expect("read");
    assert_eq!(views[0].related, expected);
}
