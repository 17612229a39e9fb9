//! Builds again: only changes are built, and the index equals that of a new build.

use crate::world::{BARE, World, finish};
use std::fs;
use std::time::Duration;

#[test]
fn a_finished_build_does_nothing_again() {
    for (mode, folder, indexes) in [
        (
            "sharded",
            "o-sharded",
            &["p/main.genome.db", "p/shards/root0.genome.db"][..],
        ),
        ("blob", "o", &["p.db"][..]),
    ] {
        let world = World::corpus(2, 20);
        let first = world.build("o", &["--mode", mode]);
        let state = || {
            indexes.iter().map(|name| {
                let path = world.path(folder).join(name);
                let time = fs::metadata(&path)
                    .and_then(|m| m.modified())
                    .expect("a time");
                (time, fs::read(&path).expect("reads"))
            })
        };
        let before: Vec<_> = state().collect();
        let arguments = [
            "--profile",
            "p.toml",
            "--out-dir",
            "o",
            "--progress",
            "json",
            "--mode",
            mode,
        ];
        let mut command = world.command(&[&arguments[..], &BARE].concat());
        command.env("FAILPOINT_TRACE", world.path("trace"));
        let ran = finish(command.spawn().expect("starts"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            ran.stdout.starts_with("p: unchanged, nothing to do\n"),
            "{ran:?}"
        );
        assert!(!ran.stderr.contains("worker_starting"), "{ran:?}");
        // No file of the corpus is opened, nothing is published.
        let trace = fs::read_to_string(world.path("trace")).expect("a trace");
        assert!(trace.contains(" build::scan "), "{trace}");
        for place in ["scan::read", "worker::", "segment::", "publish::"] {
            assert!(!trace.contains(place), "{trace}");
        }
        assert!(
            before.iter().eq(state().collect::<Vec<_>>().iter()),
            "{mode}: files were touched"
        );
        let again = world.build("o", &["--mode", mode]);
        assert_eq!(again["digest"], first["digest"]);
        let shards = again["shards"].as_array().map_or(0, Vec::len);
        assert_eq!(again["unchanged_shards"], shards);
        // Asked to, it does everything again.
        let rebuilt = world.build("o", &["--mode", mode, "--rebuild"]);
        assert_eq!(rebuilt["digest"], first["digest"]);
        let used = ["unchanged_shards", "resumed_chunks", "reused_chunks"];
        assert!(used.iter().all(|field| rebuilt[field] == 0), "{rebuilt}");
    }
}

#[test]
fn changed_new_and_deleted_files_are_seen() {
    let world = World::corpus(2, 20);
    world.build("o", &[]);
    world.write(
        "root0/dir0/file0.rs",
        "pub fn replaced() -> u32 {\n    // a new body, long enough to be indexed\n    7\n}\n",
    );
    world.write(
        "root0/new.md",
        "# New\n\nA file that was not there before, with enough text to count.\n",
    );
    fs::remove_file(world.path("root1/dir1/file1.py")).expect("removed");
    let changed = world.build("o", &[]);
    assert_eq!(changed["files"], 40);
    assert_eq!(changed["digest"], world.build("fresh", &[])["digest"]);
    world.verified("o-sharded/p");
}

#[test]
fn a_touched_file_is_told_from_a_changed_one_by_its_bytes() {
    let world = World::corpus(1, 10);
    let first = world.build("o", &[]);
    let name = "root0/dir0/file0.rs";
    let text = fs::read(world.path(name)).expect("reads");
    let touch = |text: &[u8]| {
        world.write(name, text);
        let later = std::time::SystemTime::now() + Duration::from_secs(60);
        let file = fs::File::options()
            .write(true)
            .open(world.path(name))
            .expect("opens");
        file.set_modified(later).expect("touched");
    };
    touch(&text);
    assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
    // Same size, other bytes.
    let mut other = text.clone();
    other[5] ^= 1;
    touch(&other);
    let changed = world.build("o", &[]);
    assert_eq!(changed["unchanged_shards"], 0);
    assert_ne!(changed["digest"], first["digest"]);
}

#[test]
fn vectors_are_taken_over_from_the_earlier_index() {
    let world = World::corpus(1, 30);
    let flags = ["--profile", "p.toml", "--out-dir", "o", "--json"];
    let first = world.run(&flags).summary();
    world.write(
        "root0/new.md",
        "# New\n\nA file that was not there before, with enough text to count.\n",
    );
    let second = world.run(&flags).summary();
    let reused = second["reused_chunks"].as_u64().expect("number");
    assert!(
        reused >= first["chunks"].as_u64().expect("number"),
        "{second}"
    );
    let fresh = world.encoded_build("f").run().summary();
    assert_eq!(fresh["digest"], second["digest"]);
    let from = world
        .helix()
        .profile("p.toml")
        .out("g")
        .args(["--reuse-from", "f-sharded/p"])
        .json()
        .run()
        .summary();
    assert_eq!(from["digest"], second["digest"]);
    assert!(from["reused_chunks"].as_u64().is_some_and(|n| n > reused));
}

#[test]
fn a_root_that_leaves_the_profile_leaves_the_index() {
    let world = World::corpus(3, 10);
    world.build("o", &[]);
    world.profile(&["root0", "root1"]);
    let summary = world.build("o", &[]);
    assert_eq!(summary["shards"].as_array().map(Vec::len), Some(2));
    assert!(!world.path("o-sharded/p/shards/root2.genome.db").exists());
    assert_eq!(world.verified("o-sharded/p")["digest"], summary["digest"]);
    // Also when nobody knows of the shard any more.
    world.profile(&["root0"]);
    fs::remove_file(world.path("o-sharded/p/main.genome.db")).expect("removed");
    world.build("o", &[]);
    world.verified("o-sharded/p");
}

#[test]
fn a_shard_in_place_but_not_registered_is_registered() {
    let world = World::corpus(3, 10);
    let first = world.build("o", &[]);
    let routing = world.path("o-sharded/p/main.genome.db");
    // As after a kill between the rename of a shard and its registration, for all of them.
    fs::remove_file(&routing).expect("removed");
    let again = world.build("o", &[]);
    assert_eq!(again["unchanged_shards"], 3);
    let verdict = world.verified("o-sharded/p");
    assert_eq!(verdict["digest"], first["digest"]);
    assert_eq!(verdict["shards"].as_array().map(Vec::len), Some(3));
}

#[test]
fn an_output_that_was_moved_is_registered_where_it_is_now() {
    let world = World::corpus(2, 10);
    world.build("o", &[]);
    fs::rename(world.path("o-sharded"), world.path("n-sharded")).expect("moved");
    let again = world.build("n", &["--shard-category", "org"]);
    assert_eq!(again["unchanged_shards"], 2);
    let ran = world.run(&[
        "query",
        "n-sharded/p",
        "gadget",
        "--mode",
        "lexical",
        "--json",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    world.verified("n-sharded/p");
}

#[test]
fn a_renamed_file_gives_the_digest_of_a_fresh_build() {
    let world = World::corpus(1, 5);
    world.write(
        "root0/note.md",
        "# Zebra\n\nThe zebra eats the quuxblossom twice a day, never at night.\n",
    );
    world.build("o", &[]);
    fs::rename(
        world.path("root0/note.md"),
        world.path("root0/quuxblossom.md"),
    )
    .expect("renamed");
    assert_eq!(
        world.build("o", &[])["digest"],
        world.build("f", &[])["digest"]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_rebuild_resumes() {
    use crate::running_build::RunningBuild;
    for mode in ["sharded", "blob"] {
        let world = World::corpus(3, 12);
        let first = world.build("o", &["--mode", mode]);
        let flags = [
            "--mode",
            mode,
            "--rebuild",
            "--shard-workers",
            "1",
            "--progress",
            "json",
        ];
        let rebuild = crate::running_build::arguments("o", false, &flags);
        // Killed when a shard has been loaded; of three, others are left.
        let mut live = RunningBuild::start(&world, &rebuild, "publish::deleted=return(hold)");
        live.wait_held().expect("is reached");
        crate::running_build::signal(live.pid(), rustix::process::Signal::KILL);
        assert_eq!(live.finish().0.code, None);
        // Whoever does not ask for a rebuild is not kept waiting by it, but here the same command follows.
        let ran = world.run(&rebuild);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            ran.stderr.contains("resuming an interrupted rebuild"),
            "{ran:?}"
        );
        let summary = ran.summary();
        assert_eq!(summary["digest"], first["digest"]);
        let (unchanged, resumed) = (&summary["unchanged_shards"], &summary["resumed_chunks"]);
        assert!(
            unchanged.as_u64() > Some(0) || resumed.as_u64() > Some(0),
            "{summary}"
        );
        world.verified(if mode == "blob" {
            "o/p.db"
        } else {
            "o-sharded/p"
        });
        // Done: the next one begins anew.
        let ran = world.run(&rebuild);
        assert!(!ran.stderr.contains("going on"), "{ran:?}");
        let summary = ran.summary();
        assert_eq!(summary["unchanged_shards"], 0);
        assert_eq!(summary["resumed_chunks"], 0);
    }
}

/// The refusal comes before anything is written that marks an index as unfinished.
#[test]
fn a_refused_build_leaves_a_finished_index_finished() {
    let world = World::corpus(1, 6);
    world.build("o", &[]);
    let other = world.run(&[
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--dense-model",
        "none",
    ]);
    assert_eq!(other.code, Some(12), "{other:?}");
    let verdict = world.verified("o-sharded/p");
    assert_eq!(verdict["unfinished"], false, "{verdict}");
}
