//! What a hit says: where it is, what matches, and where else it is.

use crate::world::{Ran, World};

fn world() -> World {
    let world = World::new();
    world.write(
        "src/pay/client.rs",
        "//! Payments.\n\npub struct Client;\n\nimpl Client {\n    /// Tries a payment again after it has failed.\n    pub fn retry_payment(&self, maxRetryCount: u32) -> u32 {\n        maxRetryCount + 1\n    }\n}\n",
    );
    world.write(
        "src/pay/notes.md",
        "# Payments\n\nA payment that failed is tried again, three times at most.\n",
    );
    let licence = "Redistribution of the zebra is permitted, with or without its stripes.\n";
    for name in ["src/LICENSE.md", "src/pay/LICENSE.md", "lib/LICENSE.md"] {
        world.write(name, licence);
    }
    world.write(
        "lib/lion.py",
        "def feed(lion):\n    \"\"\"Feed the lion, and never its payment.\"\"\"\n    return lion\n",
    );
    world.write(
        "lib/\u{1b}[31mred.md",
        "# Red\n\nThe okapi is red \u{1b}]0;title\u{7} in the text, and it stays so for a while.\n",
    );
    let built = [
        "src",
        "lib",
        "--name",
        "all",
        "--progress",
        "none",
        "--sparse-model",
        "none",
        "--dense-model",
        "none",
        "--json",
    ];
    world.run(&built).summary();
    world
}

fn query(world: &World, arguments: &[&str]) -> Ran {
    let all = [&["query"][..], arguments, &["--mode", "lexical"]].concat();
    let ran = world.run(&all);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

#[test]
fn a_hit_shows_its_place_and_the_lines_that_match() {
    let world = world();
    let shown = query(&world, &["retry payment", "-k", "1"]).stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].contains("  src/pay/client.rs:"), "{shown}");
    assert!(lines[0].ends_with("  rust  [src]"), "{shown}");
    assert!(
        lines.contains(&"        7      pub fn retry_payment(&self, maxRetryCount: u32) -> u32 {"),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "{shown}");
    // From elsewhere the path is absolute.
    let mut elsewhere = world.command(&[
        "query",
        "../genomes-sharded/all",
        "retry",
        "--mode",
        "lexical",
    ]);
    let ran = elsewhere
        .current_dir(world.path("lib"))
        .output()
        .expect("runs");
    let shown = String::from_utf8(ran.stdout).expect("UTF-8");
    assert!(
        shown
            .lines()
            .next()
            .expect("a hit")
            .contains("/src/pay/client.rs:"),
        "{shown}"
    );
    let mut inside = world.command(&[
        "query",
        "../../genomes-sharded/all",
        "retry",
        "--mode",
        "lexical",
    ]);
    let ran = inside
        .current_dir(world.path("src/pay"))
        .output()
        .expect("runs");
    let shown = String::from_utf8(ran.stdout).expect("UTF-8");
    assert!(
        shown
            .lines()
            .next()
            .expect("a hit")
            .contains("  client.rs:"),
        "{shown}"
    );
}

#[test]
fn colours_are_asked_for_and_texts_cannot_forge_them() {
    let world = world();
    let shown = query(&world, &["okapi", "--color", "always"]).stdout;
    assert!(shown.contains("\u{1b}[1;31mokapi\u{1b}[0m"), "{shown:?}");
    assert!(
        shown.contains("\\u001b[31mred.md") && shown.contains("\\u001b]0;title\\u0007"),
        "{shown:?}"
    );
    assert!(
        !shown.contains("\u{1b}[31m") && !shown.contains("\u{1b}]"),
        "{shown:?}"
    );
    let mut plain = world.command(&["query", "okapi", "--mode", "lexical"]);
    let ran = plain
        .env("NO_COLOR", "1")
        .env("CLICOLOR_FORCE", "1")
        .output()
        .expect("runs");
    assert!(!ran.stdout.contains(&0x1b), "{ran:?}");
}

#[test]
fn json_has_every_place_and_the_lines_around() {
    let world = world();
    let hit = &query(&world, &["zebra", "--json"]).lines()[0];
    assert_eq!(
        (&hit["line_start"], &hit["line_end"], &hit["language"]),
        (&1.into(), &1.into(), &"markdown".into())
    );
    assert_eq!(hit["places"].as_array().expect("places").len(), 3);
    assert_eq!(hit["places"][2]["line_start"], 1);
    assert!(hit["context"].is_null());
    let shown = query(&world, &["zebra"]).stdout;
    assert!(shown.contains("    and 2 more places\n"), "{shown}");
    let hit = &query(&world, &["retry", "--json", "--context", "100"]).lines()[0];
    let context = hit["context"].as_array().expect("lines");
    assert_eq!(
        (&context[0]["line"], &context[0]["text"]),
        (&1.into(), &"//! Payments.".into())
    );
    let shown = query(&world, &["maxRetryCount", "-k", "1", "--context", "2"]).stdout;
    assert!(shown.contains("        5  impl Client {\n"), "{shown}");
}

