//! Model directories: bad models are reported once, before any work; good ones are checked and prepared.

use crate::world::{Ran, World, finish};
use serde_json::{Value, json};
use std::fs;

const SPARSE: &[u8] = include_bytes!("../../assets/models/helix-sparse-mini.onnx");
const DENSE: &[u8] = include_bytes!("../../assets/models/helix-dense-mini.onnx");
const TOKENIZER: &[u8] = include_bytes!("../../assets/models/tokenizer.json");

/// A build with the model in the folder `m` alone.
const BUILD: [&str; 9] = [
    "--profile",
    "p.toml",
    "--out-dir",
    "o",
    "--json",
    "--sparse-model",
    "m",
    "--dense-model",
    "none",
];

/// A world with a corpus and the built-in sparse encoder as a directory.
fn world() -> World {
    let world = World::corpus(2, 12);
    model(&world, "m", SPARSE);
    world
}

fn model(world: &World, dir: &str, graph: &[u8]) {
    world.write(&format!("{dir}/model.onnx"), graph);
    world.write(&format!("{dir}/tokenizer.json"), TOKENIZER);
}

fn build(world: &World, workers: &str) -> Ran {
    world.run(&[&BUILD[..], &["--shard-workers", workers]].concat())
}

/// Exit code 13, the reason once, and nothing in the way of a later build.
fn refused(world: &World, workers: &str, says: &[&str]) {
    let ran = build(world, workers);
    assert_eq!(ran.code, Some(13), "{ran:?}");
    for text in says {
        let n = ran.stderr.matches(text).count();
        assert_eq!(n, 1, "{text:?} is told {n} times: {}", ran.stderr);
    }
    let n_errors = ran
        .stderr
        .lines()
        .filter(|line| line.contains("rror"))
        .count();
    assert_eq!(n_errors, 1, "{}", ran.stderr);
}

#[test]
fn a_bad_model_ends_a_build_before_any_work_and_a_good_one_follows() {
    let world = world();
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let half = &SPARSE[..SPARSE.len() / 2];
    let cases: [(&str, &[u8], &str); 6] = [
        ("model.onnx", lfs.as_bytes(), "git lfs pull"),
        ("model.onnx", b"<html>404</html>", "web page"),
        ("model.onnx", half, "cut off"),
        ("tokenizer.json", b"{}", "tokenizer"),
        ("helix-model.toml", b"sha256 = \"00\"", "correct the line"),
        (
            "helix-model.toml",
            b"kind = \"dense\"",
            "pass it as the other kind",
        ),
    ];
    for (file, bytes, says) in cases {
        world.write(&format!("m/{file}"), bytes);
        refused(&world, "1", &[says]);
        let _ = fs::remove_file(world.path("m/helix-model.toml"));
        model(&world, "m", SPARSE);
    }
    let summary = build(&world, "1").summary();
    assert_eq!(summary["exit"], 0);
    assert_eq!(world.verified("o-sharded/p")["digest"], summary["digest"]);
}

#[test]
fn what_only_a_worker_finds_out_is_told_once_whatever_their_number() {
    let world = world();
    // Nothing says what it is, so that its outputs have to be looked at.
    model(&world, "m", DENSE);
    for workers in ["1", "3"] {
        refused(
            &world,
            workers,
            &["is given as the sparse encoder but is not one"],
        );
    }
    model(&world, "m", &not_a_number());
    refused(&world, "3", &["not finite for an ordinary text"]);
    model(&world, "m", SPARSE);
    let summary = build(&world, "3").summary();
    assert_eq!(world.verified("o-sharded/p")["digest"], summary["digest"]);
}

/// A number of the graph that every weight is multiplied by, made something else.
fn not_a_number() -> Vec<u8> {
    let factor = 2.2_f32.to_le_bytes();
    let at: Vec<_> = (0..SPARSE.len() - 4)
        .filter(|at| SPARSE[*at..*at + 4] == factor)
        .collect();
    let [at] = at[..] else {
        panic!("the graph has changed: {at:?}");
    };
    [&SPARSE[..at], &f32::NAN.to_le_bytes(), &SPARSE[at + 4..]].concat()
}

fn check(world: &World, dirs: &[&str]) -> (Option<i32>, Vec<Value>) {
    let arguments = [&["models", "check", "--json"], dirs].concat();
    let ran = world.run(&arguments);
    (ran.code, ran.lines())
}

#[test]
fn a_model_in_bytes_stays_on_the_cpu_wherever_others_go() {
    let world = world();
    world.write("m/helix-model.toml", "quantized = \"int8\"");
    let run = |more: &[&str]| {
        let mut command = world.command(&[&BUILD[..], more].concat());
        command.env("FAILPOINTS", "encode::device=return(skip)");
        finish(command.spawn().expect("starts"))
    };
    assert_eq!(run(&[]).summary()["devices"], json!(["cpu"]));
    let asked = run(&["--device", "cuda", "--rebuild"]);
    assert_eq!(asked.code, Some(13), "{asked:?}");
    assert!(asked.stderr.contains("one text at a time"), "{asked:?}");
    fs::remove_file(world.path("m/helix-model.toml")).expect("removes");
    assert_eq!(run(&["--rebuild"]).summary()["devices"], json!(["cuda:0"]));
}

