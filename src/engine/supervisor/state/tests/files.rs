//! Files that kill, hang or fell the worker that touches them: found, and left out alone.

use super::*;
use crate::engine::supervisor::state::blame::MOST_QUARANTINED_IN_A_ROW;

#[test]
fn a_poisoned_file_is_found_and_left_out_alone() {
    let mut files = vec![vec![File::Good; 5]; 4];
    files[1][3] = File::Poison;
    let mut world = World::new(2, one_shard(files));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.skipped, BTreeSet::from([(segment(0, 1), 3)]));
}

#[test]
fn a_file_without_end_is_found_by_its_silence() {
    let mut files = vec![vec![File::Good; 5]; 2];
    files[0][0] = File::Endless;
    let mut world = World::new(1, one_shard(files));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.skipped, BTreeSet::from([(segment(0, 0), 0)]));
    assert!(world.warnings.iter().any(|w| w.contains("no progress")));
}

#[test]
fn a_file_that_the_worker_names_is_left_out_for_its_reason() {
    let mut files = vec![vec![File::Good; 5]; 2];
    files[1][2] = File::Named;
    let mut world = World::new(1, one_shard(files));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.skipped, BTreeSet::from([(segment(0, 1), 2)]));
    assert_eq!(world.reasons, ["panicked"]);
    // Two falls, and no search: the worker knew.
    assert_eq!(world.processes[&WorkerId(0)].generation, 3);
}

#[test]
fn files_that_all_kill_stop_the_build() {
    let mut world = World::new(2, one_shard(vec![vec![File::Poison; 9]; 9]));
    world.run(&[]);
    let Some(Ending::Failed(failure)) = &world.ending else {
        panic!("{:?}", world.ending);
    };
    assert!(failure.text.contains("files in a row"), "{failure:?}");
    assert_eq!(world.reasons.len() as u32, MOST_QUARANTINED_IN_A_ROW);
}

#[test]
fn progress_inside_a_long_file_is_life() {
    let mut world = World::new(1, one_shard(vec![vec![File::Good]]));
    world.feed(Event::Tick);
    world.turn(WorkerId(0));
    for _ in 0..10 {
        world.now += STALL;
        world.say(WorkerId(0), FromWorker::Progress);
        world.feed(Event::Tick);
    }
    assert!(world.process(WorkerId(0)).alive);
}
