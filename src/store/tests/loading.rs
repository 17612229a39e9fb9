//! Shards hold what the format says, and nothing shows how they came about.

use super::sample::{
    EPOCH, Entry, build_shard, chunk, corpus, count, indexed, load, open, rows, shard_header,
    write_segment,
};
use crate::file::FileRecord;
use crate::ids::{ContentHash, Digest};
use crate::store::StoreError;
use crate::store::connect::{close_as_wal, open_owned};
use crate::store::digest::digest_shard;
use crate::store::ledger::read_ledger;
use crate::store::reuse::VectorCache;
use crate::store::segment::SegmentReader;
use crate::store::shard::ShardLoader;
use crate::tag::TaggedChunk;
use std::collections::BTreeSet;
use std::path::PathBuf;

const ROOT: &str = "/srv/data/the root";

pub(in crate::store) fn built(files: &[Entry], cuts: &[usize]) -> (tempfile::TempDir, PathBuf) {
    let folder = crate::test_folder::create();
    build_shard(folder.path(), "s.genome.db", ROOT, files, cuts);
    let path = folder.path().join("s.genome.db");
    (folder, path)
}

fn distinct_texts(files: &[Entry]) -> BTreeSet<&str> {
    let chunks = files.iter().flat_map(|(_, chunks)| chunks);
    chunks
        .map(|encoded| encoded.tagged.chunk.text.as_ref())
        .collect()
}

#[test]
fn a_server_finds_every_object_it_would_create() {
    let (_folder, path) = built(&corpus(), &[]);
    let conn = open(&path);
    // In a database that the server itself made with sparse retrieval and sync on: 76 by version 0.11.3. Indexes that
    // SQLite makes of its own for a key depend on how the table is kept. One more has the statistics.
    let objects = "SELECT count(*) FROM sqlite_schema
                   WHERE tbl_name NOT LIKE 'build!_%' ESCAPE '!' AND name NOT LIKE 'sqlite_autoindex%'";
    assert_eq!(count(&conn, objects), 77);
    assert_eq!(
        rows(&conn, "SELECT * FROM orgs"),
        [format!(
            "local|Local Org (default)|local|Real({EPOCH:?})|Null"
        )]
    );
    for (pragma, expected) in [
        ("page_size", 4096),
        ("user_version", 0),
        ("application_id", 0),
        ("auto_vacuum", 0),
    ] {
        assert_eq!(
            count(&conn, &format!("PRAGMA {pragma}")),
            expected,
            "{pragma}"
        );
    }
}

#[test]
fn every_chunk_has_the_row_that_the_format_asks_for() {
    let files = corpus();
    let (_folder, path) = built(&files, &[2]);
    let conn = open(&path);
    assert_eq!(
        count(&conn, "SELECT count(*) FROM genes") as usize,
        distinct_texts(&files).len()
    );
    for row in rows(&conn, "SELECT content, gene_id, content_hash FROM genes") {
        let (text, ids) = row.split_at(row.len() - 82);
        let hash = ContentHash::of(text);
        assert_eq!(ids, format!("|{}|{}", hash.chunk_id(), hash.to_hex()));
    }
    let readme = rows(
        &conn,
        "SELECT source_id, promoter, epigenetics, codons, key_values, mtime, observed_at, \
         last_verified_at, last_seen, live_truth_score, version, embedding \
         FROM genes WHERE rowid = 1",
    );
    assert_eq!(
        readme,
        [concat!(
            "/srv/data/the root/README.md|",
            r#"{"domains":["README","Topic"],"entities":["Überblick","Parser","Config","Tabbed"],"#,
            r#""intent":"to say \"Überblick\"","intent_class":"fact","#,
            r#""summary":"ÜberblickParserConfig😀\"quoted\"Tabbed","sequence_index":0,"metadata":{}}|"#,
            r#"{"created_at":1700000000.25,"last_accessed":1700000000.25}|"#,
            r#"["fn","naïve"]|Null|Real(-1.5)|Real(1700000000.25)|Real(1700000000.25)|"#,
            "Real(1700000000.25)|Real(1.0)|Null|Null",
        )]
    );
    assert_eq!(
        count(
            &conn,
            "SELECT count(*) FROM genes WHERE chromatin IS NOT compression_tier"
        ),
        0
    );
    assert_eq!(
        count(
            &conn,
            "SELECT count(*) FROM genes WHERE length(embedding_dense_v2) <> 16"
        ),
        0
    );
}

