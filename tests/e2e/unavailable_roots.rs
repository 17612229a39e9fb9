//! Unavailable roots: their index and their labels stay, and their vectors are reused later.

use crate::world::{BARE, Ran, World};
use serde_json::Value;
use std::fs;

fn run(world: &World, flags: &[&str]) -> Ran {
    world.bare_build("o").args(flags).run()
}

fn labels(summary: &Value) -> Vec<&str> {
    let shards = summary["shards"].as_array().expect("a list");
    let mut labels: Vec<&str> = shards
        .iter()
        .filter_map(|it| it["label"].as_str())
        .collect();
    labels.sort_unstable();
    labels
}

/// Takes a root away in one of two ways, and says how to bring it back.
fn take_away(world: &World, root: &str, emptied: bool) {
    fs::rename(world.path(root), world.path("elsewhere")).expect("moved");
    if emptied {
        fs::create_dir(world.path(root)).expect("made");
    }
}

fn bring_back(world: &World, root: &str) {
    let _ = fs::remove_dir(world.path(root));
    fs::rename(world.path("elsewhere"), world.path(root)).expect("moved");
}

#[test]
fn an_unavailable_root_keeps_its_index_until_pruned() {
    for mode in ["sharded", "blob"] {
        for emptied in [false, true] {
            let world = World::corpus(3, 6);
            let flags = ["--mode", mode];
            let first = world.build("o", &flags);
            let index = if mode == "blob" {
                "o/p.db"
            } else {
                "o-sharded/p"
            };
            take_away(&world, "root1", emptied);
            // Another root changes meanwhile.
            world.write(
                "root0/new.md",
                "# New\n\nA file that was not there before, long enough.\n",
            );
            for _ in 0..2 {
                let ran = run(&world, &flags);
                assert_eq!(ran.code, Some(3), "{mode} {emptied}: {ran:?}");
                let summary = ran.summary();
                assert_eq!(labels(&summary), labels(&first));
                let kept = &summary["kept"][0];
                assert_eq!(
                    kept["shards"].as_array().map(Vec::len),
                    Some(1),
                    "{summary}"
                );
                assert!(
                    kept["path"]
                        .as_str()
                        .is_some_and(|path| path.ends_with("root1"))
                );
                assert!(ran.stderr.contains("--prune"), "{ran:?}");
                assert_eq!(world.verified(index)["digest"], summary["digest"]);
            }
            bring_back(&world, "root1");
            let back = world.build("o", &flags);
            assert_eq!(back["exit"], 0);
            assert_eq!(back.get("kept"), None);
            assert_eq!(back["digest"], world.build("fresh", &flags)["digest"]);
            if mode == "sharded" {
                assert_eq!(back["unchanged_shards"], 3, "{back}");
            }
            take_away(&world, "root1", emptied);
            let pruned = world.build("o", &[&flags[..], &["--prune"]].concat());
            assert_eq!(pruned["exit"], 0);
            assert_eq!(pruned["files"], 13);
            assert_eq!(world.verified(index)["digest"], pruned["digest"]);
            assert!(!world.path("o-sharded/p/shards/root1.genome.db").exists());
        }
    }
}

#[test]
fn an_unavailable_root_removed_from_the_profile_is_deleted() {
    let world = World::corpus(2, 4);
    world.build("o", &[]);
    take_away(&world, "root1", false);
    assert_eq!(run(&world, &[]).code, Some(3));
    world.profile(&["root0"]);
    assert_eq!(run(&world, &[]).code, Some(0));
    assert!(!world.path("o-sharded/p/shards/root1.genome.db").exists());
}

