//! What a walk over a root finds.

use crate::file::{FileEntry, RelPath, SkipReason};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What one walk over a root found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootScan {
    /// The eligible files in canonical order.
    pub files: Vec<FileEntry>,
    /// Sum of their sizes.
    pub bytes: u64,
    /// How many files were left out, by reason. A folder that is not entered counts once, whatever
    /// it holds: counting its files would cost the walk that the rule is there to save.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// What could not be looked at, in canonical order. Counted in `skipped` as well.
    pub failures: Vec<ScanFailure>,
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
