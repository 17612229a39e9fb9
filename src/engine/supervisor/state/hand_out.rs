//! Who gets which segment, and where a process is missing.
//!
//! Pure, like the state whose part it is. Segments are handed out in the order of the queue, but each to a
//! process that runs where the segment belongs.

use super::deaths::Trouble;
use super::{Effect, EncoderTarget, Mood, Phase, Slot, State};
use crate::ids::WorkerId;
use crate::report::BuildEvent;
use std::time::Duration;

impl State {
    /// Gives work to who has none, and starts who is missing while there is work.
    pub(super) fn hand_out(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.mood != Mood::Working {
            return;
        }
        let workers: Vec<WorkerId> = self.slots.keys().copied().collect();
        for depth in 0..self.limits.segments_ahead {
            for worker in &workers {
                // The second segment hides the hand-over; near the end it would only be kept from others.
                if self.queue.is_empty() || (depth > 0 && self.queue.len() < workers.len()) {
                    break;
                }
                let Some(slot) = self.slots.get(worker) else {
                    continue;
                };
                match slot.phase {
                    Phase::Ready if slot.assigned.len() == depth => {
                        self.assign(now, *worker, effects);
                    }
                    Phase::Absent if depth == 0 => self.start(now, *worker, effects),
                    _ => {}
                }
            }
        }
    }

    /// Gives the worker the next segment for where it runs. One that has nothing left to do there ends, so that
    /// another can be started where there is.
    fn assign(&mut self, now: Duration, worker: WorkerId, effects: &mut Vec<Effect>) {
        let Some(target) = self.slots.get(&worker).map(|slot| slot.target) else {
            return;
        };
        let fitting = self
            .queue
            .iter()
            .position(|segment| self.place_of(*segment) == target);
        let segment = fitting.and_then(|at| self.queue.remove(at));
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        if slot.assigned.is_empty() {
            slot.seen = now;
        }
        match segment {
            Some(segment) => {
                slot.assigned.push_back(segment);
                let trouble = self.trouble.get(&segment);
                effects.push(Effect::Assign {
                    worker,
                    segment,
                    handling: trouble.map(Trouble::handling).unwrap_or_default(),
                });
            }
            None if slot.assigned.is_empty() => {
                slot.phase = Phase::Leaving;
                effects.push(Effect::Stop { worker });
            }
            None => {}
        }
    }

    /// Starts a process where there is more work than there are workers waiting for it.
    fn start(&mut self, now: Duration, worker: WorkerId, effects: &mut Vec<Effect>) {
        let Some(target) = self.wanted_place() else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        slot.phase = Phase::Starting;
        slot.target = target;
        slot.generation += 1;
        slot.seen = now;
        effects.push(Effect::Spawn {
            worker,
            generation: slot.generation,
            target,
        });
        effects.push(Effect::Emit(BuildEvent::WorkerStarting { worker }));
    }

    /// The target of the first segment for which nobody is there.
    fn wanted_place(&self) -> Option<EncoderTarget> {
        let is_waiting = |slot: &&Slot| match slot.phase {
            Phase::Starting => true,
            Phase::Ready => slot.assigned.is_empty(),
            Phase::Absent | Phase::GivenUp | Phase::Leaving | Phase::Killed => false,
        };
        let waiting = |target| {
            let waiting = self.slots.values().filter(is_waiting);
            waiting.filter(|slot| slot.target == target).count()
        };
        let mut served = [
            (
                EncoderTarget::Configured,
                waiting(EncoderTarget::Configured),
            ),
            (EncoderTarget::Cpu, waiting(EncoderTarget::Cpu)),
        ];
        for segment in &self.queue {
            let target = self.place_of(*segment);
            for (_, waiting) in served.iter_mut().filter(|(served, _)| *served == target) {
                match waiting.checked_sub(1) {
                    Some(fewer) => *waiting = fewer,
                    None => return Some(target),
                }
            }
        }
        None
    }
}
