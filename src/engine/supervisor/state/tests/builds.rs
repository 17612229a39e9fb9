//! Whole builds: undisturbed ones, paused ones, and ones whose workers are killed at random.

use super::*;
use proptest::prelude::*;

#[test]
fn an_undisturbed_build_loads_each_segment_once() {
    let mut world = World::new(2, one_shard(vec![vec![File::Good; 3]; 5]));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.loaded.len(), 5);
    assert!(world.skipped.is_empty());
}

#[test]
fn no_more_workers_start_than_there_are_segments() {
    let mut world = World::new(8, one_shard(vec![vec![File::Good; 3]; 2]));
    world.run(&[]);
    let started = world.processes.values().filter(|p| p.generation > 0);
    assert_eq!(started.count(), 2);
}

#[test]
fn a_stopped_build_is_paused_and_keeps_what_it_has() {
    let mut world = World::new(2, one_shard(vec![vec![File::Good; 50]; 4]));
    world.feed(Event::Tick);
    for turn in 0..60 {
        world.turn(WorkerId(turn % 2));
    }
    world.feed(Event::Interrupt);
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Paused));
    assert!(world.processes.values().all(|p| !p.alive));
}

#[test]
fn a_pause_does_not_wait_long_for_a_stuck_worker() {
    let mut world = World::new(1, one_shard(vec![vec![File::Endless]]));
    world.feed(Event::Tick);
    for _ in 0..3 {
        world.turn(WorkerId(0));
    }
    assert!(world.process(WorkerId(0)).hung);
    world.feed(Event::Interrupt);
    let asked = world.now;
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Paused));
    assert!(world.now - asked <= limits().pause_timeout + Duration::from_secs(2));
}

#[test]
fn a_pause_waits_less_for_a_worker_that_hangs_while_it_starts() {
    let mut world = World::new(1, one_shard(vec![vec![File::Good]]));
    world.feed(Event::Tick);
    world.feed(Event::Interrupt);
    let asked = world.now;
    while world.ending.is_none() {
        assert!(world.now - asked < limits().pause_timeout);
        world.now += Duration::from_secs(1);
        world.feed(Event::Tick);
    }
    assert_eq!(world.ending, Some(Ending::Paused));
}

/// Shards 0 to 2, with good files and a few that kill.
fn some_files() -> impl Strategy<Value = BTreeMap<SegmentId, Vec<File>>> {
    let fatal: Vec<File> = File::BAD
        .into_iter()
        .filter(|file| file.is_fatal())
        .collect();
    let index = any::<prop::sample::Index>;
    let bad = (index(), index(), prop::sample::select(fatal));
    let sizes = proptest::collection::vec(1usize..6, 1..12);
    (sizes, proptest::collection::vec(bad, 0..3)).prop_map(|(sizes, bad)| {
        let mut files: Vec<Vec<File>> = sizes.iter().map(|n| vec![File::Good; *n]).collect();
        for (segment, file, kind) in bad {
            let segment = segment.index(files.len());
            let file = file.index(files[segment].len());
            files[segment][file] = kind;
        }
        (0..)
            .zip(files)
            .map(|(n, files)| (segment(n % 3, n), files))
            .collect()
    })
}

proptest! {
    /// Whatever dies when, the build ends, every file is committed or skipped and counted once, each segment is loaded
    /// once, and no poisoned file is indexed. (A good file may be skipped as well, if someone kills a worker over it
    /// twice in a row in careful mode.)
    #[test]
    fn nothing_is_lost(
        workers in 1u32..5,
        files in some_files(),
        kills in proptest::collection::vec(proptest::option::weighted(0.05, 0u32..5), 0..400),
        segments_per_worker in 1usize..9,
        speaks_when_killed: bool,
    ) {
        let mut world = World::new(workers, files);
        world.state.limits.segments_per_worker = segments_per_worker;
        world.speaks_when_killed = speaks_when_killed;
        world.run(&kills);
        world.assert_all_done();
        for (id, files) in &world.files {
            for (n, file) in files.iter().enumerate() {
                let is_skipped = world.skipped.contains(&(*id, n as u32));
                prop_assert!(is_skipped || *file == File::Good, "{} {} should be skipped", id, n);
            }
        }
    }

    /// Whatever happens meanwhile, a build that is asked to stop ends soon, and no worker outlives it.
    #[test]
    fn a_pause_is_short(
        workers in 1u32..5,
        files in some_files(),
        kills in proptest::collection::vec(proptest::option::weighted(0.05, 0u32..5), 0..40),
        interrupt_at in 0u32..60,
    ) {
        let mut world = World::new(workers, files);
        world.interrupt_at = Some(interrupt_at);
        world.run(&kills);
        prop_assert!(world.processes.values().all(|process| !process.alive));
        if let Some(asked) = world.interrupted {
            prop_assert_eq!(world.ending, Some(Ending::Paused));
            let turns = Duration::from_secs(u64::from(workers) + 2);
            prop_assert!(world.now - asked <= limits().pause_timeout + turns);
        }
    }
}
