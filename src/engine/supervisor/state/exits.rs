//! Processes that end or show no progress: what is retried, who is to blame, and when the build fails.
//!
//! What a worker leaves unfinished returns to the front of the queue.

use super::blame::{Consequence, Death, MOST_QUARANTINED_IN_A_ROW};
use super::effect::Step;
use super::slot::{Exit, KillReason, LeaveReason, Load, Occupant, Process, Stage, no_progress};
use super::{Effect, EncoderTarget, State};
use crate::device::DeviceFailure;
use crate::engine::watchdog::Input;
use crate::failure::{Failure, FailureKind};
use crate::ids::{SegmentId, WorkerId};
use crate::protocol::InputCrash;
use crate::report::BuildEvent;
use std::time::Duration;

/// Processes in a row that end before they are ready, before the worker is given up. One failed start may be an
/// accident; a third would meet the same machine.
const MOST_FAILED_STARTS: u32 = 2;

/// A process that ended too early.
struct Loss {
    worker: WorkerId,
    target: EncoderTarget,
    was_ready: bool,
    /// The segment that it worked on.
    segment: Option<SegmentId>,
    /// The file that it announced in careful mode.
    current_file: Option<(SegmentId, u32)>,
    /// For people.
    reason: String,
    crash: Option<InputCrash>,
    /// A device failed it.
    is_of_device: bool,
}

impl Loss {
    /// The death to blame on the input; `None` if there was none in work, or if a device is to blame.
    fn death(self) -> Option<Death> {
        let segment = self.segment.filter(|_| !self.is_of_device)?;
        let is_input_crash = self.crash.is_some();
        let reported = self.crash.and_then(|crash| crash.file);
        let file = reported.or(self.current_file);
        Some(Death {
            segment,
            file: file.filter(|(of, _)| *of == segment).map(|(_, file)| file),
            is_input_crash,
            reason: self.reason,
        })
    }
}

impl State {
    /// A process has ended, in order or not.
    pub(super) fn exited(&mut self, step: &mut Step, worker: WorkerId, status: String) {
        let slot = self.workers.slot_mut(worker);
        let Some(process) = slot.and_then(|slot| slot.vacate()) else {
            return;
        };
        let is_device_crash = self.is_device_crash(worker, &process);
        if is_device_crash {
            let failure = DeviceFailure::Crash;
            self.feed_watchdog(step, Input::DeviceFailed { worker, failure });
        }
        self.feed_watchdog(step, Input::WorkerEnded { worker });

        let Process {
            target,
            stage,
            exit,
            ..
        } = process;
        let (was_ready, load) = match stage {
            Stage::Starting => (false, Load::default()),
            Stage::Ready(load) => (true, load),
        };
        let unfinished = self.schedule.give_back(load.assigned);
        if !self.is_working() {
            return;
        }
        let (reason, crash, is_of_device) = match exit {
            Exit::Leaving(LeaveReason::Replaced) | Exit::Killed(KillReason::Replaced) => return,
            Exit::Leaving(LeaveReason::Stop) if unfinished.is_empty() => return,
            Exit::Leaving(LeaveReason::Failed(failure))
            | Exit::Killed(KillReason::Failed(failure)) => {
                if !self.is_worth_a_retry(failure.kind, was_ready) {
                    // The build ends with these words.
                    return self.fail(step, failure);
                }
                let is_of_device = matches!(failure.kind, FailureKind::Device(_));
                (failure.text, None, is_of_device)
            }
            Exit::Killed(KillReason::Crashed(crash)) => {
                (crash.reason.clone(), Some(crash), is_device_crash)
            }
            Exit::No
            | Exit::Leaving(LeaveReason::Stop)
            | Exit::Killed(KillReason::Unresponsive) => (status, None, is_device_crash),
        };
        let loss = Loss {
            worker,
            target,
            was_ready,
            segment: unfinished.first().copied(),
            current_file: load.current_file,
            reason,
            crash,
            is_of_device,
        };
        self.lost(step, loss);
    }

    /// A process ended too early: try again, blame a file, or give up.
    fn lost(&mut self, step: &mut Step, loss: Loss) {
        let worker = loss.worker;
        let reason = loss.reason.clone();
        step.emit(BuildEvent::WorkerLost { worker, reason });
        if !loss.was_ready {
            return self.failed_start(step, worker, loss.target, loss.reason);
        }
        if let Some(deaths) = self.blame.count_death(self.workers.count() as u32) {
            let text = format!(
                "workers died {deaths} times without finishing a single file; the last one: {}",
                loss.reason
            );
            let kind = FailureKind::Deaths;
            return self.fail(step, Failure { kind, text });
        }
        if let Some(death) = loss.death() {
            self.blame(step, death);
        }
    }