#[test]
fn side_tables_follow_from_the_chunks() {
    let (_folder, path) = built(&corpus(), &[1, 3]);
    let conn = open(&path);
    let tags = |tagged: &TaggedChunk<'_>| {
        let id = ContentHash::of(&tagged.chunk.text).chunk_id();
        let tags = &tagged.tags;
        let domains = tags.domains.iter().map(|tag| ("domain", tag));
        let entities = tags.entities.iter().map(|tag| ("entity", tag));
        let lower = |(kind, tag): (_, &String)| format!("{id}|{kind}|{}", tag.to_lowercase());
        domains.chain(entities).map(lower).collect::<Vec<_>>()
    };
    let mut seen = BTreeSet::new();
    let files = corpus();
    let owners = files.iter().flat_map(|(_, chunks)| chunks);
    let owners = owners.map(|encoded| &encoded.tagged);
    let owners = owners.filter(|tagged| seen.insert(tagged.chunk.text.clone()));
    let expected: Vec<String> = owners.flat_map(tags).collect();
    assert_eq!(
        rows(&conn, "SELECT * FROM promoter_index ORDER BY rowid"),
        expected
    );
    let lost = |sql: &str| assert_eq!(rows(&conn, sql), Vec::<String>::new(), "{sql}");
    lost(
        "SELECT entity, gene_id FROM entity_graph EXCEPT \
          SELECT tag_value, gene_id FROM promoter_index WHERE tag_type = 'entity'",
    );
    lost(
        "SELECT tag_value, gene_id FROM promoter_index WHERE tag_type = 'entity' EXCEPT \
          SELECT entity, gene_id FROM entity_graph",
    );
    lost(
        "SELECT term, count(*) FROM splade_terms GROUP BY term EXCEPT SELECT * FROM splade_term_df",
    );
    lost("SELECT gene_id, term FROM splade_terms GROUP BY gene_id, term HAVING count(*) > 1");
    lost("SELECT * FROM splade_terms WHERE typeof(weight) <> 'real' OR weight <= 0");
    for table in [
        "promoter_index",
        "entity_graph",
        "path_key_index",
        "filename_index",
        "splade_terms",
    ] {
        lost(&format!(
            "SELECT gene_id FROM {table} EXCEPT SELECT gene_id FROM genes"
        ));
        assert!(
            count(&conn, &format!("SELECT count(*) FROM {table}")) > 0,
            "{table}"
        );
    }
    for table in ["gene_relations", "harmonic_links"] {
        lost(&format!(
            "SELECT gene_id_b FROM {table} EXCEPT SELECT gene_id FROM genes"
        ));
        lost(&format!(
            "SELECT gene_id_a FROM {table} EXCEPT SELECT gene_id FROM genes"
        ));
        assert!(
            count(&conn, &format!("SELECT count(*) FROM {table}")) > 0,
            "{table}"
        );
    }
    assert_eq!(
        rows(&conn, "SELECT DISTINCT filename_stem FROM filename_index"),
        ["crawl-watchdog", "last"]
    );
    assert_eq!(
        rows(&conn, "SELECT DISTINCT terms FROM build_routes"),
        [r#"["TICK","extra","parser"]"#]
    );
}

#[test]
fn the_full_text_index_says_what_the_view_says() {
    let (_folder, path) = built(&corpus(), &[2]);
    let conn = open(&path);
    // Rank 1 compares the index with the view, not only with itself.
    let check = "INSERT INTO genes_fts (genes_fts, rank) VALUES ('integrity-check', 1)";
    conn.execute_batch(check)
        .expect("the index equals the view");
    assert_eq!(rows(&conn, "SELECT k FROM genes_fts_config"), ["version"]);
    assert_eq!(
        count(&conn, "SELECT count(*) FROM genes"),
        count(&conn, "SELECT count(*) FROM genes_fts_docsize")
    );
    let found = "SELECT g.source_id FROM genes_fts AS f JOIN genes AS g ON g.rowid = f.rowid \
                 WHERE genes_fts MATCH 'watchdog AND tick'";
    assert_eq!(
        rows(&conn, found),
        ["/srv/data/the root/lib/crawl-watchdog.rs"]
    );
    conn.execute_batch("UPDATE genes SET content = content || ' changed' WHERE rowid = 1")
        .expect("changed");
    conn.execute_batch(check).expect_err("the check can fail");
}

