//! Compares help, summaries and errors with the texts in `snapshots/`.
//!
//! After an intended change, run `INSTA_UPDATE=always cargo test --test e2e snapshots` and check the diff.

use crate::world::{BARE, Ran, World, finish};
use std::fmt::Write as _;

/// What a run printed, with the folder of the test, times and digests replaced by their names.
fn shown(world: &World, arguments: &[&str]) -> String {
    let Ran {
        code,
        stdout,
        stderr,
    } = {
        let mut command = world.command(arguments);
        // Help shows the variables that are set.
        command.env_remove("HELIX_BUILD_SHARD_WORKERS");
        finish(command.spawn().expect("starts"))
    };
    let mut text = format!("$ helix-build {}\n", arguments.join(" "));
    for line in stdout.lines().chain(stderr.lines()) {
        let line = line.replace(&world.path("").display().to_string(), "/world/");
        writeln!(text, "{}", without_figures(&line)).expect("a string");
    }
    match code {
        Some(code) => writeln!(text, "[exit code {code}]"),
        None => writeln!(text, "[killed]"),
    }
    .expect("a string");
    text
}

/// Time and digests differ from run to run and with every change of the format.
fn without_figures(line: &str) -> String {
    if let Some((before, _)) = line.split_once("digest ") {
        return format!("{before}digest DIGEST");
    }
    match (line.find("built in "), line.rfind(')')) {
        (Some(start), Some(end)) => {
            format!("{}built in TIME (FIGURES{}", &line[..start], &line[end..])
        }
        _ => line.to_owned(),
    }
}

#[test]
fn help_of_every_command() {
    let world = World::new();
    let commands = [
        "",
        "build",
        "plan",
        "query",
        "eval",
        "serve",
        "verify",
        "relocate",
        "inspect",
        "encode",
        "init",
        "profile",
        "profile list",
        "profile show",
        "profile check",
        "models",
        "models list",
        "models check",
        "models prepare",
        "doctor",
        "worker",
        "publish",
        "missing",
        "status",
        "commit",
        "version",
        "completions",
        "man",
    ];
    for command in commands {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let text = shown(&world, &arguments);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
        let name = format!("help {command}").trim().replace(' ', "_");
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn a_build_and_its_summary() {
    let world = World::new();
    world.write(
        "src/lib.rs",
        "/// Adds one.\npub fn add(n: u32) -> u32 {\n    n + 1\n}\n",
    );
    world.write("src/photo.png", [0x89, b'P', b'N', b'G', 0, 1, 2, 3]);
    world.profile(&["src"]);
    let mut build = vec![
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--progress",
        "none",
    ];
    build.extend(BARE);
    let mut text = shown(&world, &build);
    text += &shown(&world, &build);
    text += &shown(
        &world,
        &["query", "o-sharded/p", "adds one", "--mode", "lexical"],
    );
    text += &shown(
        &world,
        &[
            "query",
            "o-sharded/p",
            "nothing like it",
            "--mode",
            "lexical",
        ],
    );
    text += &shown(&world, &["verify", "o-sharded/p"]);
    insta::assert_snapshot!(text);
}

#[test]
fn common_mistakes() {
    let world = World::new();
    world.write("src/lib.rs", "pub fn f() {}\n");
    world.profile(&["src"]);
    world.write("empty.toml", "roots = []\n");
    world.write("typo.toml", "rooots = [\"src\"]\n");
    world.write("away.toml", "roots = [\"elsewhere\"]\n");
    world.write("notes.txt", "no index\n");
    let mistakes: [&[&str]; 14] = [
        &[],
        &["--profile", "nowhere"],
        &["--profile", "empty.toml"],
        &["--profile", "typo.toml"],
        &["--profile", "away.toml"],
        &["--profile", "p.toml", "--mode", "shards"],
        &["--profile", "p.toml", "--shard-workers", "many"],
        &["--profile", "p.toml", "--device", "cuda:x"],
        &["--profile", "p.toml", "--sparse-model", "no-model"],
        &["--profile", "p.toml", "plan"],
        &["query", "notes.txt", "text"],
        &["query", "nowhere", "text"],
        &["verify", "."],
        &["inspect", "nowhere"],
    ];
    let text: String = mistakes
        .iter()
        .map(|arguments| shown(&world, arguments))
        .collect();
    insta::assert_snapshot!(text);
}
