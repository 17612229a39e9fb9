//! Filters, places and hits that stand for files.

use super::*;
use proptest::prelude::*;

/// Write a shard of files, each with chunks of the given texts, one a line.
fn write_files(path: &Path, root: &str, files: &[(&str, &str, &[&str])]) {
    let texts: Vec<Chunk> = files
        .iter()
        .flat_map(|(_, _, texts)| texts.iter().map(|text| chunk("", text)))
        .collect();
    write_shard(path, &texts);
    let db = Connection::open(path).expect("opens");
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        db.execute(sql, values).expect("plain SQL");
    };
    run("INSERT INTO build_roots VALUES (1, 'r', ?1)", &[&root]);
    for (n, (file, language, texts)) in files.iter().enumerate() {
        let n = n as i64 + 1;
        run(
            "INSERT INTO build_files (file_id, root_id, path, size, mtime_ns, chunks, encoding, language)
             VALUES (?1, 1, ?2, 12, 0, ?3, 'UTF-8', ?4)",
            &[&n, file, &(texts.len() as i64), language],
        );
        for (at, text) in texts.iter().enumerate() {
            let id = ContentHash::of(text).chunk_id().to_string();
            let line = at as i64 + 1;
            run(
                "INSERT INTO build_sources (file_id, seq, gene_id, is_fragment, line_start, line_end, symbols)
                 VALUES (?1, ?2, ?3, 0, ?4, ?4, '[\"Outer\",\"inner\"]')",
                &[&n, &(at as i64), &id, &line],
            );
            run(
                "UPDATE genes SET source_id = ?1 || '/' || ?2 WHERE gene_id = ?3 AND source_id = ''",
                &[&root, file, &id],
            );
        }
    }
}

fn filter(languages: &[&str], paths: &[&str]) -> Filter {
    Filter {
        shards: Vec::new(),
        languages: languages.iter().map(ToString::to_string).collect(),
        paths: paths
            .iter()
            .map(|path| PathFilter::compile(path, &[]).expect("a pattern"))
            .collect(),
    }
}

fn opened(files: &[(&str, &str, &[&str])]) -> (tempfile::TempDir, Searcher) {
    let dir = crate::test_folder::create();
    let path = dir.path().join("x.db");
    write_files(&path, "/r", files);
    let searcher = Searcher::open(&locate(&path).expect("blob")).expect("opens");
    (dir, searcher)
}

#[test]
fn a_hit_says_where_it_is() {
    let (_dir, searcher) = opened(&[
        ("a.rs", "rust", &["first words", "shared words"]),
        ("b/c.py", "python", &["shared words", "shared words"]),
    ]);
    let hits = searcher.search(&lexical("shared", 5)).expect("answers");
    let hit = &hits[0];
    assert_eq!(
        (hit.path.as_str(), hit.line_start, hit.line_end),
        ("/r/a.rs", Some(2), Some(2))
    );
    assert_eq!(hit.symbol.as_deref(), Some("Outer > inner"));
    assert_eq!(hit.language.as_deref(), Some("rust"));
    let places: Vec<_> = hit
        .locations
        .iter()
        .map(|it| (it.path.as_str(), it.line_start))
        .collect();
    assert_eq!(
        places,
        [
            ("/r/a.rs", Some(2)),
            ("/r/b/c.py", Some(1)),
            ("/r/b/c.py", Some(2))
        ]
    );
    let lines = searcher.lines(&hit.locations[0], 0, 9).expect("lines");
    assert_eq!(
        lines.into_values().collect::<Vec<_>>(),
        ["first words", "shared words"]
    );
}

