//! `--metrics-file` and `--log-file` never overwrite files of other programs or take a path that builds reserve.

use crate::world::{Ran, World};
use std::fs;

fn build(world: &World, flags: &[&str]) -> Ran {
    world.bare_build("o").args(flags).run()
}

fn refused(ran: &Ran, texts: &[&str]) {
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    }
}

#[test]
fn metrics_of_other_programs_are_not_overwritten() {
    let world = World::corpus(1, 2);
    let name = "m.prom";
    assert_eq!(build(&world, &["--metrics-file", name]).code, Some(0));
    let ours = fs::read_to_string(world.path(name)).expect("reads");
    let (mark, unmarked) = ours.split_once('\n').expect("lines");
    assert!(mark.starts_with("# helix-build "), "{mark}");
    let foreign = "# HELP helix_antenna_gain_db Gain of the helix antenna.\n\
                   # TYPE helix_antenna_gain_db gauge\nhelix_antenna_gain_db 12.5\n";
    // Another program's, ours with lines of others behind, and what an older version wrote with the same.
    for text in [
        foreign.to_owned(),
        format!("{ours}node_load1 1\n"),
        format!("{ours}# mine\n"),
        format!("{unmarked}{foreign}# mine\n"),
        format!("{foreign}{unmarked}"),
    ] {
        world.write(name, &text);
        refused(
            &build(&world, &["--metrics-file", name]),
            &["--metrics-file m.prom", "choose another file"],
        );
        assert_eq!(fs::read_to_string(world.path(name)).expect("reads"), text);
    }
    // What an older version wrote, and a file that a power cut left.
    for text in [unmarked, &ours[..ours.len() / 2], ""] {
        world.write(name, text);
        assert_eq!(build(&world, &["--metrics-file", name]).code, Some(0));
        let text = fs::read_to_string(world.path(name)).expect("reads");
        assert!(text.starts_with(mark), "{text}");
    }
}

/// A log where a lock or a segment will be is worse than none: two builds would work on one output.
#[test]
fn paths_that_builds_reserve_are_refused() {
    let fresh = World::corpus(1, 2);
    fs::create_dir_all(fresh.path("o-sharded/p/.build/segments")).expect("made");
    fs::create_dir_all(fresh.path("o-sharded/p/shards")).expect("made");
    fs::create_dir_all(fresh.path("o/.p.build")).expect("made");
    let built = World::corpus(1, 2);
    built.build("o", &[]);
    built.build("o", &["--mode", "blob"]);
    fs::create_dir_all(built.path("o-sharded/p/.build/segments")).expect("made");
    for name in [
        "o-sharded/p/.build/lock",
        "o-sharded/p/.build/x.log",
        "o-sharded/p/.build/segments/x.seg.lock",
        "o-sharded/p/.build/segments/x",
        "o-sharded/p/shards/x",
        "o-sharded/p/shards/root0.genome.db-wal",
        "o-sharded/p/main.genome.db-shm",
        "o-sharded/p/main.genome.db.tmp-1-1",
        "o-sharded/p/new.genome.db",
        "o-sharded/.manifest.lock",
        "o-sharded/.manifest.json.tmp",
        "o/p.db-journal",
        "o/p.db-wal",
        "o/p.db",
        "o/p.db.tmp-1-1",
        "o/q.db-wal",
        "o/.p.build/lock",
    ] {
        // Also in the other mode: a later build may write it.
        let modes = ["sharded", "blob"];
        for (world, flag, mode) in [
            (&fresh, "--log-file", modes[0]),
            (&fresh, "--metrics-file", modes[0]),
            (&built, "--log-file", modes[0]),
            (&built, "--metrics-file", modes[0]),
            (&fresh, "--log-file", modes[1]),
            (&fresh, "--metrics-file", modes[1]),
            (&built, "--metrics-file", modes[1]),
        ] {
            let before = fs::read(world.path(name)).ok();
            let ran = build(world, &["--mode", mode, flag, name]);
            refused(&ran, &[flag, name, "choose another file"]);
            let after = fs::read(world.path(name)).ok();
            assert!(after == before, "{flag} {name}");
        }
        // Also by a command that has nothing to do with it.
        if name != "o/q.db-wal" {
            let ran = built.run(&["verify", "o-sharded/p", "--log-file", name]);
            refused(&ran, &["--log-file", name, "choose another file"]);
        }
    }
    // Where a folder will have to be.
    let world = World::corpus(1, 2);
    fs::create_dir_all(world.path("o-sharded")).expect("made");
    for flag in ["--log-file", "--metrics-file"] {
        refused(
            &build(&world, &[flag, "o-sharded/p"]),
            &[flag, "choose another file"],
        );
    }
    for name in ["o-sharded/p/x.log", "o/x.log", "x-wal"] {
        assert_eq!(build(&built, &["--log-file", name]).code, Some(0), "{name}");
    }
}

/// `plan` ends with the exit code of the build.
#[test]
fn plan_refuses_the_metrics_files_that_a_build_refuses() {
    let world = World::corpus(1, 3);
    world.write("user.txt", "user data\n");
    world.build("o", &[]);
    for file in ["user.txt", "root0", "nowhere/x", "o-sharded/manifest.json"] {
        let arguments = [
            "--profile",
            "p.toml",
            "--out-dir",
            "o",
            "--metrics-file",
            file,
        ];
        let plan = world.run(&[&["plan"], &arguments[..]].concat());
        let build = world.run(&[&arguments[..], &crate::world::BARE].concat());
        assert_eq!(
            (plan.code, build.code),
            (Some(2), Some(2)),
            "{file}: {plan:?}"
        );
    }
}

/// A reader of a FIFO ends when the last writer goes: the build opens it once, and keeps it open.
#[cfg(unix)]
#[test]
fn a_reader_of_a_metrics_fifo_sees_the_last_figures() {
    let world = World::corpus(1, 3);
    let fifo = world.path("metrics");
    crate::world::make_fifo(&fifo);
    let reader = std::thread::spawn(move || std::fs::read_to_string(fifo).expect("figures"));
    // The reader waits in its call to open, where a build finds it.
    std::thread::yield_now();
    let build = || {
        world.run(
            &[
                &[
                    "--profile",
                    "p.toml",
                    "--out-dir",
                    "o",
                    "--metrics-file",
                    "metrics",
                ][..],
                &crate::world::BARE,
            ]
            .concat(),
        )
    };
    let mut ran = build();
    for _ in 0..50 {
        if !ran.stderr.contains("without a reader") {
            break;
        }
        ran = build();
    }
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let figures = reader.join().expect("read");
    assert!(
        figures.contains("helix_build_exit_code{profile=\"p\"} 0"),
        "{figures}"
    );
}
