//! Queries on built indexes.

use crate::world::World;
use serde_json::json;

#[test]
fn every_mode_finds_the_file_that_says_it() {
    let world = World::corpus(2, 20);
    world.write(
        "root1/zebra.md",
        "# Feeding the zebra\n\nThe zebra eats the quuxblossom twice a day, never after sunset.\n",
    );
    world.encoded_build("o").run().summary();
    for mode in ["lexical", "sparse", "dense", "hybrid"] {
        let ran = world.run(&[
            "query",
            "o-sharded/p",
            "when does the zebra eat",
            "--mode",
            mode,
            "--json",
            "--k",
            "3",
        ]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let hits = ran.lines();
        assert_eq!(hits[0]["type"], "hit", "{mode}");
        assert_eq!(hits[0]["rank"], 1);
        assert_eq!(hits[0]["shard"], "root1", "{mode}: {hits:?}");
        assert!(
            hits[0]["path"]
                .as_str()
                .is_some_and(|p| p.ends_with("zebra.md")),
            "{mode}"
        );
    }
}

#[test]
fn a_rare_word_leads_to_its_shard() {
    for models in [&[][..], &crate::world::BARE] {
        let world = World::corpus(3, 20);
        world.write(
            "root2/notes.md",
            "# Notes\n\nSomewhere between many other words the quuxblossom grows, far from here.\n",
        );
        world.encoded_build("o").args(models).run().summary();
        let ran = world.run(&[
            "query",
            "o-sharded/p",
            "quuxblossom",
            "--mode",
            "lexical",
            "--routed",
            "--json",
        ]);
        assert_eq!(
            ran.lines().first().map(|h| h["shard"].clone()),
            Some("root2".into()),
            "{ran:?}"
        );
    }
}

#[test]
fn a_file_of_queries_is_answered_in_one_go() {
    let world = World::corpus(1, 20);
    world.build("o", &[]);
    world.write("queries.txt", "gadget number\nfrobnicator widgets\n");
    let ran = world.run(&[
        "query",
        "o-sharded/p",
        "--queries",
        "queries.txt",
        "--mode",
        "lexical",
        "--json",
        "-k",
        "2",
    ]);
    let queries: Vec<_> = ran.lines().iter().map(|hit| hit["query"].clone()).collect();
    assert_eq!(queries, [0, 0, 1, 1]);
}

#[test]
fn a_blob_and_shards_answer_alike() {
    let world = World::corpus(3, 30);
    world.build("o", &["--mode", "sharded"]);
    world.build("o", &["--mode", "blob"]);
    let top = |index: &str| {
        let ran = world.run(&[
            "query",
            index,
            "frobnicator number 10002 gadgets",
            "--mode",
            "lexical",
            "--json",
            "-k",
            "5",
        ]);
        let ids: Vec<_> = ran
            .lines()
            .iter()
            .map(|hit| hit["gene_id"].clone())
            .collect();
        assert_eq!(ids.len(), 5, "{ran:?}");
        ids
    };
    assert_eq!(top("o-sharded/p"), top("o/p.db"));
}

#[test]
fn vectors_that_the_index_does_not_have_are_refused() {
    let world = World::corpus(1, 5);
    world.build("o", &[]);
    let ran = world.run(&["query", "o-sharded/p", "gadget", "--mode", "dense"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    // What it has answers a hybrid query.
    let ran = world.run(&["query", "o-sharded/p", "gadget", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.lines().is_empty());
}

#[test]
fn an_index_of_the_heads_of_chunks_is_asked_as_any_other() {
    let world = World::corpus(1, 5);
    world.write(
        "p.toml",
        "roots = [{ path = \"root0\" }]\n[encoders]\ncoverage = \"head\"\n",
    );
    world.encoded_build("o").run().summary();
    for mode in ["sparse", "dense", "hybrid"] {
        let ran = world.run(&["query", "o-sharded/p", "gadget", "--mode", mode, "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!ran.lines().is_empty(), "{mode}");
    }
}

#[test]
fn a_copy_of_an_index_is_read_from_where_it_is() {
    let world = World::corpus(1, 5);
    world.build("o", &[]);
    std::fs::rename(world.path("o-sharded"), world.path("copy")).expect("moved");
    let ran = world.run(&["query", "copy/p", "gadget", "--mode", "lexical", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.lines().is_empty());
    // Servers would look for the old place.
    let ran = world.run(&["verify", "copy/p", "--json"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
}

#[test]
fn the_definition_of_a_name_comes_first_and_says_why() {
    let world = World::corpus(1, 5);
    let users: String = (0..8)
        .map(|n| {
            format!(
                "// Dispatcher Dispatcher Dispatcher\nfn call{n}() {{ Dispatcher::start(); }}\n"
            )
        })
        .collect();
    world.write("root0/callers.rs", &users);
    world.write(
        "root0/queue.rs",
        "/// Hands out work, one task at a time, and waits while there is none.\npub struct Dispatcher {\n    tasks: Vec<u32>,\n}\n",
    );
    world.encoded_build("o").run().summary();
    let ask = |flags: &[&str]| {
        let asked = ["query", "o-sharded/p", "Dispatcher"];
        let ran = world.run(&[&asked, flags].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    };
    let hits = ask(&["--json", "--explain"]).lines();
    let path = hits[0]["path"].as_str().unwrap_or_default();
    assert!(path.ends_with("queue.rs"), "{hits:?}");
    let explain = &hits[0]["explain"];
    assert_eq!(explain["definition"], 2.0, "{hits:?}");
    let gain = |rule: &str| explain[rule].as_f64().unwrap_or(f64::NAN);
    let gains = [
        "lexical",
        "sparse",
        "dense",
        "definition",
        "symbols",
        "further_chunks",
        "file_name",
        "folders",
    ];
    let sum = gains.iter().map(|rule| gain(rule)).sum::<f64>() * gain("kind") * gain("repeated");
    let score = hits[0]["score"].as_f64().unwrap_or_default();
    assert!((sum - score).abs() < 1e-9, "{hits:?}");
    assert!(ask(&["--json"]).lines()[0].get("explain").is_none());
    let unranked = ask(&["--json", "--explain", "--no-ranking"]).lines();
    let arms = &unranked[0]["explain"]["arms"];
    assert!(
        unranked[0]["explain"].get("kind").is_none() && arms.is_object(),
        "{unranked:?}"
    );
    assert_eq!(
        explain["arms"]["lexical"]["rank"],
        hits[0]["ranks"]["lexical"]
    );
    for mode in ["lexical", "sparse", "dense"] {
        let hit = ask(&["--json", "--explain", "--mode", mode])
            .lines()
            .remove(0);
        let place = &hit["explain"]["arms"][mode];
        assert_eq!(
            (&place["rank"], &place["score"]),
            (&json!(1), &hit["score"]),
            "{hit}"
        );
        let text = ask(&["--explain", "--mode", mode]).stdout;
        assert!(
            text.contains(&format!("    {mode} rank 1, score ")),
            "{text}"
        );
    }
    for text in ["", "*"] {
        let ran = world.run(&["query", "o-sharded/p", text, "--mode", "dense"]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("the text has no words"), "{ran:?}");
    }
    let all = world.run(&["query", "o-sharded/p", "Dispatcher", "--json", "--explain"]);
    assert!(!all.stdout.contains("-0.0,"), "{all:?}");
    let ran = world.run(&["query"]);
    assert!(ran.stderr.contains("Usage: helix-build query"), "{ran:?}");
    assert!(
        unranked[0]["score"]
            .as_f64()
            .is_some_and(|score| score < 0.05)
    );
    let text = ask(&["--explain"]).stdout;
    assert!(text.contains("definition 2.00"), "{text}");
}

/// Calls name a function more often than its definition does.
#[test]
fn a_name_is_shown_where_it_is_defined() {
    let world = World::new();
    let calls = "    quux_parse(a, b); quux_parse(b, c);\n".repeat(3);
    let text = format!(
        "fn other() {{\n{calls}}}\n\n/// Reads.\nfn quux_parse(a: u8, b: u8) {{\n    a + b\n}}\n"
    );
    world.write("r/a.rs", &text);
    world.profile(&["r"]);
    world.build("o", &[]);
    let ran = world.run(&["query", "o-sharded/p", "quux_parse", "--mode", "lexical"]);
    assert!(ran.stdout.contains("a.rs:8"), "{ran:?}");
}