#[test]
fn a_chunk_passes_by_any_of_its_places_and_is_shown_there() {
    let (_dir, mut searcher) = opened(&[
        ("a.rs", "rust", &["shared words", "other rust words"]),
        ("b/c.py", "python", &["python words", "shared words"]),
    ]);
    searcher.restrict(&filter(&["python"], &[])).expect("known");
    let hits = searcher.search(&lexical("shared", 5)).expect("answers");
    assert_eq!(
        (hits.len(), hits[0].path.as_str(), hits[0].line_start),
        (1, "/r/b/c.py", Some(2))
    );
    assert_eq!(hits[0].language.as_deref(), Some("python"));
    assert_eq!(hits[0].locations.len(), 2);
    searcher.restrict(&filter(&[], &["b"])).expect("a folder");
    assert_eq!(
        searcher
            .search(&lexical("words", 5))
            .expect("answers")
            .len(),
        2
    );
    let error = searcher
        .restrict(&filter(&["cobol"], &[]))
        .expect_err("unknown");
    assert!(matches!(error, QueryError::NoLanguage { known, .. } if known == ["python", "rust"]));
    let shards = Filter {
        shards: vec!["y".into()],
        ..Filter::default()
    };
    let error = searcher.restrict(&shards).expect_err("unknown");
    assert!(matches!(error, QueryError::NoShard { known, .. } if known == ["x"]));
}

#[test]
fn chunks_of_one_file_fold_into_one_hit() {
    let many: Vec<String> = (0..60)
        .map(|n| format!("zebra zebra zebra {n:03}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_dir, mut searcher) = opened(&[
        ("many.md", "markdown", &many),
        (
            "one.md",
            "markdown",
            &["a zebra among quite a lot of other words that make the text long"],
        ),
        (
            "two.md",
            "markdown",
            &["another zebra among quite a lot of other words that make it long"],
        ),
    ]);
    let query = Query {
        unit: HitUnit::File,
        ..lexical("zebra", 3)
    };
    let paths = |hits: &[Hit]| hits.iter().map(|hit| hit.path.clone()).collect::<Vec<_>>();
    let hits = searcher.search(&query).expect("answers");
    assert_eq!(paths(&hits).len(), 3);
    assert_eq!(
        (hits[0].path.as_str(), hits[0].chunks),
        ("/r/many.md", Some(60))
    );
    assert_eq!(
        hits.iter().map(|hit| hit.rank).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    searcher
        .restrict(&filter(&[], &["many.md"]))
        .expect("a file");
    let hits = searcher.search(&query).expect("answers");
    assert_eq!(paths(&hits), ["/r/many.md"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(4)))]

    /// The best hits under a filter are the best of all hits that pass it.
    #[test]
    fn a_filter_takes_nothing_but_what_does_not_pass(places in proptest::collection::vec((0usize..6, 0usize..12), 1..40), k in 1usize..6) {
        let words = ["zebra", "lion", "zebra lion", "tiger zebra zebra", "zebra lion tiger", "lion lion"];
        let texts: Vec<String> = (0..12).map(|n| format!("{} number{n}", words[n % 6])).collect();
        let names = ["a.rs", "b.py", "src/a.py", "src/b.rs", "doc/a.md", "doc/b.rs"];
        let languages = ["rust", "python", "python", "rust", "markdown", "rust"];
        let of_file = |file: usize| -> Vec<&str> {
            let texts = places.iter().filter(|place| place.0 == file).map(|place| texts[place.1].as_str());
            texts.collect()
        };
        let contents: Vec<Vec<&str>> = (0..6).map(of_file).collect();
        let files: Vec<(&str, &str, &[&str])> = (0..6).map(|n| (names[n], languages[n], contents[n].as_slice())).collect();
        let (_dir, mut searcher) = opened(&files);
        let all = searcher.search(&lexical("zebra lion", 100)).expect("answers");
        searcher.restrict(&filter(&["rust", "python"], &["src", "/b.py"])).expect("known");
        let found = searcher.search(&lexical("zebra lion", k)).expect("answers");
        let passes = |path: &str| path.starts_with("/r/src/") || path == "/r/b.py";
        let expected: Vec<&str> = all.iter()
            .filter(|hit| hit.locations.iter().any(|place| passes(&place.path)))
            .map(|hit| hit.chunk_id.as_str()).take(k).collect();
        prop_assert_eq!(ids(&found), expected);
        prop_assert!(found.iter().all(|hit| passes(&hit.path)));
    }
}
