//! The threads of a worker's stages, and how their ends are noticed.

use super::stage_error::{FirstError, StageError};
use crossbeam_channel::Sender;
use std::thread::Scope;

/// Starts the threads of the stages.
pub(super) struct StageThreads<'scope, 'env> {
    pub scope: &'scope Scope<'scope, 'env>,
    pub first_error: FirstError,
    /// Gets a message from each stage that ends.
    pub ended: Sender<()>,
}

/// Tells the dispatcher when a stage's thread ends, also by a panic. Unless it fails, a stage outlives the
/// dispatcher's end of its queue.
struct EndSignal(Sender<()>);

impl Drop for EndSignal {
    fn drop(&mut self) {
        // The dispatcher may be gone already.
        let _ = self.0.send(());
    }
}

impl<'scope> StageThreads<'scope, '_> {
    /// Run `stage` once, on a thread of its own. Its error is kept before the queues that it owns are gone, so that nobody finds
    /// a queue without its other end and no reason for it.
    pub fn start(&self, mut stage: impl FnMut() -> Result<(), StageError> + Send + 'scope) {
        let first_error = self.first_error.clone();
        let ended = EndSignal(self.ended.clone());
        self.scope.spawn(move || {
            let _ended = ended;
            if let Err(error) = stage() {
                first_error.set(error);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage_error::internal_failure;
    use super::*;
    use crossbeam_channel::{bounded, unbounded};
    use std::thread;

    #[test]
    fn the_reason_is_known_when_a_stages_queue_is_gone() {
        for _ in 0..200 {
            let first_error = FirstError::default();
            let (ended, stage_ended) = unbounded();
            thread::scope(|scope| {
                let threads = StageThreads {
                    scope,
                    first_error: first_error.clone(),
                    ended,
                };
                let (to_first, items) = bounded::<u32>(0);
                let (to_second, passed_on) = bounded::<u32>(0);
                threads.start(move || {
                    for item in &items {
                        if to_second.send(item).is_err() {
                            break;
                        }
                    }
                    Ok(())
                });
                threads.start(move || {
                    let _ = passed_on.recv();
                    Err(internal_failure("broken").into())
                });
                let sent = (0..).take_while(|n| to_first.send(*n).is_ok()).count();
                assert!((1..=3).contains(&sent), "{sent}");
                assert!(first_error.get().is_some());
                // The end of one stage is told although the other waits for its queue.
                assert_eq!(stage_ended.recv(), Ok(()));
            });
            let Some(StageError::Failed(failure)) = first_error.get() else {
                panic!("no failure");
            };
            assert_eq!(failure.text, "broken");
        }
    }
}
