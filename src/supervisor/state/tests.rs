//! A world of simulated workers: files are numbers, some of them kill whoever touches them, and
//! somebody kills workers at random besides.

use super::deaths::MOST_QUARANTINED_IN_A_ROW;
use super::*;
use crate::protocol::FailureKind;
use proptest::prelude::*;

const STALL: Duration = Duration::from_secs(300);

fn limits() -> Limits {
    Limits {
        stall: STALL,
        patience: Duration::from_secs(60),
        pause_patience: Duration::from_secs(10),
    }
}

fn segment(shard: u32, index: u32) -> SegmentId {
    SegmentId {
        shard: ShardId(shard),
        index,
    }
}

/// What a file does to its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    Good,
    /// Kills the worker.
    Poison,
    /// Makes the worker say that this file brings it down.
    Named,
    /// Never ends.
    Endless,
    /// The device fails on it; the CPU does not.
    LosesDevice,
    NoDeviceMemory,
}

#[derive(Debug, Default)]
struct Process {
    generation: u32,
    place: Place,
    alive: bool,
    ready: bool,
    stopping: bool,
    hung: bool,
    tasks: VecDeque<(SegmentId, Handling)>,
}

struct World {
    state: State,
    now: Duration,
    files: BTreeMap<SegmentId, Vec<File>>,
    committed: BTreeMap<SegmentId, BTreeSet<u32>>,
    /// Where the committed files of each segment were encoded.
    encoded_on: BTreeMap<SegmentId, Place>,
    /// Says that the device takes no worker, from this process on.
    device_shut_from: u32,
    skipped: BTreeSet<(SegmentId, u32)>,
    processes: BTreeMap<WorkerId, Process>,
    loaded: Vec<SegmentId>,
    published: BTreeSet<ShardId>,
    ending: Option<Ending>,
    warnings: Vec<String>,
    /// Why files were left out.
    reasons: Vec<String>,
}

impl World {
    fn new(workers: u32, files: BTreeMap<SegmentId, Vec<File>>) -> Self {
        let segments: Vec<_> = files.keys().copied().collect();
        let shards: BTreeSet<_> = segments.iter().map(|s| s.shard).collect();
        Self {
            state: State::new(workers, segments, shards, limits()),
            now: Duration::ZERO,
            files,
            committed: BTreeMap::new(),
            encoded_on: BTreeMap::new(),
            device_shut_from: u32::MAX,
            skipped: BTreeSet::new(),
            processes: BTreeMap::new(),
            loaded: Vec::new(),
            published: BTreeSet::new(),
            ending: None,
            warnings: Vec::new(),
            reasons: Vec::new(),
        }
    }

    fn feed(&mut self, event: Event) {
        for effect in self.state.step(self.now, event) {
            match effect {
                Effect::Spawn {
                    worker,
                    generation,
                    place,
                } => {
                    let process = Process {
                        generation,
                        place,
                        alive: true,
                        ..Process::default()
                    };
                    let before = self.processes.insert(worker, process);
                    assert!(before.is_none_or(|p| !p.alive), "two processes in one slot");
                }
                Effect::Assign {
                    worker,
                    segment,
                    handling,
                } => self.process(worker).tasks.push_back((segment, handling)),
                Effect::Quarantine { reason, .. } => self.reasons.push(reason),
                Effect::Stop { worker } => self.process(worker).stopping = true,
                Effect::Kill { worker } => self.die(worker),
                Effect::ReleaseMemory { .. } => {}
                Effect::Load(segment) => {
                    assert!(!self.loaded.contains(&segment), "{segment} loaded twice");
                    self.loaded.push(segment);
                }
                Effect::Emit(BuildEvent::Warning { text }) => self.warnings.push(text),
                Effect::Emit(_) => {}
                Effect::Finish(ending) => {
                    assert!(self.ending.is_none(), "finished twice");
                    self.ending = Some(ending);
                }
            }
        }
    }

    fn process(&mut self, worker: WorkerId) -> &mut Process {
        self.processes.entry(worker).or_default()
    }

