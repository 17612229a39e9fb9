//! A rolling restart: all workers of a device get fresh processes, one at a time, so that the device always has work
//! and never gets all new contexts at once.

use crate::ids::WorkerId;
use std::collections::VecDeque;
use std::time::Duration;

/// How long one worker's restart may take before the next one's begins. Longer than the supervisor waits for a worker to
/// start: a worker that has no work left is not started again and sends nothing.
const RESTART_TIMEOUT: Duration = Duration::from_secs(180);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RollingRestart {
    current: WorkerId,
    since: Duration,
    queue: VecDeque<WorkerId>,
}

impl RollingRestart {
    /// Begin with `first`, whose restart was requested.
    pub fn new(now: Duration, first: WorkerId, others: impl IntoIterator<Item = WorkerId>) -> Self {
        Self {
            current: first,
            since: now,
            queue: others.into_iter().filter(|other| *other != first).collect(),
        }
    }

    /// Whether the next worker should not wait any longer for the current one.
    pub fn is_late(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) > RESTART_TIMEOUT
    }

    pub fn is_at(&self, worker: WorkerId) -> bool {
        self.current == worker
    }

    /// Go on to the next worker, and return it; `None` after the last.
    pub fn advance(&mut self, now: Duration) -> Option<WorkerId> {
        self.current = self.queue.pop_front()?;
        self.since = now;
        Some(self.current)
    }

    /// Remove a worker that gets a fresh process anyway. Returns whether it was still to come.
    pub fn remove(&mut self, worker: WorkerId) -> bool {
        let before = self.queue.len();
        self.queue.retain(|queued| *queued != worker);
        self.queue.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolling_restart_takes_each_worker_once() {
        let workers = |list: &[u32]| list.iter().map(|n| WorkerId(*n)).collect::<Vec<_>>();
        let mut restart = RollingRestart::new(Duration::ZERO, WorkerId(1), workers(&[0, 1, 2, 3]));
        assert!(restart.is_at(WorkerId(1)));
        assert!(restart.remove(WorkerId(2)));
        assert!(!restart.remove(WorkerId(1)), "it is under way");
        assert!(!restart.is_late(RESTART_TIMEOUT));
        let late = RESTART_TIMEOUT + Duration::from_secs(1);
        assert!(restart.is_late(late));
        assert_eq!(restart.advance(late), Some(WorkerId(0)));
        assert!(!restart.is_late(late));
        assert_eq!(restart.advance(late), Some(WorkerId(3)));
        assert_eq!(restart.advance(late), None);
    }
}
