//! Output of builds below a root is never indexed.

use crate::world::{BARE, World};
use serde_json::Value;
use std::fs;

const SOURCE: &str = "def a_fn(x):\n    return x  # a text that is long enough to be indexed\n";

fn world() -> World {
    let world = World::new();
    world.write("src/a.py", SOURCE);
    // All that a build writes is of these kinds.
    world.write(
        "p.toml",
        "roots = ['.']\nextensions = ['...', 'db', 'log', 'prom', 'seg', 'jsonl', 'lock', 'tmp']\nskip_dirs = []\n",
    );
    world
}

fn build(world: &World, flags: &[&str]) -> Value {
    let mut arguments = vec!["--profile", "p.toml", "--json"];
    arguments.extend(BARE);
    arguments.extend(flags);
    world.run(&arguments).summary()
}

#[test]
fn an_output_below_its_root_changes_nothing() {
    for mode in [
        &["--mode", "sharded"][..],
        &["--mode", "blob"],
        &["--mode", "blob", "--out-dir", "."],
    ] {
        let world = world();
        let written = ["--metrics-file", "src/build.txt", "--log-file", "build.md"];
        let first = build(&world, &[mode, &written].concat());
        assert_eq!(first["files"], 1, "only the source: {first}");
        for flags in [
            &written[..],
            &[],
            &written,
            &["--metrics-file", "other.prom"],
            &[],
        ] {
            let again = build(&world, &[mode, flags].concat());
            assert_eq!(
                again["digest"], first["digest"],
                "{mode:?} {flags:?}: {again}"
            );
            assert_eq!(again["unchanged_shards"], 1, "{mode:?} {flags:?}");
            assert!(
                again["skipped"]["output"].as_u64().is_some_and(|n| n >= 3),
                "{again}"
            );
        }
    }
}

#[test]
fn the_profile_of_the_build_is_no_text() {
    let world = World::new();
    world.write("src/a.py", SOURCE);
    let other = "description = 'another one'\nroots = ['src']\n# long enough for compat rules\n";
    world.write("other.toml", other);
    let profile = |text: &str| world.write("p.toml", format!("roots = ['.']\n{text}"));
    profile("description = 'the first description of this tree'\n");
    let first = build(&world, &[]);
    assert_eq!(
        first["files"], 2,
        "the source and the other profile: {first}"
    );
    let why = world.run(&["plan", "--profile", "p.toml", "--why", "p.toml"]);
    assert!(
        why.stdout.contains("the profile of this build"),
        "{}",
        why.stdout
    );
    profile("description = 'described in other words since then'\n");
    let again = build(&world, &[]);
    assert_eq!(again["unchanged_shards"], 1, "{again}");
    profile("description = 'described in other words since then'\nrules = 'compat'\n");
    let compat = build(&world, &["--rebuild"]);
    assert_eq!(
        compat["files"], 3,
        "compat rules index every file: {compat}"
    );
}

#[test]
fn outputs_of_other_builds_are_left_out_wherever_they_lie() {
    let world = world();
    let first = build(&world, &["--out-dir", "deep/down/x"]);
    build(&world, &["--mode", "blob", "--out-dir", "blobs"]);
    build(
        &world,
        &[
            "--out-dir",
            "y",
            "--log-file",
            "y.log",
            "--metrics-file",
            "blobs/m.prom",
        ],
    );
    let last = build(&world, &["--out-dir", "z"]);
    assert_eq!(last["files"], 1, "{last}");
    assert_eq!(last["content_digest"], first["content_digest"]);
    for (path, what) in [
        ("blobs/p.db", "an index"),
        ("blobs/.p.build", "work files"),
        ("deep/down/x-sharded/p/main.genome.db", "part of an index"),
        ("deep/down/x-sharded/manifest.json", "manifest"),
        ("y.log", "log"),
        ("blobs/m.prom", "metrics"),
    ] {
        let ran = world.run(&["plan", "--profile", "p.toml", "--why", path, "--json"]);
        let why = ran.last_line();
        assert_eq!(why["verdict"], "output", "{path}: {why}");
        assert!(
            why["rule"].as_str().is_some_and(|rule| rule.contains(what)),
            "{path}: {why}"
        );
    }
}

