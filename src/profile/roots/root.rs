//! Roots as values: those that exist, those that are missing, those that an earlier build knew.

use crate::file::RelPath;
use crate::platform;
use crate::profile::labels::slug;
use crate::profile::patterns::Patterns;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// A folder whose files are indexed.
#[derive(Clone, Debug)]
pub struct Root {
    /// Name of its shard: lower-case letters, digits and `-`; unique in the profile.
    pub label: String,
    /// Absolute and free of links.
    pub path: PathBuf,
    /// If not empty, only files that match it, or below a folder that matches it, are eligible.
    pub include: Patterns,
    /// Files and folders that are left out. Overrides `include`.
    pub exclude: Patterns,
    /// Other roots of the profile inside this one, whose files belong to them.
    pub inner: Vec<RelPath>,
    /// Files inside this root that the build itself writes, such as its log.
    pub outputs: Vec<RelPath>,
    /// The profile file, if it lies inside this root and the standard rules leave it out.
    pub profile_file: Option<RelPath>,
    /// The profile's entry that names it, as typed.
    pub typed: String,
    pub(super) label_source: LabelSource,
}

/// What a root's label is made from, besides its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LabelSource {
    /// Set in the profile.
    pub label: Option<String>,
    /// The last component of the path as typed.
    pub name: String,
    /// The entry is a pattern.
    pub is_glob: bool,
}

impl Root {
    /// Return a root with all files below `path`, which must be absolute and free of links.
    pub fn new(label: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            label: label.into(),
            path: path.into(),
            include: Patterns::default(),
            exclude: Patterns::default(),
            inner: Vec::new(),
            outputs: Vec::new(),
            profile_file: None,
            typed: String::new(),
            label_source: LabelSource::default(),
        }
    }

    /// Find the folder at `path` as a root with all its files, labelled by the folder's name.
    pub(in crate::profile) fn of_folder(path: &Path) -> io::Result<Self> {
        let real = platform::real_path(path)?;
        if !real.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let name = file_name(&real);
        Ok(Self {
            typed: real.display().to_string(),
            label_source: LabelSource {
                label: None,
                name: name.clone(),
                is_glob: false,
            },
            ..Self::new(slug(&name), real)
        })
    }

    /// Return `path` relative to this root; `None` if it is outside.
    pub fn relative(&self, path: &Path) -> Option<RelPath> {
        RelPath::below(&self.path, path)
    }
}

/// A root of the profile that does not exist on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRoot {
    /// The profile's entry, as typed.
    pub typed: String,
    /// The path or pattern, with variables expanded.
    pub resolved: String,
    /// For people: why it is missing.
    pub detail: String,
    /// Where it would be, and the label reserved for it. `None` for a pattern.
    pub expected: Option<ExpectedRoot>,
    pub(super) label_source: LabelSource,
}

impl MissingRoot {
    /// Return a missing root of which only its entry in the profile is known.
    pub fn named(typed: &str) -> Self {
        Self {
            typed: typed.to_owned(),
            resolved: typed.to_owned(),
            detail: String::new(),
            expected: None,
            label_source: LabelSource::default(),
        }
    }

    /// Return the profile's entry; for a folder that a pattern matched before, its path.
    pub fn name(&self) -> String {
        match (self.label_source.is_glob, &self.expected) {
            (true, Some(expected)) => expected.path.display().to_string(),
            _ => self.typed.clone(),
        }
    }
}

/// Where a missing root would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedRoot {
    pub path: PathBuf,
    pub label: String,
}

/// A root as an earlier build found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRoot {
    /// The profile's entry, as typed.
    pub typed: String,
    /// Absolute and free of links.
    pub path: PathBuf,
    pub label: String,
}

/// Return the last component of a path.
pub(super) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
