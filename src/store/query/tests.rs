//! Queries against small indexes written by plain SQL in the published shape.

mod filters;
mod held;

use super::*;
use crate::batch::EncoderKind;
use crate::ids::ContentHash;
use crate::store::locate::locate;
use crate::store::registered::RegisteredShard;
use crate::store::schema;
use crate::vector::SparseTerm;
use rusqlite::params;
use std::path::Path;

/// A text with its path, tags and vectors.
struct Chunk {
    path: &'static str,
    text: String,
    chromatin: i64,
    sparse: Vec<(&'static str, f64)>,
    dense: Vec<f32>,
}

fn chunk(path: &'static str, text: &str) -> Chunk {
    Chunk {
        path,
        text: text.to_string(),
        chromatin: 0,
        sparse: Vec::new(),
        dense: Vec::new(),
    }
}

fn write_shard(path: &Path, chunks: &[Chunk]) {
    let db = Connection::open(path).expect("new");
    db.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; {}{}{}",
        schema::COMMON_TABLES,
        schema::SHARD_TABLES,
        schema::BUILD_TABLES
    ))
    .expect("schema");
    let format = "INSERT INTO build_meta VALUES ('format', ?1)";
    db.execute(format, [schema::FORMAT_VERSION])
        .expect("a format");
    let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    let digest = blake3::hash(texts.concat().as_bytes()).to_string();
    db.execute("INSERT INTO build_meta VALUES ('digest', ?1)", [digest])
        .expect("a digest");
    for chunk in chunks {
        let id = ContentHash::of(&chunk.text).chunk_id().to_string();
        let dense = DenseVector(chunk.dense.clone()).to_le_bytes();
        db.execute(
            "INSERT OR IGNORE INTO genes (gene_id, content, complement, chromatin, source_id, embedding_dense_v2)
             VALUES (?1, ?2, '', ?3, ?4, ?5)",
            params![id, chunk.text, chunk.chromatin, chunk.path, (!dense.is_empty()).then_some(dense)],
        )
        .expect("gene");
        for (term, weight) in &chunk.sparse {
            db.execute(
                "INSERT INTO splade_terms VALUES (?1, ?2, ?3)",
                params![id, term, weight],
            )
            .expect("term");
        }
    }
    db.execute_batch(schema::SHARD_INDEXES).expect("indexes");
    db.execute_batch("INSERT INTO genes_fts(genes_fts) VALUES ('rebuild')")
        .expect("full text");
}

/// What a build notes beside a shard, as far as it tells whose the row is.
fn record(label: &str) -> String {
    format!("{{\"build\":{{\"digest\":\"{label}\"}}}}")
}

fn write_routing(folder: &Path, shards: &[(&str, &[&str])]) {
    let db = Connection::open(folder.join("main.genome.db")).expect("new");
    db.execute_batch(schema::COMMON_TABLES).expect("schema");
    db.execute_batch(schema::ROUTING_SCHEMA).expect("schema");
    for (label, domains) in shards {
        let path = folder.join(format!("{label}.genome.db"));
        db.execute(
            "INSERT INTO shards (shard_name, category, path, created_at, updated_at, metadata)
             VALUES (?1, 'reference', ?2, 0, 0, ?3)",
            params![label, path.to_string_lossy(), record(label)],
        )
        .expect("shard");
        for (at, domain) in domains.iter().enumerate() {
            db.execute(
                "INSERT INTO fingerprint_index (gene_id, shard_name, domains, entities, updated_at)
                 VALUES (?1, ?2, ?3, '[]', 0)",
                params![format!("{at:016x}"), label, format!("[\"{domain}\"]")],
            )
            .expect("fingerprint");
        }
    }
}

fn lexical(text: &str, k: usize) -> Query<'_> {
    Query {
        text,
        sparse: None,
        dense: None,
        mode: Mode::Lexical,
        scope: Scope::Everywhere,
        unit: HitUnit::Chunk,
        ranking: Ranking::Off,
        k,
    }
}

fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|h| h.chunk_id.as_str()).collect()
}

/// Forty texts over a small vocabulary, of different lengths, some words rare in one half only.
fn corpus() -> Vec<Chunk> {
    let words = [
        "queue", "shard", "vector", "token", "route", "parse", "merge", "index",
    ];
    let mut chunks = Vec::new();
    for n in 0..40usize {
        let mut text = format!("chunk{n}");
        for step in 0..(3 + n * 7 % 23) {
            text.push(' ');
            text.push_str(words[(n * n + step * (n % 5 + 1)) % words.len()]);
        }
        if n < 20 {
            text.push_str(" everywhere_here");
        }
        if n == 3 || n == 25 {
            text.push_str(" everywhere_here rarity");
        }
        chunks.push(chunk("/src/a.rs", &text));
    }
    chunks
}

