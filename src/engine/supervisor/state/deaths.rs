//! Deaths, falls and silences of workers: who is blamed, what is tried again, when it is given up.
//!
//! Pure, like the state whose part it is. It never hands out work; what a worker leaves unfinished goes
//! back to the front of the queue.

use super::{Effect, Handling, Mood, Phase, State};
use crate::device::DeviceFailure;
use crate::failure::{Failure, FailureKind};
use crate::ids::{SegmentId, WorkerId};
use crate::protocol::InputCrash;
use crate::report::BuildEvent;
use std::collections::BTreeMap;
use std::time::Duration;

/// Deaths of a worker on one segment, with nothing committed in between, before the segment is taken
/// one file at a time. One death may be anybody's `kill`; two on the same spot are a pattern.
const DEATHS_BEFORE_CARE: u32 = 2;

/// Deaths with the same single file in hand before it is left out. Two for the same reason.
const DEATHS_BEFORE_QUARANTINE: u32 = 2;

/// Processes of one worker that end before they are ready, in a row, before the worker is given up.
/// Two, so that a single mishap costs nothing; a third would meet the same machine.
const FAILED_STARTS: u32 = 2;

/// Deaths in a row, per worker, before giving up: with no file committed by anyone and nothing learned
/// about which file it is. Finding a poisoned file has at most one such death.
const BARREN_DEATHS_PER_WORKER: u32 = 6;

/// Files left out in a row, with none indexed in between, before giving up: then it is not the files.
pub(super) const MOST_QUARANTINED_IN_A_ROW: u32 = 16;

/// What happened to a segment so far.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Deaths on this segment since something of it was last committed.
    pub deaths: u32,
    /// One file at a time from now on.
    careful: bool,
    deaths_in_hand: BTreeMap<u32, u32>,
    quarantined: BTreeMap<u32, String>,
    /// See [`Handling::attempt`].
    attempt: u32,
}

impl Trouble {
    pub fn handling(&self) -> Handling {
        let quarantined = self.quarantined.iter();
        Handling {
            careful: self.careful,
            quarantined: quarantined
                .map(|(file, why)| (*file, why.clone()))
                .collect(),
            attempt: self.attempt,
        }
    }
}

/// How long a build that shall stop waits for a worker that is not ready for work. Together with what else has to end,
/// a request to stop is met within ten seconds.
const START_PAUSE_PATIENCE: Duration = Duration::from_secs(5);

