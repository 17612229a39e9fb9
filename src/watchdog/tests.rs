//! The watchdog as a whole: incidents from files, single rules through a small driver, and properties over
//! random scenarios.

use super::incident::{Scenario, Step, What};
use super::simulator::{Course, Place, Simulator};
use super::*;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn read(path: &Path) -> Scenario {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn show(path: &Path, scenario: &Scenario, course: &Course) -> String {
    let events = course.events.iter();
    let events: Vec<_> = events
        .map(|(batch, event)| format!("  batch {batch}, {:.0} s: {event}\n", event.at_s))
        .collect();
    let hours = course.took.as_secs_f64() / 3600.0;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "{name}\n{}\n  {} batches, {hours:.2} hours\n{}",
        scenario.about.trim(),
        course.batches,
        events.concat()
    )
}

/// Every file of `tests/incidents`, and the one that `HELIX_TEST_INCIDENT` names.
#[test]
fn incidents_take_the_stated_course() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/incidents");
    let entries = fs::read_dir(&folder).expect("the incidents").flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    paths.sort();
    assert!(paths.len() >= 20, "{}", paths.len());
    paths.extend(std::env::var_os("HELIX_TEST_INCIDENT").map(PathBuf::from));
    let mut wrong = Vec::new();
    for path in paths {
        let scenario = read(&path);
        match Simulator::new(&scenario).run() {
            Err(error) => wrong.push(format!("{}: {error}", path.display())),
            Ok(course) => {
                println!("{}", show(&path, &scenario, &course));
                if let Err(error) = scenario.expect.check(&course) {
                    wrong.push(format!("{}\n{error}", show(&path, &scenario, &course)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const SHARD: ShardId = ShardId(0);
const SECOND: Duration = Duration::from_secs(1);

/// Healthy and crawling, in tokens per second.
const GOOD: u64 = 3000;
const BAD: u64 = 300;

/// Feeds a watchdog by hand. Batches take one second of the clock whatever their rate, so that a test
/// says what the watchdog sees and nothing else happens.
struct Driver {
    watchdog: Watchdog,
    now: Duration,
    /// What each reading of memory says from now on; `None`: it cannot be read.
    memory: Option<f64>,
    shard: ShardId,
}

fn device() -> DeviceId {
    DeviceId("cuda:0".to_owned())
}

fn reading(share: f64) -> Option<Memory> {
    Memory::new((share * 12e9) as u64, 12_000_000_000)
}

impl Driver {
    /// Workers that have had 20 good batches each.
    fn new(knobs: Knobs, workers: u32) -> Self {
        let ceiling = Duration::from_secs(300);
        let mut driver = Self {
            watchdog: Watchdog::new(knobs, ceiling, [(SHARD, "docs".to_owned())]),
            now: Duration::ZERO,
            memory: Some(0.99),
            shard: SHARD,
        };
        for worker in 0..workers {
            assert_eq!(driver.start(worker), []);
        }
        for _ in 0..20 {
            for worker in 0..workers {
                assert_eq!(driver.batch(worker, GOOD), []);
            }
        }
        driver
    }

    fn feed(&mut self, input: Input) -> Vec<Verdict> {
        self.watchdog.step(self.now, input)
    }

    fn start(&mut self, worker: u32) -> Vec<Verdict> {
        self.feed(Input::WorkerStarted {
            worker: WorkerId(worker),
            device: Some(device()),
        })
    }

    fn end(&mut self, worker: u32) {
        let worker = WorkerId(worker);
        assert_eq!(self.feed(Input::WorkerEnded { worker }), []);
    }

    fn read(&mut self, share: Option<f64>) {
        let memory = share.and_then(reading);
        let device = device();
        assert_eq!(self.feed(Input::MemoryRead { device, memory }), []);
    }

    /// A second passes, memory is read, and the worker finishes a batch.
    fn batch(&mut self, worker: u32, rate: u64) -> Vec<Verdict> {
        self.now += SECOND;
        self.read(self.memory);
        self.bare_batch(worker, rate)
    }

    fn bare_batch(&mut self, worker: u32, rate: u64) -> Vec<Verdict> {
        let batch = Batch {
            shard: self.shard,
            encoder: Encoder::Sparse,
            n_tokens: rate,
            n_slots: rate,
            n_chunks: 1,
            duration: SECOND,
        };
        let worker = WorkerId(worker);
        self.feed(Input::BatchDone { worker, batch })
    }

    fn begin(&mut self, worker: u32) {
        let begun = Input::BatchBegun {
            worker: WorkerId(worker),
            shard: self.shard,
            encoder: Encoder::Sparse,
            n_slots: GOOD,
        };
        assert_eq!(self.feed(begun), []);
    }

    /// Bad batches of one worker until something is said, and how many it took.
    fn crawl(&mut self, worker: u32) -> (u32, Vec<Response>, Vec<Verdict>) {
        for n in 1..=100 {
            let verdicts = self.batch(worker, BAD);
            if !verdicts.is_empty() {
                return (n, responses(&verdicts), orders(verdicts));
            }
        }
        (100, Vec::new(), Vec::new())
    }
}

fn responses(verdicts: &[Verdict]) -> Vec<Response> {
    let events = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Report(event) => Some(event.action),
        _ => None,
    });
    events.collect()
}

fn orders(mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    verdicts.retain(|verdict| !matches!(verdict, Verdict::Report(_)));
    verdicts
}

fn respawn(worker: u32) -> Verdict {
    Verdict::Respawn {
        worker: WorkerId(worker),
    }
}

/// 3000 to 300: the average is below 600 with the 7th, and 8 such are a window.
const FIRST_CRAWL: u32 = 14;

#[test]
fn each_rung_needs_a_window_of_its_own() {
    let mut driver = Driver::new(Knobs::default(), 1);
    let worker = WorkerId(0);
    let (batches, done, verdicts) = driver.crawl(0);
    assert_eq!(
        (batches, done),
        (FIRST_CRAWL, vec![Response::ReleaseMemory])
    );
    assert_eq!(verdicts, [Verdict::ReleaseMemory { worker }]);
    let (batches, done, verdicts) = driver.crawl(0);
    assert_eq!((batches, done), (8, vec![Response::Respawn]));
    assert_eq!(verdicts, [respawn(0)]);
    driver.end(0);
    assert_eq!(driver.start(0), []);
    let (batches, done, verdicts) = driver.crawl(0);
    assert_eq!((batches, done), (8, vec![Response::Cpu]));
    assert_eq!(verdicts, [Verdict::Demote { shard: SHARD }]);
    assert_eq!(driver.crawl(0), (100, vec![], vec![]), "disarmed");
    // The next shard is armed, and the baseline still known.
    driver.shard = ShardId(1);
    let (batches, done, _) = driver.crawl(0);
    assert_eq!((batches, done), (8, vec![Response::ReleaseMemory]));
    let counts = driver.watchdog.counts();
    assert_eq!(
        (counts.crawls, counts.cpu, counts.release_memory),
        (4, 1, 2)
    );
}

/// Memory that is given back does not heal a context that has spilled, and must not hide it.
#[test]
fn after_the_first_rung_memory_need_not_be_full() {
    let mut driver = Driver::new(Knobs::default(), 1);
    driver.crawl(0);
    driver.memory = Some(0.3);
    assert_eq!(driver.crawl(0).1, [Response::Respawn]);
    driver.end(0);
    driver.start(0);
    driver.memory = None;
    assert_eq!(driver.crawl(0).1, [Response::Cpu]);
}

/// Once it has recovered, it must be again.
#[test]
fn after_a_recovery_memory_must_be_full_again() {
    let mut driver = Driver::new(Knobs::default(), 1);
    driver.crawl(0);
    driver.memory = Some(0.3);
    for n in 1..=8 {
        let verdicts = driver.batch(0, GOOD);
        assert_eq!(
            responses(&verdicts),
            vec![Response::None; usize::from(n == 8)]
        );
    }
    assert_eq!(driver.crawl(0), (100, vec![], vec![]));
    driver.memory = Some(0.99);
    let (batches, done, _) = driver.crawl(0);
    assert_eq!(
        (batches, done),
        (8, vec![Response::Respawn]),
        "the ladder goes on"
    );
}

#[test]
fn a_recovery_is_a_whole_window_in_a_row() {
    let mut driver = Driver::new(Knobs::default(), 1);
    driver.crawl(0);
    // Barely healthy ones leave the average low, so that a bad one is slow at once.
    const FAIR: u64 = GOOD / 5 + 10;
    for rate in [BAD, FAIR, FAIR, BAD, FAIR, FAIR, FAIR, FAIR].repeat(5) {
        assert_eq!(driver.batch(0, rate), []);
    }
    // Behind good ones it is not.
    for rate in [BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD].repeat(5) {
        assert_eq!(driver.batch(0, rate), []);
    }
    for _ in 0..3 {
        assert_eq!(driver.batch(0, GOOD), []);
    }
    assert_eq!(responses(&driver.batch(0, GOOD)), [Response::None]);
}

#[test]
fn a_long_health_rearms_the_ladder() {
    for (healthy, next) in [(399, Response::Respawn), (400, Response::ReleaseMemory)] {
        let mut driver = Driver::new(Knobs::default(), 1);
        driver.crawl(0);
        for _ in 0..healthy {
            driver.batch(0, GOOD);
        }
        assert_eq!(driver.crawl(0).1, [next], "{healthy}");
    }
}

#[test]
fn slow_alone_and_full_alone_are_nothing() {
    let mut driver = Driver::new(Knobs::default(), 1);
    for memory in [Some(0.92), None] {
        driver.memory = memory;
        assert_eq!(driver.crawl(0), (100, vec![], vec![]), "{memory:?}");
    }
    driver.memory = Some(1.0);
    // A fifth of the baseline exactly is not below it.
    for _ in 0..100 {
        assert_eq!(driver.batch(0, GOOD / 5), []);
    }
}

#[test]
fn an_unknown_reading_neither_counts_nor_clears_and_a_low_one_clears() {
    for (memory, left) in [(None, 1), (Some(0.5), 8)] {
        let mut driver = Driver::new(Knobs::default(), 1);
        for _ in 1..FIRST_CRAWL {
            assert_eq!(driver.batch(0, BAD), []);
        }
        driver.memory = memory;
        assert_eq!(driver.batch(0, BAD), []);
        driver.memory = Some(0.99);
        assert_eq!(driver.crawl(0).0, left, "{memory:?}");
    }
}

/// A worker that empties its cache after each batch shows low memory whenever it is idle.
#[test]
fn the_fullest_reading_since_the_last_batch_counts() {
    let mut driver = Driver::new(Knobs::default(), 1);
    let mut batches = 0;
    for n in 1..=20 {
        driver.now += SECOND;
        driver.read(Some(0.99));
        driver.read(Some(0.4));
        if !driver.bare_batch(0, BAD).is_empty() {
            batches = n;
            break;
        }
    }
    assert_eq!(batches, FIRST_CRAWL);
}

#[test]
fn an_old_reading_is_none() {
    let mut driver = Driver::new(Knobs::default(), 1);
    driver.batch(0, BAD);
    for _ in 0..100 {
        driver.now += SECOND * 11;
        assert_eq!(driver.bare_batch(0, BAD), []);
    }
}

#[test]
fn a_batch_over_a_pause_is_left_out() {
    let mut driver = Driver::new(Knobs::default(), 1);
    let mut paused_batch = |healthy: bool| {
        let lasted = Duration::from_secs(1000);
        driver.now += SECOND;
        driver.read(Some(0.99));
        driver.feed(Input::Paused { lasted });
        driver.now += SECOND;
        let batch = Batch {
            shard: SHARD,
            encoder: Encoder::Sparse,
            n_tokens: GOOD,
            n_slots: GOOD,
            n_chunks: 1,
            duration: lasted + SECOND,
        };
        let worker = WorkerId(0);
        assert_eq!(driver.feed(Input::BatchDone { worker, batch }), []);
        if healthy {
            assert_eq!(driver.batch(0, GOOD), []);
        }
    };
    for n in 0..50 {
        paused_batch(n % 2 == 0);
    }
    for _ in 0..50 {
        paused_batch(false);
    }
    // What begins after it counts as ever.
    assert_eq!(driver.crawl(0).0, FIRST_CRAWL);
}

#[test]
fn all_workers_of_a_device_are_respawned_one_at_a_time() {
    let mut driver = Driver::new(Knobs::default(), 3);
    let (_, _, verdicts) = driver.crawl(1);
    let released = [0, 1, 2].map(|n| Verdict::ReleaseMemory {
        worker: WorkerId(n),
    });
    assert_eq!(verdicts, released);
    assert_eq!(driver.crawl(1).2, [respawn(1)]);
    // Nobody is judged meanwhile, and nobody else is told to go.
    for _ in 0..20 {
        assert_eq!(driver.batch(0, BAD), []);
    }
    driver.end(1);
    assert_eq!(driver.start(1), [respawn(0)]);
    driver.end(0);
    // It has nothing left to do and is not started again: the last one's turn comes all the same.
    driver.now += Duration::from_secs(180);
    assert_eq!(driver.feed(Input::Tick), []);
    driver.now += SECOND;
    assert_eq!(driver.feed(Input::Tick), [respawn(2)]);
    driver.end(2);
    assert_eq!(driver.start(2), []);
    assert_eq!(driver.crawl(2).0, 8, "judged anew");
}

#[test]
fn a_worker_that_dies_in_a_roll_is_not_respawned_twice() {
    let mut driver = Driver::new(Knobs::default(), 3);
    driver.crawl(0);
    assert_eq!(driver.crawl(0).2, [respawn(0)]);
    driver.end(1);
    driver.start(1);
    let verdicts = driver.feed(Input::DeviceFailed {
        worker: WorkerId(2),
        failure: DeviceFailure::OutOfMemory,
    });
    assert_eq!(
        responses(&verdicts),
        [Response::Respawn],
        "no case for the CPU"
    );
    assert_eq!(orders(verdicts), [respawn(2)]);
    driver.end(0);
    assert_eq!(driver.start(0), []);
}

#[test]
fn a_stall_needs_no_memory_and_spares_who_waits_for_files() {
    let mut driver = Driver::new(Knobs::default(), 1);
    driver.read(None);
    // Between batches there is no deadline.
    driver.now += Duration::from_secs(100_000);
    assert_eq!(driver.feed(Input::Tick), []);
    driver.begin(0);
    driver.now += Duration::from_secs(60);
    assert_eq!(driver.feed(Input::Tick), []);
    driver.now += SECOND;
    let verdicts = driver.feed(Input::Tick);
    let Some(Verdict::Report(event)) = verdicts.first() else {
        panic!("{verdicts:?}");
    };
    assert_eq!((event.noticed, event.memory), (Noticed::Stall, None));
    assert_eq!((event.waited_s, event.deadline_s), (Some(61.0), Some(60.0)));
    assert_eq!(orders(verdicts), [respawn(0)]);
    assert_eq!(driver.feed(Input::Tick), [], "once");
    driver.end(0);
    driver.start(0);
    driver.begin(0);
    driver.now += SECOND * 61;
    let verdicts = driver.feed(Input::Tick);
    let figures = match verdicts.first() {
        Some(Verdict::Report(event)) => event.figures,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        figures.baseline,
        Some(GOOD as f64),
        "what it should reach is told"
    );
    assert_eq!(orders(verdicts), [Verdict::Demote { shard: SHARD }]);
}

#[test]
fn off_tells_once_until_it_is_well_again() {
    let knobs = Knobs {
        action: Action::Off,
        ..Knobs::default()
    };
    let mut driver = Driver::new(knobs, 1);
    assert_eq!(driver.crawl(0), (FIRST_CRAWL, vec![Response::None], vec![]));
    assert_eq!(driver.crawl(0).0, 100);
    driver.batch(0, GOOD);
    assert_eq!(driver.crawl(0).1, [Response::None]);
    for _ in 0..5 {
        let verdicts = driver.feed(Input::DeviceFailed {
            worker: WorkerId(0),
            failure: DeviceFailure::DeviceLost,
        });
        assert_eq!(responses(&verdicts), [Response::None]);
        assert_eq!(orders(verdicts), []);
    }
}

#[test]
fn a_device_given_up_is_not_watched_any_more() {
    let mut driver = Driver::new(Knobs::default(), 1);
    let worker = WorkerId(0);
    let failure = DeviceFailure::DeviceLost;
    let lose = |driver: &mut Driver| driver.feed(Input::DeviceFailed { worker, failure });
    assert_eq!(orders(lose(&mut driver)), [respawn(0)]);
    driver.end(0);
    driver.start(0);
    let given_up = lose(&mut driver);
    assert_eq!(responses(&given_up), [Response::GiveUpDevice]);
    assert_eq!(orders(given_up), [Verdict::GiveUp { device: device() }]);
    assert_eq!(driver.crawl(0).0, 100);
    assert_eq!(lose(&mut driver), []);
    // One that has worked in between is not given up: that shard goes to the CPU, no more.
    let mut driver = Driver::new(Knobs::default(), 1);
    assert_eq!(orders(lose(&mut driver)), [respawn(0)]);
    driver.end(0);
    driver.start(0);
    driver.batch(0, GOOD);
    assert_eq!(
        orders(lose(&mut driver)),
        [Verdict::Demote { shard: SHARD }]
    );
}

/// Rungs are the device's: what was done for one shard was done to the other.
#[test]
fn shards_side_by_side_share_the_rungs_but_the_last() {
    let mut driver = Driver::new(Knobs::default(), 2);
    let crawl_in = |driver: &mut Driver, shard| {
        driver.shard = ShardId(shard);
        driver.crawl(shard).1
    };
    driver.shard = ShardId(1);
    driver.batch(1, GOOD);
    assert_eq!(crawl_in(&mut driver, 0), [Response::ReleaseMemory]);
    assert_eq!(crawl_in(&mut driver, 1), [Response::Respawn]);
    for worker in [1, 0] {
        driver.end(worker);
        driver.start(worker);
    }
    assert_eq!(crawl_in(&mut driver, 0), [Response::Cpu]);
    driver.start(0);
    assert_eq!(crawl_in(&mut driver, 1), [Response::Cpu]);
}

#[test]
fn encoders_and_devices_are_judged_apart() {
    let mut driver = Driver::new(Knobs::default(), 1);
    let elsewhere = DeviceId("cuda:1".to_owned());
    driver.feed(Input::WorkerStarted {
        worker: WorkerId(9),
        device: Some(elsewhere),
    });
    assert_eq!(driver.crawl(9).0, 100, "nothing is known of that device");
    // A quick encoder's healthy batches do not hide a slow one's crawl.
    let dense = |driver: &mut Driver| {
        let batch = Batch {
            shard: SHARD,
            encoder: Encoder::Dense,
            n_tokens: GOOD * 8,
            n_slots: GOOD * 8,
            n_chunks: 1,
            duration: SECOND,
        };
        let worker = WorkerId(0);
        assert_eq!(driver.feed(Input::BatchDone { worker, batch }), []);
    };
    for batches in 1..FIRST_CRAWL {
        dense(&mut driver);
        assert_eq!(driver.batch(0, BAD), [], "{batches}");
    }
    dense(&mut driver);
    assert_eq!(responses(&driver.batch(0, BAD)), [Response::ReleaseMemory]);
}

fn step() -> impl Strategy<Value = Step> {
    let what = (0usize..11, 0.0f64..1.0).prop_map(|(n, x)| match n {
        0 => (What::Hang, 0.0),
        1 => (What::Crash, 0.0),
        2 => (What::OutOfMemory, 0.0),
        3 => (What::DeviceLost, 0.0),
        4 => (What::ProbeSilent, x.round()),
        5 => (What::OthersTake, x * 12.0),
        6 => (What::SlowBy, 1.0 + x * 20.0),
        7 => (What::Disk, x * 100.0),
        8 => (What::LongChunks, 0.1 + x * 8.0),
        9 => (What::Fill, 0.02 + x * 0.98),
        _ => (What::Pause, x * 4000.0),
    });
    (0u64..250, what).prop_map(|(at_batch, (what, value))| Step {
        at_batch,
        what,
        value,
    })
}

fn knobs() -> impl Strategy<Value = Knobs> {
    let action = prop::sample::select(vec![
        Action::Ladder,
        Action::Ladder,
        Action::Cpu,
        Action::Off,
    ]);
    (1.2f64..12.0, 1u32..12, action).prop_map(|(factor, window, action)| Knobs {
        factor,
        window,
        action,
    })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let card = (0.2f64..5.0, 0.0f64..200.0, 0.0f64..9.0, any::<bool>());
    (
        1u32..4,
        prop::collection::vec(1u64..2500, 1..6),
        card,
        0.02f64..6.0,
        prop::collection::vec(step(), 0..10),
        knobs(),
    )
        .prop_map(|(workers, shards, card, crawl, mut script, knobs)| {
            let mut scenario: Scenario = toml::from_str("shards = []").expect("the least there is");
            scenario.workers = workers;
            scenario.shards = shards;
            (
                scenario.card.context_gib,
                scenario.card.growth_mib,
                scenario.card.others_gib,
                scenario.card.release_heals,
            ) = card;
            scenario.encoder.crawl_chunks_per_s = crawl;
            script.sort_by_key(|step| step.at_batch);
            if knobs.action == Action::Off {
                // Nobody helps a batch that takes longer than the supervisor's patience.
                scenario.encoder.crawl_chunks_per_s = crawl.max(0.5);
                script.retain(|step| !matches!(step.what, What::SlowBy | What::LongChunks));
            }
            scenario.script = script;
            scenario.with_knobs(knobs)
        })
}

/// What must hold of the rungs of any course.
fn check_rungs(course: &Course, knobs: &Knobs) -> Result<(), TestCaseError> {
    let rearm = u64::from(ladder::rearm_after(knobs));
    let mut since_respawn = Vec::new();
    let mut has_respawned = false;
    let mut demoted = BTreeSet::new();
    let mut released = BTreeMap::new();
    for (batch, event) in &course.events {
        let is_crawl = event.noticed == Noticed::Crawl;
        prop_assert!(
            event.shard.is_none() || !demoted.contains(&event.shard),
            "{}",
            event
        );
        match event.action {
            Response::None | Response::GiveUpDevice => {}
            Response::ReleaseMemory => {
                prop_assert!(is_crawl && knobs.action == Action::Ladder);
                // Only a long health gives a shard this rung again.
                if let Some(before) = released.insert(event.shard.clone(), *batch) {
                    prop_assert!(
                        batch - before >= rearm,
                        "{} after {}",
                        event,
                        batch - before
                    );
                }
            }
            Response::Respawn => {
                let was_released = since_respawn.contains(&Response::ReleaseMemory);
                prop_assert!(!is_crawl || was_released, "skipped a rung: {}", event);
                since_respawn.clear();
                has_respawned = true;
            }
            Response::Cpu => {
                let is_last = has_respawned || knobs.action == Action::Cpu;
                prop_assert!(is_last, "skipped a rung: {}", event);
                demoted.insert(event.shard.clone());
            }
        }
        since_respawn.push(event.action);
        if knobs.action == Action::Off {
            prop_assert_eq!(event.action, Response::None);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever happens when, the build ends, and the rungs are taken in order and within their budget.
    #[test]
    fn every_build_ends_and_no_rung_is_skipped_or_repeated(scenario in scenario()) {
        let course = Simulator::new(&scenario).run().map_err(TestCaseError::fail)?;
        check_rungs(&course, &scenario.knobs())?;
        let shards = scenario.shards.len();
        prop_assert_eq!(course.places.len(), shards);
        // Each shard ends at three rungs; more need a long health, or a fault of the script.
        let rearm = u64::from(ladder::rearm_after(&scenario.knobs()));
        let counts = course.counts;
        let rungs = counts.release_memory + counts.respawn + counts.cpu;
        let most = 3 * (shards as u64 + course.batches / rearm) + scenario.script.len() as u64;
        prop_assert!(rungs <= most, "{} rungs, {} batches", rungs, course.batches);
        if scenario.knobs().action == Action::Off {
            let on_cpu = course.places.values().flatten().any(|place| *place == Place::Cpu);
            prop_assert!(!on_cpu && course.respawns == 0);
        }
    }

    /// Nothing but full memory, a hang or a failing device makes it act.
    #[test]
    fn what_is_not_its_business_does_not_trip_it(
        scenario in scenario(),
        share in 0.0f64..0.9,
    ) {
        let mut scenario = scenario;
        scenario.card.growth_mib = 0.0;
        scenario.card.others_gib = 12.0 * share;
        scenario.card.context_gib = (12.0 * 0.92 - scenario.card.others_gib) / 4.0;
        scenario.script.retain(|step| !matches!(
            step.what,
            What::Hang | What::OutOfMemory | What::DeviceLost | What::OthersTake
        ));
        // Beyond this a batch is found by its deadline, rightly.
        for step in &mut scenario.script {
            if matches!(step.what, What::SlowBy | What::LongChunks) {
                step.value = step.value.min(2.0);
            }
        }
        let course = Simulator::new(&scenario).run().map_err(TestCaseError::fail)?;
        prop_assert!(course.events.is_empty(), "{}", course.events[0].1);
    }
}
