//! What the watchdog's actions do to workers and segments.

use super::effect::Step;
use super::{Effect, EncoderTarget, State};
use crate::engine::watchdog::{Action, Input};
use crate::ids::{SegmentId, WorkerId};
use crate::report::BuildEvent;
use std::collections::BTreeSet;

impl State {
    /// Feed the watchdog and apply what it asks for.
    pub(super) fn feed_watchdog(&mut self, step: &mut Step, input: Input) {
        for action in self.devices.step(step.now, input) {
            self.apply(step, action);
        }
    }

    fn apply(&mut self, step: &mut Step, action: Action) {
        match action {
            Action::ReleaseMemory { worker } => step.push(Effect::ReleaseMemory { worker }),
            Action::Respawn { worker } => self.replace(step, worker),
            Action::Demote { shard } => {
                self.devices.demote(shard);
                self.leave_devices(step, |segment| segment.shard == shard);
            }
            Action::GiveUp { .. } => self.give_up_devices(step),
            Action::Report(event) => step.emit(BuildEvent::Watchdog(event)),
        }
    }

    fn give_up_devices(&mut self, step: &mut Step) {
        self.devices.give_up();
        self.leave_devices(step, |_| true);
    }

    /// Give the devices up if workers can no longer start on them, though they could before. Returns whether that is so.
    pub(super) fn give_up_devices_that_do_not_start(
        &mut self,
        step: &mut Step,
        target: EncoderTarget,
        reason: &str,
    ) -> bool {
        let is_on_device = target == EncoderTarget::Configured && self.devices.are_in_use();
        if !is_on_device || !self.ever_ready {
            return false;
        }
        step.warn(format!(
            "{} can no longer start workers ({reason}); the rest is encoded on the CPU",
            self.devices.names()
        ));
        self.give_up_devices(step);
        true
    }

    /// Replace the workers on a device that have a segment which has moved to the CPU, and undo the committed work of such
    /// segments.
    fn leave_devices(&mut self, step: &mut Step, has_moved: impl Fn(SegmentId) -> bool) {
        let mut leaving = Vec::new();
        let mut on_cpu = BTreeSet::new();
        for (worker, process) in self.workers.processes() {
            match process.target {
                EncoderTarget::Configured if process.assigned().any(&has_moved) => {
                    leaving.push(worker);
                }
                EncoderTarget::Configured => {}
                EncoderTarget::Cpu => on_cpu.extend(process.assigned()),
            }
        }
        for worker in leaving {
            self.replace(step, worker);
        }
        let undone = self
            .schedule
            .undo(|segment| has_moved(segment) && !on_cpu.contains(&segment));
        for segment in undone {
            step.push(Effect::Undo(segment));
        }
    }

    /// Replace a worker's process, through no fault of its input. Its segments return to the queue when it has ended.
    fn replace(&mut self, step: &mut Step, worker: WorkerId) {
        if let Some(process) = self.workers.process_mut(worker)
            && process.replace(step.now)
        {
            step.push(Effect::Kill { worker });
        }
    }
}
