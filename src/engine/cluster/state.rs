//! How far a build over many machines is, by what lies on the disk.

use super::notes::{Note, TaskState};
use super::numbers::Numbers;
use super::plan_file::{FrozenFile, FrozenPlan};
use super::refuse_ended;
use super::shard::{self, Trust};
use crate::engine::error::Result;
use crate::engine::output::layout::Layout;
use crate::file::{FileOutcome, FileRecord};
use crate::report::SkippedFile;
use crate::store::StoreError;
use crate::store::segment::{SegmentHeader, read_finished};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::fs;

/// A segment, and what is known of its task.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    pub number: u32,
    /// Size of its files.
    pub source_bytes: u64,
    /// `None`: no task has begun it.
    #[serde(flatten)]
    pub note: Option<Note>,
}

impl Part {
    pub fn state(&self) -> Option<TaskState> {
        Some(self.note.as_ref()?.state)
    }
}

/// The state of a build over many machines.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterState {
    pub parts: Vec<Part>,
    /// Numbers of the shards that were published.
    pub published: Vec<u32>,
}

impl ClusterState {
    /// Return the segments that a task may still complete: poisoned ones are left out.
    pub fn missing(&self) -> Numbers {
        let open = self
            .parts
            .iter()
            .filter(|part| !matches!(part.state(), Some(TaskState::Done | TaskState::Poisoned)));
        Numbers(open.map(|part| part.number).collect())
    }

    pub fn poisoned(&self) -> Numbers {
        let poisoned = |part: &&Part| part.state() == Some(TaskState::Poisoned);
        let parts = self.parts.iter().filter(poisoned);
        Numbers(parts.map(|part| part.number).collect())
    }
}

/// What keeps a build from being committed.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// Segments to do.
    pub segments: Numbers,
    /// Segments that fail wherever they are tried, with the reasons.
    pub poisoned: Vec<(u32, String)>,
    /// Labels of shards that the plan leaves as they are, and that are gone or changed.
    pub changed_shards: Vec<String>,
}

impl Missing {
    pub fn is_empty(&self) -> bool {
        self.segments.0.is_empty() && self.poisoned.is_empty() && self.changed_shards.is_empty()
    }

    /// Add a segment that is not complete.
    pub(super) fn add(&mut self, plan: &FrozenPlan, layout: &Layout, number: u32) {
        match Note::read(plan, layout, number) {
            Some(note) if note.state == TaskState::Poisoned => {
                self.poisoned.push((number, note.error));
            }
            _ => {
                self.segments.0.insert(number);
            }
        }
    }
}

