//! What workers say, and what it changes.
//!
//! Pure, like the state whose part it is. What a death means is in `deaths`; what a batch means, `watchdog` says.

use super::{Effect, Phase, State};
use crate::engine::watchdog::Input;
use crate::ids::WorkerId;
use crate::protocol::{FromWorker, Work};
use crate::report::BuildEvent;
use std::time::Duration;

/// How long batches count as progress once a worker shall stop, in [`super::Limits::pause_patience`]: what a
/// card of 12 GB has collected (1,024 chunks at 15 a second) is done by then.
const PAUSES_OF_BATCHES: u32 = 3;

impl State {
    /// Takes what the process that a slot has now says.
    pub(super) fn message(
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
            FromWorker::BatchStarted { .. } | FromWorker::BatchFinished { .. }
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
            FromWorker::Ready { device, warnings } => {
                slot.ready = true;
                slot.failed_starts = 0;
                // All workers have the same models: one word is enough.
                if !self.ever_ready {
                    let said = warnings
                        .into_iter()
                        .map(|text| BuildEvent::Warning { text });
                    effects.extend(said.map(Effect::Emit));
                }
                self.ever_ready = true;
                if slot.phase == Phase::Starting {
                    slot.phase = Phase::Ready;
                }
                effects.push(Effect::Emit(BuildEvent::WorkerReady { worker, device }));
                self.watch_started(now, worker, effects);
            }
            FromWorker::SegmentOpened { segment, done } => {
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
            FromWorker::FileStarted { segment, file } => slot.in_hand = Some((segment, file)),
            FromWorker::Progress => {}
            FromWorker::BatchStarted {
                shard,
                encoder,
                n_slots,
            } => {
                let input = Input::BatchStarted {
                    worker,
                    shard,
                    encoder,
                    n_slots,
                };
                self.tell_watchdog(now, input, effects);
            }
            FromWorker::BatchFinished { shard, batch } => {
                self.tell_watchdog(
                    now,
                    Input::BatchFinished {
                        worker,
                        shard,
                        batch,
                    },
                    effects,
                );
            }
            FromWorker::FilesCommitted {
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
            FromWorker::SegmentDone { segment } => {
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
            FromWorker::InputCrashed(fall) => {
                // Its other threads may be stuck, or taking memory as fast as they can.
                slot.fall = Some(fall);
                slot.phase = Phase::Killed;
                effects.push(Effect::Kill { worker });
            }
        }
    }
}
