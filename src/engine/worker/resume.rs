//! Compares a segment file with its task: which files are done, which must be done again.

use super::stage_error::store_failure;
use crate::failpoint::failpoint;
use crate::failure::Failure;
use crate::file::{FileEntry, FileOutcome, FileRecord, SkipReason};
use crate::protocol::{SegmentTask, Work};
use crate::store::segment::SegmentWriter;
use std::collections::{HashMap, HashSet};

/// What a segment file already holds of its task.
#[derive(Default)]
pub(super) struct Done {
    /// Positions in the task's files.
    pub files: HashSet<usize>,
    pub work: Work,
}

/// Drop the rows of files that changed or are not in the task, and return what remains.
///
/// When the segment is incomplete and its rows come from another device than `device`, drops all of
/// them: no segment mixes devices.
pub(super) fn reconcile(
    writer: &mut SegmentWriter,
    task: &SegmentTask,
    device: &str,
) -> Result<Done, Failure> {
    let wanted: HashMap<_, _> = task
        .files
        .iter()
        .enumerate()
        .map(|(n, entry)| (&entry.path, (n, entry)))
        .collect();
    let mut done = Done::default();
    for record in writer.ledger().map_err(store_failure)? {
        match wanted.get(&record.entry.path) {
            Some((n, entry)) if is_current(&record, entry) => {
                done.files.insert(*n);
                add(&mut done.work, &record, entry);
            }
            _ => {
                writer.forget(&record.entry.path).map_err(store_failure)?;
                failpoint!("segment::forgot", record.entry.path.spelling());
            }
        }
    }
    let is_of_another_device = writer.device().is_some_and(|known| known != device);
    if done.files.len() < task.files.len() {
        if is_of_another_device {
            writer.start_over().map_err(store_failure)?;
            failpoint!("segment::forgot", task.shard_label);
            done = Done::default();
        }
        writer.encode_on(device).map_err(store_failure)?;
    }
    Ok(done)
}

/// Whether a committed file can be kept. Files that could not be read, and those that an earlier run
/// quarantined, are tried again; the task names the files that this run quarantined.
fn is_current(record: &FileRecord, entry: &FileEntry) -> bool {
    let quarantined = matches!(
        record.outcome,
        FileOutcome::Skipped {
            reason: SkipReason::Quarantined,
            ..
        }
    );
    !quarantined && record.read_failure().is_none() && record.entry == *entry
}

fn add(work: &mut Work, record: &FileRecord, entry: &FileEntry) {
    work.files += 1;
    work.bytes += entry.size;
    match record.outcome {
        FileOutcome::Indexed { chunks, .. } => work.chunks += u64::from(chunks),
        FileOutcome::Skipped { .. } => work.skipped += 1,
    }
}