/// What to do, for people.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.segments.0.is_empty() {
            let what = match self.segments.0.len() {
                1 => "1 segment is".to_owned(),
                n => format!("{n} segments are"),
            };
            parts.push(format!("{what} missing, run the tasks: {}", self.segments));
        }
        for (number, why) in &self.poisoned {
            parts.push(format!(
                "segment {number} fails wherever it is tried: {why}"
            ));
        }
        if !self.changed_shards.is_empty() {
            let labels = self.changed_shards.join(", ");
            parts.push(format!(
                "plan again, these shards are gone or changed since: {labels}"
            ));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Look at every segment and shard of a plan. With [`Trust::Hash`] the files of the segments are read, as a commit does.
///
/// # Errors
/// `NotFound` if no build of the plan is in progress.
pub fn cluster_state(plan: &FrozenPlan, layout: &Layout, trust: Trust) -> Result<ClusterState> {
    refuse_ended(plan, layout)?;
    let parts = (0..plan.n_segments()).into_par_iter().map(|number| {
        let note = match done(plan, layout, number, trust)? {
            Some(note) => Some(note),
            // A task that is done has a segment file, or had one that is lost.
            None => Note::read(plan, layout, number).filter(|note| note.state != TaskState::Done),
        };
        Ok(Part {
            number,
            source_bytes: plan.segment_bytes(number),
            note,
        })
    });
    let parts = parts.collect::<Result<_>>()?;
    let mut published = Vec::new();
    for number in 0..plan.n_shards() {
        if shard::published(plan, layout, number, Trust::Size)?.is_some() {
            published.push(number);
        }
    }
    Ok(ClusterState { parts, published })
}

/// Note the segments that are complete when a plan begins, so that nobody has to read them again.
pub(super) fn note_complete(plan: &FrozenPlan, layout: &Layout) -> Result<()> {
    let numbers = 0..plan.n_segments();
    let note = |number: u32| match done(plan, layout, number, Trust::Size)? {
        Some(note) => note.write(layout, number),
        None => Ok(()),
    };
    numbers.into_par_iter().try_for_each(note)
}

/// Return the note on a segment if it is complete: with [`Trust::Size`] by its note and the size of its file, otherwise, or
/// without a note, by the file itself.
pub(super) fn done(
    plan: &FrozenPlan,
    layout: &Layout,
    number: u32,
    trust: Trust,
) -> Result<Option<Note>> {
    let Some((key, ..)) = plan.segment_names(number) else {
        return Ok(None);
    };
    let path = layout.segment_of(key);
    let Ok(found) = fs::metadata(&path) else {
        return Ok(None);
    };
    let note = Note::read(plan, layout, number);
    let is_noted = |note: &Note| note.state == TaskState::Done && note.bytes == Some(found.len());
    if trust == Trust::Size
        && let Some(note) = note.filter(is_noted)
    {
        return Ok(Some(note));
    }
    let failures = check(plan, layout, number)?;
    Ok(failures.map(|failures| Note {
        bytes: Some(found.len()),
        failures,
        ..Note::new(plan, TaskState::Done)
    }))
}

/// Read the file of a segment. Return the files that it could not index if it is complete: every record is intact, and there
/// is one for every planned file, as it was planned.
pub(super) fn check(
    plan: &FrozenPlan,
    layout: &Layout,
    number: u32,
) -> Result<Option<Vec<SkippedFile>>> {
    let Some((key, shard, root)) = plan.segment_names(number) else {
        return Ok(None);
    };
    let path = layout.segment_of(key);
    if !path.exists() {
        return Ok(None);
    }
    let records = match read_finished(&path, &header(plan, shard, root)) {
        // Another task may be replacing it.
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        records => records?,
    };
    let Some(records) = records else {
        return Ok(None);
    };
    let files = plan.files(number)?;
    Ok(is_complete(&records, &files).then(|| failures(&records, root)))
}

/// Return the header of the files of segments of this shard and root.
fn header(plan: &FrozenPlan, shard: &str, root: &str) -> SegmentHeader {
    SegmentHeader {
        fingerprint: plan.fingerprint(),
        identity: crate::engine::worker::segment_identity(shard, root),
    }
}

/// Return whether there is a record of every planned file and of no other, each as it was planned.
fn is_complete(records: &[FileRecord], files: &[FrozenFile]) -> bool {
    let by_path: HashMap<_, _> = records.iter().map(|it| (&it.entry.path, it)).collect();
    let is_there = |file: &FrozenFile| {
        by_path.get(&file.entry.path).is_some_and(|record| {
            let is_same = record.entry == file.entry;
            // Its time was changed, but not its bytes.
            let has_same_bytes = || {
                record.entry.size == file.entry.size
                    && file.hash.is_some()
                    && record.hash == file.hash
            };
            is_same || has_same_bytes()
        })
    };
    records.len() == files.len() && files.iter().all(is_there)
}

/// Return the files of a segment that should have been indexed and were not.
pub(super) fn failures(records: &[FileRecord], root: &str) -> Vec<SkippedFile> {
    let failures = records.iter().filter_map(|record| match &record.outcome {
        FileOutcome::Skipped { reason, detail } if reason.is_failure() => Some(SkippedFile {
            root: root.to_owned(),
            path: record.entry.path.to_string(),
            reason: *reason,
            detail: detail.clone(),
        }),
        _ => None,
    });
    failures.collect()
}