#[test]
fn the_first_file_owns_a_duplicate_and_all_are_listed() {
    let files = corpus();
    let (_folder, path) = built(&files, &[1, 1, 1]);
    let conn = open(&path);
    let shared = ContentHash::of("Config parser shared by all: port=80 Host=h").chunk_id();
    assert_eq!(
        rows(
            &conn,
            &format!("SELECT source_id FROM genes WHERE gene_id = '{shared}'")
        ),
        ["/srv/data/the root/README.md"]
    );
    let places = format!(
        "SELECT path, seq, s.is_fragment FROM build_sources AS s JOIN build_files USING (file_id) \
         WHERE gene_id = '{shared}'"
    );
    assert_eq!(
        rows(&conn, &places),
        [
            "README.md|Integer(1)|Integer(1)",
            "lib/crawl-watchdog.rs|Integer(0)|Integer(0)",
            "lib/crawl-watchdog.rs|Integer(3)|Integer(0)",
        ]
    );
    let places = "SELECT path, seq, byte_start, byte_end, line_start, line_end, symbols, encoding, language \
                  FROM build_sources JOIN build_files USING (file_id) WHERE file_id IN (1, 4) LIMIT 4";
    assert_eq!(
        rows(&conn, places),
        [
            r#"README.md|Integer(0)|Null|Null|Integer(1)|Integer(2)|[]|UTF-8|prose"#,
            r#"README.md|Integer(1)|Null|Null|Integer(2)|Integer(2)|["Outer"]|UTF-8|prose"#,
            r#"lib/crawl-watchdog.rs|Integer(0)|Integer(0)|Integer(43)|Integer(1)|Integer(1)|[]|UTF-8|prose"#,
            r#"lib/crawl-watchdog.rs|Integer(1)|Integer(43)|Integer(64)|Integer(1)|Integer(1)|["Outer"]|UTF-8|prose"#,
        ]
    );
    let places: usize = files.iter().map(|(_, chunks)| chunks.len()).sum();
    assert_eq!(
        count(&conn, "SELECT count(*) FROM build_sources") as usize,
        places
    );
}

#[test]
fn the_ledger_reads_back() {
    let files = corpus();
    let (_folder, path) = built(&files, &[2]);
    let ledger = read_ledger(&path).expect("a ledger");
    let expected: Vec<(u32, FileRecord)> =
        files.iter().map(|(file, _)| (0, file.clone())).collect();
    assert_eq!(ledger.files, expected);
    assert_eq!(ledger.label, "s");
    assert_eq!(ledger.fingerprint, Digest([7; 32]));
    assert_eq!(ledger.roots[0].path, ROOT);
    assert_eq!(ledger.chunks as usize, distinct_texts(&files).len());
    let segment = _folder.path().join("s.genome.db.0.segment");
    assert!(matches!(
        read_ledger(&segment),
        Err(StoreError::Corrupt { .. })
    ));
}

/// Keeps the sparse vectors as earlier versions did.
const AS_IN_FORMAT_2: &str = "
CREATE TABLE earlier (gene_id TEXT NOT NULL, term TEXT NOT NULL, weight REAL NOT NULL);
INSERT INTO earlier SELECT * FROM splade_terms ORDER BY gene_id, weight DESC;
DROP TABLE splade_terms;
ALTER TABLE earlier RENAME TO splade_terms;
CREATE INDEX idx_splade_gene ON splade_terms(gene_id);
UPDATE build_meta SET value = 2 WHERE key = 'format'";

#[test]
fn vectors_are_found_by_text_in_shards_of_the_same_encoder() {
    let (folder, path) = built(&corpus(), &[]);
    let missing = folder.path().join("missing.genome.db");
    let mut cache = VectorCache::open(&[missing, path.clone()], Digest([8; 32]));
    assert_eq!(cache.len(), 1);
    let expected = chunk("z/last.toml", 0, "Host=q Device Config");
    let hash = expected.tagged.chunk.hash;
    let known = cache.look_up(hash).expect("readable").expect("known");
    assert_eq!(known, expected.vectors);
    let unknown = cache
        .look_up(ContentHash::of("never seen"))
        .expect("readable");
    assert_eq!(unknown, None);
    assert!(VectorCache::open(std::slice::from_ref(&path), Digest([9; 32])).is_empty());
    open(&path).execute_batch(AS_IN_FORMAT_2).expect("changed");
    let mut cache = VectorCache::open(std::slice::from_ref(&path), Digest([8; 32]));
    let known = cache.look_up(hash).expect("readable").expect("known");
    assert_eq!(known, expected.vectors);
    for (format, is_usable) in [("1", true), ("4", true), ("5", false), ("'1'", false)] {
        let sql = format!("UPDATE build_meta SET value = {format} WHERE key = 'format'");
        open(&path).execute_batch(&sql).expect("changed");
        let cache = VectorCache::open(std::slice::from_ref(&path), Digest([8; 32]));
        assert_eq!(!cache.is_empty(), is_usable, "{format}");
    }
}