    fn die(&mut self, worker: WorkerId) {
        let process = self.process(worker);
        if !process.alive {
            return;
        }
        process.alive = false;
        process.tasks.clear();
        let generation = process.generation;
        self.feed(Event::Exited {
            worker,
            generation,
            status: "signal: 9".to_owned(),
        });
    }

    fn say(&mut self, worker: WorkerId, message: FromWorker) {
        let generation = self.process(worker).generation;
        self.feed(Event::Message {
            worker,
            generation,
            message,
        });
    }

    /// A worker says why it ends, and ends.
    fn fail(&mut self, worker: WorkerId, kind: FailureKind) {
        let text = format!("{kind:?}");
        self.say(worker, FromWorker::Failed(Failure { kind, text }));
        self.die(worker);
    }

    /// A run on the device begins, and fails.
    fn fail_run(&mut self, worker: WorkerId, segment: SegmentId, kind: FailureKind) {
        let begun = FromWorker::BatchBegun {
            shard: segment.shard,
            encoder: crate::watchdog::Encoder::Sparse,
            n_slots: 512,
        };
        self.say(worker, begun);
        self.fail(worker, kind);
    }

    /// Lets one worker do one thing.
    fn turn(&mut self, worker: WorkerId) {
        let shut_from = self.device_shut_from;
        let process = self.process(worker);
        if !process.alive || process.hung {
            return;
        }
        if !process.ready {
            if process.place == Place::AsAsked && process.generation >= shut_from {
                self.fail(worker, FailureKind::Unavailable);
                return;
            }
            process.ready = true;
            let device = "cpu".to_owned();
            return self.say(worker, FromWorker::Ready { device });
        }
        if process.stopping {
            process.alive = false;
            process.tasks.clear();
            let generation = process.generation;
            self.say(worker, FromWorker::Stopped { cpu_us: 1 });
            let status = "exit status: 0".to_owned();
            return self.feed(Event::Exited {
                worker,
                generation,
                status,
            });
        }
        let Some((segment, handling)) = process.tasks.front().cloned() else {
            return;
        };
        let place = self.process(worker).place;
        let n_files = self.files[&segment].len();
        let done = self.committed.entry(segment).or_default();
        if self.encoded_on.insert(segment, place) != Some(place) && done.len() < n_files {
            // As the worker does it: none mixes devices.
            done.clear();
        }
        let next = (0..self.files[&segment].len() as u32).find(|n| !done.contains(n));
        let Some(file) = next else {
            self.process(worker).tasks.pop_front();
            return self.say(worker, FromWorker::Done { segment });
        };
        if handling.careful {
            self.say(worker, FromWorker::InHand { segment, file });
        }
        if handling.quarantined.iter().any(|(n, _)| *n == file) {
            self.skipped.insert((segment, file));
        } else {
            match self.files[&segment][file as usize] {
                File::Good => {}
                File::Poison => return self.die(worker),
                File::Named => {
                    let fall = Fall {
                        file: Some((segment, file)),
                        reason: "panicked".to_owned(),
                    };
                    return self.say(worker, FromWorker::Fell(fall));
                }
                File::Endless => {
                    self.process(worker).hung = true;
                    return;
                }
                File::LosesDevice if place == Place::AsAsked => {
                    return self.fail_run(worker, segment, FailureKind::Device);
                }
                File::NoDeviceMemory if place == Place::AsAsked => {
                    return self.fail_run(worker, segment, FailureKind::DeviceMemory);
                }
                File::LosesDevice | File::NoDeviceMemory => {}
            }
        }
        self.committed.entry(segment).or_default().insert(file);
        let work = Work {
            files: 1,
            skipped: u64::from(self.skipped.contains(&(segment, file))),
            ..Work::default()
        };
        let file = file.to_string();
        self.say(
            worker,
            FromWorker::Committed {
                segment,
                work,
                file,
            },
        );
    }

