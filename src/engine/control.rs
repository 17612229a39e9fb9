//! The caller's handle on a running build: stop it, and see whether it still responds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Stops a build from another thread or a signal handler, and tells whether the build will react.
///
/// Clones share their state. Use one control for one build at a time.
#[derive(Clone, Debug, Default)]
pub struct BuildControl {
    stop: Arc<AtomicBool>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: AtomicU8,
    turns: AtomicU64,
}

/// Which part of the build reacts to a stop request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// None: the build reads its inputs, waits for a lock or writes its manifest. Ending the process loses nothing.
    Unsupervised,
    /// The supervisor's loop; the number counts its iterations. If it stays the same, the loop is blocked.
    Supervising(u64),
    /// The publisher, which finishes the shard that it is moving into place, however long that takes.
    Publishing,
}

const UNSUPERVISED: u8 = 0;
const SUPERVISING: u8 = 1;
const PUBLISHING: u8 = 2;

impl BuildControl {
    pub fn new() -> Self {
        Self::default()
    }

    /// Ask the build to pause. Workers finish and commit their current files, and the build ends as
    /// [`Paused`](super::BuildOutcome::Paused).
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Return the flag that [`Self::stop`] sets, for a signal handler.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn stage(&self) -> Stage {
        match self.state.stage.load(Ordering::Acquire) {
            SUPERVISING => Stage::Supervising(self.state.turns.load(Ordering::Relaxed)),
            PUBLISHING => Stage::Publishing,
            _ => Stage::Unsupervised,
        }
    }

    /// Count one iteration of the supervisor's loop.
    pub(super) fn turn(&self) {
        self.state.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Enter [`Stage::Supervising`] until the guard is dropped.
    pub(super) fn supervise(&self) -> Supervised<'_> {
        self.enter(SUPERVISING);
        Supervised(self)
    }

    fn enter(&self, stage: u8) {
        self.state.stage.store(stage, Ordering::Release);
    }
}

/// While this guard lives, the supervisor or the publisher reacts to stop requests.
pub(super) struct Supervised<'a>(&'a BuildControl);

impl Supervised<'_> {
    /// Enter [`Stage::Publishing`]: the supervisor has ended, the publisher has not.
    pub fn publishing(&self) {
        self.0.enter(PUBLISHING);
    }
}

impl Drop for Supervised<'_> {
    fn drop(&mut self) {
        self.0.enter(UNSUPERVISED);
    }
}
