//! One worker of a build: a slot that is filled by one process after another.
//!
//! A process has two properties that change on their own: whether it is ready for work, and whether it is on its way
//! out. Each is an enum that carries its data. Pure: it decides nothing about segments and emits nothing.

use super::{EncoderTarget, Limits};
use crate::failure::Failure;
use crate::ids::SegmentId;
use crate::protocol::InputCrash;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a build that is stopping waits for a worker that is not ready yet: a library or a driver hangs. Together
/// with everything else that has to end, a stop takes less than ten seconds.
const START_PAUSE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Number of the last process that was started here, from 1.
    pub generation: u32,
    /// Processes in a row that ended before they were ready.
    pub failed_starts: u32,
    pub occupant: Occupant,
}

#[derive(Debug, Default)]
pub(super) enum Occupant {
    #[default]
    Vacant,
    /// Its processes do not start, so no more are tried.
    GivenUp,
    Process(Process),
}

/// A process from its start until it is reaped.
#[derive(Debug)]
pub(super) struct Process {
    pub target: EncoderTarget,
    /// Its process id; `None` before its first message.
    pub pid: Option<u32>,
    /// When it last showed progress, or was last started, stopped or killed.
    pub active_at: Duration,
    pub stage: Stage,
    pub exit: Exit,
}

#[derive(Debug, PartialEq)]
pub(super) enum Stage {
    /// Spawned; its encoders are not open yet.
    Starting,
    Ready(Load),
}

/// What a process that is ready has to do.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Load {
    /// Segments, oldest first; it works on the front one.
    pub assigned: VecDeque<SegmentId>,
    /// In careful mode: the file that it announced.
    pub current_file: Option<(SegmentId, u32)>,
}

/// Whether a process is about to exit, and why.
#[derive(Debug, PartialEq)]
pub(super) enum Exit {
    /// It is not about to exit.
    No,
    /// It ends on its own.
    Leaving(LeaveReason),
    Killed(KillReason),
}

/// Why a process ends on its own.
#[derive(Debug, PartialEq)]
pub(super) enum LeaveReason {
    /// It was asked to stop, or its input ended.
    Stop,
    /// Its last message was an error.
    Failed(Failure),
    /// The watchdog replaces it. Nothing else is to blame.
    Replaced,
}

/// Why a process was killed.
#[derive(Debug, PartialEq)]
pub(super) enum KillReason {
    /// It showed no progress while it started or stopped.
    Unresponsive,
    /// Its last message was an error, and it did not exit.
    Failed(Failure),
    /// Its input crashed or hung it.
    Crashed(InputCrash),
    /// The watchdog replaces it. Nothing else is to blame.
    Replaced,
}

impl Slot {
    /// Start a process, and return its generation.
    pub fn start(&mut self, now: Duration, target: EncoderTarget) -> u32 {
        self.generation += 1;
        self.occupant = Occupant::Process(Process {
            target,
            pid: None,
            active_at: now,
            stage: Stage::Starting,
            exit: Exit::No,
        });
        self.generation
    }

    /// Remove the process, if there is one.
    pub fn vacate(&mut self) -> Option<Process> {
        match std::mem::take(&mut self.occupant) {
            Occupant::Process(process) => Some(process),
            other => {
                self.occupant = other;
                None
            }
        }
    }

    pub fn is_vacant(&self) -> bool {
        matches!(self.occupant, Occupant::Vacant)
    }

    pub fn is_given_up(&self) -> bool {
        matches!(self.occupant, Occupant::GivenUp)
    }

    pub fn process(&self) -> Option<&Process> {
        match &self.occupant {
            Occupant::Process(process) => Some(process),
            Occupant::Vacant | Occupant::GivenUp => None,
        }
    }

    pub fn process_mut(&mut self) -> Option<&mut Process> {
        match &mut self.occupant {
            Occupant::Process(process) => Some(process),
            Occupant::Vacant | Occupant::GivenUp => None,
        }
    }
}

impl Process {
    /// It has opened its encoders.
    pub fn set_ready(&mut self) {
        if self.stage == Stage::Starting {
            self.stage = Stage::Ready(Load::default());
        }
    }

    pub fn load(&self) -> Option<&Load> {
        match &self.stage {
            Stage::Ready(load) => Some(load),
            Stage::Starting => None,
        }
    }

