//! Ends a run that does not come to an end by itself.
//!
//! A graph may hold a loop whose condition never fails. The runtime looks between two nodes whether a run shall be
//! ended. Time counts as this process spends it on the processor, so that a busy machine is not taken for a loop.

use crate::failpoint;
use crate::platform;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// CPU time for the runs that try a model out: some ten tokens each. A model of a billion weights takes a second of it on
/// one core.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

pub(super) const REASON: &str = "it does not come to an end with a short text: its graph holds a loop without end; export it again";

/// Whether a run ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    InTime,
    /// It was asked to end, or was about to be.
    Late,
}

/// Calls `run`, and `terminate` again and again when it takes too long.
pub(super) fn watched<T>(terminate: impl Fn() + Send, run: impl FnOnce() -> T) -> (T, Ended) {
    let patience = failpoint::duration("encode::patience", PATIENCE);
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let began = platform::process_cpu_time();
            let mut ended = Ended::InTime;
            while is_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if platform::process_cpu_time().saturating_sub(began) > patience {
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
    fn what_ends_by_itself_is_in_time() {
        let ended = watched(|| unreachable!("it has ended"), || 7);
        assert_eq!(ended, (7, Ended::InTime));
    }
}
