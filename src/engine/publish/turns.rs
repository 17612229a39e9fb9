//! Decides which shards are loaded and finished at the same time.
//!
//! More shards than cores finish no sooner together than one after the other, and a run that is stopped keeps only
//! finished ones. So complete shards go first, earlier shards before later ones.

use crate::ids::ShardId;
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

/// Lets a limited number of shards work at a time.
#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// In the order in which they get their turn.
    waiting: BTreeSet<Claim>,
}

/// Who goes first: the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    lacks_segments: bool,
    shard: ShardId,
}

impl Turns {
    pub fn new(at_a_time: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: at_a_time.max(1),
                waiting: BTreeSet::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// Wait until it is the turn of `shard`. `is_complete`: all its segments are there. A turn lasts until the guard is
    /// dropped; a shard has one at a time.
    pub fn take(&self, shard: ShardId, is_complete: bool) -> Turn<'_> {
        let claim = Claim {
            lacks_segments: !is_complete,
            shard,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(claim);
        while state.waiting.range(..claim).count() >= state.free {
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.remove(&claim);
        state.free -= 1;
        Turn(self)
    }
}

/// The right to work, given back on drop.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn complete_shards_go_first_and_then_earlier_ones() {
        let turns = Turns::new(1);
        let (sender, order) = channel();
        let held = turns.take(ShardId(9), false);
        thread::scope(|scope| {
            for (shard, is_complete) in [(4, false), (3, true), (2, false), (5, true)] {
                let sender = sender.clone();
                let turns = &turns;
                scope.spawn(move || {
                    let _turn = turns.take(ShardId(shard), is_complete);
                    sender.send(shard).expect("received");
                });
            }
            let waiting = || turns.state.lock().expect("not poisoned").waiting.len();
            while waiting() < 4 {
                thread::yield_now();
            }
            drop(held);
        });
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<_>>(), [3, 5, 2, 4]);
    }

    #[test]
    fn as_many_work_as_may() {
        let turns = Turns::new(2);
        let first = turns.take(ShardId(1), true);
        let _second = turns.take(ShardId(0), false);
        drop(first);
        let _third = turns.take(ShardId(2), true);
        assert_eq!(turns.state.lock().expect("not poisoned").free, 0);
    }
}