#[test]
fn a_segment_without_a_file_of_its_list_is_refused() {
    let folder = crate::test_folder::create();
    let segment = folder.path().join("0.segment");
    let files = corpus();
    write_segment(&segment, &files[..2]);
    let reader = SegmentReader::open(&segment).expect("a segment");
    let shard = folder.path().join("s.genome.db");
    let mut loader = ShardLoader::create(
        &shard,
        shard_header("s", &[("r", "/r")]),
        std::sync::Arc::default(),
    )
    .expect("created");
    let wanted = [files[1].0.entry.path.clone(), files[2].0.entry.path.clone()];
    let refused = loader.load_segment(&reader, 0, &wanted);
    assert!(
        matches!(refused, Err(StoreError::MissingFile { .. })),
        "{refused:?}"
    );
}

#[test]
fn an_empty_shard_is_a_shard() {
    let (_folder, path) = built(&[], &[]);
    let digest = digest_shard(&path).expect("a digest");
    assert_eq!((digest.files, digest.chunks), (0, 0));
    let conn = open_owned(&path).expect("opens");
    close_as_wal(conn, &path).expect("sealing twice changes nothing");
}

#[test]
fn full_text_has_the_path_below_the_innermost_root_and_words_beside_the_text() {
    let folder = crate::test_folder::create();
    let shard = folder.path().join("s.genome.db");
    let roots = [
        ("outer", "/srv/team"),
        ("inner", "/srv/team/deep/"),
        ("top", "/"),
    ];
    let header = shard_header("s", &roots);
    let mut loader =
        ShardLoader::create(&shard, header, std::sync::Arc::default()).expect("created");
    let files = [
        (0, indexed("a/one.rs", &["first text"])),
        (1, indexed("b/two.rs", &["second text"])),
        // Below the inner root too, although it is a file of the outer one.
        (0, indexed("deep/c/three.rs", &["third text"])),
        (2, indexed("etc/four.rs", &["fourth text"])),
    ];
    for (n, (root_id, entry)) in files.into_iter().enumerate() {
        let segment = folder.path().join(format!("{n}.segment"));
        write_segment(&segment, std::slice::from_ref(&entry));
        load(&mut loader, &segment, root_id, &[entry]);
    }
    loader.finish().expect("finished");
    let conn = open(&shard);
    let sources =
        "SELECT substr(f.content, 1, instr(f.content, ' ') - 1) FROM genes_fts_source AS f
         JOIN build_routes AS r ON r.gene_id = f.gene_id ORDER BY r.rowid";
    assert_eq!(
        rows(&conn, sources),
        [
            "outer/a/one.rs",
            "inner/b/two.rs",
            "inner/c/three.rs",
            "top/etc/four.rs"
        ]
    );
    let found = |words: &str| {
        let sql = format!("SELECT count(*) FROM genes_fts WHERE genes_fts MATCH '{words}'");
        count(&conn, &sql)
    };
    assert_eq!(
        [
            found("srv"),
            found("team"),
            found("inner"),
            found("unwritten")
        ],
        [0, 0, 2, 4]
    );
    // What the view says is what was indexed, also of a chunk that a server adds from elsewhere.
    conn.execute_batch(
        "INSERT INTO genes_fts (genes_fts, rank) VALUES ('integrity-check', 1);
         INSERT INTO genes (gene_id, content, source_id) VALUES ('00000000000000ff', 'new', 'chat:7');
         INSERT INTO genes_fts (rowid, gene_id, content, complement)
             SELECT rowid, gene_id, content, complement FROM genes_fts_source WHERE gene_id = '00000000000000ff';
         INSERT INTO genes_fts (genes_fts, rank) VALUES ('integrity-check', 1);",
    )
    .expect("sound");
    assert_eq!(found("chat"), 1);
}
