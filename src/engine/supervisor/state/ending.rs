//! How a build ends: complete, paused or failed, and not before its workers are gone.

use super::effect::Step;
use super::{BuildPhase, Effect, State};
use crate::engine::watchdog::Input;
use crate::failure::Failure;
use crate::report::{BuildEvent, Ending};
use std::time::Duration;

impl State {
    /// Pause the build on request.
    pub(super) fn interrupt(&mut self, step: &mut Step) {
        if !self.is_working() {
            return;
        }
        step.emit(BuildEvent::Pausing);
        self.stop(step, Ending::Paused);
    }

    /// Stop the build for this reason, unless it fails already.
    pub(super) fn fail(&mut self, step: &mut Step, failure: Failure) {
        let is_failing = match &self.phase {
            BuildPhase::Working => false,
            BuildPhase::Stopping { ending, .. } => matches!(ending, Ending::Failed(_)),
            BuildPhase::Over => true,
        };
        if !is_failing {
            self.stop(step, Ending::Failed(failure));
        }
    }

    fn stop(&mut self, step: &mut Step, ending: Ending) {
        let since = step.now;
        self.phase = BuildPhase::Stopping { since, ending };
        self.stop_workers(step);
    }

    fn stop_workers(&mut self, step: &mut Step) {
        for worker in self.workers.stop(step.now) {
            step.push(Effect::Stop { worker });
        }
    }

    /// When the build was asked to stop before everything was done.
    pub(super) fn stopping_since(&self) -> Option<Duration> {
        match self.phase {
            BuildPhase::Stopping { since, .. } => Some(since),
            BuildPhase::Working | BuildPhase::Over => None,
        }
    }

    /// End the build once everything is done, or once it was stopped and all workers are gone.
    pub(super) fn finish_if_over(&mut self, step: &mut Step) {
        if self.is_working() && self.schedule.is_done() {
            // The workers end while the last shards are published.
            self.stop_workers(step);
        }
        if !self.workers.are_gone() {
            return;
        }
        let ending = match &self.phase {
            BuildPhase::Working if self.schedule.is_done() && self.unpublished.is_empty() => {
                Ending::Complete
            }
            BuildPhase::Stopping { ending, .. } => ending.clone(),
            BuildPhase::Working | BuildPhase::Over => return,
        };
        self.phase = BuildPhase::Over;
        self.feed_watchdog(step, Input::Ending);
        step.push(Effect::Finish(ending));
    }
}
