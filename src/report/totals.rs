//! Adds up the work of a build from its events.
//!
//! This is the only place that does: the supervisor, the summary, the metrics and the progress display read the sums here.
//! Pure.

use super::BuildEvent;
use crate::ids::{SegmentId, ShardId};
use crate::protocol::Work;
use std::collections::BTreeMap;

/// Sums over the events of one build so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The work in the index: found or committed by this run, and not undone since.
    pub done: Work,
    /// The part of `done` that an earlier run had left.
    pub resumed: Work,
    /// All that this run has committed, undone or not: the time and tokens spent.
    pub spent: Work,
    /// Bytes of `done`, by shard.
    bytes_by_shard: BTreeMap<ShardId, u64>,
    /// Segments that are not done, and may still be undone.
    open: BTreeMap<SegmentId, Share>,
}

/// What one segment adds to [`Totals::done`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    done: Work,
    resumed: Work,
}

impl Totals {
    /// Add one event. Events come in order.
    pub fn add(&mut self, event: &BuildEvent) {
        match event {
            BuildEvent::SegmentOpened {
                segment, already, ..
            } => {
                self.open.entry(*segment).or_default().resumed += *already;
                self.resumed += *already;
                self.count(*segment, *already);
            }
            BuildEvent::SegmentResumed { segment, work } => {
                self.resumed += *work;
                self.count(*segment, *work);
                // It is done.
                self.open.remove(segment);
            }
            BuildEvent::FilesCommitted { segment, work, .. } => {
                self.spent += *work;
                self.count(*segment, *work);
            }
            BuildEvent::SegmentDone { segment, .. } => {
                self.open.remove(segment);
            }
            BuildEvent::SegmentUndone { segment, .. } => {
                let Share { done, resumed } = self.open.remove(segment).unwrap_or_default();
                self.done -= done;
                self.resumed -= resumed;
                let of_shard = self.bytes_by_shard.entry(segment.shard).or_default();
                *of_shard = of_shard.saturating_sub(done.bytes);
            }
            _ => {}
        }
    }

    fn count(&mut self, segment: SegmentId, work: Work) {
        self.open.entry(segment).or_default().done += work;
        self.done += work;
        *self.bytes_by_shard.entry(segment.shard).or_default() += work.bytes;
    }

    /// What a segment that is not done has added to [`Self::done`].
    pub fn open_segment(&self, segment: SegmentId) -> Work {
        let share = self.open.get(&segment);
        share.map(|share| share.done).unwrap_or_default()
    }

    /// Bytes of a shard that are done.
    pub fn shard_bytes(&self, shard: ShardId) -> u64 {
        self.bytes_by_shard.get(&shard).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WorkerId;

    const WORKER: WorkerId = WorkerId(0);

    fn segment(index: u32) -> SegmentId {
        SegmentId {
            shard: ShardId(0),
            index,
        }
    }

    fn work(chunks: u64) -> Work {
        Work {
            files: 1,
            chunks,
            bytes: chunks * 100,
            reused_chunks: chunks / 2,
            busy_us: chunks,
            ..Work::default()
        }
    }

    fn opened(index: u32, already: Work) -> BuildEvent {
        BuildEvent::SegmentOpened {
            worker: WORKER,
            segment: segment(index),
            already,
        }
    }

    fn committed(index: u32, work: Work) -> BuildEvent {
        BuildEvent::FilesCommitted {
            worker: WORKER,
            segment: segment(index),
            work,
            file: String::new(),
        }
    }

    #[test]
    fn what_is_done_again_counts_once() {
        let mut totals = Totals::default();
        let undone = BuildEvent::SegmentUndone {
            segment: segment(1),
            work: work(10),
        };
        for event in [
            opened(0, work(4)),
            committed(0, work(2)),
            BuildEvent::SegmentDone {
                worker: WORKER,
                segment: segment(0),
            },
            BuildEvent::SegmentResumed {
                segment: segment(2),
                work: work(8),
            },
            opened(1, work(6)),
            committed(1, work(4)),
            undone.clone(),
            // Opened again on the CPU, where the segment file starts empty.
            opened(1, Work::default()),
            committed(1, work(10)),
        ] {
            totals.add(&event);
        }
        assert_eq!(totals.done.chunks, 24);
        assert_eq!(totals.resumed.chunks, 12);
        assert_eq!(totals.done.reused_chunks, 2 + 1 + 4 + 5);
        assert_eq!(totals.shard_bytes(ShardId(0)), 2400);
        assert_eq!(totals.spent.chunks, 16, "time was spent on both attempts");
        // A segment that is done stays done.
        let before = totals.clone();
        for (index, chunks) in [(0, 6), (2, 8)] {
            totals.add(&BuildEvent::SegmentUndone {
                segment: segment(index),
                work: work(chunks),
            });
        }
        assert_eq!(totals, before);
    }
}
