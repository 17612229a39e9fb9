//! Builds on a device that fails: what moves to the CPU, and that nothing is lost.

use super::*;
use crate::batch::{Batch, EncoderKind};
use crate::device::{DeviceId, DeviceMemory};
use crate::engine::watchdog::config::{CrawlAction, CrawlConfig};
use crate::engine::watchdog::{EncoderDevices, Watchdog};
use proptest::prelude::*;

impl World {
    fn on_device(workers: u32, files: BTreeMap<SegmentId, Vec<File>>, action: CrawlAction) -> Self {
        let mut world = Self::new(workers, files);
        let config = CrawlConfig {
            action,
            ..CrawlConfig::default()
        };
        let watchdog = Watchdog::new(config, STALL / 2, []);
        let watch = Watch::new(
            watchdog,
            EncoderDevices::both(&DeviceId("cuda:0".to_owned())),
        );
        world.state = world.state.with_watch(Some(watch));
        world
    }

    /// Where the segments of a shard were encoded.
    fn targets(&self, shard: u32) -> Vec<EncoderTarget> {
        let of_shard = self.encoded_on.iter().filter(|(s, _)| s.shard.0 == shard);
        of_shard.map(|(_, target)| *target).collect()
    }
}

fn two_shards(first: Vec<File>) -> BTreeMap<SegmentId, Vec<File>> {
    let good = vec![File::Good; 6];
    BTreeMap::from([
        (segment(0, 0), good.clone()),
        (segment(0, 1), first),
        (segment(0, 2), good.clone()),
        (segment(1, 0), good.clone()),
        (segment(1, 1), good),
    ])
}

/// A shard with one such file ends on the CPU, whole segments at a time. Its earlier segments stay, the next shard runs on
/// the device again, and no file is skipped.
fn assert_that_one_shard_is_demoted_by(file: File) {
    for workers in [1, 2, 3] {
        let mut hard = vec![File::Good; 6];
        hard[4] = file;
        let mut world = World::on_device(workers, two_shards(hard), CrawlAction::Ladder);
        world.run(&[]);
        world.assert_all_done();
        assert!(world.skipped.is_empty(), "no file is to blame");
        assert_eq!(
            world.encoded_on[&segment(0, 1)],
            EncoderTarget::Cpu,
            "{workers} workers"
        );
        assert_eq!(
            world.targets(1),
            [EncoderTarget::Configured; 2],
            "{workers} workers"
        );
    }
}

#[test]
fn only_the_shard_that_the_device_cannot_encode_moves_to_the_cpu() {
    assert_that_one_shard_is_demoted_by(File::NoDeviceMemory);
}

/// A driver may kill the process in the middle of a batch. Once nothing else can be the cause, the device is blamed.
#[test]
fn a_file_is_not_blamed_for_a_driver_crash() {
    assert_that_one_shard_is_demoted_by(File::Crashes);
}

#[test]
fn a_device_that_is_lost_repeatedly_is_given_up() {
    let hard = vec![File::LosesDevice; 6];
    let mut world = World::on_device(1, two_shards(hard), CrawlAction::Ladder);
    world.run(&[]);
    world.assert_all_done();
    assert_eq!(world.targets(1), [EncoderTarget::Cpu; 2]);
    assert_eq!(
        world.targets(0)[0],
        EncoderTarget::Configured,
        "it was done before"
    );
}

/// A text that kills the process on the CPU as well is found there, and only its shard leaves the device.
#[test]
fn a_text_that_kills_the_process_on_every_target_is_skipped() {
    let mut hard = vec![File::Good; 6];
    hard[4] = File::CrashesEncoder;
    let mut world = World::on_device(2, two_shards(hard), CrawlAction::Ladder);
    world.run(&[]);
    assert_eq!(world.ending, Some(Ending::Complete), "{:?}", world.warnings);
    assert_eq!(world.skipped, BTreeSet::from([(segment(0, 1), 4)]));
    assert_eq!(world.targets(1), [EncoderTarget::Configured; 2]);
}

#[test]
fn a_device_whose_driver_kills_every_process_is_given_up() {
    let mut files = two_shards(vec![File::Crashes; 6]);
    for shard in 1..4 {
        files.insert(segment(shard, 0), vec![File::Crashes; 2]);
        files.insert(segment(shard, 1), vec![File::Crashes; 2]);
    }
    let mut world = World::on_device(1, files, CrawlAction::Ladder);
    world.run(&[]);
    world.assert_all_done();
    assert!(world.skipped.is_empty(), "no file is to blame");
    let processes = world.process(WorkerId(0)).generation;
    // Two shards, each with two deaths before careful mode and two more before the CPU.
    assert!(processes <= 10, "{processes} processes");
}