impl State {
    /// A process has ended: in order, or not.
    pub(super) fn exited(
        &mut self,
        now: Duration,
        worker: WorkerId,
        status: String,
        effects: &mut Vec<Effect>,
    ) {
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        let was = std::mem::replace(&mut slot.phase, Phase::Absent);
        let failure = slot.failure.take();
        let fall = slot.fall.take();
        let in_hand = slot.in_hand.take();
        let ready = std::mem::take(&mut slot.ready);
        let recycled = std::mem::take(&mut slot.recycled);
        slot.pid = None;
        let assigned = std::mem::take(&mut slot.assigned);
        let names_file = fall.as_ref().is_some_and(|fall| fall.file.is_some());
        let says_nothing = failure.is_none() && !names_file && !recycled;
        let crashed = self.watch_exit(now, worker, says_nothing && in_hand.is_some(), effects);
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
        if orderly || recycled {
            return;
        }
        let reason = match (&failure, &fall) {
            (Some(failure), _) => failure.text.clone(),
            (None, Some(fall)) => fall.reason.clone(),
            (None, None) => status,
        };
        let of_device = crashed || failure.as_ref().is_some_and(|f| is_of_device(f.kind));
        // A device that took workers before may be full, or gone, without being to blame for the models.
        let was_usable = self.ever_ready && self.watch.is_some() && !ready;
        if let Some(failure) = failure
            && !worth_another_try(failure.kind)
            && !(was_usable && failure.kind == FailureKind::Unavailable)
        {
            // The build ends with these words; no other worker is started.
            self.fail(failure, effects);
            return;
        }
        effects.push(Effect::Emit(BuildEvent::WorkerLost {
            worker,
            reason: reason.clone(),
        }));
        if !ready {
            self.failed_start(worker, reason, effects);
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
        // What a device does is no file's fault.
        if let (Some(segment), false) = (unfinished.first(), of_device) {
            let fell = fall.is_some();
            let file = fall.and_then(|fall| fall.file).or(in_hand);
            let file = file.filter(|(s, _)| s == segment).map(|(_, file)| file);
            self.blame(*segment, file, fell, reason, effects);
        }
    }

    /// A process ended before it was ready. Another may fare better, but not often.
    fn failed_start(&mut self, worker: WorkerId, reason: String, effects: &mut Vec<Effect>) {
        let others = self
            .slots
            .iter()
            .any(|(id, slot)| *id != worker && slot.phase != Phase::GivenUp);
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        slot.failed_starts += 1;
        if slot.failed_starts < FAILED_STARTS {
            return;
        }
        slot.failed_starts = 0;
        if self.device_does_not_start(worker, &reason, effects) {
            return;
        }
        let Some(slot) = self.slots.get_mut(&worker) else {
            return;
        };
        slot.phase = Phase::GivenUp;
        if self.ever_ready && others {
            let text = format!(
                "worker {worker} does not start ({reason}); going on with the others, or choose fewer with --shard-workers"
            );
            effects.push(Effect::Emit(BuildEvent::Warning { text }));
            return;
        }
        let text = format!("no worker starts: {reason}; `helix-build doctor` looks for the cause");
        let kind = FailureKind::Unavailable;
        self.fail(Failure { kind, text }, effects);
    }

    /// A worker died on `segment`, with `file` of it in hand if that is known: be more careful with the
    /// segment, or leave out the file. A worker that `fell` was not killed by a stranger.
    fn blame(
        &mut self,
        segment: SegmentId,
        file: Option<u32>,
        fell: bool,
        reason: String,
        effects: &mut Vec<Effect>,
    ) {
        let trouble = self.trouble.entry(segment).or_default();
        trouble.deaths += 1;
        let Some(file) = file else {
            if !trouble.careful && (fell || trouble.deaths >= DEATHS_BEFORE_CARE) {
                trouble.careful = true;
                self.barren_deaths = 0;
            }
            return;
        };
        if trouble.quarantined.contains_key(&file) {
            return;
        }
        self.barren_deaths = 0;
        let deaths = trouble.deaths_in_hand.entry(file).or_default();
        *deaths += 1;
        if *deaths < DEATHS_BEFORE_QUARANTINE {
            return;
        }
        trouble.quarantined.insert(file, reason.clone());
        let text = format!(
            "{MOST_QUARANTINED_IN_A_ROW} files in a row brought their workers down; the last one: {reason}"
        );
        effects.push(Effect::Quarantine {
            segment,
            file,
            reason,
        });
        self.quarantined_in_a_row += 1;
        if self.quarantined_in_a_row >= MOST_QUARANTINED_IN_A_ROW {
            let kind = FailureKind::Internal;
            self.fail(Failure { kind, text }, effects);
        }
    }

    /// Kills workers that have shown nothing for too long, and gives up those that cannot be killed.
    pub(super) fn silences(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let mut abandoned = Vec::new();
        for (worker, slot) in &mut self.slots {
            let allowed = match slot.phase {
                Phase::Absent | Phase::GivenUp => continue,
                Phase::Ready if slot.assigned.is_empty() => continue,
                Phase::Ready => self.limits.stall,
                // It has nothing in hand yet: a library or a driver hangs.
                Phase::Leaving if self.mood != Mood::Working && !slot.ready => {
                    self.limits.pause_patience.min(START_PAUSE_PATIENCE)
                }
                Phase::Leaving if self.mood != Mood::Working => self.limits.pause_patience,
                Phase::Starting | Phase::Leaving => self.limits.patience,
                // Its end is the system's business, and a matter of milliseconds.
                Phase::Killed => self.limits.patience.min(self.limits.stall),
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
            let reason = format!("no progress for {} s", allowed.as_secs());
            let text = format!("worker {worker}: {reason}, killing it");
            if slot.phase == Phase::Ready {
                slot.fall = Some(InputCrash { file: None, reason });
            }
            slot.phase = Phase::Killed;
            effects.push(Effect::Emit(BuildEvent::Warning { text }));
            effects.push(Effect::Kill { worker: *worker });
        }
        for worker in abandoned {
            self.abandon(now, worker, effects);
        }
    }

    /// Goes on without waiting for a process that outlives its killing: it is stuck in a driver or a
    /// file system. It still has its segment file, so the next worker gets another.
    fn abandon(&mut self, now: Duration, worker: WorkerId, effects: &mut Vec<Effect>) {
        let Some(slot) = self.slots.get(&worker) else {
            return;
        };
        for segment in &slot.assigned {
            self.trouble.entry(*segment).or_default().attempt += 1;
        }
        let status = match slot.pid {
            Some(pid) => format!("process {pid} cannot be killed; it is left behind"),
            None => "its process cannot be killed; it is left behind".to_owned(),
        };
        let text = format!("worker {worker}: {status}");
        effects.push(Effect::Emit(BuildEvent::Warning { text }));
        self.exited(now, worker, status, effects);
    }
}

/// Whether a fresh process may fare better.
fn worth_another_try(kind: FailureKind) -> bool {
    kind == FailureKind::Internal || is_of_device(kind)
}

fn is_of_device(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Device(DeviceFailure::OutOfMemory) | FailureKind::Device(DeviceFailure::Lost)
    )
}
