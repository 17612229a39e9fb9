//! Two workers with the same segment, and two publications of the same shard, give one valid result.

use crate::running_build::signal;
use crate::scripted_worker::{ScriptedWorker, setup, task, wait};
use crate::world::{Dice, World, count};
use helix_build::engine::publish::{ShardPublisher, register};
use helix_build::failure::FailureKind;
use helix_build::ids::Digest;
use helix_build::protocol::{FromWorker, SegmentTask};
use helix_build::store::registered::registered_shards;
use helix_build::store::routing::RoutingDb;
use helix_build::store::segment::SegmentReader;
use helix_build::store::shard::{Root, ShardHeader};
use helix_build::verify::{Level, verify};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Publishes the segment, whoever else does, and returns the digest.
fn publish(folder: &Path, task: &SegmentTask) -> Digest {
    let setup = setup();
    let header = ShardHeader {
        label: task.shard_label.clone(),
        roots: vec![Root {
            label: task.root_label.clone(),
            path: task.root_path.to_string_lossy().into_owned(),
        }],
        fingerprint: setup.fingerprint,
        encoder_fingerprint: setup.encoder_fingerprint,
        tool_version: "test".to_owned(),
        encoder: "{}".to_owned(),
        recipe: "{}".to_owned(),
        // One build has one time, so that its attempts write the same bytes.
        epoch: 1.0,
        sorter_threads: 0,
    };
    let target = folder.join("shards/root0.genome.db");
    let paths: Vec<_> = task.files.iter().map(|f| f.path.clone()).collect();
    let mut publisher = ShardPublisher::begin(&target, header, Arc::default()).expect("begun");
    publisher.load(&task.path, 0, &paths).expect("loaded");
    let shard = publisher.finish().expect("published");
    let database = folder.join("main.genome.db");
    let mut routing = RoutingDb::open_or_create(&database, 1.0).expect("opens");
    register(&mut routing, &shard).expect("registered");
    shard.digest
}

/// What is published in `folder` is sound, whole and this.
fn check_published(folder: &Path, expected: Digest, context: &str) {
    let report = verify(&folder.join("main.genome.db"), Level::Full).expect("an index");
    assert!(report.is_sound(), "{context}: {report:?}");
    let shards = registered_shards(&folder.join("main.genome.db")).expect("listed");
    assert_eq!(shards.len(), 1, "{context}");
    assert_eq!(shards[0].build.expect("ours").digest, expected, "{context}");
    let mut files = crate::world::files_below(&folder.join("shards"));
    files.retain(|name| name != "root0.genome.db");
    assert!(files.is_empty(), "{context}: {files:?}");
}

/// The segment file holds every file.
fn is_whole(task: &SegmentTask) -> bool {
    let Ok(reader) = SegmentReader::open(&task.path) else {
        return false;
    };
    let ledger = reader.ledger();
    ledger.len() == task.files.len()
        && task
            .files
            .iter()
            .all(|file| ledger.iter().any(|record| record.entry == *file))
}

/// A commit for every file, and pauses of chance lengths where two could meet.
fn pauses(dice: &mut Dice) -> String {
    let mut failpoints = "sink::group=return(skip)".to_owned();
    for point in [
        "segment::open",
        "segment::clear",
        "segment::create",
        "segment::reopen",
        "segment::opened",
        "sink::finish",
        "sink::finished",
    ] {
        if dice.roll(2) == 0 {
            failpoints.push_str(&format!(";{point}=sleep({})", dice.roll(12)));
        }
    }
    if dice.roll(3) == 0 {
        failpoints.push_str(";sink::commit=sleep(1)");
    }
    failpoints
}

