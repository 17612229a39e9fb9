//! Compares real encoders with a second implementation in Python: `tests/reference`.
//!
//! That implementation encodes every chunk of an index again from its stored text; terms, vectors, token counts and query
//! scores must agree. Needs Python 3.11 and, once, pip with network access.

mod texts;
mod tools;

use crate::world::{World, count, finish};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use texts::Amount;
use tools::{GENERATOR, Tools, run};

/// One build: models with what `helix-model.toml` says besides, and the coverage.
struct Variant {
    sparse: Option<(&'static str, &'static str)>,
    dense: Option<(&'static str, &'static str)>,
    coverage: &'static str,
    /// In batches of fixed shapes: the CPU plays a device.
    on_device: bool,
    texts: Amount,
}

const QUERIES: &str = "how is a killed build resumed
fn parse_header(input: &[u8]) -> Result<Header>
caf\u{e9} \u{65e5}\u{672c}\u{8a9e} \u{1f469}\u{200d}\u{1f4bb}
x
which words of a language have no vowels, and why does the table of contents list them before all others
";

#[test]
fn models_as_they_are_exported() {
    check(Variant {
        sparse: Some(("tiny", "")),
        dense: Some(("minilm", "")),
        coverage: "whole",
        on_device: false,
        texts: Amount::Some,
    });
}

#[test]
fn many_windows_with_prefixes_cut_to_fewer_dimensions_and_characters() {
    check(Variant {
        sparse: Some((
            "tiny-pooled",
            "max_len = 40\npassage_prefix = \"passage: \"\nquery_prefix = \"query: \"",
        )),
        dense: Some((
            "minilm",
            "max_len = 48\ndim = 128\nchar_cap = 700\npassage_prefix = \"title: none | text: \"",
        )),
        coverage: "whole",
        on_device: false,
        texts: Amount::Some,
    });
}

#[test]
fn the_first_position_and_the_head() {
    check(Variant {
        sparse: Some(("tiny", "query_prefix = \"what: \"")),
        dense: Some(("bge-like", "")),
        coverage: "head",
        on_device: false,
        texts: Amount::Some,
    });
}

#[test]
fn logits_over_many_windows_and_three_inputs() {
    check(Variant {
        sparse: Some((
            "tiny",
            "max_len = 64\nchar_cap = 900\npassage_prefix = \"p. \"",
        )),
        dense: Some(("typed", "max_len = 33\ndim = 48")),
        coverage: "whole",
        on_device: false,
        texts: Amount::All,
    });
}

/// Where a space belongs to the word behind it, the last space of a prefix does too.
#[test]
fn tokenizers_whose_pieces_begin_with_a_space() {
    let models = [
        ("qwen-like", ""),
        ("e5-like", "max_len = 40\nquery_prefix = \"frage\""),
        (
            "modern-like",
            "max_len = 50\npassage_prefix = \"title: none | text: \"",
        ),
        ("qwen-like", "max_len = 45"),
        ("e5-like", ""),
        ("modern-like", ""),
    ];
    for (model, toml) in models.into_iter().take(count(3, 6) as usize) {
        check(Variant {
            sparse: None,
            dense: Some((model, toml)),
            coverage: "whole",
            on_device: false,
            texts: if toml.is_empty() {
                Amount::All
            } else {
                Amount::Some
            },
        });
    }
}

/// Models in pairs, so that one index compares two settings.
#[test]
fn the_first_position_of_many_windows_and_a_graph_that_pools() {
    let variants = [
        Variant {
            sparse: Some(("tiny-topk", "max_len = 60")),
            dense: Some(("bge-like", "max_len = 24\npassage_prefix = \"a b c \"")),
            coverage: "whole",
            on_device: false,
            texts: Amount::Some,
        },
        Variant {
            sparse: Some(("tiny", "max_len = 70\npooling = \"splade-log1p\"")),
            dense: Some(("typed", "pooling = \"none\"\nmax_len = 50")),
            coverage: "whole",
            on_device: false,
            texts: Amount::Some,
        },
        Variant {
            sparse: Some(("tiny-pooled", "char_cap = 77")),
            dense: Some(("typed", "pooling = \"none\"\nmax_len = 50")),
            coverage: "head",
            on_device: false,
            texts: Amount::Some,
        },
    ];
    let n_variants = count(2, 3) as usize;
    variants.into_iter().take(n_variants).for_each(check);
}

#[test]
fn batches_of_fixed_shapes() {
    let models = [
        ("tiny", "typed"),
        ("tiny-topk", "qwen-like"),
        ("tiny-pooled", "e5-like"),
    ];
    for (sparse, dense) in models.into_iter().take(count(1, 3) as usize) {
        check(Variant {
            sparse: Some((sparse, "max_len = 200")),
            dense: Some((dense, "")),
            coverage: "whole",
            on_device: true,
            texts: Amount::Some,
        });
    }
}

