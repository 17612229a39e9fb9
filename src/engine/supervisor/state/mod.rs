//! The heart of a build: which worker does what next, and what a death or a silence means.
//!
//! Pure: `step(now, event) -> effects`. It starts no process, sends no byte, reads no clock; `run`
//! does, and feeds back what happened. Everything that decides whether something is lost, repeated
//! or left out is here, and can be tested in microseconds.

mod effect;
mod event;

mod deaths;
mod ending;
mod hand_out;
mod messages;
mod watch;

pub use effect::{Effect, EncoderTarget, Handling};
pub use event::Event;
pub use watch::Watch;

use crate::engine::watchdog::Input;
use crate::failure::Failure;
use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::protocol::{InputCrash, Work};
use crate::report::{BuildEvent, Ending, PublishOutcome};
use deaths::Trouble;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What a supervisor does not change its mind about.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A worker with work and no sign of progress for this long is killed.
    pub stall: Duration,
    /// A worker just started, or told to stop when all is done, gets this long.
    pub patience: Duration,
    /// A worker that shall stop before all is done gets this long without a sign of progress.
    pub pause_patience: Duration,
    /// Segments that a worker has at most, the one in work included.
    pub segments_ahead: usize,
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
    target: EncoderTarget,
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
    fall: Option<InputCrash>,
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
    /// The devices that are watched, if there are any.
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
                    target: EncoderTarget::Configured,
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

    /// Watches devices.
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
                    self.exited(now, worker, status, &mut effects);
                }
            }
            Event::Publisher(outcome) => self.publisher(now, outcome, &mut effects),
            Event::Memory { device, answer } => {
                self.memory_read(now, device, answer, &mut effects);
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
        self.finish_if_over(now, &mut effects);
        effects
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
}

#[cfg(test)]
mod tests;
