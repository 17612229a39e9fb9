//! Whole builds: quiet ones, paused ones, and ones whose workers are killed at random.

use super::*;
use proptest::prelude::*;

#[test]
fn a_quiet_build_does_everything_once() {
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
    assert!(world.now - asked <= limits().pause_patience + Duration::from_secs(2));
}

#[test]
fn a_pause_waits_less_for_a_worker_that_hangs_at_its_start() {
    let mut world = World::new(1, one_shard(vec![vec![File::Good]]));
    world.feed(Event::Tick);
    world.feed(Event::Interrupt);
    let asked = world.now;
    while world.ending.is_none() {
        assert!(world.now - asked < limits().pause_patience);
        world.now += Duration::from_secs(1);
        world.feed(Event::Tick);
    }
    assert_eq!(world.ending, Some(Ending::Paused));
}

proptest! {
    /// Whatever dies when, the build ends, every file is committed or left out, each segment is loaded
    /// once, and no poisoned file gets in. (A good file that somebody kills a worker over twice in a
    /// row, in careful mode, may be left out as well.)
    #[test]
    fn nothing_is_lost(
        workers in 1u32..5,
        sizes in proptest::collection::vec(1usize..6, 1..12),
        bad in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..3), 0..3),
        kills in proptest::collection::vec(proptest::option::weighted(0.05, 0u32..5), 0..400),
        segments_ahead in 1usize..9,
    ) {
        let mut files: Vec<Vec<File>> = sizes.iter().map(|n| vec![File::Good; *n]).collect();
        for (s, f, kind) in &bad {
            let s = s.index(files.len());
            let f = f.index(files[s].len());
            files[s][f] = [File::Endless, File::Poison, File::Named][*kind];
        }
        let files: BTreeMap<_, _> = files
            .into_iter()
            .enumerate()
            .map(|(n, files)| (segment(n as u32 % 3, n as u32), files))
            .collect();
        let mut world = World::new(workers, files.clone());
        world.state.limits.segments_ahead = segments_ahead;
        world.run(&kills);
        prop_assert_eq!(world.ending, Some(Ending::Complete));
        prop_assert_eq!(world.loaded.len(), files.len());
        for (id, files) in &files {
            let committed = world.committed.get(id).map_or(0, BTreeSet::len);
            prop_assert_eq!(committed, files.len());
            for (n, file) in files.iter().enumerate() {
                let skipped = world.skipped.contains(&(*id, n as u32));
                if *file != File::Good {
                    prop_assert!(skipped, "{} {} should be left out", id, n);
                }
            }
        }
    }
}