#[test]
fn filters_leave_k_hits_and_unknown_names_are_refused() {
    let world = world();
    let paths = |arguments: &[&str]| -> Vec<String> {
        let all = [arguments, &["--json"]].concat();
        let hits = query(&world, &all).lines();
        let name = |path: &str| path.rsplit('/').next().expect("a name").to_owned();
        hits.iter()
            .map(|hit| name(hit["path"].as_str().expect("a path")))
            .collect()
    };
    assert_eq!(
        paths(&["payment", "-k", "1", "--lang", "python"]),
        ["lion.py"]
    );
    assert_eq!(
        paths(&["payment", "-k", "1", "--shard", "lib"]),
        ["lion.py"]
    );
    assert_eq!(
        paths(&["payment", "-k", "1", "--path", "*.md"]),
        ["notes.md"]
    );
    assert_eq!(paths(&["zebra", "--path", "pay"]), ["LICENSE.md"]);
    assert_eq!(
        paths(&[
            "payment",
            "--files",
            "--path",
            "*.rs",
            "--lang",
            "Rust,python"
        ]),
        ["client.rs"]
    );
    let shown = query(&world, &["payment", "--files"]).stdout;
    assert_eq!(shown.lines().count(), 3, "{shown}");
    for (flag, value, says) in [
        ("--lang", "cobol", "it has markdown, python, rust"),
        ("--shard", "nowhere", "it has lib, src"),
        ("--path", "a[", "--path: bad pattern"),
    ] {
        let ran = world.run(&["query", "payment", "--mode", "lexical", flag, value]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(says), "{flag}: {}", ran.stderr);
    }
}

#[test]
fn paths_are_accepted_as_hits_print_them() {
    let world = world();
    let hits = |path: &str| {
        let ran = query(&world, &["payment", "--path", path, "--files", "--json"]);
        let hits = ran.lines();
        let name = |hit: &serde_json::Value| {
            let path = hit["path"].as_str().expect("a path").to_owned();
            path.rsplit('/').next().expect("a name").to_owned()
        };
        let mut names: Vec<String> = hits.iter().map(name).collect();
        names.sort();
        (names, ran.stderr)
    };
    let absolute = world.path("src/pay");
    let below = world.path("src/pay/*.rs");
    for path in [
        "pay",
        "src/pay",
        "./src/pay/",
        "lib/../src/pay",
        absolute.to_str().expect("UTF-8"),
    ] {
        let (names, stderr) = hits(path);
        assert_eq!(names, ["client.rs", "notes.md"], "{path}");
        assert_eq!(stderr, "", "{path}");
    }
    for path in [
        "src/pay/*.rs",
        "src/**/*.rs",
        below.to_str().expect("UTF-8"),
    ] {
        assert_eq!(hits(path).0, ["client.rs"], "{path}");
    }
    let (names, stderr) = hits("pay/nowhere");
    assert!(names.is_empty());
    let says = "no file in the index matches --path pay/nowhere; paths count from the root (";
    assert!(stderr.contains(says), "{stderr}");
}

#[test]
fn names_in_lists_and_usual_names_of_languages_are_accepted() {
    let world = world();
    let files = |arguments: &[&str]| {
        let all = [&["payment", "--files", "--json"], arguments].concat();
        query(&world, &all).lines().len()
    };
    assert_eq!(files(&["--lang", "py"]), 1);
    assert_eq!(files(&["--lang", "rs,py,"]), 2);
    assert_eq!(files(&["--shard", "src,lib"]), 3);
}

#[test]
fn a_wrong_index_is_answered_with_the_one_that_is_meant() {
    let world = world();
    world.write("all/notes.txt", "no index\n");
    let says = |arguments: &[&str], code: i32, says: &str| {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    };
    let index = std::path::Path::new("genomes-sharded").join("all");
    let index = index.to_str().expect("UTF-8");
    let meant = format!("did you mean {index}?");
    says(&["query", "all", "text"], 10, &meant);
    says(
        &["query", "all/notes.txt", "text"],
        10,
        "is not an SQLite database",
    );
    says(&["query", "genomes-sharded/alll", "text"], 10, &meant);
    says(&["verify", "all"], 10, &meant);
    says(&["inspect", "./all", "src"], 10, &meant);
    let swapped = format!("the index comes before the text: helix-build query {index}");
    says(&["query", "a text", index], 2, &swapped);
    says(
        &["query", "add", "a", "command"],
        2,
        "a text of several words needs quotes: helix-build query \"add a command\"",
    );
    says(
        &["query", "add", "commands"],
        10,
        "helix-build query \"add commands\"",
    );
    says(&["query", "text", "--limit", "3"], 2, "'-k'");
    says(&["query", "text", "-n", "3"], 2, "'-k'");
    says(&["index", "src"], 2, "did you mean `helix-build build`?");
}
