//! Building folders without a profile, and reading the only index without naming it.

use crate::world::{Ran, World};
use std::fs;

fn world() -> World {
    let world = World::new();
    for name in ["notes", "other/notes"] {
        let text =
            format!("# Feeding in {name}\n\nThe zebra eats twice a day, never after sunset.\n");
        world.write(&format!("{name}/zebra.md"), text);
    }
    world.write(
        "docs/Lions.md",
        "# Lions\n\nThe lion eats once a day, and sleeps after lunch.\n",
    );
    world.write(
        "docs/draft/plan.md",
        "# Plan\n\nThe tiger eats when it wants to, and that is often.\n",
    );
    world
}

fn build(world: &World, arguments: &[&str]) -> Ran {
    let mut helix = world.helix().args(arguments).json();
    if arguments[0] != "init" {
        helix = helix.bare();
    }
    helix.run()
}

fn refused(world: &World, arguments: &[&str], says: &[&str]) {
    let ran = build(world, arguments);
    assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
    for part in says {
        assert!(
            ran.stderr.contains(part),
            "{arguments:?}: no `{part}` in {}",
            ran.stderr
        );
    }
}

#[test]
fn a_folder_is_indexed_as_it_is_and_found_without_a_name() {
    let world = world();
    let summary = build(&world, &["notes"]).summary();
    assert_eq!(summary["profile"], "notes");
    assert!(world.path("genomes-sharded/notes/main.genome.db").is_file());
    assert_eq!(
        build(&world, &["build", "notes"]).summary()["unchanged_shards"],
        1
    );
    let text = fs::read_to_string(world.path("notes/zebra.md")).expect("text");
    world.write("notes/second.md", text + "And once at night, in summer.\n");
    assert_eq!(build(&world, &["notes/"]).summary()["files"], 2);
    let ran = world.run(&[
        "query",
        "when does the zebra eat",
        "--mode",
        "lexical",
        "--json",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.lines()[0]["path"]
            .as_str()
            .expect("a path")
            .contains("notes/")
    );
    assert_eq!(world.run(&["verify"]).code, Some(0));
    assert!(world.run(&["inspect"]).stdout.contains("notes"));
    assert!(
        world
            .run(&["inspect", "second.md"])
            .stdout
            .contains("second.md")
    );
    let plan = build(&world, &["plan", "notes"]).last_line();
    assert_eq!(plan["shards"][0]["unchanged"], true);
    let ran = world.run(&["plan", "notes", "--why", "notes/zebra.md", "--json"]);
    assert_eq!(ran.last_line()["verdict"], "indexed");
}

#[test]
fn flags_of_folders_work_as_in_profiles() {
    let world = world();
    let flags = [
        "docs",
        "notes",
        "--name",
        "all",
        "--exclude",
        "draft",
        "--mode",
        "blob",
    ];
    let summary = build(&world, &flags).summary();
    assert_eq!(
        (&summary["profile"], &summary["files"]),
        (&"all".into(), &2.into())
    );
    assert!(world.path("genomes/all.db").is_file());
    let summary = build(&world, &["docs", "--include", "L*.md", "--out-dir", "o"]).summary();
    assert_eq!(summary["files"], 1);
    assert!(world.path("o-sharded/docs/shards/docs.genome.db").is_file());
    let mut here = world.helix().arg(".").bare().json().command();
    here.current_dir(world.path("docs"));
    // The output lies below the folder, and is not a source.
    for _ in 0..2 {
        let ran = here.output().expect("runs");
        let text = String::from_utf8(ran.stdout).expect("UTF-8");
        let summary: serde_json::Value = serde_json::from_str(text.trim()).expect("JSON");
        assert_eq!(
            (&summary["profile"], &summary["files"]),
            (&"docs".into(), &2.into())
        );
    }
    // A folder within another has its own shard.
    let summary = build(&world, &["docs", "docs/draft", "--out-dir", "two"]).summary();
    let files: Vec<_> = summary["shards"]
        .as_array()
        .expect("shards")
        .iter()
        .map(|it| &it["files"])
        .collect();
    assert_eq!(files, [1, 1]);
}

#[test]
fn other_folders_do_not_replace_an_index_of_the_same_name() {
    let world = world();
    build(&world, &["notes"]).summary();
    let hint = ["notes was built from", "--name", "--take-over"];
    refused(
        &world,
        &["other/notes"],
        &["was built from", "choose another --name", "--take-over"],
    );
    refused(&world, &["notes", "docs"], &["choose another --name"]);
    refused(&world, &["plan", "other/notes"], &hint[1..]);
    let summary = build(&world, &["other/notes", "--name", "notes-2"]).summary();
    assert_eq!(summary["profile"], "notes-2");
    build(&world, &["other/notes", "--take-over"]).summary();
    refused(&world, &["notes"], &["other/notes", "--take-over"]);
    // The order of the folders does not matter, their number does.
    build(&world, &["docs", "notes"]).summary();
    build(&world, &["notes", "docs", "--name", "docs"]).summary();
    refused(&world, &["docs"], &["/docs and ", "--take-over"]);
    // A profile of the same name is another source, too.
    world.write("docs.toml", "roots = [\"docs\"]\n");
    refused(
        &world,
        &["--profile", "docs.toml"],
        &["docs.toml", "--take-over"],
    );
}

#[test]
fn a_folder_replaces_the_profile_of_the_environment_but_not_of_a_flag() {
    let world = world();
    let mut command = world.helix().arg("notes").bare().json().command();
    command.env("HELIX_BUILD_PROFILE", "nowhere");
    let ran = command.output().expect("runs");
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    refused(
        &world,
        &["notes", "--profile", "p.toml"],
        &["leave out one of them"],
    );
    refused(
        &world,
        &["plan", "notes", "--profile", "p.toml"],
        &["leave out one of them"],
    );
}

#[test]
fn paths_that_are_no_folder_of_sources_are_explained() {
    let world = world();
    world.write("p.toml", "roots = [\"docs\"]\n");
    fs::create_dir(world.path("empty")).expect("a folder");
    build(&world, &["notes"]).summary();
    build(&world, &["notes", "--mode", "blob"]).summary();
    for (arguments, says) in [
        (
            &["qurey"][..],
            &["no such folder", "did you mean `helix-build query`?"][..],
        ),
        (&["qurey", "text"], &["no such folder", "helix-build query"]),
        (&["zebras"], &["no such folder", "--profile zebras"]),
        (
            &["notes", "plan"],
            &["a command comes first: helix-build plan"],
        ),
        (&["a/b"], &["a/b: no such folder"]),
        (&["notes", "a/b"], &["a/b: no such folder"]),
        (
            &["docs/Lions.md"],
            &["is a file", "helix-build docs --include Lions.md"],
        ),
        (&["p.toml"], &["--profile p.toml"]),
        (
            &["genomes-sharded/notes"],
            &["is an index", "helix-build query"],
        ),
        (
            &["genomes-sharded/notes/shards"],
            &["the shards of an index"],
        ),
        (
            &["genomes-sharded/notes/.build"],
            &["the work folder of a build"],
        ),
        (&["genomes-sharded"], &["a folder of indexes"]),
        (&["genomes"], &["a folder of indexes"]),
        (
            &["genomes/notes.db"],
            &["is a database", "helix-build query genomes/notes.db"],
        ),
        (&["notes", "./notes/"], &["./notes/ is named twice"]),
        (&["notes", "--name", "My Notes"], &["write --name my-notes"]),
        (&["notes", "--exclude", "a["], &["bad pattern `a[`"]),
        (&["notes", "--name", "manifest-json"], &[]),
    ] {
        if says.is_empty() {
            build(&world, arguments).summary();
        } else {
            refused(&world, arguments, says);
        }
    }
    let ran = build(&world, &["empty"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(
        ran.stderr
            .contains("empty: no file to index (the folders are empty)"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_a_name_the_only_index_is_read_or_all_are_listed() {
    let world = world();
    let query = |arguments: &[&str]| {
        let all = [&["query"][..], arguments, &["--mode", "lexical"]].concat();
        world.run(&all)
    };
    let none = query(&["zebra"]);
    assert_eq!(none.code, Some(10), "{none:?}");
    assert!(
        none.stderr
            .contains("no index in genomes-sharded or genomes"),
        "{none:?}"
    );
    build(&world, &["notes"]).summary();
    assert!(query(&["zebra"]).stdout.contains("zebra.md"));
    world.write("genomes/customers.db", "no database");
    assert!(query(&["zebra"]).stdout.contains("zebra.md"));
    let missing = query(&["genomes-sharded/notes"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(
        missing.stderr.contains("the text to search for is missing"),
        "{missing:?}"
    );
    fs::remove_file(world.path("genomes/customers.db")).expect("removed");
    build(&world, &["docs", "--mode", "blob"]).summary();
    for command in [&["query", "zebra"][..], &["verify"], &["inspect"]] {
        let ran = world.run(command);
        assert_eq!(ran.code, Some(2), "{command:?}: {ran:?}");
        assert!(ran.stderr.contains("genomes-sharded/notes"), "{ran:?}");
        assert!(ran.stderr.contains("docs.db"), "{ran:?}");
    }
    let ran = world.run(&["inspect", "zebra.md"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("zebra.md is no index: there are 2"),
        "{ran:?}"
    );
    let mut other = world.command(&["query", "lion", "--mode", "lexical"]);
    build(&world, &["docs", "--out-dir", "o"]).summary();
    let ran = other
        .env("HELIX_BUILD_OUT_DIR", "o")
        .output()
        .expect("runs");
    assert!(
        String::from_utf8_lossy(&ran.stdout).contains("Lions.md"),
        "{ran:?}"
    );
}

#[test]
fn a_profile_is_written_for_what_a_folder_holds() {
    let world = World::new();
    world.write("work/one/.git/HEAD", "ref: refs/heads/main\n");
    world.write(
        "work/one/src/lib.rs",
        "pub fn one() -> u32 {\n    let count = 1;\n    count\n}\n",
    );
    for n in 0..8 {
        let row = "{\"city\": \"somewhere\", \"people\": 1000},\n".repeat(4_000);
        world.write(&format!("work/one/data [raw]/{n}.json"), row);
    }
    world.write("work/$two/.git", "gitdir: ../one/.git/worktrees/two\n");
    world.write(
        "work/$two/main.py",
        "# Says that it is the second one.\nprint('the second one')\n",
    );
    let ran = world.run(&["init", "work"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("next: helix-build --profile work.toml"),
        "{ran:?}"
    );
    let text = fs::read_to_string(world.path("work.toml")).expect("a profile");
    for part in [
        "\"work/one\"",
        "\"work/$$two\"",
        ".rs (1 file",
        "8 files, 1.2 MiB of data",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(world.run(&["profile", "check", "work.toml"]).code, Some(0));
    let summary = world
        .helix()
        .profile("work.toml")
        .bare()
        .json()
        .run()
        .summary();
    assert_eq!(
        (&summary["files"], &summary["shards"][1]["files"]),
        (&10.into(), &1.into())
    );
    // The line that leaves the data out is one of a profile, too.
    let line = text.lines().find_map(|line| {
        line.trim()
            .strip_prefix("# { path")
            .map(|rest| format!("{{ path{rest}"))
    });
    world.write(
        "small.toml",
        format!("roots = [{}]\n", line.expect("an exclude line")),
    );
    let summary = world
        .helix()
        .profile("small.toml")
        .bare()
        .json()
        .run()
        .summary();
    assert_eq!(summary["files"], 1);
    // Nothing is replaced.
    let again = world.run(&["init", "work"]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(
        again.stderr.contains("work.toml exists and stays"),
        "{again:?}"
    );
    assert_eq!(
        fs::read_to_string(world.path("work.toml")).expect("a profile"),
        text
    );
    let shown = world.run(&["init", "work/one", "--stdout"]).stdout;
    assert!(shown.contains("\"work/one\""), "{shown}");
    let json = world
        .run(&["init", "work/one", "--name", "first", "--json"])
        .last_line();
    assert_eq!(
        (&json["path"], &json["files"]),
        (&"first.toml".into(), &9.into())
    );
    refused(&world, &["init", "nowhere"], &["no such folder"]);
    refused(&world, &["init", "work.toml"], &["is a file"]);
}
