//! Compares a segment file with its task: which files are done, which must be done again.

use super::stage_error::store_failure;
use crate::failpoint::failpoint;
use crate::failure::Failure;
use crate::file::{FileEntry, FileOutcome, FileRecord, RelPath, SkipReason};
use crate::ids::Digest;
use crate::profile::Limits;
use crate::protocol::{SegmentTask, Work};
use crate::scan;
use crate::store::segment::{SegmentHeader, SegmentWriter};
use std::collections::{HashMap, HashSet};

/// Return the header of the task's segment file in a build of this fingerprint.
pub fn header(task: &SegmentTask, fingerprint: Digest) -> SegmentHeader {
    SegmentHeader {
        fingerprint,
        identity: identity(&task.shard_label, &task.root_label),
    }
}

/// Return the identity of a segment of this shard and root.
pub fn identity(shard_label: &str, root_label: &str) -> String {
    format!("{shard_label}/{root_label}")
}

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
    limits: &Limits,
    device: &str,
) -> Result<Done, Failure> {
    let (mut done, stale) = compare(writer.found(), task, limits);
    let stale: Vec<RelPath> = stale.into_iter().cloned().collect();
    for path in &stale {
        writer.forget(path).map_err(store_failure)?;
        failpoint!("segment::forgot", path.spelling());
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

/// Return the work of a segment with these records if every file of the task is among them, and no other.
pub fn work_if_complete(
    records: &[FileRecord],
    task: &SegmentTask,
    limits: &Limits,
) -> Option<Work> {
    let (done, stale) = compare(records, task, limits);
    (stale.is_empty() && done.files.len() == task.files.len()).then_some(done.work)
}

/// Return which files of the task the records cover, and the paths of the other records.
fn compare<'a>(
    records: &'a [FileRecord],
    task: &SegmentTask,
    limits: &Limits,
) -> (Done, Vec<&'a RelPath>) {
    let suspect: HashSet<_> = task.suspect.iter().map(|n| *n as usize).collect();
    let wanted: HashMap<_, _> = task
        .files
        .iter()
        .enumerate()
        .map(|(n, entry)| (&entry.path, (n, entry)))
        .collect();
    let mut done = Done::default();
    let mut stale = Vec::new();
    for record in records {
        match wanted.get(&record.entry.path) {
            Some((n, entry))
                if is_current(record, entry)
                    && (!suspect.contains(n) || has_same_bytes(record, task, limits)) =>
            {
                done.files.insert(*n);
                add(&mut done.work, record, entry);
            }
            _ => stale.push(&record.entry.path),
        }
    }
    (done, stale)
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

/// Whether the file still has the bytes that were read for the record.
fn has_same_bytes(record: &FileRecord, task: &SegmentTask, limits: &Limits) -> bool {
    scan::read_file(&task.root_path, &record.entry, limits)
        .is_ok_and(|read| Some(read.hash) == record.hash)
}

fn add(work: &mut Work, record: &FileRecord, entry: &FileEntry) {
    work.files += 1;
    work.bytes += entry.size;
    match record.outcome {
        FileOutcome::Indexed { chunks, .. } => work.chunks += u64::from(chunks),
        FileOutcome::Skipped { .. } => work.skipped += 1,
    }
}
