//! A rebuild that only runs in short windows: each keeps what it finished, so that it ends.

use crate::running_build::{RunningBuild, arguments, signal};
use crate::world::World;
use rustix::process::Signal;
use serde_json::Value;

const ROOTS: usize = 4;

const REBUILD: [&str; 3] = ["--rebuild", "--progress", "json"];

fn rebuild(mode: &str) -> Vec<&str> {
    let flags = ["--mode", mode].into_iter().chain(REBUILD);
    arguments("o", false, &flags.collect::<Vec<_>>())
}

/// How many events of this type a build has written.
fn events(stderr: &str, kind: &str) -> usize {
    let lines = stderr.lines();
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["type"] == kind).count()
}

/// An index whose rebuild has encoded `done` segments, and loaded none, when it is killed.
fn encoded(mode: &str, done: usize) -> (World, Value) {
    let world = World::corpus(ROOTS, 8);
    let halt = format!("root{done}/zz-halt.md");
    if done < ROOTS {
        world.write(
            &halt,
            "# Halt\n\nThe worker is held at this file, the last one of its root.\n",
        );
    }
    let first = world.build("o", &["--mode", mode]);
    let failpoints = "publish::load=return(hold);worker::prepare=return(hold@zz-halt)";
    let flags = [
        &rebuild(mode)[..],
        &["--shard-workers", "1", "--no-shard-sort"],
    ]
    .concat();
    let mut live = RunningBuild::start(&world, &flags, failpoints);
    live.wait("segments to be encoded", |live| {
        (events(&live.said().1, "segment_done") >= done).then_some(())
    });
    let workers = live.workers();
    signal(live.pid(), Signal::KILL);
    workers
        .iter()
        .for_each(|worker| signal(*worker, Signal::KILL));
    assert_eq!(live.finish().0.code, None);
    (world, first)
}

#[test]
fn a_rebuild_that_is_always_stopped_while_it_publishes_ends() {
    for mode in ["sharded", "blob"] {
        let world = World::corpus(ROOTS, 8);
        let first = world.build("o", &["--mode", mode]);
        let mut published = 0;
        for window in 1.. {
            assert!(window <= ROOTS + 1, "{mode}: no end in sight");
            // Longer than workers take to stop.
            let slow = "publish::index=sleep(400)";
            let mut live = RunningBuild::start(&world, &rebuild(mode), slow);
            live.wait("a shard to be finished", |live| {
                let is_finishing = live.steps().iter().any(|s| s.point == "publish::index");
                (is_finishing || live.has_ended()).then_some(())
            });
            signal(live.pid(), Signal::TERM);
            let (ran, _) = live.finish();
            let now = events(&ran.stderr, "shard_published");
            published += now;
            if ran.code == Some(0) {
                assert_eq!(ran.summary()["digest"], first["digest"]);
                break;
            }
            assert_eq!(ran.code, Some(75), "{ran:?}");
            assert!(now > 0, "window {window} of {mode} kept nothing: {ran:?}");
        }
        let shards = if mode == "blob" { 1 } else { ROOTS };
        assert_eq!(published, shards, "each shard is published once");
    }
}

#[test]
fn complete_shards_are_published_without_a_worker() {
    for mode in ["sharded", "blob"] {
        let (world, first) = encoded(mode, ROOTS);
        let live = RunningBuild::start(&world, &rebuild(mode), "worker::start=return(abort)");
        let (ran, _) = live.finish();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(events(&ran.stderr, "segment_resumed"), ROOTS, "{ran:?}");
        assert_eq!(events(&ran.stderr, "worker_starting"), 0, "{ran:?}");
        let summary = ran.summary();
        assert_eq!(summary["digest"], first["digest"]);
        assert_eq!(summary["resumed_chunks"], first["chunks"]);
    }
}

/// Workers go on where an earlier run stopped, however many finished segments there are.
#[test]
fn new_segments_do_not_wait_for_finished_ones() {
    // Its worker has opened the two segments behind it as well, but not the last.
    let (world, first) = encoded("blob", 1);
    let held = "segment::check=return(hold)";
    let mut live = RunningBuild::start(&world, &rebuild("blob"), held);
    live.wait("the others to be encoded", |live| {
        (events(&live.said().1, "segment_done") >= 1).then_some(())
    });
    assert_eq!(events(&live.said().1, "segment_resumed"), 0);
    live.go();
    let (ran, _) = live.finish();
    assert_eq!(ran.summary()["digest"], first["digest"], "{ran:?}");
    assert_eq!(events(&ran.stderr, "segment_resumed"), 1, "{ran:?}");
}

/// A finished segment that was damaged since is done again.
#[test]
fn a_damaged_segment_is_encoded_again() {
    let (world, first) = encoded("blob", ROOTS);
    let folder = world.path("o/.p.build/segments");
    let segments = std::fs::read_dir(folder).expect("lists").flatten();
    let segments = segments.map(|entry| entry.path());
    let mut segments: Vec<_> = segments
        .filter(|path| path.extension().is_some_and(|it| it == "seg"))
        .collect();
    segments.sort();
    assert_eq!(segments.len(), ROOTS);
    std::fs::write(&segments[0], "").expect("written");
    let mut bytes = std::fs::read(&segments[1]).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    std::fs::write(&segments[1], bytes).expect("written");
    let ran = world.run(&rebuild("blob"));
    assert_eq!(ran.summary()["digest"], first["digest"], "{ran:?}");
    assert_eq!(events(&ran.stderr, "segment_resumed"), ROOTS - 2, "{ran:?}");
}
