//! The heart of a build: which worker does what next, and what a death or a silence means.
//!
//! Pure: `step(now, event) -> effects`. It starts no process, sends no byte, reads no clock; `run`
//! does, and feeds back what happened. Everything that decides whether something is lost, repeated
//! or left out is here, and can be tested in microseconds.

mod deaths;
mod hand_out;
mod watch;

pub use watch::Watch;

use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::protocol::{Failure, Fall, FromWorker, Work};
use crate::report::{BuildEvent, Ending, PublishOutcome};
use crate::watchdog::{DeviceId, Input, Memory};
use deaths::Trouble;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How long batches count as progress once a worker shall stop, in [`Limits::pause_patience`]: what a card of 12 GB
/// has collected (1,024 chunks at 15 a second) is done by then.
const PAUSES_OF_BATCHES: u32 = 3;

/// What a supervisor does not change its mind about.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A worker with work and no sign of progress for this long is killed.
    pub stall: Duration,
    /// A worker just started, or told to stop when all is done, gets this long.
    pub patience: Duration,
    /// A worker that shall stop before all is done gets this long without a sign of progress.
    pub pause_patience: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Message {
        worker: WorkerId,
        /// Which process of the slot it came from; older ones are ignored.
        generation: u32,
        message: FromWorker,
    },
    Exited {
        worker: WorkerId,
        generation: u32,
        /// Exit status or signal, for people.
        status: String,
    },
    Publisher(PublishOutcome),
    /// `None`: it could not be read.
    Memory {
        device: DeviceId,
        memory: Option<Memory>,
    },
    /// The clock has left so much time out: nobody ran.
    Paused {
        lasted: Duration,
    },
    Interrupt,
    Tick,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Spawn {
        worker: WorkerId,
        generation: u32,
        place: Place,
    },
    /// Give the worker a segment, behind those it has.
    Assign {
        worker: WorkerId,
        segment: SegmentId,
        handling: Handling,
    },
    /// Ask for an orderly end.
    Stop {
        worker: WorkerId,
    },
    Kill {
        worker: WorkerId,
    },
    /// Ask it to give unused device memory back.
    ReleaseMemory {
        worker: WorkerId,
    },
    /// All files of the segment are in its segment file: it can be loaded.
    Load(SegmentId),
    /// Tell that this file of the segment is left out from now on.
    Quarantine {
        segment: SegmentId,
        file: u32,
        reason: String,
    },
    Emit(BuildEvent),
    Finish(Ending),
}

/// Where a process runs its encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Where the settings say.
    #[default]
    AsAsked,
    Cpu,
}

/// How a segment shall be worked on, after what happened to it before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// One file at a time, each announced.
    pub careful: bool,
    /// Files to leave out, with the reasons.
    pub quarantined: Vec<(u32, String)>,
    /// Raised when a worker that cannot be killed keeps the segment file: the next takes another one.
    pub attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Absent,
    /// Its processes do not start; nothing more is tried.
    GivenUp,
    /// Spawned, not yet `Ready`.
    Starting,
    Ready,
    /// Told to stop, or has said that it ends; waiting for its exit.
    Leaving,
    /// Killed; waiting for its exit.
    Killed,
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    generation: u32,
    place: Place,
    /// Its process is ended for no fault of its input.
    recycled: bool,
    /// Segments given, oldest first; the front one is being worked on.
    assigned: VecDeque<SegmentId>,
    /// When it last showed progress.
    seen: Duration,
    /// In careful mode: the file it announced.
    in_hand: Option<(SegmentId, u32)>,
    /// Said why it would die.
    failure: Option<Failure>,
    /// Said that its input brought it down.
    fall: Option<Fall>,
    /// The process, once it has said so.
    pid: Option<u32>,
    /// The process has been ready for work.
    ready: bool,
    /// Processes in a row that ended before they were ready.
    failed_starts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Working,
    Pausing,
    Failing,
    Over,
}

/// The state of one build.
#[derive(Debug)]
pub struct State {
    limits: Limits,
    slots: BTreeMap<WorkerId, Slot>,
    /// Segments nobody has, in the order in which they should be done.
    queue: VecDeque<SegmentId>,
    trouble: BTreeMap<SegmentId, Trouble>,
    /// Segments not yet done.
    open: BTreeSet<SegmentId>,
    /// Segments that some worker has opened: what it found there counts once.
    seen: BTreeSet<SegmentId>,
    unpublished: BTreeSet<ShardId>,
    mood: Mood,
    /// When everyone was told to stop before all is done.
    stopped_at: Option<Duration>,
    ending: Option<Ending>,
    /// Deaths since anything was committed or learned.
    barren_deaths: u32,
    /// Files left out since one was indexed.
    quarantined_in_a_row: u32,
    /// Some worker has been ready.
    ever_ready: bool,
    /// The device that is watched, if there is one.
    watch: Option<Watch>,
    /// What has been committed of segments that are not done.
    done: BTreeMap<SegmentId, Work>,
}