/// Commands of a build over many machines, and the files in which a shell saves what they say.
fn of_many_machines() -> [(&'static str, &'static [&'static str]); 8] {
    const PLAN: [&str; 10] = [
        "plan",
        "--profile",
        "p.toml",
        "--rebuild",
        "--sparse-model",
        "none",
        "--dense-model",
        "none",
        "--out",
        "many.json",
    ];
    const ON_PLAN: [[&str; 4]; 7] = [
        ["worker", "--plan", "many.json", "--segment=0"],
        ["worker", "--plan=many.json", "--segment=0", "--json"],
        ["missing", "--plan", "many.json", "--json"],
        ["status", "--plan", "many.json", "--json"],
        ["status", "--plan", "many.json", "-q"],
        ["publish", "--plan", "many.json", "--shard=0"],
        ["commit", "--plan", "many.json", "-q"],
    ];
    let [first, second, third, fourth, fifth, sixth, seventh] = &ON_PLAN;
    [
        ("many.txt", &PLAN),
        ("task.log", first),
        ("task.jsonl", second),
        ("missing.jsonl", third),
        ("status.jsonl", fourth),
        ("status.txt", fifth),
        ("publish.txt", sixth),
        ("commit.log", seventh),
    ]
}

/// What runs said, saved in files of any name, and figures under an odd one.
#[test]
fn saved_output_is_skipped_and_quotations_are_indexed() {
    let world = world();
    world.write(
        "p.toml",
        "roots = ['.']\nextensions = ['...', 'db', 'jsonl', 'odd']\nskip_dirs = []\n",
    );
    let mut arguments = vec!["--profile", "p.toml", "--metrics-file", "figures.odd"];
    arguments.extend(BARE);
    let first = world.run(&arguments);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let before = build(&world, &[]);
    let index = "genomes-sharded/p";
    let mut saved = vec![("summary.txt", first.stdout)];
    // Both streams in one file, as `2>&1` and `tee` write them.
    saved.push(("nightly.txt", format!("{}{}", first.stderr, saved[0].1)));
    let lines: [(&str, &[&str]); 10] = [
        ("inspect.txt", &["inspect", index]),
        ("inspect-file.txt", &["inspect", index, "a.py"]),
        ("models.txt", &["models", "list"]),
        ("profile.txt", &["profile", "show", "p.toml"]),
        ("hits.jsonl", &["query", index, "text", "--json"]),
        ("hits.txt", &["query", index, "text"]),
        (
            "plan.json",
            &[
                "plan",
                "--profile",
                "p.toml",
                "--json",
                "--sparse-model",
                "none",
                "--dense-model",
                "none",
            ],
        ),
        ("verify.json", &["verify", index, "--json"]),
        ("verify.md", &["verify", index]),
        ("inspect.odd", &["inspect", index, "--json"]),
    ];
    for (name, arguments) in lines.into_iter().chain(of_many_machines()) {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
        saved.push((name, ran.stdout));
    }
    let failed = world.run(&["query", "nowhere-in-this-whole-folder", "text"]);
    saved.push(("error.txt", failed.stderr));
    saved.push(("doctor.txt", world.run(&["doctor"]).stdout));
    for (name, said) in &saved {
        world.write(name, said);
    }
    let again = build(&world, &[]);
    assert_eq!(again["unchanged_shards"], 1, "{again}");
    assert_eq!(again["files"], 1, "{again}");
    let outputs = |summary: &Value| summary["skipped"]["output"].as_u64();
    let more = outputs(&again).zip(outputs(&before)).map(|(a, b)| a - b);
    // With the plan itself.
    assert_eq!(more, Some(saved.len() as u64 + 1), "{again}");
    // Somebody's own, with what was said quoted at its beginning.
    for (name, said) in &saved {
        world.write(
            name,
            format!("{said}\nWhat does the output above say about our index?\n"),
        );
    }
    let last = build(&world, &[]);
    assert_eq!(last["files"], 1 + saved.len(), "{last}");
}

#[test]
fn files_that_only_look_like_outputs_are_indexed() {
    let world = world();
    let text = "a text of somebody's own that is long enough to be indexed, one would think";
    world.write(
        "manifest.json",
        format!("{{\"name\": \"{text}\", \"tool\": \"webpack\"}}\n"),
    );
    world.write(
        "notes.log",
        format!("2026-11-26 12:00:00 helix_build: {text}\n"),
    );
    world.write(
        "node.prom",
        format!("# HELP node_load1 {text}\nnode_load1 1\n"),
    );
    world.write(".build/notes.md", text);
    world.write(".p.build/notes.md", text);
    let summary = build(&world, &[]);
    assert_eq!(summary["files"], 6, "{summary}");
    fs::remove_dir_all(world.path("genomes-sharded")).expect("removed");
}

#[cfg(unix)]
#[test]
fn redirected_output_is_not_indexed() {
    let world = world();
    let say = || {
        let said = fs::File::options()
            .create(true)
            .append(true)
            .open(world.path("src/said.md"))
            .expect("opened");
        let mut arguments = vec!["--profile", "p.toml", "--progress", "plain"];
        arguments.extend(BARE);
        let mut command = world.command(&arguments);
        let errors = said.try_clone().expect("a second");
        let ended = command.stdout(said).stderr(errors).status();
        assert!(ended.is_ok_and(|ended| ended.success()));
    };
    say();
    say();
    let text = fs::read_to_string(world.path("src/said.md")).expect("reads");
    assert!(text.contains("unchanged, nothing to do"), "{text}");
}