    fn publish(&mut self) {
        let shards: BTreeSet<_> = self.files.keys().map(|s| s.shard).collect();
        for shard in shards {
            let mut all = self.files.keys().filter(|s| s.shard == shard);
            if all.all(|s| self.loaded.contains(s)) && self.published.insert(shard) {
                self.feed(Event::Publisher(PublishOutcome::Published {
                    shard,
                    chunks: 1,
                    bytes: 1,
                }));
            }
        }
    }

    /// Runs to the end, killing a worker wherever `kills` says so (a number per turn).
    fn run(&mut self, kills: &[Option<u32>]) {
        self.feed(Event::Tick);
        let n_workers = self.state.slots.len() as u32;
        for turn in 0..200_000_u32 {
            if self.ending.is_some() {
                return;
            }
            if let Some(Some(victim)) = kills.get(turn as usize) {
                self.die(WorkerId(victim % n_workers));
            }
            self.turn(WorkerId(turn % n_workers));
            self.publish();
            self.now += Duration::from_secs(1);
            self.feed(Event::Tick);
        }
        panic!("no end in sight: {:?}", self.state);
    }
}

fn one_shard(files: Vec<Vec<File>>) -> BTreeMap<SegmentId, Vec<File>> {
    (0..).map(|n| segment(0, n)).zip(files).collect()
}

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
fn a_worker_that_never_starts_is_done_without() {
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

#[test]
fn progress_inside_a_long_file_is_life() {
    let mut world = World::new(1, one_shard(vec![vec![File::Good]]));
    world.feed(Event::Tick);
    world.turn(WorkerId(0));
    for _ in 0..10 {
        world.now += STALL;
        world.say(WorkerId(0), FromWorker::Encoding);
        world.feed(Event::Tick);
    }
    assert!(world.process(WorkerId(0)).alive);
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
fn a_model_that_cannot_be_loaded_stops_the_build_at_once() {
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
fn workers_that_all_die_at_once_are_given_up() {
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
fn what_an_earlier_process_of_a_slot_says_is_ignored() {
    let mut world = World::new(1, one_shard(vec![vec![File::Good; 1]]));
    world.feed(Event::Tick);
    world.die(WorkerId(0));
    let stale = Event::Message {
        worker: WorkerId(0),
        generation: 1,
        message: FromWorker::Done {
            segment: segment(0, 0),
        },
    };
    world.feed(stale);
    assert!(world.loaded.is_empty());
}

#[test]
fn a_worker_that_cannot_be_killed_is_left_behind() {
    let mut state = State::new(1, vec![segment(0, 0)], [ShardId(0)], limits());
    let mut now = Duration::ZERO;
    let mut spawned = 0;
    for _ in 0..200 {
        now += Duration::from_secs(1);
        for effect in state.step(now, Event::Tick) {
            spawned += u32::from(matches!(effect, Effect::Spawn { .. }));
        }
    }
    // It never answers: started, killed after 60 s, left behind after another 60 s, started again.
    assert_eq!(spawned, 2);
}

#[test]
fn what_an_unkillable_worker_holds_is_begun_anew_elsewhere() {
    let message = |message| Event::Message {
        worker: WorkerId(0),
        generation: 1,
        message,
    };
    let build_id = String::new();
    let hello = FromWorker::Hello { build_id, pid: 77 };
    let device = "cpu".to_owned();
    let ready = FromWorker::Ready { device };
    let mut state = State::new(1, vec![segment(0, 0)], [ShardId(0)], limits());
    state.step(Duration::ZERO, Event::Tick);
    state.step(Duration::ZERO, message(hello));
    state.step(Duration::ZERO, message(ready));
    let mut warnings = Vec::new();
    let mut now = Duration::ZERO;
    // Silence, then no death although it was killed.
    while now < STALL + 2 * limits().patience {
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
    let assigned = state.step(now, second(FromWorker::Ready { device }));
    assert!(
        assigned.iter().any(
            |effect| matches!(effect, Effect::Assign { handling, .. } if handling.attempt == 1)
        ),
        "{assigned:?}"
    );
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

mod devices;
