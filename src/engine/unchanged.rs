//! Decides whether a published shard already matches the plan.
//!
//! Compares path, size and modification time of each file. If only the time differs, or if the change time says that the
//! file may have been replaced, it compares the hash of the bytes. A shard from which a server has taken chunks counts as
//! changed.

use crate::encode::EncoderInfo;
use crate::engine::differences::{BuiltWith, differences};
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::output::change_times::ChangeTimes;
use crate::engine::output::unavailable_roots::RetainedShards;
use crate::file::{self, FileRecord};
use crate::ids::Digest;
use crate::plan::{Plan, PlanRoot, PlannedFile, ShardPlan};
use crate::profile::{Limits, Profile};
use crate::scan;
use crate::store::StoreError;
use crate::store::build_meta;
use crate::store::ledger::{self, ShardLedger};
use crate::verify::has_lost_chunks;
use std::path::Path;

/// What a shard must have been built with to be kept.
pub struct Expected<'a> {
    pub profile: &'a Profile,
    pub files: Comparison<'a>,
    pub encoders: &'a EncoderInfo,
    pub fingerprint: Digest,
}

/// How files are compared with their records.
#[derive(Clone, Copy)]
pub struct Comparison<'a> {
    pub limits: &'a Limits,
    pub change_times: &'a ChangeTimes,
}

/// Return the ledger of the shard at `path` if it is complete and unchanged; `None` also if it is missing or unreadable.
///
/// # Errors
/// `FingerprintMismatch` for a shard of another fingerprint or format.
pub fn read_if_unchanged(
    path: &Path,
    plan: &Plan,
    shard: &ShardPlan,
    expected: &Expected<'_>,
) -> Result<Option<ShardLedger>> {
    if !path.exists() {
        return Ok(None);
    }
    let ledger = match ledger::read_ledger(path) {
        Ok(ledger) => ledger,
        Err(error @ StoreError::Format { .. }) => {
            return Err(BuildError::new(
                ErrorKind::FingerprintMismatch,
                error.to_string(),
            ));
        }
        Err(_) => return Ok(None),
    };
    if ledger.fingerprint != expected.fingerprint {
        let found = built_with(path)
            .map(|before| differences(&before, &expected.profile.recipe, expected.encoders))
            // The message names no difference then.
            .unwrap_or_default();
        return Err(BuildError::new(
            ErrorKind::FingerprintMismatch,
            format!(
                "{} was built with other models or settings ({}): pass --rebuild to replace it, or choose another --out-dir to keep both",
                path.display(),
                found.join(", ")
            ),
        ));
    }
    let same = same_roots(&ledger, plan, shard)
        && ledger.files.len() == shard.files.len()
        && ledger
            .files
            .iter()
            .zip(&shard.files)
            .all(|((root, record), planned)| {
                ledger.roots[*root as usize].label == plan.roots[planned.root as usize].label
                    && same_file(record, planned, plan, &expected.files)
            });
    if !same {
        return Ok(None);
    }
    // What a server did to chunks of unchanged files, only building again puts right.
    match has_lost_chunks(path) {
        Ok(false) => Ok(Some(ledger)),
        Ok(true) => {
            tracing::info!(
                "{}: a server has hidden, replaced or deleted chunks: building the shard again",
                path.display()
            );
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}

fn built_with(path: &Path) -> Result<BuiltWith, StoreError> {
    Ok(BuiltWith {
        encoder: build_meta::read_text(path, "encoder")?,
        recipe: build_meta::read_text(path, "recipe")?,
        tool_version: build_meta::read_text(path, "tool_version")?,
    })
}

/// Return whether the roots have not moved: the shard stores their absolute paths.
fn same_roots(ledger: &ShardLedger, plan: &Plan, shard: &ShardPlan) -> bool {
    shard.files.iter().all(|file| {
        let root = &plan.roots[file.root as usize];
        ledger
            .roots
            .iter()
            .any(|known| known.label == root.label && known.path == file::root_spelling(&root.path))
    })
}

/// Return whether a file is unchanged since it was indexed.
fn same_file(
    record: &FileRecord,
    planned: &PlannedFile,
    plan: &Plan,
    files: &Comparison<'_>,
) -> bool {
    let entry = &planned.entry;
    if record.entry.path != entry.path {
        return false;
    }
    let root = &plan.roots[planned.root as usize].path;
    let read = || scan::read_file(root, entry, files.limits);
    if let Some(reason) = record.read_failure() {
        return read().is_err_and(|failure| failure.reason == reason);
    }
    if record.entry.size != entry.size {
        return false;
    }
    // A quarantined file was not read; it stays so until size or time differ.
    let is_suspect = || record.hash.is_some() && files.change_times.is_suspect(root, entry);
    (record.entry.mtime_ns == entry.mtime_ns && !is_suspect())
        || read().is_ok_and(|read| Some(read.hash) == record.hash)
}

/// Return the labels of the roots that have changed since a retained blob was built.
pub fn changed_roots(
    plan: &Plan,
    retained: &RetainedShards,
    files: &Comparison<'_>,
) -> Vec<String> {
    let mut ledgers = retained.shards.values();
    let ledger = ledgers.next().map(|shard| ledger::read_ledger(&shard.path));
    // A blob that cannot be read is retained as well.
    let Some(Ok(ledger)) = ledger else {
        return Vec::new();
    };
    let is_changed = |(n, root): &(usize, &PlanRoot)| {
        let planned = plan.shards.iter().flat_map(|shard| &shard.files);
        let planned: Vec<_> = planned.filter(|file| file.root as usize == *n).collect();
        let label_of = |n: u32| ledger.roots.get(n as usize).map(|root| &root.label);
        let built = ledger.files.iter();
        let built: Vec<_> = built
            .filter(|(n, _)| label_of(*n) == Some(&root.label))
            .collect();
        let same = |((_, record), file): (&&(u32, FileRecord), &&PlannedFile)| {
            same_file(record, file, plan, files)
        };
        root.n_files > 0 && (planned.len() != built.len() || !built.iter().zip(&planned).all(same))
    };
    let roots = plan.roots.iter().enumerate();
    let changed = roots.filter(is_changed);
    changed.map(|(_, root)| root.label.clone()).collect()
}
