//! Builds: what an index contains, and that the worker count does not change it.

use crate::world::{World, files_below};
use serde_json::Value;
use std::fs;

#[test]
fn a_sharded_build_is_complete_and_sound() {
    let world = World::corpus(3, 40);
    let summary = world.build("out", &["--mode", "sharded", "--shard-workers", "2"]);
    assert_eq!(summary["files"], 120);
    assert_eq!(summary["shards"].as_array().map(Vec::len), Some(3));
    let verdict = world.verified("out-sharded/p");
    assert_eq!(verdict["digest"], summary["digest"]);
    assert_eq!(verdict["content_digest"], summary["content_digest"]);
    assert_eq!(
        files_below(&world.path("out-sharded")),
        [
            ".manifest.lock",
            "manifest.json",
            "p/.build/change-times",
            "p/.build/lock",
            "p/.build/output.json",
            "p/main.genome.db",
            "p/shards/root0.genome.db",
            "p/shards/root1.genome.db",
            "p/shards/root2.genome.db",
        ]
    );
}

#[test]
fn a_blob_holds_the_same_as_the_shards() {
    let world = World::corpus(3, 40);
    let sharded = world.build("out", &["--mode", "sharded"]);
    let blob = world.build("out", &["--mode", "blob"]);
    assert_eq!(blob["content_digest"], sharded["content_digest"]);
    assert_eq!(blob["files"], sharded["files"]);
    let verdict = world.verified("out/p.db");
    assert_eq!(verdict["digest"], blob["digest"]);
    let manifest = fs::read_to_string(world.path("out/manifest.json")).expect("manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["targets"]["p"]["digest"], blob["digest"]);
}

#[test]
fn the_worker_count_does_not_change_the_index() {
    let world = World::corpus(3, 30);
    for mode in ["sharded", "blob"] {
        let digest = |workers: &str, file_workers: &str, batch: &str| {
            let out = format!("{mode}-{workers}-{file_workers}");
            let flags = [
                "--mode",
                mode,
                "--shard-workers",
                workers,
                "--shard-file-workers",
                file_workers,
                "--batch-size",
                batch,
            ];
            world.build(&out, &flags)["digest"].clone()
        };
        let first = digest("1", "1", "1");
        assert!(first.as_str().is_some_and(|d| d.len() == 64), "{first}");
        assert_eq!(digest("2", "1", "4"), first);
        assert_eq!(digest("1", "3", "8"), first);
        assert_eq!(digest("2", "3", "32"), first);
    }
}

#[test]
fn the_same_tree_elsewhere_has_the_same_digest() {
    let one = World::corpus(2, 20);
    let other = World::corpus(2, 20);
    assert_eq!(
        one.build("a", &[])["digest"],
        other.build("b", &[])["digest"]
    );
}

#[test]
fn with_a_fixed_date_files_are_equal_to_the_byte() {
    let world = World::corpus(2, 30);
    let mut copies = Vec::new();
    for workers in ["1", "2"] {
        // The same output path, since absolute paths are stored.
        let arguments = [
            "--profile",
            "p.toml",
            "--out-dir",
            "out",
            "--json",
            "--sparse-model",
            "none",
            "--dense-model",
            "none",
            "--shard-workers",
            workers,
        ];
        let child = world
            .command(&arguments)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .spawn()
            .expect("starts");
        crate::world::finish(child).summary();
        let folder = world.path("out-sharded");
        let files = [
            "p/shards/root0.genome.db",
            "p/shards/root1.genome.db",
            "manifest.json",
        ];
        copies.push(files.map(|name| fs::read(folder.join(name)).expect(name)));
        fs::remove_dir_all(folder).expect("removed");
    }
    for (one, other) in copies[0].iter().zip(&copies[1]) {
        assert!(one == other, "files differ");
    }
}

#[test]
fn embedded_models_give_vectors_that_do_not_depend_on_workers() {
    let world = World::corpus(2, 12);
    let build = |workers: &str| {
        world
            .encoded_build(workers)
            .args(["--shard-workers", workers])
            .run()
            .summary()
    };
    let one = build("1");
    assert_eq!(one["digest"], build("2")["digest"]);
    let verdict = world.verified("1-sharded/p");
    assert_eq!(verdict["digest"], one["digest"]);
    assert_eq!(verdict["shards"][0]["dense_dims"], serde_json::json!([256]));
}

#[test]
fn a_comma_list_builds_each_and_lists_them_in_one_manifest() {
    let world = World::corpus(2, 10);
    world.write("profiles/one.toml", "roots = [{ path = \"../root0\" }]\n");
    world.write("profiles/two.toml", "roots = [\"../root1\"]\n");
    let mut arguments = vec!["--profile", "one,two", "--out-dir", "o", "--json"];
    arguments.extend(crate::world::BARE);
    let ran = world.run(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let profiles: Vec<_> = ran.lines().iter().map(|l| l["profile"].clone()).collect();
    assert_eq!(profiles, ["one", "two"]);
    let manifest = fs::read_to_string(world.path("o-sharded/manifest.json")).expect("manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let keys: Vec<_> = manifest["targets"]
        .as_object()
        .expect("object")
        .keys()
        .collect();
    assert_eq!(keys, ["one-sharded", "two-sharded"]);
    arguments[1] = "all";
    let ran = world.run(&arguments);
    assert_eq!(ran.lines().len(), 2, "{ran:?}");
}

#[test]
fn duplicates_become_one_row_and_every_file_keeps_its_place() {
    let world = World::new();
    let text = "fn same() -> u32 {\n    // the same text in two files, long enough\n    42\n}\n";
    world.write("r/a.rs", text);
    world.write("r/b.rs", text);
    world.profile(&["r"]);
    let summary = world.build("o", &[]);
    assert_eq!(summary["files"], 2);
    assert_eq!(summary["chunks"], 1);
    let ran = world.run(&["inspect", "o-sharded/p", "b.rs", "--json"]);
    let file = ran.last_line();
    assert_eq!(file["chunks"][0]["is_owner"], false, "{file}");
}

#[test]
fn the_category_reaches_the_servers_list() {
    let world = World::corpus(1, 5);
    world.build("o", &["--shard-category", "cold"]);
    let routing = fs::read(world.path("o-sharded/p/main.genome.db")).expect("routing database");
    let needle = b"root0cold";
    assert!(routing.windows(needle.len()).any(|w| w == needle));
}

#[test]
fn a_plan_shows_what_is_built_already() {
    let world = World::corpus(2, 10);
    world.build("o", &[]);
    world.write(
        "root1/new.md",
        "# New\n\nA file that was not there before, with enough text to count.\n",
    );
    let plan = world
        .helix()
        .arg("plan")
        .profile("p.toml")
        .out("o")
        .json()
        .bare()
        .run()
        .last_line();
    let state = |label: &str| {
        let shards = plan["shards"].as_array().expect("a list");
        let shard = shards
            .iter()
            .find(|s| s["label"] == label)
            .expect("is planned");
        shard["unchanged"].clone()
    };
    assert_eq!(state("root0"), true, "{plan}");
    assert_eq!(state("root1"), false, "{plan}");
    assert!(
        plan["disk"]["needed"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0),
        "{plan}"
    );
    let summary = world.build("o", &[]);
    let shards = summary["shards"].as_array().expect("a list").iter();
    let bytes: u64 = shards.filter_map(|shard| shard["bytes"].as_u64()).sum();
    let built = world
        .helix()
        .arg("plan")
        .profile("p.toml")
        .out("o")
        .json()
        .bare()
        .run()
        .last_line();
    assert_eq!(built["disk"]["index"], bytes, "{built}");
    assert_eq!(built["disk"]["needed"], 0, "{built}");
}
