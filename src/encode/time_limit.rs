//! Terminates a run that takes too long: a graph may contain an endless loop.
//!
//! The runtime checks between two nodes whether a run was terminated. The limit is CPU time of this process, so that a busy
//! machine is not mistaken for a loop.

use crate::failpoint;
use crate::platform;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// CPU time for the runs that check a model, of some ten tokens each. A model of a billion weights takes a second of it on
/// one core.
const LIMIT: Duration = Duration::from_secs(60);

/// Interval between two looks at the CPU time.
const INTERVAL: Duration = Duration::from_millis(50);

pub(super) const REASON: &str = "it does not come to an end with a short text: its graph holds a loop without end; export it again";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    InTime,
    /// It exceeded the limit and was told to terminate.
    Late,
}

/// Call `run`, and call `terminate` repeatedly once it exceeds the limit.
pub(super) fn run_limited<T>(terminate: impl Fn() + Send, run: impl FnOnce() -> T) -> (T, Ended) {
    let limit = failpoint::duration("encode::patience", LIMIT);
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let began = platform::process_cpu_time();
            let mut ended = Ended::InTime;
            while is_done.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if platform::process_cpu_time().saturating_sub(began) > limit {
                    ended = Ended::Late;
                    terminate();
                }
            }
            ended
        });
        let answer = run();
        drop(done);
        (answer, watch.join().unwrap_or(Ended::InTime))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_by_itself_is_in_time() {
        let ended = run_limited(|| unreachable!("it ended"), || 7);
        assert_eq!(ended, (7, Ended::InTime));
    }
}
