//! The watchdog's target in the state: what it is told, and what its actions do to workers and shards.
//!
//! Pure, like the state whose part it is. What is slow and what follows is `watchdog`'s; here a action
//! becomes effects. Without a device to watch nothing of it is there.

use super::{Effect, EncoderTarget, Mood, Phase, State};
use crate::device::{DeviceFailure, DeviceId, DeviceMemory};
use crate::engine::watchdog::{Action, EncoderDevices, Input, Watchdog};
use crate::failure::FailureKind;
use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::report::BuildEvent;
use std::collections::BTreeSet;
use std::time::Duration;

/// Devices that are watched, and what has become of them.
#[derive(Debug)]
pub struct Watch {
    watchdog: Watchdog,
    devices: EncoderDevices,
    /// Shards whose rest is done on the CPU.
    demoted: BTreeSet<ShardId>,
    /// Nothing more runs on the devices.
    given_up: bool,
}

impl Watch {
    /// `devices`: where the encoders of workers run that are started as asked.
    pub fn new(watchdog: Watchdog, devices: EncoderDevices) -> Self {
        Self {
            watchdog,
            devices,
            demoted: BTreeSet::new(),
            given_up: false,
        }
    }
}

impl State {
    /// Where a segment is to be encoded.
    pub(super) fn place_of(&self, segment: SegmentId) -> EncoderTarget {
        let on_cpu = |watch: &Watch| watch.given_up || watch.demoted.contains(&segment.shard);
        match self.watch.as_ref().is_some_and(on_cpu) {
            true => EncoderTarget::Cpu,
            false => EncoderTarget::Configured,
        }
    }

    /// A worker is ready.
    pub(super) fn watch_started(
        &mut self,
        now: Duration,
        worker: WorkerId,
        effects: &mut Vec<Effect>,
    ) {
        let target = self.slots.get(&worker).map(|slot| slot.target);
        if let Some(watch) = &self.watch {
            let devices = match target {
                Some(EncoderTarget::Configured) => watch.devices.clone(),
                _ => EncoderDevices::default(),
            };
            self.tell_watchdog(now, Input::WorkerStarted { worker, devices }, effects);
        }
    }

    /// A worker has said why it ends.
    pub(super) fn watch_failure(
        &mut self,
        now: Duration,
        worker: WorkerId,
        kind: FailureKind,
        effects: &mut Vec<Effect>,
    ) {
        if let FailureKind::Device(failure) = kind {
            self.tell_watchdog(now, Input::DeviceFailed { worker, failure }, effects);
        }
    }

    /// A worker's process has ended. Whether it was the device, as far as can be told: it was at work, and the
    /// batch is all that can have been it (`in_hand_silently`: the worker had one announced file in hand, of which
    /// nothing else is done meanwhile, and said nothing).
    pub(super) fn watch_exit(
        &mut self,
        now: Duration,
        worker: WorkerId,
        in_hand_silently: bool,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_in_batch = |watch: &Watch| watch.watchdog.is_in_batch(worker);
        let crashed = in_hand_silently
            && self.mood == Mood::Working
            && self.watch.as_ref().is_some_and(is_in_batch);
        if crashed {
            let failure = DeviceFailure::Crash;
            self.tell_watchdog(now, Input::DeviceFailed { worker, failure }, effects);
        }
        self.tell_watchdog(now, Input::WorkerEnded { worker }, effects);
        crashed
    }

    /// A reading of the device's memory, or that there is none.
    pub(super) fn memory_read(
        &mut self,
        now: Duration,
        device: DeviceId,
        answer: Result<DeviceMemory, String>,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Emit(BuildEvent::DeviceMemory {
            device: device.to_string(),
            memory: answer.as_ref().ok().copied(),
        }));
        self.tell_watchdog(now, Input::MemoryRead { device, answer }, effects);
    }

    pub(super) fn tell_watchdog(&mut self, now: Duration, input: Input, effects: &mut Vec<Effect>) {
        let actions = match &mut self.watch {
            Some(watch) => watch.watchdog.step(now, input),
            None => return,
        };
        for action in actions {
            self.obey(action, effects);
        }
    }

    fn obey(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::ReleaseMemory { worker } => effects.push(Effect::ReleaseMemory { worker }),
            Action::Respawn { worker } => self.recycle(worker, effects),
            Action::Demote { shard } => {
                if let Some(watch) = &mut self.watch {
                    watch.demoted.insert(shard);
                }
                self.leave_device(|segment| segment.shard == shard, effects);
            }
            Action::GiveUp { .. } => self.give_up_device(effects),
            Action::Report(event) => effects.push(Effect::Emit(BuildEvent::Watchdog(event))),
        }
    }

    /// Everything that is left is done on the CPU.
    fn give_up_device(&mut self, effects: &mut Vec<Effect>) {
        if let Some(watch) = &mut self.watch {
            watch.given_up = true;
        }
        self.leave_device(|_| true, effects);
    }

    /// Whether workers cannot be started on the device any more, though they could be before: then it is the
    /// device, and the CPU does the rest.
    pub(super) fn device_does_not_start(
        &mut self,
        worker: WorkerId,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let on_device =
            self.slots.get(&worker).map(|slot| slot.target) == Some(EncoderTarget::Configured);
        let Some(watch) = self
            .watch
            .as_ref()
            .filter(|watch| on_device && !watch.given_up)
        else {
            return false;
        };
        if !self.ever_ready {
            return false;
        }
        let devices: Vec<_> = watch
            .devices
            .distinct()
            .iter()
            .map(|id| id.0.as_str())
            .collect();
        let text = format!(
            "{} can no longer start workers ({reason}); what is left is encoded on the CPU",
            devices.join(" and ")
        );
        effects.push(Effect::Emit(BuildEvent::Warning { text }));
        self.give_up_device(effects);
        true
    }

    /// Workers that have a segment which is not the device's any more leave it. What is committed of such a segment
    /// was encoded there, so it is done again.
    fn leave_device(&mut self, is_moved: impl Fn(&SegmentId) -> bool, effects: &mut Vec<Effect>) {
        let leaving: Vec<WorkerId> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.target == EncoderTarget::Configured)
            .filter(|(_, slot)| slot.assigned.iter().any(&is_moved))
            .map(|(worker, _)| *worker)
            .collect();
        for worker in leaving {
            self.recycle(worker, effects);
        }
        let on_cpu = self
            .slots
            .values()
            .filter(|slot| slot.target == EncoderTarget::Cpu);
        let kept: BTreeSet<SegmentId> = on_cpu.flat_map(|slot| slot.assigned.clone()).collect();
        let is_undone = |segment: &SegmentId| is_moved(segment) && !kept.contains(segment);
        let undone: Vec<SegmentId> = self.done.keys().copied().filter(is_undone).collect();
        for segment in undone {
            if let Some(work) = self.done.remove(&segment) {
                effects.push(Effect::Emit(BuildEvent::SegmentUndone { segment, work }));
            }
        }
    }

    /// Ends a worker's process for no fault of its input; its work goes back to the queue.
    fn recycle(&mut self, worker: WorkerId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        match slot.phase {
            Phase::Starting | Phase::Ready => {
                slot.phase = Phase::Killed;
                effects.push(Effect::Kill { worker });
            }
            // It says itself that it ends, or has been told to.
            Phase::Leaving | Phase::Killed => {}
            Phase::Absent | Phase::GivenUp => return,
        }
        slot.recycled = true;
    }
}
