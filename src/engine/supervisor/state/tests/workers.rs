//! Workers that do not start, do not exit, or send messages too late.

use super::*;
use crate::failure::{Failure, FailureKind};

#[test]
fn a_worker_that_never_starts_is_given_up() {
    let mut world = World::new(2, one_shard(vec![vec![File::Good; 30]; 6]));
    world.feed(Event::Tick);
    world.turn(WorkerId(0));
    world.die(WorkerId(1));
    world.die(WorkerId(1));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.processes[&WorkerId(1)].generation, 2);
    assert!(world.warnings.iter().any(|w| w.contains("does not start")));
}

/// On a busy machine one worker may fail twice before another is ready for the first time.
#[test]
fn a_worker_that_fails_before_the_others_are_ready_is_given_up() {
    let mut world = World::new(2, one_shard(vec![vec![File::Good; 3]; 6]));
    world.feed(Event::Tick);
    world.die(WorkerId(1));
    world.die(WorkerId(1));
    assert_eq!(world.ending, None);
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete));
    assert_eq!(world.processes[&WorkerId(1)].generation, 2);
    assert!(world.warnings.iter().any(|w| w.contains("does not start")));
    // The last one decides.
    let mut world = World::new(2, one_shard(vec![vec![File::Good; 3]; 6]));
    world.feed(Event::Tick);
    for worker in [1, 1, 0, 0].map(WorkerId) {
        assert_eq!(world.ending, None);
        world.die(worker);
    }
    assert!(
        matches!(world.ending, Some(Ending::Failed(_))),
        "{:?}",
        world.ending
    );
}

#[test]
fn a_model_that_cannot_be_loaded_fails_the_build_at_once() {
    let mut world = World::new(2, one_shard(vec![vec![File::Good; 3]; 5]));
    world.feed(Event::Tick);
    let failure = Failure {
        kind: FailureKind::Unavailable,
        text: "no such model".to_owned(),
    };
    world.say(WorkerId(0), FromWorker::Failed(failure.clone()));
    world.die(WorkerId(0));
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Failed(failure)));
    assert_eq!(
        world.processes[&WorkerId(0)].generation,
        1,
        "must not be respawned"
    );
}

#[test]
fn workers_that_all_die_while_they_start_fail_the_build() {
    let mut world = World::new(2, one_shard(vec![vec![File::Good; 3]; 5]));
    world.feed(Event::Tick);
    for _ in 0..100 {
        for worker in [WorkerId(0), WorkerId(1)] {
            world.die(worker);
        }
    }
    assert!(
        matches!(world.ending, Some(Ending::Failed(_))),
        "{:?}",
        world.ending
    );
    assert_eq!(world.processes[&WorkerId(0)].generation, 2);
}

#[test]
fn messages_of_an_earlier_process_are_ignored() {
    let mut world = World::new(1, one_shard(vec![vec![File::Good; 1]]));
    world.feed(Event::Tick);
    world.die(WorkerId(0));
    let stale = Event::Message {
        worker: WorkerId(0),
        generation: 1,
        message: FromWorker::SegmentDone {
            segment: segment(0, 0),
        },
    };
    world.feed(stale);
    assert!(world.loaded.is_empty());
}

#[test]
fn a_worker_that_cannot_be_killed_is_abandoned() {
    let mut state = State::new(1, vec![segment(0, 0)], [ShardId(0)], limits());
    let mut now = Duration::ZERO;
    let mut spawned = 0;
    for _ in 0..200 {
        now += Duration::from_secs(1);
        for effect in state.step(now, Event::Tick) {
            spawned += u32::from(matches!(effect, Effect::Spawn { .. }));
        }
    }
    // It never answers: killed after 60 s, abandoned after another 60 s, then started again.
    assert_eq!(spawned, 2);
}

#[test]
fn segments_of_an_abandoned_worker_go_to_another_segment_file() {
    let message = |message| Event::Message {
        worker: WorkerId(0),
        generation: 1,
        message,
    };
    let build_id = String::new();
    let hello = FromWorker::Hello { build_id, pid: 77 };
    let device = "cpu".to_owned();
    let ready = FromWorker::Ready {
        device,
        warnings: Vec::new(),
    };
    let mut state = State::new(1, vec![segment(0, 0)], [ShardId(0)], limits());
    state.step(Duration::ZERO, Event::Tick);
    state.step(Duration::ZERO, message(hello));
    state.step(Duration::ZERO, message(ready));
    let mut warnings = Vec::new();
    let mut now = Duration::ZERO;
    // It times out, and does not exit when it is killed.
    while now < STALL + 2 * limits().start_stop_timeout {
        now += Duration::from_secs(1);
        for effect in state.step(now, Event::Tick) {
            if let Effect::Emit(BuildEvent::Warning { text }) = effect {
                warnings.push(text);
            }
        }
    }
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[1].contains("process 77 cannot be killed"));
    let second = |message| Event::Message {
        worker: WorkerId(0),
        generation: 2,
        message,
    };
    let device = "cpu".to_owned();
    let assigned = state.step(
        now,
        second(FromWorker::Ready {
            device,
            warnings: Vec::new(),
        }),
    );
    assert!(
        assigned.iter().any(
            |effect| matches!(effect, Effect::Assign { handling, .. } if handling.attempt == 1)
        ),
        "{assigned:?}"
    );
}