#[test]
fn the_index_stays_if_every_root_is_unavailable() {
    let world = World::corpus(2, 4);
    let first = world.build("o", &[]);
    for root in ["root0", "root1"] {
        fs::rename(world.path(root), world.path(&format!("{root}-away"))).expect("moved");
    }
    // No root exists.
    assert_eq!(run(&world, &[]).code, Some(4));
    assert_eq!(world.verified("o-sharded/p")["digest"], first["digest"]);
    for root in ["root0", "root1"] {
        fs::create_dir(world.path(root)).expect("made");
    }
    let ran = run(&world, &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.summary()["digest"], first["digest"]);
    // An index of nothing is not what anybody wants.
    assert_eq!(run(&world, &["--prune"]).code, Some(4));
    assert_eq!(world.verified("o-sharded/p")["digest"], first["digest"]);
}

#[test]
fn a_profile_without_available_roots_is_reported() {
    let world = World::corpus(2, 4);
    for (name, root) in [("one", "root0"), ("two", "root1"), ("never", "nowhere")] {
        world.write(
            &format!("profiles/{name}.toml"),
            format!("roots = ['../{root}']\n"),
        );
    }
    let all = || world.helix().profile("all").out("o").json().bare().run();
    assert_eq!(
        all().code,
        Some(0),
        "one that was never built is not a loss"
    );
    take_away(&world, "root1", false);
    let ran = all();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stderr
            .contains("profile two: all its roots are unavailable"),
        "{ran:?}"
    );
    world.verified("o-sharded/two");
}

#[test]
fn a_root_of_several_shards_keeps_them_all() {
    let world = World::corpus(2, 12);
    let flags = ["--auto-subshard-threshold-files", "5"];
    let first = world.build("o", &flags);
    assert!(labels(&first).len() > 4, "{first}");
    take_away(&world, "root1", true);
    let ran = run(&world, &flags);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.summary()["digest"], first["digest"]);
}

