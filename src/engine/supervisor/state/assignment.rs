//! Which worker gets which segment, and where a process is missing.
//!
//! Segments are assigned in the order of the queue, each to a process whose target is the segment's.

use super::effect::Step;
use super::{Effect, EncoderTarget, State};
use crate::ids::WorkerId;
use crate::report::BuildEvent;

impl State {
    /// Assign segments to workers that have none, and start missing workers while there is work.
    pub(super) fn assign_segments(&mut self, step: &mut Step) {
        if !self.is_working() {
            return;
        }
        let workers = self.workers.ids();
        for depth in 0..self.limits.segments_per_worker {
            for worker in &workers {
                let queued = self.schedule.queue().len();
                // A second segment hides the time between two. Near the end another worker could do it sooner.
                if queued == 0 || (depth > 0 && queued < workers.len()) {
                    return;
                }
                let Some(slot) = self.workers.slot(*worker) else {
                    continue;
                };
                if depth == 0 && slot.is_vacant() {
                    self.start(step, *worker);
                } else if slot.process().and_then(|p| p.accepts_behind()) == Some(depth) {
                    self.assign(step, *worker);
                }
            }
        }
    }

    /// Assign the next segment of the worker's target. Stop a worker that has nothing left to do there, so that
    /// another can be started for the other target.
    fn assign(&mut self, step: &mut Step, worker: WorkerId) {
        let Some(process) = self.workers.process_mut(worker) else {
            return;
        };
        let target = process.target;
        let devices = &self.devices;
        let segment = self
            .schedule
            .take(|segment| devices.target_of(segment) == target);
        let Some(load) = process.load_mut() else {
            return;
        };
        let was_idle = load.assigned.is_empty();
        load.assigned.extend(segment);
        if was_idle {
            process.active_at = step.now;
        }
        match segment {
            Some(segment) => step.push(Effect::Assign {
                worker,
                segment,
                handling: self.blame.handling(segment),
            }),
            None if was_idle && process.stop() => step.push(Effect::Stop { worker }),
            None => {}
        }
    }

    /// Start a process if there is more work than there are workers waiting for it.
    fn start(&mut self, step: &mut Step, worker: WorkerId) {
        let Some(target) = self.unserved_target() else {
            return;
        };
        let Some(slot) = self.workers.slot_mut(worker) else {
            return;
        };
        let generation = slot.start(step.now, target);
        step.push(Effect::Spawn {
            worker,
            generation,
            target,
        });
        step.emit(BuildEvent::WorkerStarting { worker });
    }

    /// The target of the first queued segment that no worker is waiting for.
    fn unserved_target(&self) -> Option<EncoderTarget> {
        let mut waiting = [EncoderTarget::Configured, EncoderTarget::Cpu]
            .map(|target| (target, self.workers.waiting(target)));
        for segment in self.schedule.queue() {
            let target = self.devices.target_of(*segment);
            for (_, count) in waiting.iter_mut().filter(|(known, _)| *known == target) {
                match count.checked_sub(1) {
                    Some(fewer) => *count = fewer,
                    None => return Some(target),
                }
            }
        }
        None
    }
}
