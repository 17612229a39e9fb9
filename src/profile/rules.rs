//! Which files of a root are eligible, and the defaults of both rule sets.

use super::file_names::FileNames;
use super::name_lists::{skip_dirs, skip_names};
use super::patterns::Patterns;
use super::recipe::RuleSet;
use crate::file::RelPath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Bytes. The Python builder's limits.
const COMPAT_MAX_FILE_BYTES: u64 = 200_000;
const COMPAT_MIN_FILE_BYTES: u64 = 50;

/// Bytes of a file that the standard rules index. Sources that people write are smaller: the largest of the Linux kernel that
/// no program wrote has about 400 kB.
const STANDARD_MAX_FILE_BYTES: u64 = 2_000_000;

/// What the standard rules index of a data file of more than [`DATA_BYTES`]: enough to say what its columns and fields are.
pub const DATA_HEAD_BYTES: u64 = 64 * 1024;

/// Bytes from which a file of records is a data dump rather than a fixture or a setting: the Python builder's limit.
const DATA_BYTES: u64 = 200_000;

/// Extensions of files of records, in which the later records say nothing that the first do not.
const DATA_EXTENSIONS: [&str; 9] = [
    "csv", "geojson", "json", "jsonl", "log", "ndjson", "psv", "topojson", "tsv",
];

/// What becomes of files above `max_file_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LargeFiles {
    /// Skipped.
    Skip,
    /// Their first bytes are indexed, up to the end of a line.
    Head,
}

/// Whether files named like keys and credentials are indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secrets {
    #[default]
    Skip,
    Allow,
}

/// Limits on files, enforced by the walk and again when a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub min_file_bytes: u64,
    pub max_file_bytes: u64,
    pub large_files: LargeFiles,
    /// Follow links that stay inside the root.
    pub follow_links: bool,
}

/// Which files are eligible, for all roots of a profile.
#[derive(Clone, Debug)]
pub struct Rules {
    pub set: RuleSet,
    pub names: FileNames,
    /// Exact names of skipped folders.
    pub skip_dirs: BTreeSet<String>,
    /// Names of skipped files.
    pub skip_names: Patterns,
    pub secrets: Secrets,
    /// Skip what git ignores.
    pub gitignore: bool,
    /// The user's `core.excludesFile`, if the profile asks for it.
    pub global_excludes: Option<PathBuf>,
    pub limits: Limits,
}

impl Limits {
    /// Return the limits of a rule set.
    pub fn of(set: RuleSet) -> Self {
        let (min_file_bytes, max_file_bytes, large_files) = match set {
            RuleSet::Standard => (1, STANDARD_MAX_FILE_BYTES, LargeFiles::Head),
            RuleSet::Compat => (
                COMPAT_MIN_FILE_BYTES,
                COMPAT_MAX_FILE_BYTES,
                LargeFiles::Skip,
            ),
        };
        Self {
            min_file_bytes,
            max_file_bytes,
            large_files,
            follow_links: false,
        }
    }

    /// Return how many bytes at most are indexed of the file at `path` of `size` bytes; `None`: all of it.
    pub fn head_bytes(&self, path: &RelPath, size: u64) -> Option<u64> {
        let most = self.most_bytes(path, size);
        (self.large_files == LargeFiles::Head && size > most).then_some(most)
    }

    /// Return how many bytes are read of the file at `path` of `size` bytes, at most.
    pub fn most_bytes(&self, path: &RelPath, size: u64) -> u64 {
        let is_data = || DATA_EXTENSIONS.contains(&path.extension().as_str());
        match self.large_files {
            LargeFiles::Head if size > DATA_BYTES && is_data() => {
                DATA_HEAD_BYTES.min(self.max_file_bytes)
            }
            _ => self.max_file_bytes,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(RuleSet::default())
    }
}

impl Rules {
    /// Return the rules of a profile that says no more than the rule set.
    pub fn of(set: RuleSet) -> Self {
        Self {
            set,
            names: FileNames::of(set),
            skip_dirs: skip_dirs(set).iter().map(ToString::to_string).collect(),
            skip_names: Patterns::compile(skip_names(set)).expect("the default patterns compile"),
            secrets: Secrets::default(),
            gitignore: set == RuleSet::Standard,
            global_excludes: None,
            limits: Limits::of(set),
        }
    }
}

impl Rules {
    /// Whether `.gitattributes` files say which files programs wrote.
    pub fn reads_attributes(&self) -> bool {
        self.set == RuleSet::Standard
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::of(RuleSet::default())
    }
}
