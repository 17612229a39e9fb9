//! How much memory a process spends on what it has read of an index.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes that one [`Searcher`](crate::store::query::Searcher) holds between queries: the dense vectors of 800,000
/// chunks of the built-in encoder. What does not fit is read from the database by each query.
pub const MOST_BYTES: usize = 1 << 30;

/// Bytes that may still be held; shared by the shards of an index.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

impl Budget {
    pub fn of(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
        }
    }

    /// Take bytes; `false` if fewer are left, and then none are taken.
    pub fn take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        let (order, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        self.left.fetch_update(order, failed, take).is_ok()
    }

    pub fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::of(10);
        assert!(budget.take(7));
        assert!(!budget.take(4));
        budget.give_back(1);
        assert!(budget.take(4));
        assert!(!budget.take(1));
    }
}