    pub fn load_mut(&mut self) -> Option<&mut Load> {
        match &mut self.stage {
            Stage::Ready(load) => Some(load),
            Stage::Starting => None,
        }
    }

    /// Segments that it has; none before it is ready.
    pub fn assigned(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.load()
            .into_iter()
            .flat_map(|load| load.assigned.iter().copied())
    }

    /// How many segments it has, if it takes more.
    pub fn accepts_behind(&self) -> Option<usize> {
        let load = self.load().filter(|_| self.exit == Exit::No);
        load.map(|load| load.assigned.len())
    }

    /// Whether it takes a segment, now or once it is ready.
    pub fn is_waiting(&self) -> bool {
        self.exit == Exit::No && self.load().is_none_or(|load| load.assigned.is_empty())
    }

    pub fn is_replaced(&self) -> bool {
        matches!(
            self.exit,
            Exit::Leaving(LeaveReason::Replaced) | Exit::Killed(KillReason::Replaced)
        )
    }

    /// Let it stop. Returns whether to send it a request, which is so for the first call only.
    pub fn stop(&mut self) -> bool {
        let is_first = self.exit == Exit::No;
        if is_first {
            self.exit = Exit::Leaving(LeaveReason::Stop);
        }
        is_first
    }

    /// It reported that it ends on its own.
    pub fn leave(&mut self, reason: LeaveReason) {
        if !self.is_replaced() {
            self.exit = Exit::Leaving(reason);
        }
    }

    /// It reported that its input crashed it. Its other threads may hang or still take memory, so it must be killed.
    pub fn crash(&mut self, crash: InputCrash) {
        let reason = match self.is_replaced() {
            true => KillReason::Replaced,
            false => KillReason::Crashed(crash),
        };
        self.exit = Exit::Killed(reason);
    }

    /// The watchdog replaces it. Returns whether it has to be killed for that.
    pub fn replace(&mut self, now: Duration) -> bool {
        let (exit, must_kill) = match self.exit {
            Exit::No => (Exit::Killed(KillReason::Replaced), true),
            Exit::Leaving(_) => (Exit::Leaving(LeaveReason::Replaced), false),
            Exit::Killed(_) => (Exit::Killed(KillReason::Replaced), false),
        };
        self.exit = exit;
        if must_kill {
            // It may have hung for long; it gets its time to exit from now on.
            self.active_at = now;
        }
        must_kill
    }

    /// How long it may show no progress before the supervisor intervenes; `None` if there is no limit.
    pub fn timeout(&self, limits: &Limits, is_stopping: bool) -> Option<Duration> {
        let start_stop = limits.start_stop_timeout;
        match (&self.exit, &self.stage) {
            (Exit::No, Stage::Starting) => Some(start_stop),
            (Exit::No, Stage::Ready(load)) => {
                (!load.assigned.is_empty()).then_some(limits.stall_timeout)
            }
            (Exit::Leaving(_), Stage::Starting) if is_stopping => {
                Some(limits.pause_timeout.min(START_PAUSE_TIMEOUT))
            }
            (Exit::Leaving(_), Stage::Ready(_)) if is_stopping => Some(limits.pause_timeout),
            (Exit::Leaving(_), _) => Some(start_stop),
            // The operating system ends it, in milliseconds.
            (Exit::Killed(_), _) => Some(start_stop.min(limits.stall_timeout)),
        }
    }

    /// It showed no progress for `timeout` and is killed.
    pub fn time_out(&mut self, now: Duration, timeout: Duration) {
        self.active_at = now;
        let exit = std::mem::replace(&mut self.exit, Exit::No);
        let reason = match (exit, &self.stage) {
            (Exit::No, Stage::Ready(_)) => KillReason::Crashed(InputCrash {
                file: None,
                reason: no_progress(timeout),
            }),
            (Exit::No, Stage::Starting) => KillReason::Unresponsive,
            (Exit::Leaving(LeaveReason::Stop), _) => KillReason::Unresponsive,
            (Exit::Leaving(LeaveReason::Failed(failure)), _) => KillReason::Failed(failure),
            (Exit::Leaving(LeaveReason::Replaced), _) => KillReason::Replaced,
            (Exit::Killed(reason), _) => reason,
        };
        self.exit = Exit::Killed(reason);
    }
}

