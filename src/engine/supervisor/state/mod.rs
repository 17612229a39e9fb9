//! The heart of a build: which worker does what next, and what a death or a silence means.
//!
//! Pure: `step(now, event) -> effects`. It starts no process, sends no byte and reads no clock; `run` does, and feeds
//! back what happened. Everything that decides whether something is lost, repeated or skipped is here, and is tested in
//! microseconds.
//!
//! [`State`] composes four parts, each of which answers one question:
//!
//! | part | question |
//! |---|---|
//! | `workers` | which process runs where, and is it on its way out? |
//! | `schedule` | which segments are left, and who may take one? |
//! | `blame` | which file killed the worker, and when is it enough? |
//! | `devices` | which segments still run on the watched devices? |

mod effect;
mod event;

mod blame;
mod devices;
mod schedule;
mod slot;
mod workers;

mod assignment;
mod demotion;
mod ending;
mod exits;
mod messages;

pub(crate) use devices::Watch;
pub(crate) use effect::{Effect, EncoderTarget, Handling};
pub(crate) use event::Event;

use crate::engine::watchdog::Input;
use crate::ids::{SegmentId, ShardId};
use crate::protocol::Work;
use crate::report::{BuildEvent, Ending, PublishOutcome};
use blame::Blame;
use devices::Devices;
use effect::Step;
use schedule::Schedule;
use std::collections::BTreeSet;
use std::time::Duration;
use workers::Workers;

/// What does not change during a build.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Kill a worker that has work and shows no progress for this long.
    pub stall_timeout: Duration,
    /// Kill a worker that takes longer than this to start, or to stop once everything is done.
    pub start_stop_timeout: Duration,
    /// Kill a worker that shows no progress for this long after the build was asked to stop.
    pub pause_timeout: Duration,
    /// Most segments of one worker, the one in work included.
    pub segments_per_worker: usize,
}

/// Whether a build goes on.
#[derive(Debug)]
enum BuildPhase {
    Working,
    /// All workers were asked to stop before everything was done.
    Stopping {
        since: Duration,
        ending: Ending,
    },
    Over,
}

/// The state of one build.
#[derive(Debug)]
pub(crate) struct State {
    limits: Limits,
    phase: BuildPhase,
    workers: Workers,
    schedule: Schedule,
    blame: Blame,
    devices: Devices,
    unpublished: BTreeSet<ShardId>,
    /// Whether any worker has been ready.
    ever_ready: bool,
}

impl State {
    /// A build of `segments`, in that order, whose shards are `shards`, by `workers` workers.
    pub fn new(
        workers: u32,
        segments: Vec<SegmentId>,
        shards: impl IntoIterator<Item = ShardId>,
        limits: Limits,
    ) -> Self {
        Self {
            limits,
            phase: BuildPhase::Working,
            workers: Workers::new(workers),
            schedule: Schedule::new(segments),
            blame: Blame::default(),
            devices: Devices::default(),
            unpublished: shards.into_iter().collect(),
            ever_ready: false,
        }
    }

    /// Watch devices.
    #[must_use]
    pub fn with_watch(mut self, watch: Option<Watch>) -> Self {
        self.devices = Devices::new(watch);
        self
    }

    /// Keep these segments from workers until an [`Event::Checked`] says whether an earlier run completed them.
    #[must_use]
    pub fn with_unchecked(mut self, unchecked: BTreeSet<SegmentId>) -> Self {
        self.schedule.hold_back(unchecked);
        self
    }

    /// Take one event and return what to do, in order. `now`: time since the build began.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Effect> {
        let mut step = Step::new(now);
        if matches!(self.phase, BuildPhase::Over) {
            return step.effects;
        }
        self.handle(&mut step, event);
        self.assign_segments(&mut step);
        self.finish_if_over(&mut step);
        step.effects
    }

    fn handle(&mut self, step: &mut Step, event: Event) {
        match event {
            Event::Message {
                worker,
                generation,
                message,
            } => {
                if self.workers.is_current(worker, generation) {
                    self.message(step, worker, message);
                }
            }
            Event::Exited {
                worker,
                generation,
                status,
            } => {
                if self.workers.is_current(worker, generation) {
                    self.exited(step, worker, status);
                }
            }
            Event::Checked { segment, complete } => self.checked(step, segment, complete),
            Event::ChecksEnded => self.schedule.end_checks(),
            Event::Publisher(outcome) => self.publisher(step, outcome),
            Event::Memory { device, answer } => {
                step.emit(BuildEvent::DeviceMemory {
                    device: device.to_string(),
                    memory: answer.as_ref().ok().copied(),
                });
                self.feed_watchdog(step, Input::MemoryRead { device, answer });
            }
            Event::Paused { lasted } => self.feed_watchdog(step, Input::Paused { lasted }),
            Event::Interrupt => self.interrupt(step),
            Event::Tick => {
                self.feed_watchdog(step, Input::Tick);
                self.end_unresponsive(step);
            }
        }
    }

    fn checked(&mut self, step: &mut Step, segment: SegmentId, complete: Option<Work>) {
        let is_done = self.schedule.checked(segment, complete.is_some());
        if let Some(work) = complete.filter(|_| is_done) {
            step.emit(BuildEvent::SegmentResumed { segment, work });
            step.push(Effect::Load(segment));
        }
    }

    fn publisher(&mut self, step: &mut Step, outcome: PublishOutcome) {
        match outcome {
            PublishOutcome::Published {
                shard,
                chunks,
                bytes,
            } => {
                self.unpublished.remove(&shard);
                self.feed_watchdog(step, Input::ShardFinished { shard });
                step.emit(BuildEvent::ShardPublished {
                    shard,
                    chunks,
                    bytes,
                });
            }
            PublishOutcome::Failed { failure, .. } => self.fail(step, failure),
        }
    }

    fn is_working(&self) -> bool {
        matches!(self.phase, BuildPhase::Working)
    }
}

#[cfg(test)]
mod tests;