fn sharded(folder: &Path, chunks: Vec<Chunk>, parts: &[usize]) -> Index {
    let mut rest = chunks;
    let labels = ["a", "b", "c", "d"];
    for (label, size) in labels.iter().zip(parts) {
        let tail = rest.split_off((*size).min(rest.len()));
        write_shard(&folder.join(format!("{label}.genome.db")), &rest);
        rest = tail;
    }
    let shards: Vec<(&str, &[&str])> = labels[..parts.len()]
        .iter()
        .map(|l| (*l, &[][..]))
        .collect();
    write_routing(folder, &shards);
    locate(folder).expect("index")
}

#[test]
fn a_sharded_index_ranks_words_as_one_database_does() {
    let one = crate::test_folder::create();
    let many = crate::test_folder::create();
    write_shard(&one.path().join("all.db"), &corpus());
    let blob = Searcher::open(&locate(one.path()).expect("blob")).expect("opens");
    let index = sharded(many.path(), corpus(), &[4, 16, 20]);
    let sharded = Searcher::open(&index).expect("opens");
    for text in [
        "everywhere_here queue",
        "rarity merge",
        "vector index parse",
        "\"queue\" OR",
    ] {
        let (a, b) = (
            blob.search(&lexical(text, 40)).expect("answers"),
            sharded.search(&lexical(text, 40)).expect("answers"),
        );
        assert!(!a.is_empty(), "{text}");
        assert_eq!(ids(&a), ids(&b), "{text}");
        for (x, y) in a.iter().zip(&b) {
            assert!(
                (x.score - y.score).abs() < 1e-9,
                "{text}: {} {}",
                x.score,
                y.score
            );
        }
    }
}

#[test]
fn one_database_scores_as_the_full_text_index_itself() {
    let dir = crate::test_folder::create();
    let path = dir.path().join("all.db");
    write_shard(&path, &corpus());
    let searcher = Searcher::open(&locate(&path).expect("blob")).expect("opens");
    let hits = searcher
        .search(&lexical("rarity chunk7", 9))
        .expect("answers");
    let db = Connection::open(&path).expect("opens");
    let mut statement = db
        .prepare("SELECT gene_id, -rank FROM genes_fts WHERE genes_fts MATCH '\"rarity\" OR \"chunk7\"' ORDER BY rank, gene_id")
        .expect("plain SQL");
    let own: Vec<(String, f64)> = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
        .and_then(|rows| rows.collect())
        .expect("rows");
    assert_eq!(hits.len(), own.len());
    for (hit, (id, score)) in hits.iter().zip(&own) {
        assert_eq!(&hit.chunk_id, id);
        assert!((hit.score - score).abs() < 1e-9);
    }
}

#[test]
fn cold_chunks_are_not_answered_and_ties_go_by_id() {
    let dir = crate::test_folder::create();
    let mut chunks = vec![
        chunk("/a", "alpha one"),
        chunk("/b", "alpha two"),
        chunk("/c", "alpha six"),
    ];
    chunks[1].chromatin = 2;
    for chunk in &mut chunks {
        chunk.sparse = vec![("alpha", 1.5)];
        chunk.dense = vec![1.0, 0.0];
    }
    let expected = {
        let mut ids =
            [&chunks[0], &chunks[2]].map(|c| ContentHash::of(&c.text).chunk_id().to_string());
        ids.sort();
        ids
    };
    write_shard(&dir.path().join("x.db"), &chunks);
    let searcher = Searcher::open(&locate(dir.path()).expect("blob")).expect("opens");
    let sparse = SparseVector(vec![SparseTerm {
        term: "alpha".into(),
        weight_e4: 20_000,
    }]);
    let dense = DenseVector(vec![0.6, 0.8]);
    for mode in [Mode::Lexical, Mode::Sparse, Mode::Dense, Mode::Hybrid] {
        let query = Query {
            sparse: Some(&sparse),
            dense: Some(&dense),
            mode,
            ..lexical("alpha", 5)
        };
        let hits = searcher.search(&query).expect("answers");
        assert_eq!(ids(&hits), expected, "{mode:?}");
        let expected_score = match mode {
            Mode::Lexical => hits[0].score,
            Mode::Sparse => 3.0,
            Mode::Dense => f64::from(0.6f32),
            Mode::Hybrid => 3.0 / 61.0,
        };
        assert!((hits[0].score - expected_score).abs() < 1e-6, "{mode:?}");
        let one = searcher.search(&Query { k: 1, ..query }).expect("answers");
        assert_eq!(ids(&one), expected[..1], "{mode:?}");
    }
    let no_vector = Query {
        mode: Mode::Dense,
        ..lexical("alpha", 5)
    };
    let error = searcher.search(&no_vector).expect_err("needs a vector");
    assert!(matches!(
        error,
        QueryError::NoVector {
            kind: EncoderKind::Dense
        }
    ));
}