impl State {
    /// A build of `segments`, in that order, whose shards are `shards`, by `workers` workers.
    pub fn new(
        workers: u32,
        segments: Vec<SegmentId>,
        shards: impl IntoIterator<Item = ShardId>,
        limits: Limits,
    ) -> Self {
        let slots = (0..workers)
            .map(|n| {
                let slot = Slot {
                    phase: Phase::Absent,
                    generation: 0,
                    place: Place::AsAsked,
                    recycled: false,
                    assigned: VecDeque::new(),
                    seen: Duration::ZERO,
                    in_hand: None,
                    failure: None,
                    fall: None,
                    pid: None,
                    ready: false,
                    failed_starts: 0,
                };
                (WorkerId(n), slot)
            })
            .collect();
        Self {
            limits,
            slots,
            open: segments.iter().copied().collect(),
            queue: segments.into(),
            seen: BTreeSet::new(),
            trouble: BTreeMap::new(),
            unpublished: shards.into_iter().collect(),
            mood: Mood::Working,
            stopped_at: None,
            ending: None,
            barren_deaths: 0,
            quarantined_in_a_row: 0,
            ever_ready: false,
            watch: None,
            done: BTreeMap::new(),
        }
    }

    /// Watches a device.
    pub fn with_watch(mut self, watch: Option<Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// Takes one event and says what to do. `now` is the time since the build began.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.mood == Mood::Over {
            return effects;
        }
        match event {
            Event::Message {
                worker,
                generation,
                message,
            } => {
                if self
                    .slots
                    .get(&worker)
                    .is_some_and(|s| s.generation == generation)
                {
                    self.message(now, worker, message, &mut effects);
                }
            }
            Event::Exited {
                worker,
                generation,
                status,
            } => {
                if self
                    .slots
                    .get(&worker)
                    .is_some_and(|s| s.generation == generation)
                {
                    self.tell_watchdog(now, Input::WorkerEnded { worker }, &mut effects);
                    self.exited(worker, status, &mut effects);
                }
            }
            Event::Publisher(outcome) => self.publisher(now, outcome, &mut effects),
            Event::Memory { device, memory } => {
                self.memory_read(now, device, memory, &mut effects);
            }
            Event::Paused { lasted } => {
                self.tell_watchdog(now, Input::Paused { lasted }, &mut effects);
            }
            Event::Interrupt => self.interrupt(now, &mut effects),
            Event::Tick => {
                self.tell_watchdog(now, Input::Tick, &mut effects);
                self.silences(now, &mut effects);
            }
        }
        self.hand_out(now, &mut effects);
        self.finish_if_over(&mut effects);
        effects
    }

    fn message(
        &mut self,
        now: Duration,
        worker: WorkerId,
        message: FromWorker,
        effects: &mut Vec<Effect>,
    ) {
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        // Each batch of a crawl is slow, and they belong to a collection that may have many: a pause does not wait for it.
        let is_batch = matches!(
            message,
            FromWorker::BatchBegun { .. } | FromWorker::BatchDone(_)
        );
        let batches_end = self
            .stopped_at
            .map(|at| at + PAUSES_OF_BATCHES * self.limits.pause_patience);
        if !is_batch || batches_end.is_none_or(|end| now <= end) {
            slot.seen = now;
        }
        match message {
            // Checked by `run`, which knows its own build id.
            FromWorker::Hello { pid, .. } => slot.pid = Some(pid),
            FromWorker::Ready { device } => {
                slot.ready = true;
                slot.failed_starts = 0;
                self.ever_ready = true;
                if slot.phase == Phase::Starting {
                    slot.phase = Phase::Ready;
                }
                effects.push(Effect::Emit(BuildEvent::WorkerReady { worker, device }));
                self.watch_started(now, worker, effects);
            }
            FromWorker::Opened { segment, done } => {
                let first = self.seen.insert(segment);
                if first {
                    self.done.insert(segment, done);
                }
                effects.push(Effect::Emit(BuildEvent::SegmentOpened {
                    worker,
                    segment,
                    already: if first { done } else { Work::default() },
                }));
            }
            FromWorker::InHand { segment, file } => slot.in_hand = Some((segment, file)),
            FromWorker::Encoding => {}
            FromWorker::BatchBegun {
                shard,
                encoder,
                n_slots,
            } => {
                let input = Input::BatchBegun {
                    worker,
                    shard,
                    encoder,
                    n_slots,
                };
                self.tell_watchdog(now, input, effects);
            }
            FromWorker::BatchDone(batch) => {
                self.tell_watchdog(now, Input::BatchDone { worker, batch }, effects);
            }
            FromWorker::Committed {
                segment,
                work,
                file,
            } => {
                self.barren_deaths = 0;
                if work.files > work.skipped {
                    self.quarantined_in_a_row = 0;
                }
                if let Some(trouble) = self.trouble.get_mut(&segment) {
                    trouble.deaths = 0;
                }
                slot.in_hand = None;
                *self.done.entry(segment).or_default() += work;
                effects.push(Effect::Emit(BuildEvent::FilesCommitted {
                    worker,
                    segment,
                    work,
                    file,
                }));
            }
            FromWorker::Done { segment } => {
                slot.assigned.retain(|s| *s != segment);
                slot.in_hand = None;
                self.barren_deaths = 0;
                self.done.remove(&segment);
                if self.open.remove(&segment) {
                    effects.push(Effect::Emit(BuildEvent::SegmentDone { worker, segment }));
                    effects.push(Effect::Load(segment));
                }
            }
            FromWorker::Stopped { .. } => slot.phase = Phase::Leaving,
            FromWorker::Failed(failure) => {
                let kind = failure.kind;
                slot.failure = Some(failure);
                slot.phase = Phase::Leaving;
                self.watch_failure(now, worker, kind, effects);
            }
            FromWorker::Fell(fall) => {
                // Its other threads may be stuck, or taking memory as fast as they can.
                slot.fall = Some(fall);
                slot.phase = Phase::Killed;
                effects.push(Effect::Kill { worker });
            }
        }
    }

    fn publisher(&mut self, now: Duration, outcome: PublishOutcome, effects: &mut Vec<Effect>) {
        match outcome {
            PublishOutcome::Published {
                shard,
                chunks,
                bytes,
            } => {
                self.unpublished.remove(&shard);
                self.tell_watchdog(now, Input::ShardFinished { shard }, effects);
                effects.push(Effect::Emit(BuildEvent::ShardPublished {
                    shard,
                    chunks,
                    bytes,
                }));
            }
            PublishOutcome::Failed { failure, .. } => self.fail(failure, effects),
        }
    }

    fn interrupt(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.mood != Mood::Working {
            return;
        }
        self.mood = Mood::Pausing;
        self.ending = Some(Ending::Paused);
        effects.push(Effect::Emit(BuildEvent::Pausing));
        self.stop_everyone(now, effects);
    }

    fn fail(&mut self, failure: Failure, effects: &mut Vec<Effect>) {
        if matches!(self.mood, Mood::Failing | Mood::Over) {
            return;
        }
        self.mood = Mood::Failing;
        self.ending = Some(Ending::Failed(failure));
        let now = self
            .slots
            .values()
            .map(|s| s.seen)
            .max()
            .unwrap_or_default();
        self.stop_everyone(now, effects);
    }

    fn stop_everyone(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.stopped_at = Some(now);
        for (worker, slot) in &mut self.slots {
            if matches!(slot.phase, Phase::Starting | Phase::Ready) {
                slot.phase = Phase::Leaving;
                slot.seen = now;
                effects.push(Effect::Stop { worker: *worker });
            }
        }
    }

    fn finish_if_over(&mut self, effects: &mut Vec<Effect>) {
        let all_gone = self
            .slots
            .values()
            .all(|s| matches!(s.phase, Phase::Absent | Phase::GivenUp));
        match self.mood {
            Mood::Working if self.open.is_empty() => {
                // Nothing is left to hand out: let the workers go while the last shards are published.
                for (worker, slot) in &mut self.slots {
                    if matches!(slot.phase, Phase::Starting | Phase::Ready) {
                        slot.phase = Phase::Leaving;
                        effects.push(Effect::Stop { worker: *worker });
                    }
                }
                if all_gone && self.unpublished.is_empty() {
                    self.mood = Mood::Over;
                    effects.push(Effect::Finish(Ending::Complete));
                }
            }
            Mood::Pausing | Mood::Failing if all_gone => {
                self.mood = Mood::Over;
                let ending = self.ending.take().unwrap_or(Ending::Paused);
                effects.push(Effect::Finish(ending));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
