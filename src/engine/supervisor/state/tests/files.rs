//! Files that kill, hang or crash the worker that touches them: they are found, and no others are skipped.

use super::*;
use crate::engine::supervisor::state::blame::MOST_QUARANTINED_IN_A_ROW;

#[test]
fn only_the_poisoned_file_is_skipped() {
    let mut files = vec![vec![File::Good; 5]; 4];
    files[1][3] = File::Poison;
    let mut world = World::new(2, one_shard(files));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.skipped, BTreeSet::from([(segment(0, 1), 3)]));
}

#[test]
fn a_file_that_never_ends_is_found_by_its_timeout() {
    let mut files = vec![vec![File::Good; 5]; 2];
    files[0][0] = File::Endless;
    let mut world = World::new(1, one_shard(files));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.skipped, BTreeSet::from([(segment(0, 0), 0)]));
    assert!(world.warnings.iter().any(|w| w.contains("no progress")));
}

#[test]
fn a_file_that_the_worker_reports_is_skipped_for_the_reported_reason() {
    let mut files = vec![vec![File::Good; 5]; 2];
    files[1][2] = File::Named;
    let mut world = World::new(1, one_shard(files));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.skipped, BTreeSet::from([(segment(0, 1), 2)]));
    assert_eq!(world.reasons, ["panicked"]);
    // Two crashes and no search, since the worker knew the file.
    assert_eq!(world.processes[&WorkerId(0)].generation, 3);
}

#[test]
fn a_build_whose_files_all_kill_fails() {
    let mut world = World::new(2, one_shard(vec![vec![File::Poison; 9]; 9]));
    world.run(&[]);
    let Some(Ending::Failed(failure)) = &world.ending else {
        panic!("{:?}", world.ending);
    };
    assert!(failure.text.contains("files in a row"), "{failure:?}");
    assert_eq!(world.reasons.len() as u32, MOST_QUARANTINED_IN_A_ROW);
}

#[test]
fn progress_inside_a_long_file_prevents_a_timeout() {
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