#[test]
fn the_same_text_in_two_shards_is_one_hit_with_both_places() {
    let dir = crate::test_folder::create();
    let same = || chunk("/one", "shared words");
    let other = Chunk {
        path: "/two",
        ..same()
    };
    let index = sharded(
        dir.path(),
        vec![same(), other, chunk("/z", "other words")],
        &[1, 2],
    );
    let hits = Searcher::open(&index)
        .expect("opens")
        .search(&lexical("shared", 5))
        .expect("answers");
    assert_eq!(hits.len(), 1);
    let places: Vec<_> = hits[0]
        .locations
        .iter()
        .map(|p| (p.shard.as_str(), p.path.as_str()))
        .collect();
    assert_eq!(places, [("a", "/one"), ("b", "/two")]);
}

#[test]
fn other_files_with_the_same_text_are_listed() {
    let dir = crate::test_folder::create();
    let path = dir.path().join("x.db");
    write_shard(&path, &[chunk("/r/a.rs", "shared words")]);
    let id = ContentHash::of("shared words").chunk_id().to_string();
    Connection::open(&path)
        .and_then(|db| {
            db.execute_batch(&format!(
                "INSERT INTO build_roots VALUES (1, 'r', '/r');
                 INSERT INTO build_files (file_id, root_id, path, size, mtime_ns, chunks)
                     VALUES (1, 1, 'a.rs', 12, 0, 1), (2, 1, 'b/c.rs', 12, 0, 1);
                 INSERT INTO build_sources (file_id, seq, gene_id, is_fragment, line_start, line_end, symbols)
                 VALUES (1, 0, '{id}', 0, 1, 1, '[]'), (2, 0, '{id}', 0, 1, 1, '[]');"
            ))
        })
        .expect("plain SQL");
    let searcher = Searcher::open(&locate(&path).expect("blob")).expect("opens");
    let hits = searcher.search(&lexical("shared", 5)).expect("answers");
    let paths: Vec<_> = hits[0].locations.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["/r/a.rs", "/r/b/c.rs"]);
}

#[test]
fn routed_queries_ask_only_the_shards_with_the_words() {
    let dir = crate::test_folder::create();
    for label in ["a", "b", "c"] {
        let text = format!("needle {label}");
        write_shard(
            &dir.path().join(format!("{label}.genome.db")),
            &[chunk("/x", &text)],
        );
    }
    write_routing(
        dir.path(),
        &[
            ("a", &["Needle"]),
            ("b", &["hay"]),
            ("c", &["needle", "needle"]),
        ],
    );
    let index = locate(dir.path()).expect("index");
    let searcher = Searcher::open(&index).expect("opens");
    assert_eq!(
        searcher.consulted("needle", Scope::Routed).expect("routes"),
        ["c", "a"]
    );
    assert_eq!(
        searcher
            .consulted("needles", Scope::Routed)
            .expect("routes"),
        [""; 0]
    );
    let query = Query {
        scope: Scope::Routed,
        ..lexical("needle", 5)
    };
    let hits = searcher.search(&query).expect("answers");
    assert_eq!(hits.len(), 2);
    assert!(hits.iter().all(|h| h.shard != "b"));
    let all = searcher.search(&lexical("needle", 5)).expect("answers");
    assert_eq!(all.len(), 3);
    let single = Index::Single {
        path: dir.path().join("a.genome.db"),
    };
    let error = Searcher::open(&single)
        .expect("opens")
        .search(&query)
        .expect_err("no routes");
    assert!(matches!(error, QueryError::NotRouted));
}

#[test]
fn a_missing_shard_is_an_error_and_an_unhealthy_one_is_left_out() {
    let dir = crate::test_folder::create();
    write_shard(&dir.path().join("a.genome.db"), &[chunk("/x", "needle")]);
    let shard = |name: &str, health: &str| RegisteredShard {
        name: name.into(),
        path: dir.path().join(format!("{name}.genome.db")),
        recorded_path: PathBuf::new(),
        category: String::new(),
        health: health.into(),
        chunks: 1,
        bytes: 1,
        build: None,
        metadata: Some(record(name)),
    };
    write_routing(dir.path(), &[]);
    let index = |health: &str| Index::Sharded {
        routing: dir.path().join("main.genome.db"),
        shards: vec![shard("a", "ok"), shard("gone", health)],
    };
    assert!(Searcher::open(&index("ok")).is_err());
    let searcher = Searcher::open(&index("cold")).expect("opens");
    assert_eq!(
        searcher
            .search(&lexical("needle", 5))
            .expect("answers")
            .len(),
        1
    );
    assert!(!dir.path().join("gone.genome.db").exists());
}