pub(super) fn no_progress(timeout: Duration) -> String {
    format!("no progress for {} s", timeout.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureKind;
    use crate::ids::ShardId;

    const TIMEOUT: Duration = Duration::from_secs(60);
    const NOW: Duration = Duration::from_secs(1000);

    fn process(stage: Stage) -> Process {
        let mut slot = Slot::default();
        assert_eq!(slot.start(Duration::ZERO, EncoderTarget::Configured), 1);
        let process = slot.vacate().expect("just started");
        assert!(slot.is_vacant());
        Process { stage, ..process }
    }

    fn busy() -> Stage {
        let segment = SegmentId {
            shard: ShardId(0),
            index: 0,
        };
        Stage::Ready(Load {
            assigned: [segment].into(),
            current_file: None,
        })
    }

    fn failure() -> Failure {
        Failure {
            kind: FailureKind::Internal,
            text: "broken pipe".to_owned(),
        }
    }

    fn crash() -> InputCrash {
        InputCrash {
            file: None,
            reason: "too much memory".to_owned(),
        }
    }

    #[test]
    fn a_given_up_slot_stays_given_up() {
        let mut slot = Slot {
            occupant: Occupant::GivenUp,
            ..Slot::default()
        };
        assert!(slot.vacate().is_none());
        assert!(slot.is_given_up());
    }

    #[test]
    fn a_process_is_asked_to_stop_once() {
        let mut process = process(busy());
        assert!(process.stop());
        assert!(!process.stop());
        assert_eq!(process.exit, Exit::Leaving(LeaveReason::Stop));
    }

    /// Its input is not to blame for what a process reports after the watchdog has replaced it.
    #[test]
    fn nothing_overrides_a_replacement() {
        let mut process = process(busy());
        assert!(process.replace(NOW), "it runs, so it must be killed");
        process.leave(LeaveReason::Failed(failure()));
        process.crash(crash());
        process.time_out(NOW, TIMEOUT);
        assert_eq!(process.exit, Exit::Killed(KillReason::Replaced));
        assert_eq!(
            process.active_at, NOW,
            "its time to exit starts with the kill"
        );
        assert!(!process.replace(NOW), "it was killed before");
    }

    #[test]
    fn a_process_that_leaves_is_replaced_without_a_kill() {
        let mut process = process(busy());
        process.leave(LeaveReason::Failed(failure()));
        assert!(!process.replace(NOW));
        assert_eq!(process.exit, Exit::Leaving(LeaveReason::Replaced));
    }

    #[test]
    fn a_timeout_blames_the_input_of_a_process_at_work_only() {
        for (stage, is_stopped, expected) in [
            (Stage::Starting, false, KillReason::Unresponsive),
            (Stage::Starting, true, KillReason::Unresponsive),
            (busy(), true, KillReason::Unresponsive),
            (
                busy(),
                false,
                KillReason::Crashed(InputCrash {
                    file: None,
                    reason: "no progress for 60 s".to_owned(),
                }),
            ),
        ] {
            let mut process = process(stage);
            if is_stopped {
                process.stop();
            }
            process.time_out(NOW, TIMEOUT);
            assert_eq!(process.exit, Exit::Killed(expected));
        }
        let mut failed = process(busy());
        failed.leave(LeaveReason::Failed(failure()));
        failed.time_out(NOW, TIMEOUT);
        assert_eq!(failed.exit, Exit::Killed(KillReason::Failed(failure())));
    }

    #[test]
    fn each_stage_has_its_timeout() {
        let seconds = Duration::from_secs;
        let limits = Limits {
            stall_timeout: seconds(300),
            start_stop_timeout: seconds(60),
            pause_timeout: seconds(10),
            segments_per_worker: 2,
        };
        let timeout = |process: &Process, is_stopping| process.timeout(&limits, is_stopping);
        let idle = process(Stage::Ready(Load::default()));
        assert_eq!(timeout(&idle, false), None);
        let mut starting = process(Stage::Starting);
        let mut busy = process(busy());
        assert_eq!(timeout(&starting, false), Some(seconds(60)));
        assert_eq!(timeout(&busy, false), Some(seconds(300)));
        starting.stop();
        busy.stop();
        assert_eq!(timeout(&starting, true), Some(seconds(5)));
        assert_eq!(timeout(&busy, true), Some(seconds(10)));
        assert_eq!(timeout(&busy, false), Some(seconds(60)));
        busy.crash(crash());
        assert_eq!(timeout(&busy, true), Some(seconds(60)));
    }
}
