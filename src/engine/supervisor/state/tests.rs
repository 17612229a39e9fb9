//! A world of simulated workers: files are numbers, some of them kill whoever touches them, and
//! somebody kills workers at random besides.

use super::*;
use crate::device::DeviceFailure;
use crate::failure::{Failure, FailureKind};
use crate::protocol::FromWorker;

mod builds;
mod devices;
mod files;
mod workers;

const STALL: Duration = Duration::from_secs(300);

fn limits() -> Limits {
    Limits {
        stall: STALL,
        patience: Duration::from_secs(60),
        pause_patience: Duration::from_secs(10),
        segments_ahead: 2,
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
    /// The device's driver ends the process without a word.
    Crashes,
    /// Its text ends the process in the middle of its batch, wherever that is.
    CrashesEncoder,
}

#[derive(Debug, Default)]
struct Process {
    generation: u32,
    target: EncoderTarget,
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
    encoded_on: BTreeMap<SegmentId, EncoderTarget>,
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
                    target,
                } => {
                    let process = Process {
                        generation,
                        target,
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
        self.begin_run(worker, segment);
        self.fail(worker, kind);
    }

    fn begin_run(&mut self, worker: WorkerId, segment: SegmentId) {
        let begun = FromWorker::BatchStarted {
            shard: segment.shard,
            encoder: crate::batch::EncoderKind::Sparse,
            n_slots: 512,
        };
        self.say(worker, begun);
    }

    /// Lets one worker do one thing.
    fn turn(&mut self, worker: WorkerId) {
        let shut_from = self.device_shut_from;
        let process = self.process(worker);
        if !process.alive || process.hung {
            return;
        }
        if !process.ready {
            if process.target == EncoderTarget::Configured && process.generation >= shut_from {
                self.fail(worker, FailureKind::Unavailable);
                return;
            }
            process.ready = true;
            let device = "cpu".to_owned();
            return self.say(
                worker,
                FromWorker::Ready {
                    device,
                    warnings: Vec::new(),
                },
            );
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
        let target = self.process(worker).target;
        let n_files = self.files[&segment].len();
        let done = self.committed.entry(segment).or_default();
        if self.encoded_on.insert(segment, target) != Some(target) && done.len() < n_files {
            // As the worker does it: none mixes devices.
            done.clear();
        }
        let next = (0..self.files[&segment].len() as u32).find(|n| !done.contains(n));
        let Some(file) = next else {
            self.process(worker).tasks.pop_front();
            return self.say(worker, FromWorker::SegmentDone { segment });
        };
        if handling.careful {
            self.say(worker, FromWorker::FileStarted { segment, file });
        }
        if handling.quarantined.iter().any(|(n, _)| *n == file) {
            self.skipped.insert((segment, file));
        } else {
            match self.files[&segment][file as usize] {
                File::Good => {}
                File::Poison => return self.die(worker),
                File::Named => {
                    let fall = InputCrash {
                        file: Some((segment, file)),
                        reason: "panicked".to_owned(),
                    };
                    return self.say(worker, FromWorker::InputCrashed(fall));
                }
                File::Endless => {
                    self.process(worker).hung = true;
                    return;
                }
                File::LosesDevice if target == EncoderTarget::Configured => {
                    return self.fail_run(
                        worker,
                        segment,
                        FailureKind::Device(DeviceFailure::Lost),
                    );
                }
                File::NoDeviceMemory if target == EncoderTarget::Configured => {
                    return self.fail_run(
                        worker,
                        segment,
                        FailureKind::Device(DeviceFailure::OutOfMemory),
                    );
                }
                File::CrashesEncoder if target == EncoderTarget::Cpu => return self.die(worker),
                File::Crashes | File::CrashesEncoder if target == EncoderTarget::Configured => {
                    self.begin_run(worker, segment);
                    return self.die(worker);
                }
                File::LosesDevice | File::NoDeviceMemory | File::Crashes | File::CrashesEncoder => {
                }
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
            FromWorker::FilesCommitted {
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
