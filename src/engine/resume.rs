//! Finds the segments that an earlier run completed, so that they are published without a worker.
//!
//! One thread reads the files, beside the workers, which do the segments without a file meanwhile. Shards that may be
//! complete come first: in a short run their publication has the most time. Changes nothing: a file that is not complete
//! is a worker's, which resumes or replaces it.

use crate::engine::supervisor::{CheckedSegment, Job};
use crate::engine::worker::{segment_header, work_if_complete};
use crate::failpoint::failpoint;
use crate::ids::{Digest, SegmentId, ShardId};
use crate::profile::Limits;
use crate::protocol::{SegmentTask, Work};
use crate::store::StoreError;
use crate::store::segment::read_complete;
use crossbeam_channel::{Receiver, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::thread;

/// Start to check the segments of which the job knows a file. The channel closes after the last.
///
/// Dropping the receiver ends the thread after the segment in hand, and nobody waits for it: a folder may not answer.
pub fn check_segments(job: &Job) -> io::Result<Receiver<CheckedSegment>> {
    let (fingerprint, limits) = (job.setup.fingerprint, job.setup.limits);
    let tasks = in_order(&job.tasks, &job.unchecked);
    // Unbounded: one small message a segment.
    let (sender, checked) = unbounded();
    thread::Builder::new()
        .name("resume".to_owned())
        .spawn(move || {
            for task in tasks {
                let complete = read(&task, fingerprint, &limits).unwrap_or_else(|error| {
                    // A worker meets the same error, and its words reach the user.
                    tracing::debug!("{error}");
                    None
                });
                let segment = task.id;
                if sender.send(CheckedSegment { segment, complete }).is_err() {
                    return;
                }
            }
        })?;
    Ok(checked)
}

/// Return the tasks to check: those of shards whose files all exist, then the others, each in the order of the build.
fn in_order(tasks: &[SegmentTask], unchecked: &BTreeSet<SegmentId>) -> Vec<SegmentTask> {
    let mut missing: BTreeMap<ShardId, usize> = BTreeMap::new();
    for task in tasks {
        *missing.entry(task.id.shard).or_default() += usize::from(!unchecked.contains(&task.id));
    }
    let found = tasks.iter().filter(|task| unchecked.contains(&task.id));
    let mut found: Vec<SegmentTask> = found.cloned().collect();
    // Stable.
    found.sort_by_key(|task| missing[&task.id.shard] > 0);
    found
}

/// Return the work in a segment file if it is complete and its files have not changed.
fn read(
    task: &SegmentTask,
    fingerprint: Digest,
    limits: &Limits,
) -> Result<Option<Work>, StoreError> {
    failpoint!("segment::check", task.shard_label);
    let records = read_complete(&task.path, &segment_header(task, fingerprint))?;
    Ok(records.and_then(|records| work_if_complete(&records, task, limits)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn task(shard: u32, index: u32) -> SegmentTask {
        SegmentTask {
            id: SegmentId {
                shard: ShardId(shard),
                index,
            },
            path: PathBuf::new(),
            shard_label: String::new(),
            root_label: String::new(),
            root_path: PathBuf::new(),
            files: Vec::new(),
            authored: Vec::new(),
            quarantined: Vec::new(),
            suspect: Vec::new(),
            planned: None,
            careful: false,
        }
    }

    #[test]
    fn shards_that_may_be_complete_come_first() {
        let tasks = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)].map(|(s, n)| task(s, n));
        let mut unchecked: BTreeSet<SegmentId> = tasks.iter().map(|task| task.id).collect();
        unchecked.remove(&task(0, 1).id);
        unchecked.remove(&task(1, 0).id);
        let order: Vec<_> = in_order(&tasks, &unchecked)
            .iter()
            .map(|task| (task.id.shard.0, task.id.index))
            .collect();
        assert_eq!(order, [(2, 0), (2, 1), (0, 0), (0, 2)]);
    }
}