#[test]
fn a_model_is_made_the_same_again() {
    let Some(tools) = tools() else { return };
    let world = World::new();
    let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join(GENERATOR);
    let mut make = Command::new(&tools.python);
    make.arg(generator).arg(world.path("again")).arg("typed");
    run(&mut make).expect("makes it");
    let (first, again) = (tools.models.join("typed"), world.path("again/typed"));
    let files = crate::world::files_below(&first);
    assert!(files.len() >= 7, "{files:?}");
    assert_eq!(files, crate::world::files_below(&again));
    for file in files {
        let read = |folder: &Path| fs::read(folder.join(&file)).expect("reads");
        assert!(read(&first) == read(&again), "{file}");
    }
}

/// `None` on a machine without Python or, the first time, without network; in CI that is a failure.
fn tools() -> Option<Tools> {
    let made = Tools::ready();
    let in_ci = std::env::var("CI").is_ok_and(|v| v == "true");
    if let Err(reason) = &made {
        assert!(!in_ci, "no reference: {reason}");
        eprintln!("skipped: no reference: {reason}");
    }
    made.ok()
}

fn check(variant: Variant) {
    let Some(tools) = tools() else { return };
    let world = World::new();
    texts::write(&world, variant.texts);
    let profile = format!(
        "roots = [{{ path = \"texts\" }}]\nrules = \"compat\"\n[encoders]\ncoverage = {:?}\n",
        variant.coverage
    );
    world.write("p.toml", profile);
    let sparse = variant.sparse.map(|m| tools.model(&world, "sparse", m));
    let dense = variant.dense.map(|m| tools.model(&world, "dense", m));
    let folder = |model: &Option<PathBuf>| {
        let path = model.as_ref().map(|path| path.display().to_string());
        path.unwrap_or_else(|| "none".to_owned())
    };
    let (sparse, dense) = (folder(&sparse), folder(&dense));
    let models = ["--sparse-model", &sparse, "--dense-model", &dense];

    let mut build = vec!["--profile", "p.toml", "--mode", "blob", "--out-dir", "o"];
    build.extend(["--json", "--progress", "json", "--shard-workers", "1"]);
    build.extend(models);
    let mut command = match variant.on_device {
        true => {
            // Few rows a batch: what the CPU would spend on blank ones is minutes.
            build.extend([
                "--device",
                "cuda",
                "--dense-device",
                "cuda",
                "--batch-size",
                "3",
            ]);
            let mut command = world.command(&build);
            command.env("FAILPOINTS", "encode::device=return(skip)");
            command
        }
        false => world.command(&build),
    };
    let ran = finish(command.spawn().expect("starts"));
    let summary = ran.summary();
    let device = if variant.on_device { "cuda:0" } else { "cpu" };
    assert_eq!(summary["devices"], serde_json::json!([device]));
    assert_eq!(summary["skipped"], serde_json::json!({}), "{summary}");

    world.write("queries.txt", QUERIES);
    let mut compare = vec!["o/p.db", "--coverage", variant.coverage];
    compare.extend(["--queries", "queries.txt", "--hits"]);
    for (kind, folder) in [("sparse", &sparse), ("dense", &dense)] {
        if folder == "none" {
            continue;
        }
        let mut query = vec!["query", "o/p.db", "--queries", "queries.txt"];
        query.extend(["--mode", kind, "--json", "--k", "5"]);
        query.extend(models);
        let ran = world.run(&query);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        world.write(&format!("{kind}.jsonl"), ran.stdout);
        compare.push(if kind == "sparse" {
            "sparse.jsonl"
        } else {
            "dense.jsonl"
        });
    }
    if sparse != "none" {
        compare.extend(["--sparse", &sparse]);
    }
    if dense != "none" {
        compare.extend(["--dense", &dense]);
    }
    let found = tools.compare(&world, &compare);

    assert_eq!(found["wrong"], serde_json::json!([]), "{found}");
    let count = |name: &str| found[name].as_u64().unwrap_or_default();
    assert_eq!(found["chunks"], summary["chunks"]);
    let least = match variant.texts {
        Amount::All => 20,
        Amount::Some => 5,
    };
    assert!(count("chunks") > least, "{found}");
    assert_eq!(count("tokens"), tokens(&ran.stderr), "{found}");
    let kinds = usize::from(sparse != "none") + usize::from(dense != "none");
    let asked = QUERIES.lines().count() * kinds;
    assert_eq!(count("queries") + count("unclear_queries"), asked as u64);
    assert!(count("queries") * 2 > asked as u64, "{found}");
    if sparse != "none" {
        assert!(count("terms") > 30 * count("chunks"), "{found}");
    }
    if dense != "none" {
        assert!(count("vectors") > least, "{found}");
    }
}

/// Tokens encoded, by the events of the build.
fn tokens(events: &str) -> u64 {
    let events = events
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["type"] == "files_committed")
        .filter_map(|event| event["work"]["tokens"].as_u64())
        .sum()
}