#[test]
fn two_workers_with_one_segment_give_one_valid_result() {
    let (mut dice, seed) = Dice::seeded(4_004);
    let world = World::corpus(1, 12);
    let out = world.path("out");
    let publish_to = |n: u32| -> PathBuf { world.path(&format!("published-{n}")) };
    let mut task = task(&world);
    let expected = {
        fs::create_dir_all(&out).expect("a folder");
        let mut worker = ScriptedWorker::start("");
        worker.give(&task);
        worker.wait();
        assert!(worker.is_done() && worker.end().is_none());
        publish(&publish_to(0), &task)
    };
    check_published(&publish_to(0), expected, "alone");
    let rounds = count(8, 500);
    let (mut kills, mut refused, mut twice, mut redone) = (0, 0, 0, 0);
    for round in 1..=rounds {
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(&out).expect("a folder");
        task.careful = dice.roll(5) == 0;
        let mut rivals = [
            ScriptedWorker::start(&pauses(&mut dice)),
            ScriptedWorker::start(&pauses(&mut dice)),
        ];
        wait("both to be ready", || {
            rivals.iter().all(ScriptedWorker::is_ready)
        });
        // What each is told to do, and when, in microseconds.
        let mut deeds = vec![(0, 0, false), (dice.roll(2) * dice.roll(40_000), 1, false)];
        let context = format!("seed {seed}, round {round}");
        let first = dice.roll(2) as usize;
        if dice.roll(3) > 0 {
            deeds.push((dice.roll(50_000), first, true));
            if dice.roll(3) == 0 {
                deeds.push((dice.roll(50_000), 1 - first, true));
            }
        }
        deeds.sort_unstable();
        let began = Instant::now();
        for (at, rival, is_kill) in deeds {
            thread::sleep(Duration::from_micros(at).saturating_sub(began.elapsed()));
            if is_kill {
                kills += 1;
                rivals[rival].kill();
            } else if !rivals[rival].killed {
                rivals[rival].give(&task);
            }
        }
        // A supervisor loads a segment as soon as one worker says that it is done.
        wait("one to be done, or both to end", || {
            rivals.iter().any(ScriptedWorker::is_done)
                || rivals
                    .iter_mut()
                    .all(|r| matches!(r.child.try_wait(), Ok(Some(_))))
        });
        let folder = publish_to(round);
        let n_done = rivals.iter().filter(|r| r.is_done()).count();
        if n_done > 0 {
            let found = publish(&folder, &task);
            assert_eq!(found, expected, "{context}");
        }
        for rival in &mut rivals {
            rival.wait();
        }
        let n_done = rivals.iter().filter(|r| r.is_done()).count();
        twice += u32::from(n_done == 2);
        for rival in &mut rivals {
            if let Some((kind, text)) = rival.end() {
                refused += 1;
                // Worth another try in a fresh process, which is what the supervisor gives it.
                assert_eq!(kind, FailureKind::Internal, "{context}: {text}");
                assert!(
                    text.contains("in use by another process"),
                    "{context}: {text}"
                );
            } else {
                assert!(rival.killed || rival.is_done(), "{context}");
            }
        }
        if n_done == 0 {
            redone += 1;
            let mut worker = ScriptedWorker::start("");
            worker.give(&task);
            worker.wait();
            assert!(worker.is_done(), "{context}: {:?}", worker.heard);
            assert_eq!(worker.end(), None, "{context}");
        }
        assert!(is_whole(&task), "{context}: files are missing");
        let found = publish(&folder, &task);
        assert_eq!(found, expected, "{context}");
        check_published(&folder, expected, &context);
        let _ = fs::remove_dir_all(&folder);
    }
    println!(
        "seed {seed}: {rounds} interleavings, {kills} kills, both done {twice} times, refused {refused} times, begun again {redone} times"
    );
}

#[test]
fn a_segment_that_another_worker_keeps_is_refused_and_stays_as_it_is() {
    let world = World::corpus(1, 12);
    fs::create_dir_all(world.path("out")).expect("a folder");
    let task = task(&world);
    let opened =
        |rival: &ScriptedWorker| rival.heard(|m| matches!(m, FromWorker::SegmentOpened { .. }));
    let mut keeper = ScriptedWorker::start("worker::encode=sleep(20)");
    keeper.give(&task);
    wait("the segment to be opened", || opened(&keeper));
    signal(keeper.child.id(), Signal::STOP);
    let mut second = ScriptedWorker::start("");
    second.give(&task);
    second.wait();
    assert!(!opened(&second) && !second.is_done());
    let (kind, text) = second.end().expect("refused");
    // Worth another try in a fresh process, which is what the supervisor gives it.
    assert_eq!(kind, FailureKind::Internal, "{text}");
    assert!(
        text.ends_with("out/0.seg: in use by another process"),
        "{text}"
    );
    signal(keeper.child.id(), Signal::CONT);
    keeper.wait();
    assert!(keeper.is_done() && keeper.end().is_none());
    assert!(is_whole(&task));
}

#[test]
fn two_publications_of_one_shard_give_one_valid_shard() {
    let (mut dice, seed) = Dice::seeded(5_005);
    let world = World::corpus(1, 12);
    fs::create_dir_all(world.path("out")).expect("a folder");
    let task = task(&world);
    let mut worker = ScriptedWorker::start("");
    worker.give(&task);
    worker.wait();
    assert!(worker.is_done() && worker.end().is_none());
    let expected = publish(&world.path("alone"), &task);
    for round in 0..count(8, 500) {
        let folder = world.path("both");
        let context = format!("seed {seed}, round {round}");
        let delays = [0, dice.roll(20_000)];
        thread::scope(|scope| {
            for delay in delays {
                let (folder, task) = (&folder, &task);
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(delay));
                    publish(folder, task);
                });
            }
        });
        check_published(&folder, expected, &context);
        let _ = fs::remove_dir_all(&folder);
    }
}
