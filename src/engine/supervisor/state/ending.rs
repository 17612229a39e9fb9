//! How a build ends: complete, paused or failed, and not before its workers are gone.
//!
//! Pure, like the state whose part it is.

use super::{Effect, Mood, Phase, State};
use crate::engine::watchdog::Input;
use crate::failure::Failure;
use crate::report::{BuildEvent, Ending};
use std::time::Duration;

impl State {
    /// Pauses the build, at somebody's wish.
    pub(super) fn interrupt(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.mood != Mood::Working {
            return;
        }
        self.mood = Mood::Pausing;
        self.ending = Some(Ending::Paused);
        effects.push(Effect::Emit(BuildEvent::Pausing));
        self.stop_everyone(now, effects);
    }

    /// Stops the build for this reason, unless it fails already.
    pub(super) fn fail(&mut self, failure: Failure, effects: &mut Vec<Effect>) {
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
        self.stopped_at = Some(now);
        for (worker, slot) in &mut self.slots {
            if matches!(slot.phase, Phase::Starting | Phase::Ready) {
                slot.phase = Phase::Leaving;
                slot.seen = now;
                effects.push(Effect::Stop { worker: *worker });
            }
        }
    }

    /// Ends the build once nothing is left to do, or everyone is gone.
    pub(super) fn finish_if_over(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let all_gone = self
            .slots
            .values()
            .all(|s| matches!(s.phase, Phase::Absent | Phase::GivenUp));
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
                    self.finish(now, Ending::Complete, effects);
                }
            }
            Mood::Pausing | Mood::Failing if all_gone => {
                let ending = self.ending.take().unwrap_or(Ending::Paused);
                self.finish(now, ending, effects);
            }
            _ => {}
        }
    }

    fn finish(&mut self, now: Duration, ending: Ending, effects: &mut Vec<Effect>) {
        self.mood = Mood::Over;
        self.tell_watchdog(now, Input::Ending, effects);
        effects.push(Effect::Finish(ending));
    }
}
