//! Which segments are left to do, and in which order.
//!
//! Pure. It knows nothing of workers and devices: callers say which segments they can take.

use crate::ids::SegmentId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug)]
pub(super) struct Schedule {
    /// Segments that no worker has, in the order in which they should be done.
    queue: VecDeque<SegmentId>,
    /// Segments whose file is being checked: an earlier run may have completed them.
    unchecked: BTreeSet<SegmentId>,
    /// Segments that are not done.
    open: BTreeMap<SegmentId, Progress>,
}

/// How far a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No worker has opened it.
    Untouched,
    /// A worker has opened it: what an earlier run left in it is counted.
    Opened,
    /// It moved to another device, where it is done again from its start.
    Undone,
}

impl Schedule {
    /// Schedule `segments`, in that order.
    pub fn new(segments: Vec<SegmentId>) -> Self {
        Self {
            open: segments
                .iter()
                .map(|id| (*id, Progress::Untouched))
                .collect(),
            queue: segments.into(),
            unchecked: BTreeSet::new(),
        }
    }

    /// Keep these segments from workers until they are checked.
    pub fn hold_back(&mut self, unchecked: BTreeSet<SegmentId>) {
        self.queue.retain(|segment| !unchecked.contains(segment));
        self.unchecked = unchecked;
    }

    /// The segment is checked. If it is complete, it is done; otherwise it joins the queue, before later ones. Return
    /// whether it is done now.
    pub fn checked(&mut self, segment: SegmentId, is_complete: bool) -> bool {
        if !self.unchecked.remove(&segment) {
            return false;
        }
        if is_complete {
            return self.finish(segment);
        }
        let later = self.queue.iter().position(|queued| *queued > segment);
        self.queue
            .insert(later.unwrap_or(self.queue.len()), segment);
        false
    }

    /// Let workers do all segments that are not checked.
    pub fn end_checks(&mut self) {
        for segment in self.unchecked.clone() {
            self.checked(segment, false);
        }
    }

    /// Whether every segment is done.
    pub fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// Segments that no worker has, in order.
    pub fn queue(&self) -> &VecDeque<SegmentId> {
        &self.queue
    }

    /// Take the first queued segment that fits.
    pub fn take(&mut self, fits: impl Fn(SegmentId) -> bool) -> Option<SegmentId> {
        let at = self.queue.iter().position(|segment| fits(*segment))?;
        self.queue.remove(at)
    }

    /// Put the segments of a worker that ended back to the front of the queue, so that its shard does not wait for
    /// them. Returns those that are not done, oldest first.
    pub fn give_back(&mut self, assigned: impl IntoIterator<Item = SegmentId>) -> Vec<SegmentId> {
        let assigned = assigned.into_iter();
        let unfinished: Vec<_> = assigned.filter(|id| self.open.contains_key(id)).collect();
        for segment in unfinished.iter().rev() {
            self.queue.push_front(*segment);
        }
        unfinished
    }

    /// A worker opened the segment. Returns whether the work that it found there has to be counted.
    pub fn opened(&mut self, segment: SegmentId) -> bool {
        let progress = self.open.get_mut(&segment);
        let before = progress.map(|progress| std::mem::replace(progress, Progress::Opened));
        matches!(before, Some(Progress::Untouched | Progress::Undone))
    }

    /// The segment is done. Returns whether that is new.
    pub fn finish(&mut self, segment: SegmentId) -> bool {
        self.open.remove(&segment).is_some()
    }

    /// Start the segments that fit from their beginning. Returns those of which something may be committed.
    pub fn undo(&mut self, fits: impl Fn(SegmentId) -> bool) -> Vec<SegmentId> {
        let opened = self
            .open
            .iter_mut()
            .filter(|(id, progress)| **progress == Progress::Opened && fits(**id));
        opened
            .map(|(id, progress)| {
                *progress = Progress::Undone;
                *id
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;

    fn segment(shard: u32, index: u32) -> SegmentId {
        SegmentId {
            shard: ShardId(shard),
            index,
        }
    }

    fn three() -> Schedule {
        Schedule::new((0..3).map(|n| segment(n % 2, n)).collect())
    }

    #[test]
    fn segments_are_taken_in_order_by_who_can_take_them() {
        let mut schedule = three();
        assert_eq!(
            schedule.take(|id| id.shard == ShardId(1)),
            Some(segment(1, 1))
        );
        assert_eq!(schedule.take(|id| id.shard == ShardId(1)), None);
        assert_eq!(schedule.take(|_| true), Some(segment(0, 0)));
        assert_eq!(schedule.queue(), &[segment(0, 2)]);
    }

    #[test]
    fn unfinished_segments_return_to_the_front_in_their_order() {
        let mut schedule = three();
        let taken: Vec<_> = (0..2).filter_map(|_| schedule.take(|_| true)).collect();
        assert_eq!(schedule.give_back(taken.clone()), taken);
        assert_eq!(schedule.queue().len(), 3);
        assert_eq!(schedule.take(|_| true), Some(segment(0, 0)));
        assert!(schedule.finish(segment(0, 0)));
        assert!(!schedule.finish(segment(0, 0)), "once");
        assert_eq!(schedule.give_back([segment(0, 0)]), []);
        assert!(!schedule.is_done());
    }

    #[test]
    fn segments_are_held_back_until_they_are_checked() {
        let mut schedule = Schedule::new((0..5).map(|n| segment(0, n)).collect());
        schedule.hold_back([0, 2, 3, 4].map(|n| segment(0, n)).into());
        assert_eq!(schedule.queue(), &[segment(0, 1)]);
        assert!(schedule.checked(segment(0, 3), true));
        assert!(!schedule.checked(segment(0, 3), true), "once");
        assert!(!schedule.checked(segment(0, 0), false));
        assert_eq!(schedule.queue(), &[0, 1].map(|n| segment(0, n)));
        assert!(!schedule.is_done());
        schedule.end_checks();
        assert_eq!(schedule.queue(), &[0, 1, 2, 4].map(|n| segment(0, n)));
        schedule.end_checks();
        assert_eq!(schedule.queue().len(), 4);
    }

    #[test]
    fn what_an_earlier_run_left_is_counted_once_and_after_an_undo_again() {
        let mut schedule = three();
        assert_eq!(schedule.undo(|_| true), [], "nothing was opened");
        assert!(schedule.opened(segment(0, 0)));
        assert!(!schedule.opened(segment(0, 0)));
        assert_eq!(schedule.undo(|id| id.shard == ShardId(1)), []);
        assert_eq!(schedule.undo(|_| true), [segment(0, 0)]);
        assert_eq!(schedule.undo(|_| true), [], "once");
        assert!(schedule.opened(segment(0, 0)));
        schedule.finish(segment(0, 0));
        assert!(!schedule.opened(segment(0, 0)));
    }
}