#[test]
fn with_the_ladder_off_driver_crashes_fail_the_build() {
    let mut world = World::on_device(1, two_shards(vec![File::Crashes; 6]), CrawlAction::Off);
    world.run(&[]);
    let Some(Ending::Failed(failure)) = &world.ending else {
        panic!("{:?}", world.ending);
    };
    assert!(failure.text.contains("signal: 9"), "{failure:?}");
    assert!(world.skipped.is_empty());
}

#[test]
fn a_device_that_refuses_further_workers_is_given_up() {
    let mut files = two_shards(vec![File::Good; 6]);
    files.insert(segment(1, 2), vec![File::LosesDevice; 2]);
    let mut world = World::on_device(1, files, CrawlAction::Ladder);
    world.device_shut_from = 2;
    world.run(&[]);
    world.assert_all_done();
    assert_eq!(world.encoded_on[&segment(1, 2)], EncoderTarget::Cpu);
    assert!(
        world
            .warnings
            .iter()
            .any(|w| w.contains("can no longer start workers"))
    );
}

#[test]
fn a_device_that_refuses_every_worker_fails_the_build() {
    let mut world = World::on_device(2, two_shards(vec![File::Good; 6]), CrawlAction::Ladder);
    world.device_shut_from = 1;
    world.run(&[]);
    assert!(
        matches!(world.ending, Some(Ending::Failed(_))),
        "{:?}",
        world.ending
    );
}

#[test]
fn with_the_ladder_off_device_failures_fail_the_build() {
    let hard = vec![File::NoDeviceMemory; 6];
    let mut world = World::on_device(1, two_shards(hard), CrawlAction::Off);
    world.run(&[]);
    let Some(Ending::Failed(failure)) = &world.ending else {
        panic!("{:?}", world.ending);
    };
    assert!(failure.text.contains("OutOfMemory"), "{failure:?}");
    assert!(world.skipped.is_empty());
}

/// The first rung sends a request. The second kills the process and gives its work to a new one.
#[test]
fn a_crawl_leads_to_a_request_and_then_to_a_respawn() {
    let mut state = World::on_device(
        1,
        one_shard(vec![vec![File::Good; 9]; 3]),
        CrawlAction::Ladder,
    )
    .state;
    let worker = WorkerId(0);
    let mut now = Duration::ZERO;
    let mut seen = Vec::new();
    let mut generation = 1;
    let mut step = |now: &mut Duration, generation: u32, message: Option<FromWorker>| {
        *now += Duration::from_millis(500);
        let event = match message {
            Some(message) => Event::Message {
                worker,
                generation,
                message,
            },
            None => Event::Memory {
                device: DeviceId("cuda:0".to_owned()),
                answer: DeviceMemory::new(12135 << 20, 12288 << 20).ok_or(String::new()),
            },
        };
        state.step(*now, event)
    };
    let ready = || FromWorker::Ready {
        device: "cuda:0".to_owned(),
        warnings: Vec::new(),
    };
    seen.extend(step(&mut now, generation, None));
    seen.extend(step(&mut now, generation, Some(ready())));
    for n in 0..40 {
        seen.extend(step(&mut now, generation, None));
        let milliseconds = if n < 10 { 10 } else { 1_000 };
        let effects = step(&mut now, generation, Some(batch(milliseconds)));
        let killed = effects.contains(&Effect::Kill { worker });
        seen.extend(effects);
        if killed {
            break;
        }
    }
    let release = seen
        .iter()
        .position(|e| *e == Effect::ReleaseMemory { worker });
    let kill = seen.iter().position(|e| *e == Effect::Kill { worker });
    assert!(release.is_some() && release < kill, "{seen:?}");
    let effects = state.step(
        now,
        Event::Exited {
            worker,
            generation,
            status: "signal: 9".to_owned(),
        },
    );
    generation += 1;
    let spawn = Effect::Spawn {
        worker,
        generation,
        target: EncoderTarget::Configured,
    };
    assert!(effects.contains(&spawn), "{effects:?}");
    let blamed = effects
        .iter()
        .any(|e| matches!(e, Effect::Emit(BuildEvent::WorkerLost { .. })));
    assert!(!blamed, "{effects:?}");
}