    /// Whether the device probably crashed the process: the process sent no reason, it worked on a single announced file,
    /// and the batch of that file was on the device.
    fn is_device_crash(&self, worker: WorkerId, process: &Process) -> bool {
        let is_silent = match &process.exit {
            Exit::No
            | Exit::Leaving(LeaveReason::Stop)
            | Exit::Killed(KillReason::Unresponsive) => true,
            Exit::Killed(KillReason::Crashed(crash)) => crash.file.is_none(),
            Exit::Leaving(LeaveReason::Failed(_) | LeaveReason::Replaced)
            | Exit::Killed(KillReason::Failed(_) | KillReason::Replaced) => false,
        };
        let has_file = process
            .load()
            .is_some_and(|load| load.current_file.is_some());
        is_silent && has_file && self.is_working() && self.devices.is_in_batch(worker)
    }

    /// Whether another process may succeed where one failed.
    fn is_worth_a_retry(&self, kind: FailureKind, was_ready: bool) -> bool {
        match kind {
            FailureKind::Internal | FailureKind::Deaths | FailureKind::Device(_) => true,
            // A device that started workers before may be full or gone; the models are not to blame.
            FailureKind::Unavailable => self.ever_ready && self.devices.are_watched() && !was_ready,
            FailureKind::FingerprintMismatch | FailureKind::Output | FailureKind::DiskFull => false,
        }
    }

    /// A process ended before it was ready. Another may succeed, but not often.
    fn failed_start(
        &mut self,
        step: &mut Step,
        worker: WorkerId,
        target: EncoderTarget,
        reason: String,
    ) {
        let is_last = self.workers.is_last(worker);
        let others_may_start = self.ever_ready || self.workers.others_are_at_first_start(worker);
        let Some(slot) = self.workers.slot_mut(worker) else {
            return;
        };
        slot.failed_starts += 1;
        if slot.failed_starts < MOST_FAILED_STARTS {
            return;
        }
        slot.failed_starts = 0;
        if self.give_up_devices_that_do_not_start(step, target, &reason) {
            return;
        }
        if let Some(slot) = self.workers.slot_mut(worker) {
            slot.occupant = Occupant::GivenUp;
        }
        if others_may_start && !is_last {
            return step.warn(format!(
                "worker {worker} does not start ({reason}); going on with the others, or choose fewer with --shard-workers"
            ));
        }
        let text = format!("no worker starts: {reason}; `helix-build doctor` looks for the cause");
        let kind = FailureKind::Unavailable;
        self.fail(step, Failure { kind, text });
    }

    fn blame(&mut self, step: &mut Step, death: Death) {
        let Consequence::Quarantine { file } = self.blame.assign(&death) else {
            return;
        };
        let Death {
            segment, reason, ..
        } = death;
        let text = format!(
            "{MOST_QUARANTINED_IN_A_ROW} files in a row brought down their workers; the last one: {reason}"
        );
        step.push(Effect::Quarantine {
            segment,
            file,
            reason,
        });
        if self.blame.has_too_many_quarantined() {
            let kind = FailureKind::Internal;
            self.fail(step, Failure { kind, text });
        }
    }

    /// Kill workers that showed no progress for too long, and abandon those that cannot be killed.
    pub(super) fn end_unresponsive(&mut self, step: &mut Step) {
        let now = step.now;
        let is_stopping = !self.is_working();
        let limits = &self.limits;
        let is_late = |process: &Process| {
            let timeout = process.timeout(limits, is_stopping)?;
            (now.saturating_sub(process.active_at) > timeout).then_some(timeout)
        };
        let late: Vec<(WorkerId, Duration)> = self
            .workers
            .processes()
            .filter_map(|(worker, process)| Some((worker, is_late(process)?)))
            .collect();
        for (worker, timeout) in late {
            let Some(process) = self.workers.process_mut(worker) else {
                continue;
            };
            if matches!(process.exit, Exit::Killed(_)) {
                self.abandon(step, worker);
                continue;
            }
            process.time_out(now, timeout);
            let reason = no_progress(timeout);
            step.warn(format!("worker {worker}: {reason}, killing it"));
            step.push(Effect::Kill { worker });
        }
    }

    /// Go on without waiting for a process that was killed and does not exit: it is stuck in a driver or a file
    /// system. It may still hold its segment files, so the next worker writes others.
    fn abandon(&mut self, step: &mut Step, worker: WorkerId) {
        let Some(process) = self.workers.process(worker) else {
            return;
        };
        for segment in process.assigned() {
            self.blame.abandon_file_of(segment);
        }
        let status = match process.pid {
            Some(pid) => format!("process {pid} cannot be killed; it is left behind"),
            None => "its process cannot be killed; it is left behind".to_owned(),
        };
        step.warn(format!("worker {worker}: {status}"));
        self.exited(step, worker, status);
    }
}
