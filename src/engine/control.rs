//! What a caller holds of a running build: a switch that stops it, and a look at whether it still answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// Stops a build from another thread or a signal handler, and tells whether the build will notice.
///
/// Clones share one state. One control serves one build at a time.
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

/// Who would notice a request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody: the build reads its inputs, waits for a lock or writes its manifest. Ending the process loses nothing.
    Alone,
    /// The supervisor's loop; the number is how often it has turned. One that stands still is blocked.
    Supervising(u64),
    /// The publisher, which puts a shard into place however long that takes.
    Publishing,
}

const ALONE: u8 = 0;
const SUPERVISING: u8 = 1;
const PUBLISHING: u8 = 2;

impl BuildControl {
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the build to pause: workers finish and commit the files in hand, and the build ends as
    /// [`Paused`](super::BuildOutcome::Paused).
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The flag behind [`Self::stop`], for a signal handler to set.
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
            _ => Stage::Alone,
        }
    }

    /// The supervisor's loop has turned once more.
    pub(super) fn turn(&self) {
        self.state.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// The supervisor takes over, until the guard is dropped.
    pub(super) fn supervise(&self) -> Supervised<'_> {
        self.enter(SUPERVISING);
        Supervised(self)
    }

    fn enter(&self, stage: u8) {
        self.state.stage.store(stage, Ordering::Release);
    }
}

/// While it lives, the supervisor or the publisher sees to requests to stop.
pub(super) struct Supervised<'a>(&'a BuildControl);

impl Supervised<'_> {
    /// The supervisor has ended, the publisher has not.
    pub fn publishing(&self) {
        self.0.enter(PUBLISHING);
    }
}

impl Drop for Supervised<'_> {
    fn drop(&mut self) {
        self.0.enter(ALONE);
    }
}
