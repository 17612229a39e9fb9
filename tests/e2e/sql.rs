//! Every statement in docs/guide/sql.md, on a built index.

use crate::documents::pages::{Block, pages};
use crate::world::World;
use rusqlite::Connection;
use std::path::Path;
use std::process::Command;

fn world() -> World {
    let world = World::new();
    world.write(
        "src/lib.rs",
        "/// Retries a payment that failed.\npub fn retry_payment(n: u32) -> u32 {\n    n + 1\n}\n",
    );
    let zebra = "# Feeding the zebra\n\nThe zebra eats twice a day, never after sunset.\n";
    world.write("src/zebra.md", zebra);
    world.write("src/copy/zebra.md", zebra);
    world.write(
        "src/lion.md",
        "# Lions\n\nThe lion sleeps after lunch, in the shade of a tree.\n",
    );
    world.write("src/blank.md", " \n".repeat(40));
    let flags = ["src", "--progress", "none", "--json"];
    world.run(&flags).summary();
    world
}

const SHARD: &str = "genomes-sharded/src/shards/src.genome.db";

fn blocks(language: &str) -> Vec<Block> {
    let mut all = pages();
    let at = all.iter().position(|page| page.name == "docs/guide/sql.md");
    let page = all.swap_remove(at.expect("the page"));
    let blocks = page.blocks().into_iter();
    blocks.filter(|block| block.language == language).collect()
}

/// The rows of a statement, as JSON arrays of texts.
fn rows(connection: &Connection, sql: &str, values: &[(&str, String)]) -> Vec<Vec<String>> {
    let mut statement = connection
        .prepare(sql)
        .unwrap_or_else(|error| panic!("{sql}\n{error}"));
    for (name, value) in values {
        if let Some(at) = statement.parameter_index(name).expect("a name") {
            statement.raw_bind_parameter(at, value).expect("bound");
        }
    }
    let n_columns = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{sql}\n{error}")) {
        let shown = |at| match row.get::<_, rusqlite::types::Value>(at).expect("a value") {
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        found.push((0..n_columns).map(shown).collect());
    }
    found
}

#[test]
fn every_statement_of_the_guide_finds_rows() {
    let world = world();
    let encoded = world
        .run(&["encode", "what does the zebra eat", "--json"])
        .last_line();
    assert_eq!(
        (&encoded["type"], &encoded["role"]),
        (&"encoded".into(), &"query".into())
    );
    let values = [
        (":file", "zebra.md".to_owned()),
        (":words", "\"zebra\"".to_owned()),
        (":sparse", encoded["sparse"].to_string()),
    ];
    let connection = Connection::open(world.path(SHARD)).expect("opens");
    let blocks = blocks("sql");
    let first: Vec<String> = blocks
        .iter()
        .map(|block| {
            let found = rows(&connection, &block.code, &values);
            assert!(
                !found.is_empty(),
                "docs/guide/sql.md:{} finds nothing",
                block.line
            );
            found[0].join(" ")
        })
        .collect();
    let expected = [
        "src/", "zebra", "[zebra]", "zebra.md", "define:", "zebra.md", "blank",
    ];
    assert_eq!(first.len(), expected.len(), "{first:?}");
    for (row, expected) in first.iter().zip(expected) {
        assert!(row.contains(expected), "no {expected} in {row}");
    }
}

#[test]
fn the_dense_example_ranks_as_the_program_does() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: there is no python3");
        return;
    }
    let world = world();
    let program = blocks("python");
    world.write("dense.py", &program[0].code);
    let folder = Path::new(env!("CARGO_BIN_EXE_helix-build"))
        .parent()
        .expect("a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    let text = "what does the zebra eat";
    let ran = Command::new("python3")
        .args(["dense.py", SHARD, text])
        .current_dir(world.path("."))
        .env("PATH", std::env::join_paths(folders).expect("paths"))
        .output()
        .expect("runs");
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{ran:?}");
    let hits = world
        .run(&["query", text, "--mode", "dense", "--json"])
        .lines();
    assert!(hits.len() >= 3, "{hits:?}");
    for (line, hit) in shown.lines().zip(&hits) {
        let (score, path) = line.split_once(' ').expect("two fields");
        assert_eq!(path, hit["path"].as_str().expect("a path"));
        let score: f64 = score.parse().expect("a number");
        assert!(
            (score - hit["score"].as_f64().expect("a score")).abs() < 1e-3,
            "{line}: {hit}"
        );
    }
}

#[test]
fn texts_are_encoded_one_a_line_as_queries_or_passages() {
    let world = World::new();
    world.write("texts.txt", b"the zebra\n\xff\xfe\nthe lion\n");
    let ran = world.run(&["encode", "--passage", "--texts", "texts.txt", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let lines = ran.lines();
    let types: Vec<_> = lines
        .iter()
        .map(|line| line["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(types, ["encoded", "unencoded", "encoded"]);
    assert_eq!(
        (&lines[2]["text"], &lines[2]["role"]),
        (&2.into(), &"passage".into())
    );
    let length: f64 = lines[0]["dense"]
        .as_array()
        .expect("values")
        .iter()
        .map(|v| v.as_f64().expect("a number").powi(2))
        .sum();
    assert!((length - 1.0).abs() < 1e-3, "{length}");
    let terms = lines[0]["sparse"].as_array().expect("terms");
    assert!(
        terms.iter().any(|term| term["term"] == "zebra"),
        "{terms:?}"
    );
    let both = world
        .run(&["encode", "one", "two", "--dense-model", "none", "--json"])
        .lines();
    assert_eq!(both.len(), 2);
    assert!(both[1]["dense"].is_null() && !both[1]["sparse"].is_null());
    let shown = world.run(&["encode", "the zebra"]).stdout;
    assert!(
        shown.contains("  zebra\n") && shown.contains("dense, "),
        "{shown}"
    );
    let none = world.run(&[
        "encode",
        "x",
        "--sparse-model",
        "none",
        "--dense-model",
        "none",
    ]);
    assert_eq!(none.code, Some(2), "{none:?}");
}