/// Batches go on, and their collection does not end.
#[test]
fn a_pause_does_not_wait_for_a_collection_that_crawls() {
    let mut world = World::on_device(1, one_shard(vec![vec![File::Good; 9]]), CrawlAction::Ladder);
    let worker = WorkerId(0);
    world.feed(Event::Tick);
    let device = "cuda:0".to_owned();
    world.say(
        worker,
        FromWorker::Ready {
            device,
            warnings: Vec::new(),
        },
    );
    world.feed(Event::Interrupt);
    let asked = world.now;
    let timeout = limits().pause_timeout;
    while world.process(worker).alive {
        world.now += timeout / 2;
        world.say(worker, batch(5_000));
        world.feed(Event::Tick);
        assert!(world.now - asked < 6 * timeout, "it is never ended");
    }
    assert!(world.now - asked > 3 * timeout, "a healthy one may end");
    assert_eq!(world.ending, Some(Ending::Paused));
}

/// A batch may hang for longer than a killed process may take to exit.
#[test]
fn a_worker_that_is_replaced_after_a_long_hang_is_not_abandoned() {
    let mut world = World::on_device(1, one_shard(vec![vec![File::Good]]), CrawlAction::Ladder);
    let worker = WorkerId(0);
    world.feed(Event::Tick);
    world.turn(worker);
    world.start_batch(worker, segment(0, 0));
    let hang = STALL / 2 + Duration::from_secs(1);
    assert!(hang > limits().start_stop_timeout);
    world.now += hang;
    let effects = world.state.step(world.now, Event::Tick);
    assert!(effects.contains(&Effect::Kill { worker }), "{effects:?}");
    let spawns = |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::Spawn { .. }));
    assert!(!spawns(&effects), "it has not exited yet: {effects:?}");
}

/// Messages of a killed worker may still arrive after its segment has moved to the CPU.
#[test]
fn late_messages_about_a_segment_that_has_moved_do_not_count() {
    let files = one_shard(vec![vec![File::Good; 2]; 2]);
    let mut world = World::on_device(2, files, CrawlAction::Cpu);
    let [failing, other] = [0, 1].map(WorkerId);
    world.feed(Event::Tick);
    // Ready, then one file each.
    for worker in [failing, other, failing, other] {
        world.turn(worker);
    }
    assert_eq!(world.totals.done.files, 2);
    world.speaks_when_killed = true;
    let failure = FailureKind::Device(DeviceFailure::OutOfMemory);
    world.fail_batch(failing, segment(0, 0), failure);
    assert_eq!(world.totals.done.files, 0, "both segments start over");
    world.run(&[]);
    world.assert_all_done();
    assert_eq!(world.targets(0), [EncoderTarget::Cpu; 2]);
}

fn batch(milliseconds: u64) -> FromWorker {
    FromWorker::BatchFinished {
        shard: ShardId(0),
        batch: Batch {
            encoder: EncoderKind::Sparse,
            n_tokens: 1000,
            n_slots: 1024,
            n_windows: 4,
            duration: Duration::from_millis(milliseconds),
        },
    }
}

fn any_file() -> impl Strategy<Value = File> {
    prop_oneof![
        20 => Just(File::Good),
        File::BAD.len() as u32 => prop::sample::select(&File::BAD),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn nothing_is_lost_on_a_device_that_fails_anywhere(
        shards in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::vec(any_file(), 1..6), 1..4), 1..4),
        workers in 1u32..4,
        kills in proptest::collection::vec(proptest::option::weighted(0.02, 0u32..4), 0..400),
        shut_from in prop_oneof![3 => Just(u32::MAX), 1 => 2u32..5],
        speaks_when_killed: bool,
    ) {
        let files: BTreeMap<_, _> = (0..)
            .zip(shards)
            .flat_map(|(shard, segments)| (0..).map(move |n| segment(shard, n)).zip(segments))
            .collect();
        let mut world = World::on_device(workers, files, CrawlAction::Ladder);
        world.device_shut_from = shut_from;
        world.speaks_when_killed = speaks_when_killed;
        world.run(&kills);
        if world.ending == Some(Ending::Complete) {
            world.assert_all_done();
            // Only a file that kills on any device is skipped.
            for (segment, file) in &world.skipped {
                let skipped = world.files[segment][*file as usize];
                prop_assert!(skipped.is_fatal(), "{skipped:?}");
            }
        } else {
            // The build failed because of files that kill, or a device that refused workers before any was ready.
            let is_fatal = world.files.values().flatten().any(|file| file.is_fatal());
            prop_assert!(is_fatal || shut_from < u32::MAX, "{:?}", world.ending);
        }
    }
}
