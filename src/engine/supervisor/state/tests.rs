//! A world of simulated workers. Files are numbers, some files kill the worker that touches them, and workers are killed
//! at random as well.

use super::*;
use crate::device::DeviceFailure;
use crate::failure::{Failure, FailureKind};
use crate::ids::WorkerId;
use crate::protocol::FromWorker;
use crate::protocol::{InputCrash, Work};
use crate::report::Totals;
use std::collections::{BTreeMap, VecDeque};

mod builds;
mod devices;
mod files;
mod workers;

const STALL: Duration = Duration::from_secs(300);

fn limits() -> Limits {
    Limits {
        stall_timeout: STALL,
        start_stop_timeout: Duration::from_secs(60),
        pause_timeout: Duration::from_secs(10),
        segments_per_worker: 2,
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
    /// Crashes the worker, which reports the file.
    Named,
    /// Never ends.
    Endless,
    /// The device fails on it; the CPU does not.
    LosesDevice,
    NoDeviceMemory,
    /// The device's driver kills the process without a message.
    Crashes,
    /// Its text kills the process in the middle of its batch, on every target.
    CrashesEncoder,
    /// Its batch never ends on the device, but does on the CPU.
    HangsDevice,
}

impl File {
    /// Every kind except `Good`.
    const BAD: [Self; 8] = [
        Self::Poison,
        Self::Named,
        Self::Endless,
        Self::LosesDevice,
        Self::NoDeviceMemory,
        Self::Crashes,
        Self::CrashesEncoder,
        Self::HangsDevice,
    ];

    /// Whether the file brings down its worker on any target, so that it must be skipped.
    fn is_fatal(self) -> bool {
        match self {
            Self::Poison | Self::Named | Self::Endless | Self::CrashesEncoder => true,
            Self::Good
            | Self::LosesDevice
            | Self::NoDeviceMemory
            | Self::Crashes
            | Self::HangsDevice => false,
        }
    }
}

#[derive(Debug, Default)]
struct Process {
    generation: u32,
    target: EncoderTarget,
    alive: bool,
    ready: bool,
    stopping: bool,
    hung: bool,
    killed: bool,
    /// The segment that it has opened.
    opened: Option<SegmentId>,
    tasks: VecDeque<(SegmentId, Handling)>,
}

struct World {
    state: State,
    now: Duration,
    files: BTreeMap<SegmentId, Vec<File>>,
    committed: BTreeMap<SegmentId, BTreeSet<u32>>,
    /// Where the committed files of each segment were encoded.
    encoded_on: BTreeMap<SegmentId, EncoderTarget>,
    /// The device refuses workers from this generation on.
    device_shut_from: u32,
    skipped: BTreeSet<(SegmentId, u32)>,
    processes: BTreeMap<WorkerId, Process>,
    loaded: Vec<SegmentId>,
    published: BTreeSet<ShardId>,
    ending: Option<Ending>,
    totals: Totals,
    /// A killed worker takes one more turn, and its message arrives.
    speaks_when_killed: bool,
    /// The turn before which the build is asked to stop, and when that was.
    interrupt_at: Option<u32>,
    interrupted: Option<Duration>,
    warnings: Vec<String>,
    /// Why files were quarantined.
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
            totals: Totals::default(),
            speaks_when_killed: false,
            interrupt_at: None,
            interrupted: None,
            warnings: Vec::new(),
            reasons: Vec::new(),
        }
    }

    fn feed(&mut self, event: Event) {
        let mut killed = Vec::new();
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
                Effect::Kill { worker } => killed.push(worker),
                Effect::ReleaseMemory { .. } => {}
                Effect::Load(segment) => {
                    assert!(!self.loaded.contains(&segment), "{segment} loaded twice");
                    self.loaded.push(segment);
                }
                Effect::Undo(segment) => {
                    let work = self.totals.open_segment(segment);
                    self.totals
                        .add(&BuildEvent::SegmentUndone { segment, work });
                }
                Effect::Emit(BuildEvent::Warning { text }) => self.warnings.push(text),
                Effect::Emit(event) => self.totals.add(&event),
                Effect::Finish(ending) => {
                    assert!(self.ending.is_none(), "finished twice");
                    self.ending = Some(ending);
                }
            }
        }
        // Whatever a killed worker still says comes after all other effects.
        killed.into_iter().for_each(|worker| self.kill(worker));
    }

    fn kill(&mut self, worker: WorkerId) {
        let generation = self.process(worker).generation;
        let was_killed = std::mem::replace(&mut self.process(worker).killed, true);
        if self.speaks_when_killed && !was_killed {
            self.turn(worker);
        }
        // The turn may have killed it, and its successor lives on.
        if self.process(worker).generation == generation {
            self.die(worker);
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

    /// A worker reports a failure and exits.
    fn fail(&mut self, worker: WorkerId, kind: FailureKind) {
        let text = format!("{kind:?}");
        self.say(worker, FromWorker::Failed(Failure { kind, text }));
        self.die(worker);
    }

    /// A batch on the device starts, and fails.
    fn fail_batch(&mut self, worker: WorkerId, segment: SegmentId, kind: FailureKind) {
        self.start_batch(worker, segment);
        self.fail(worker, kind);
    }

    fn start_batch(&mut self, worker: WorkerId, segment: SegmentId) {
        let begun = FromWorker::BatchStarted {
            shard: segment.shard,
            encoder: crate::batch::EncoderKind::Sparse,
            n_slots: 512,
        };
        self.say(worker, begun);
    }

    /// Let one worker take one turn.
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
            // As real workers do: no segment mixes devices.
            done.clear();
        }
        let files = done.len() as u64;
        if self.process(worker).opened != Some(segment) {
            self.process(worker).opened = Some(segment);
            let done = Work {
                files,
                ..Work::default()
            };
            self.say(worker, FromWorker::SegmentOpened { segment, done });
        }
        let done = &self.committed[&segment];
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
                    return self.fail_batch(
                        worker,
                        segment,
                        FailureKind::Device(DeviceFailure::Lost),
                    );
                }
                File::NoDeviceMemory if target == EncoderTarget::Configured => {
                    return self.fail_batch(
                        worker,
                        segment,
                        FailureKind::Device(DeviceFailure::OutOfMemory),
                    );
                }
                File::CrashesEncoder if target == EncoderTarget::Cpu => return self.die(worker),
                File::Crashes | File::CrashesEncoder if target == EncoderTarget::Configured => {
                    self.start_batch(worker, segment);
                    return self.die(worker);
                }
                File::HangsDevice if target == EncoderTarget::Configured => {
                    self.process(worker).hung = true;
                    return self.start_batch(worker, segment);
                }
                File::LosesDevice
                | File::NoDeviceMemory
                | File::Crashes
                | File::CrashesEncoder
                | File::HangsDevice => {}
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

    /// Run to the end, and kill a worker wherever `kills` says so (a number per turn).
    fn run(&mut self, kills: &[Option<u32>]) {
        self.feed(Event::Tick);
        let n_workers = self.state.workers.count() as u32;
        for turn in 0..200_000_u32 {
            if self.ending.is_some() {
                return;
            }
            if self.interrupt_at == Some(turn) {
                self.interrupted = Some(self.now);
                self.feed(Event::Interrupt);
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

    /// The build is complete, and each file is committed and counted once.
    fn assert_all_done(&self) {
        assert_eq!(self.ending, Some(Ending::Complete), "{:?}", self.warnings);
        assert_eq!(self.loaded.len(), self.files.len());
        let mut n_files = 0;
        for (segment, files) in &self.files {
            assert_eq!(self.committed[segment].len(), files.len(), "{segment}");
            n_files += files.len() as u64;
        }
        assert_eq!(self.totals.done.files, n_files, "counted");
    }
}

fn one_shard(files: Vec<Vec<File>>) -> BTreeMap<SegmentId, Vec<File>> {
    (0..).map(|n| segment(0, n)).zip(files).collect()
}