#[test]
fn models_are_listed_checked_and_prepared() {
    let world = world();
    model(&world, "models/dense", DENSE);
    world.write("models/broken/model.onnx", "no graph");
    world.write("models/no-model/readme.md", "x");
    world.write(
        "profiles/q.toml",
        "roots = [\"../root0\"]\n[encoders]\nsparse = \"../m\"\n",
    );

    let listed = world.run(&["models", "list", "--json"]);
    let names: Vec<_> = listed
        .lines()
        .iter()
        .map(|m| m["name"].to_string())
        .collect();
    let expected = [
        "helix-sparse-mini",
        "helix-dense-mini",
        "m",
        "broken",
        "dense",
    ];
    assert_eq!(names, expected.map(|name| format!("{name:?}")));
    let (m, broken) = (&listed.lines()[2], &listed.lines()[3]);
    assert_eq!(
        (&m["kind"], &m["from"]),
        (&"sparse".into(), &"profile q".into())
    );
    assert!(
        broken["problem"]
            .as_str()
            .is_some_and(|p| p.contains("not an ONNX graph")),
        "{broken}"
    );

    let (code, models) = check(&world, &["m", "models/dense", "models/broken"]);
    assert_eq!(code, Some(13));
    assert_eq!(
        models.iter().map(|m| m["ok"].as_bool()).collect::<Vec<_>>(),
        [Some(true), Some(true), Some(false)]
    );
    assert_eq!(
        (&models[0]["kind"], &models[1]["kind"]),
        (&"sparse".into(), &"dense".into())
    );
    assert_eq!(
        (&models[0]["dim"], &models[1]["dim"]),
        (&30_522.into(), &256.into())
    );
    assert!(models[0]["similarity"].as_f64() < Some(1.0));

    let prepared = world.run(&["models", "prepare", "m", "--out", "small", "--json"]);
    assert_eq!(prepared.code, Some(0), "{prepared:?}");
    assert_eq!(prepared.last_line()["folded"], "cut");
    let (code, again) = check(&world, &["small"]);
    assert_eq!((code, &again[0]["terms"]), (Some(0), &models[0]["terms"]));
    assert_eq!(again[0]["similarity"], models[0]["similarity"]);
    let taken = world.run(&["models", "prepare", "m", "--out", "small"]);
    assert_eq!(taken.code, Some(2), "{taken:?}");
}

#[test]
fn doctor_points_at_the_directory_that_is_at_fault() {
    let world = world();
    let models = ["doctor", "--sparse-model", "m", "--dense-model", "nowhere"];
    let ran = world.run(&models);
    assert_eq!(ran.code, Some(13), "{ran:?}");
    let line = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("MISSING models"));
    let line = line.unwrap_or_else(|| panic!("{ran:?}"));
    assert!(
        line.contains("models check") && line.contains("nowhere` for details"),
        "{line}"
    );
    let alone = ["doctor", "--sparse-model", "m", "--dense-model", "none"];
    assert_eq!(world.run(&alone).code, Some(0));
}

/// Graphs of three numbers a token: one that loops for ever, and one that gives the same for every text.
const ENDLESS: &[u8] = include_bytes!("data/endless.onnx");
const CONSTANT: &[u8] = include_bytes!("data/constant.onnx");

#[test]
fn a_graph_without_end_is_named_and_not_waited_for() {
    let world = World::corpus(1, 2);
    model(&world, "m", ENDLESS);
    world.write("m/helix-model.toml", "pooling = \"mean\"\n");
    let build = [
        "--profile",
        "p.toml",
        "--sparse-model",
        "none",
        "--dense-model",
        "m",
    ];
    for arguments in [&["models", "check", "m"][..], &build] {
        let mut command = world.command(arguments);
        command.env("FAILPOINTS", "encode::patience=return(200)");
        let ran = finish(command.spawn().expect("starts"));
        assert_eq!(ran.code, Some(13), "{ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            said.contains("dense encoder m cannot be used") && said.contains("loop without end"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_model_that_says_the_same_of_every_text_fails_its_check_and_warns_a_build() {
    let world = World::corpus(1, 2);
    model(&world, "m", CONSTANT);
    world.write("m/helix-model.toml", "pooling = \"mean\"\n");
    let ran = world.run(&["models", "check", "m"]);
    assert_eq!(ran.code, Some(13), "{ran:?}");
    assert!(ran.stdout.contains("the same vector"), "{ran:?}");
    let build = [
        "--profile",
        "p.toml",
        "--sparse-model",
        "none",
        "--dense-model",
        "m",
    ];
    let ran = world.run(&[&build[..], &["--shard-workers", "2", "--progress", "plain"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr.matches("the same vector").count(), 1, "{ran:?}");
}