#[test]
fn labels_stay_while_another_root_is_unavailable() {
    let world = World::new();
    for folder in ["a/src", "b/src", "c/src"] {
        world.write(
            &format!("{folder}/f.py"),
            format!(
                "def of_{}():\n    return 'a text that is long enough to be indexed'\n",
                &folder[..1]
            ),
        );
    }
    world.profile(&["a/src", "b/src", "c/src"]);
    let first = world.build("o", &[]);
    assert_eq!(labels(&first), ["src", "src-2", "src-3"]);
    for emptied in [false, true] {
        take_away(&world, "a/src", emptied);
        let ran = run(&world, &[]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(ran.summary()["digest"], first["digest"]);
        assert_eq!(ran.summary()["unchanged_shards"], 2);
        bring_back(&world, "a/src");
        assert_eq!(world.build("o", &[])["unchanged_shards"], 3);
    }
    // Also from the beginning, and when it was given up.
    take_away(&world, "a/src", false);
    let pruned = world.build("o", &["--prune"]);
    assert_eq!(labels(&pruned), ["src-2", "src-3"]);
    assert_eq!(labels(&world.build("n", &[])), ["src-2", "src-3"]);
    bring_back(&world, "a/src");
    assert_eq!(world.build("o", &[])["digest"], first["digest"]);
}

#[test]
fn folders_of_a_pattern_and_roots_behind_links_are_remembered() {
    let world = World::corpus(3, 4);
    fs::create_dir(world.path("all")).expect("made");
    for root in ["root0", "root1", "root2"] {
        fs::rename(world.path(root), world.path(&format!("all/{root}"))).expect("moved");
    }
    world.profile(&["all/root*"]);
    let first = world.build("o", &[]);
    take_away(&world, "all/root1", false);
    let ran = run(&world, &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.summary()["digest"], first["digest"]);
    let pruned = world.build("o", &["--prune"]);
    assert_eq!(labels(&pruned), ["root0", "root2"]);
    // What was given up is not remembered.
    assert_eq!(run(&world, &[]).code, Some(0));
    #[cfg(unix)]
    {
        bring_back(&world, "all/root1");
        std::os::unix::fs::symlink("all/root1", world.path("link")).expect("linked");
        world.profile(&["all/root0", "link"]);
        let first = world.build("o", &[]);
        // The link goes with what it leads to.
        take_away(&world, "all/root1", false);
        let ran = run(&world, &[]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(ran.summary()["digest"], first["digest"]);
        fs::remove_file(world.path("link")).expect("removed");
        assert_eq!(run(&world, &[]).summary()["digest"], first["digest"]);
    }
}

#[test]
fn vectors_survive_renames_moves_and_copies() {
    let world = World::corpus(3, 10);
    let build = || world.encoded_build("o").run().summary();
    let n_chunks = |summary: &Value| summary["chunks"].as_u64().expect("a number");
    let n_reused = |summary: &Value| summary["reused_chunks"].as_u64().expect("a number");
    build();
    // A root under another name, and one with another label.
    fs::rename(world.path("root0"), world.path("renamed")).expect("renamed");
    world.write(
        "p.toml",
        "roots = ['renamed', { path = 'root1', label = 'other' }, 'root2']\n",
    );
    let renamed = build();
    assert_eq!(labels(&renamed), ["other", "renamed", "root2"]);
    let unchanged = renamed["shards"].as_array().into_iter().flatten();
    let unchanged: u64 = unchanged
        .filter(|shard| shard["label"] == "root2")
        .filter_map(|shard| shard["chunks"].as_u64())
        .sum();
    // Equal texts of several files are asked for once each.
    assert!(
        n_reused(&renamed) >= n_chunks(&renamed) - unchanged,
        "{renamed}"
    );
    // Files that move to another root, and a copy of a whole one.
    fs::rename(world.path("renamed/dir1"), world.path("root2/dir1-moved")).expect("moved");
    fs::create_dir(world.path("copy")).expect("made");
    for folder in fs::read_dir(world.path("root1")).expect("listed").flatten() {
        let to = world.path("copy").join(folder.file_name());
        fs::create_dir(&to).expect("made");
        for file in fs::read_dir(folder.path()).expect("listed").flatten() {
            fs::copy(file.path(), to.join(file.file_name())).expect("copied");
        }
    }
    world.write(
        "p.toml",
        "roots = ['renamed', { path = 'root1', label = 'other' }, 'root2', 'copy']\n",
    );
    let moved = build();
    let other = moved["shards"].as_array().into_iter().flatten();
    let other: u64 = other
        .filter(|shard| shard["label"] == "other")
        .filter_map(|shard| shard["chunks"].as_u64())
        .sum();
    assert!(n_reused(&moved) >= n_chunks(&moved) - other, "{moved}");
    let fresh = world.encoded_build("f").run().summary();
    assert_eq!(moved["digest"], fresh["digest"]);
    // Nothing is taken over by a rebuild.
    let rebuilt = world.encoded_build("o").arg("--rebuild").run();
    assert_eq!(n_reused(&rebuilt.summary()), 0);
}

#[cfg(unix)]
#[test]
fn an_empty_folder_behind_a_link_is_an_unavailable_root() {
    use std::os::unix::fs::symlink;
    for mode in ["sharded", "blob"] {
        let world = World::corpus(2, 3);
        fs::create_dir_all(world.path("full")).expect("made");
        fs::create_dir_all(world.path("empty/a")).expect("made");
        fs::rename(world.path("root1"), world.path("full/a")).expect("moved");
        symlink("full", world.path("mount")).expect("linked");
        world.write("p.toml", "roots = [\"root0\", \"mount/a\"]\n");
        let first = world.build("o", &["--mode", mode]);
        fs::remove_file(world.path("mount")).expect("removed");
        symlink("empty", world.path("mount")).expect("linked");
        let ran = run(&world, &["--mode", mode]);
        assert_eq!(ran.code, Some(3), "{mode}: {ran:?}");
        assert_eq!(labels(&ran.summary()), labels(&first), "{mode}");
        let pruned = run(&world, &["--mode", mode, "--prune"]);
        assert_eq!(pruned.code, Some(0), "{mode}: {pruned:?}");
        assert_eq!(pruned.summary()["chunks"], 3, "{mode}: {pruned:?}");
    }
}

/// Nothing goes in silence: what a build deletes is announced by `plan` and named by the build.
#[test]
fn deleted_shards_are_listed_before_and_after() {
    for by_prune in [true, false] {
        let world = World::corpus(3, 4);
        world.build("o", &[]);
        take_away(&world, "root1", false);
        if by_prune {
            let plan = world.run(&[
                "plan",
                "--profile",
                "p.toml",
                "--out-dir",
                "o",
                "--json",
                BARE[0],
                BARE[1],
                BARE[2],
                BARE[3],
            ]);
            let plan = plan.last_line();
            assert_eq!(plan["kept"][0]["shards"][0], "root1", "{plan}");
            assert_eq!(plan["deleted"], serde_json::json!([]));
        } else {
            world.profile(&["root0", "root2"]);
        }
        let prune = ["--prune", "--log-file", "x.log"];
        let flags = if by_prune { &prune[..] } else { &prune[1..] };
        let planned = run(&world, &[flags, &["--dry-run"]].concat());
        assert_eq!(planned.last_line()["deleted"][0], "root1", "{planned:?}");
        assert!(world.path("o-sharded/p/shards/root1.genome.db").exists());
        let ran = run(&world, flags);
        assert_eq!(ran.summary()["deleted"], serde_json::json!(["root1"]));
        let log = fs::read_to_string(world.path("x.log")).expect("a log");
        assert!(log.contains("deleted shard root1"), "{log}");
        assert_eq!(
            run(&world, flags).summary()["deleted"],
            serde_json::json!([])
        );
    }
    // For people.
    let world = World::corpus(2, 4);
    world.build("o", &[]);
    world.profile(&["root0"]);
    let plain = |flags: &[&str]| {
        let build = ["--profile", "p.toml", "--out-dir", "o"];
        world.run(&[&build[..], &BARE, flags].concat()).stdout
    };
    let plan = plain(&["--dry-run"]);
    assert!(
        plan.lines()
            .any(|line| line.contains("root1") && line.contains("would be deleted")),
        "{plan}"
    );
    let built = plain(&[]);
    assert!(built.contains("deleted: shard root1"), "{built}");
    assert!(!built.contains("nothing to do"), "{built}");
}

#[test]
fn an_unavailable_root_is_named_by_its_folder() {
    let world = World::corpus(1, 3);
    for folder in ["a/src", "b/src"] {
        let text = format!("A note in {folder}, long enough to be worth a chunk of its own.\n");
        world.write(&format!("{folder}/note.md"), text);
    }
    world.write("p.toml", "roots = ['root0', '?/src']\n");
    world.build("o", &[]);
    for emptied in [true, false] {
        take_away(&world, "b/src", emptied);
        let folder = fs::canonicalize(world.path("b"))
            .expect("there")
            .join("src");
        let folder = folder.display().to_string();
        let ran = run(&world, &[]);
        assert!(
            ran.stderr
                .contains(&format!("root {folder} is unavailable")),
            "{ran:?}"
        );
        assert_eq!(ran.summary()["kept"][0]["path"], folder.as_str(), "{ran:?}");
        if !emptied {
            assert_eq!(
                ran.summary()["missing_roots"][0],
                folder.as_str(),
                "{ran:?}"
            );
        }
        let arguments = ["--profile", "p.toml", "--out-dir", "o"];
        let ran = world.run(&[&arguments[..], &BARE].concat());
        assert!(
            ran.stdout.contains(&format!("unavailable root: {folder}")),
            "{ran:?}"
        );
        assert!(!ran.stdout.contains("?/src"), "{ran:?}");
        bring_back(&world, "b/src");
    }
}

/// A damaged shard does not say whose it was; it may be mended, or built again when the root is back.
#[test]
fn a_damaged_shard_stays_while_a_root_is_unavailable() {
    for emptied in [true, false] {
        let world = World::corpus(3, 4);
        let first = world.build("o", &[]);
        let shard = world.path("o-sharded/p/shards/root1.genome.db");
        take_away(&world, "root1", emptied);
        fs::write(&shard, "damaged").expect("written");
        let ran = run(&world, &[]);
        assert_eq!(ran.summary()["deleted"], serde_json::json!([]), "{ran:?}");
        assert!(ran.stderr.contains("root1.genome.db is damaged"), "{ran:?}");
        assert!(shard.exists());
        bring_back(&world, "root1");
        assert_eq!(world.build("o", &[])["digest"], first["digest"]);
        take_away(&world, "root1", emptied);
        fs::write(&shard, "damaged").expect("written");
        let ran = run(&world, &["--prune"]);
        assert_eq!(ran.summary()["deleted"], serde_json::json!(["root1"]));
        assert!(!shard.exists());
    }
}

/// A run in which these roots cannot be listed, as by their permissions or on a disk that is gone: root may read
/// everything, so the program is told.
fn run_unlisted(world: &World, root: &str, flags: &[&str]) -> Ran {
    let mut command = world.bare_build("o").args(flags).command();
    command.env("FAILPOINTS", format!("scan::list=return(skip@{root})"));
    crate::world::finish(command.spawn().expect("starts"))
}

#[test]
fn a_root_that_cannot_be_listed_is_unavailable() {
    for mode in ["sharded", "blob"] {
        let world = World::corpus(3, 4);
        let flags = ["--mode", mode];
        let path = fs::canonicalize(world.path("root1")).expect("there");
        let path = path.display().to_string();
        // At the very first build there is nothing to keep.
        let ran = run_unlisted(&world, "root1", &flags);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(ran.summary()["missing_roots"], serde_json::json!([path]));
        assert!(ran.stderr.contains("root1 is not indexed"), "{ran:?}");
        let first = world.build("o", &flags);
        assert_eq!(first["exit"], 0, "{first}");
        for dry in [false, true] {
            let dry = if dry { &["--dry-run"][..] } else { &[] };
            let ran = run_unlisted(&world, "root1", &[&flags[..], dry].concat());
            assert_eq!(ran.code, Some(3), "{ran:?}");
            let line = ran.last_line();
            assert_eq!(line["exit"], 3, "{line}");
            assert_eq!(line["kept"][0]["path"], path.as_str(), "{line}");
            let detail = line["kept"][0]["detail"].as_str().unwrap_or_default();
            assert!(detail.contains("ermission denied"), "{line}");
            assert_eq!(line["missing_roots"], serde_json::json!([path]));
            if dry.is_empty() {
                assert_eq!(line["digest"], first["digest"], "{line}");
            }
        }
        // None of them.
        let ran = run_unlisted(&world, "root", &flags);
        assert_eq!(ran.summary()["digest"], first["digest"], "{ran:?}");
        let ran = run_unlisted(&world, "root", &[&flags[..], &["--prune"]].concat());
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert!(ran.stderr.contains("ermission denied"), "{ran:?}");
        assert_eq!(world.build("o", &flags)["digest"], first["digest"]);
    }
}

/// The walk begins minutes after the profile was read, where several are built.
#[cfg(target_os = "linux")]
#[test]
fn a_root_replaced_by_a_file_is_unavailable() {
    let world = World::corpus(2, 4);
    let first = world.build("o", &[]);
    let arguments = crate::running_build::arguments("o", false, &[]);
    let mut live =
        crate::running_build::RunningBuild::start(&world, &arguments, "build::scan=return(hold)");
    live.wait_held().expect("is reached");
    fs::rename(world.path("root1"), world.path("elsewhere")).expect("moved");
    world.write("root1", "a file");
    live.go();
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.summary()["digest"], first["digest"]);
}

#[test]
fn a_root_that_never_existed_is_reported_each_time() {
    let world = World::corpus(1, 3);
    world.profile(&["root0", "mistyped"]);
    for dry in [true, false, true, false] {
        let dry = if dry { &["--dry-run"][..] } else { &[] };
        let ran = run(&world, dry);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(ran.last_line()["exit"], 3);
        assert_eq!(ran.last_line()["missing_roots"][0], "mistyped", "{ran:?}");
        let told = format!("{}{}", ran.stderr, ran.stdout);
        assert!(told.contains("mistyped"), "{ran:?}");
    }
    let plain = world.run(&[&["--profile", "p.toml", "--out-dir", "o"][..], &BARE].concat());
    assert!(plain.stderr.contains("correct its path"), "{plain:?}");
    // Whoever can do without it says so.
    for flags in [&["--prune"][..], &["--prune", "--dry-run"]] {
        assert_eq!(run(&world, flags).code, Some(0));
    }
}

#[test]
fn a_blob_with_an_unavailable_root_lists_unindexed_changes() {
    let world = World::corpus(3, 4);
    let flags = ["--mode", "blob"];
    world.build("o", &flags);
    take_away(&world, "root1", false);
    let people = |flags: &[&str]| {
        let build = ["--profile", "p.toml", "--out-dir", "o", "--mode", "blob"];
        world.run(&[&build[..], &BARE, flags].concat())
    };
    let ran = people(&[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(!ran.stdout.contains("unchanged"), "{ran:?}");
    assert!(!ran.stdout.contains("not indexed"), "{ran:?}");
    world.write(
        "root2/new.md",
        "# New\n\nA file that was not there before, long enough.\n",
    );
    let ran = people(&[]);
    assert!(!ran.stdout.contains("unchanged"), "{ran:?}");
    assert!(
        ran.stdout
            .contains("not updated, since a root is unavailable"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("not indexed: changes in root2,"),
        "{ran:?}"
    );
    for dry in [&[][..], &["--dry-run"]] {
        let ran = run(&world, &[&flags[..], dry].concat());
        assert_eq!(ran.code, Some(3), "{ran:?}");
        let line = ran.last_line();
        assert_eq!(line["not_indexed"], serde_json::json!(["root2"]), "{line}");
        assert_eq!(line["kept"][0]["shards"][0], "p", "{line}");
    }
    bring_back(&world, "root1");
    let back = world.build("o", &flags);
    assert_eq!(
        (&back["exit"], back.get("not_indexed")),
        (&Value::from(0), None)
    );
}

/// Whatever name it gets, also one that comes before the others, and one that differs in case alone.
#[test]
fn a_renamed_pattern_folder_blocks_nothing() {
    for (from, to) in [("b", "0"), ("a", "z"), ("a", "A"), ("c", "aa")] {
        let world = World::new();
        for folder in ["a", "b", "c"] {
            let text = format!("A note in {folder}, long enough to be worth a chunk of its own.\n");
            world.write(&format!("all/{folder}/src/note.md"), &text);
        }
        world.profile(&["all/*/src"]);
        world.build("o", &[]);
        fs::rename(
            world.path(&format!("all/{from}")),
            world.path(&format!("all/{to}")),
        )
        .expect("renamed");
        let mut last = Value::Null;
        for round in 0..2 {
            let ran = run(&world, &[]);
            assert_eq!(ran.code, Some(3), "{from} {to} {round}: {ran:?}");
            last = ran.summary();
            assert_eq!(last["kept"][0]["shards"].as_array().map(Vec::len), Some(1));
            assert_eq!(labels(&last), ["src", "src-2", "src-3", "src-4"]);
        }
        assert_eq!(last["unchanged_shards"], 3, "{from} {to}: {last}");
        let pruned = world.build("o", &["--prune"]);
        assert_eq!(
            (&pruned["exit"], &pruned["files"]),
            (&Value::from(0), &Value::from(3))
        );
        assert_eq!(pruned["digest"], world.build("f", &[])["digest"]);
        world.verified("o-sharded/p");
    }
}
