//! The time by which the supervisor decides.

use std::time::{Duration, Instant};

/// Time in which this process ran. The clock stands still while the machine is suspended or the process group is
/// stopped, so that nothing times out then.
pub(super) struct Clock {
    pub now: Duration,
    read_at: Instant,
}

/// Longest step of the [`Clock`]: ten ticks, which a loaded machine may delay.
const LONGEST_STEP: Duration = Duration::from_secs(1);

impl Clock {
    pub fn new() -> Self {
        Self {
            now: Duration::ZERO,
            read_at: Instant::now(),
        }
    }

    /// Advance the clock, and return the time that it skipped.
    pub fn advance(&mut self) -> Duration {
        let read_at = Instant::now();
        let step = read_at - self.read_at;
        self.now += step.min(LONGEST_STEP);
        self.read_at = read_at;
        step.saturating_sub(LONGEST_STEP)
    }
}
