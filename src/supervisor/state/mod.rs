//! The heart of a build: which worker does what next, and what a death or a silence means.
//!
//! Pure: `step(now, event) -> effects`. It starts no process, sends no byte, reads no clock; `run`
//! does, and feeds back what happened. Everything that decides whether something is lost, repeated
//! or left out is here, and can be tested in microseconds.

use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::protocol::{Failure, FailureKind, FromWorker, Work};
use crate::report::{BuildEvent, Ending, PublishOutcome};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Deaths of a worker on one segment, with nothing committed in between, before the segment is taken
/// one file at a time. One death may be anybody's `kill`; two on the same spot are a pattern.
const DEATHS_BEFORE_CARE: u32 = 2;

/// Deaths with the same single file in hand before it is left out. Two for the same reason.
const DEATHS_BEFORE_QUARANTINE: u32 = 2;

/// Deaths in a row, per worker, without a single file committed by anyone, before giving up. Must
/// exceed what finding one poisoned file takes (two deaths, then two with the file in hand).
const BARREN_DEATHS_PER_WORKER: u32 = 6;

/// What a supervisor does not change its mind about.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A worker with work and no sign of progress for this long is killed.
    pub stall: Duration,
    /// A worker told to stop, or just started, gets this long.
    pub patience: Duration,
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
    Interrupt,
    Tick,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Spawn {
        worker: WorkerId,
        generation: u32,
    },
    /// Give the worker a segment, behind those it has.
    Assign {
        worker: WorkerId,
        segment: SegmentId,
        careful: bool,
        quarantined: Vec<u32>,
    },
    /// Ask for an orderly end.
    Stop {
        worker: WorkerId,
    },
    Kill {
        worker: WorkerId,
    },
    /// All files of the segment are in its segment file: it can be loaded.
    Load(SegmentId),
    Emit(BuildEvent),
    Finish(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Absent,
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
    /// Segments given, oldest first; the front one is being worked on.
    assigned: VecDeque<SegmentId>,
    /// When it last showed progress.
    seen: Duration,
    /// In careful mode: the file it announced.
    in_hand: Option<(SegmentId, u32)>,
    /// Said why it would die.
    failure: Option<Failure>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// Deaths on this segment since something of it was last committed.
    deaths: u32,
    /// One file at a time from now on.
    careful: bool,
    deaths_in_hand: BTreeMap<u32, u32>,
    quarantined: BTreeSet<u32>,
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
    ending: Option<Ending>,
    /// Deaths since anything was committed.
    barren_deaths: u32,
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
                    assigned: VecDeque::new(),
                    seen: Duration::ZERO,
                    in_hand: None,
                    failure: None,
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
            ending: None,
            barren_deaths: 0,
        }
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
                    self.exited(worker, status, &mut effects);
                }
            }
            Event::Publisher(outcome) => self.publisher(outcome, &mut effects),
            Event::Interrupt => self.interrupt(now, &mut effects),
            Event::Tick => self.silences(now, &mut effects),
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
        slot.seen = now;
        match message {
            // Checked by `run`, which knows its own build id.
            FromWorker::Hello { .. } => {}
            FromWorker::Ready { device } => {
                if slot.phase == Phase::Starting {
                    slot.phase = Phase::Ready;
                }
                effects.push(Effect::Emit(BuildEvent::WorkerReady { worker, device }));
            }
            FromWorker::Opened { segment, done } => {
                let first = self.seen.insert(segment);
                effects.push(Effect::Emit(BuildEvent::SegmentOpened {
                    worker,
                    segment,
                    already: if first { done } else { Work::default() },
                }));
            }
            FromWorker::InHand { segment, file } => slot.in_hand = Some((segment, file)),
            FromWorker::Committed {
                segment,
                work,
                file,
            } => {
                self.barren_deaths = 0;
                if let Some(trouble) = self.trouble.get_mut(&segment) {
                    trouble.deaths = 0;
                }
                slot.in_hand = None;
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
                if self.open.remove(&segment) {
                    effects.push(Effect::Emit(BuildEvent::SegmentDone { worker, segment }));
                    effects.push(Effect::Load(segment));
                }
            }
            FromWorker::Stopped { .. } => slot.phase = Phase::Leaving,
            FromWorker::Failed(failure) => {
                slot.failure = Some(failure);
                slot.phase = Phase::Leaving;
            }
        }
    }

    fn exited(&mut self, worker: WorkerId, status: String, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        let was = std::mem::replace(&mut slot.phase, Phase::Absent);
        let failure = slot.failure.take();
        let in_hand = slot.in_hand.take();
        let assigned = std::mem::take(&mut slot.assigned);
        // Its segments go back to the front, oldest first: a shard should not wait for a straggler.
        let unfinished: Vec<_> = assigned
            .into_iter()
            .filter(|s| self.open.contains(s))
            .collect();
        for segment in unfinished.iter().rev() {
            self.queue.push_front(*segment);
        }
        if self.mood != Mood::Working {
            return;
        }
        let orderly = was == Phase::Leaving && failure.is_none() && unfinished.is_empty();
        if orderly {
            return;
        }
        let reason = match &failure {
            Some(failure) => failure.text.clone(),
            None => status,
        };
        effects.push(Effect::Emit(BuildEvent::WorkerLost {
            worker,
            reason: reason.clone(),
        }));
        if let Some(failure) = failure
            && failure.kind != FailureKind::Internal
        {
            self.fail(failure, effects);
            return;
        }
        self.barren_deaths += 1;
        if self.barren_deaths > BARREN_DEATHS_PER_WORKER * self.slots.len() as u32 {
            let text = format!(
                "workers died {} times without finishing a single file; the last one: {reason}",
                self.barren_deaths
            );
            let kind = FailureKind::Internal;
            self.fail(Failure { kind, text }, effects);
            return;
        }
        if let Some(segment) = unfinished.first() {
            self.blame(*segment, in_hand, effects);
        }
    }

    /// A worker died on `segment`: be more careful with it, or leave out the file that was in hand.
    fn blame(
        &mut self,
        segment: SegmentId,
        in_hand: Option<(SegmentId, u32)>,
        effects: &mut Vec<Effect>,
    ) {
        let trouble = self.trouble.entry(segment).or_default();
        trouble.deaths += 1;
        trouble.careful |= trouble.deaths >= DEATHS_BEFORE_CARE;
        let Some((_, file)) = in_hand.filter(|(s, _)| *s == segment) else {
            return;
        };
        let deaths = trouble.deaths_in_hand.entry(file).or_default();
        *deaths += 1;
        if *deaths >= DEATHS_BEFORE_QUARANTINE && trouble.quarantined.insert(file) {
            // Found: a file was dealt with, which counts as progress.
            self.barren_deaths = 0;
            effects.push(Effect::Emit(BuildEvent::Quarantined { segment, file }));
        }
    }

    fn publisher(&mut self, outcome: PublishOutcome, effects: &mut Vec<Effect>) {
        match outcome {
            PublishOutcome::Published {
                shard,
                chunks,
                bytes,
            } => {
                self.unpublished.remove(&shard);
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
        for (worker, slot) in &mut self.slots {
            if matches!(slot.phase, Phase::Starting | Phase::Ready) {
                slot.phase = Phase::Leaving;
                slot.seen = now;
                effects.push(Effect::Stop { worker: *worker });
            }
        }
    }

    /// Kills workers that have shown nothing for too long, and gives up those that cannot be killed.
    fn silences(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let mut abandoned = Vec::new();
        for (worker, slot) in &mut self.slots {
            let allowed = match slot.phase {
                Phase::Absent => continue,
                Phase::Ready if slot.assigned.is_empty() => continue,
                Phase::Ready => self.limits.stall,
                Phase::Starting | Phase::Leaving | Phase::Killed => self.limits.patience,
            };
            let silence = now.saturating_sub(slot.seen);
            if silence <= allowed {
                continue;
            }
            slot.seen = now;
            if slot.phase == Phase::Killed {
                abandoned.push(*worker);
                continue;
            }
            slot.phase = Phase::Killed;
            let text = format!(
                "worker {worker}: no progress for {} s, killing it",
                silence.as_secs()
            );
            effects.push(Effect::Emit(BuildEvent::Warning { text }));
            effects.push(Effect::Kill { worker: *worker });
        }
        for worker in abandoned {
            self.exited(worker, "cannot be killed; left behind".to_owned(), effects);
        }
    }

    /// Gives work to who has none, and starts who is missing while there is work.
    fn hand_out(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.mood != Mood::Working {
            return;
        }
        let n_workers = self.slots.len();
        let mut waiting = self
            .slots
            .values()
            .filter(|s| match s.phase {
                Phase::Starting => true,
                Phase::Ready => s.assigned.is_empty(),
                Phase::Absent | Phase::Leaving | Phase::Killed => false,
            })
            .count();
        for depth in 0..2 {
            for (worker, slot) in &mut self.slots {
                // The second segment hides the hand-over; near the end it would only be kept from others.
                if self.queue.is_empty() || (depth == 1 && self.queue.len() < n_workers) {
                    break;
                }
                match slot.phase {
                    Phase::Ready if slot.assigned.len() == depth => {
                        let Some(segment) = self.queue.pop_front() else {
                            break;
                        };
                        waiting = waiting.saturating_sub(usize::from(depth == 0));
                        if slot.assigned.is_empty() {
                            slot.seen = now;
                        }
                        slot.assigned.push_back(segment);
                        let trouble = self.trouble.get(&segment);
                        effects.push(Effect::Assign {
                            worker: *worker,
                            segment,
                            careful: trouble.is_some_and(|t| t.careful),
                            quarantined: trouble
                                .map(|t| t.quarantined.iter().copied().collect())
                                .unwrap_or_default(),
                        });
                    }
                    Phase::Absent if depth == 0 && waiting < self.queue.len() => {
                        waiting += 1;
                        slot.phase = Phase::Starting;
                        slot.generation += 1;
                        slot.seen = now;
                        effects.push(Effect::Spawn {
                            worker: *worker,
                            generation: slot.generation,
                        });
                        effects.push(Effect::Emit(BuildEvent::WorkerStarting { worker: *worker }));
                    }
                    _ => {}
                }
            }
        }
    }

    fn finish_if_over(&mut self, effects: &mut Vec<Effect>) {
        let all_gone = self.slots.values().all(|s| s.phase == Phase::Absent);
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
