//! What a walk over a root finds.

use crate::file::{FileEntry, RelPath, SkipReason};
use crate::report::SkippedTally;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What one walk over a root found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootScan {
    /// The eligible files in canonical order.
    pub files: Vec<FileEntry>,
    /// Those of them that people wrote, as `.gitattributes` say: nobody asks their content.
    pub authored: BTreeSet<RelPath>,
    /// Sum of their sizes.
    pub bytes: u64,
    /// How many files were left out, by reason. A folder that is not entered counts once, whatever
    /// it holds: counting its files would cost the walk that the rule is there to save.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// The same by reason and kind of file.
    pub skipped_kinds: SkippedTally,
    /// What could not be looked at, in canonical order. Counted in `skipped` as well.
    pub failures: Vec<ScanFailure>,
}

impl RootScan {
    /// Count a path that is skipped.
    pub(super) fn count(
        &mut self,
        reason: SkipReason,
        label: &str,
        path: &RelPath,
        is_folder: bool,
    ) {
        *self.skipped.entry(reason).or_default() += 1;
        self.skipped_kinds.add(reason, label, path, is_folder);
    }
}

/// A file or folder that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanFailure {
    pub path: RelPath,
    pub reason: SkipReason,
    /// The system's message.
    pub detail: String,
}

/// The root itself cannot be walked.
#[derive(Debug, thiserror::Error)]
#[error("listing root {}", .path.display())]
pub struct ScanError {
    pub path: PathBuf,
    pub source: std::io::Error,
}
