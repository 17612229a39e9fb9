//! Whether a path is eligible: the one place that decides, for the walk and for `why` alike.
//!
//! Rules are asked in a fixed order, names before anything that costs a system call, and the first
//! that objects is the reason.

use super::gitignore::{Ignored, Layers};
use super::read::{io_reason, mtime_ns};
use super::result::ScanFailure;
use super::{outputs, secrets};
use crate::file::{FileEntry, RelPath, SkipReason};
use crate::platform;
use crate::profile::{Root, Rules, Secrets};
use std::fmt;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// The rules of one root, with the state of a walk down one branch.
pub struct Judge<'r> {
    root: &'r Root,
    rules: &'r Rules,
    layers: Layers,
    /// Files that this process's standard output and error go to.
    streams: Vec<(u64, u64)>,
}

/// A path under judgement.
pub struct Candidate<'a> {
    pub rel: &'a RelPath,
    /// Absolute, by way of the links followed.
    pub path: &'a Path,
    /// Absolute and free of links, but for the last component.
    pub real: &'a Path,
    pub kind: FileType,
    /// Whether a link was followed on the way.
    pub in_link: bool,
}

pub enum Verdict<'j> {
    Eligible(FileEntry),
    /// A folder to walk.
    Enter,
    /// A link to the folder given, to be walked under the link's name.
    EnterLink(PathBuf),
    Skip(SkipReason, Rule<'j>),
}

/// The rule behind a skip, in words.
#[derive(Debug)]
pub enum Rule<'j> {
    /// A name or pattern under a key of the profile.
    Listed {
        key: &'static str,
        entry: &'j str,
    },
    NotIncluded,
    Extension(String),
    Secret(String),
    Gitignore(Ignored<'j>),
    Bytes {
        bytes: u64,
        key: &'static str,
        limit: u64,
    },
    InnerRoot,
    /// What builds wrote there.
    Output(&'static str),
    Link(&'static str),
    Kind,
    Io(io::Error),
}

impl<'r> Judge<'r> {
    pub fn new(root: &'r Root, rules: &'r Rules) -> Self {
        Self {
            root,
            rules,
            layers: Layers::default(),
            streams: platform::own_streams(),
        }
    }

    /// Must be called before judging an entry `depth` components below the root (from 1).
    pub fn leave_to(&mut self, depth: usize) {
        self.layers.leave_to(depth);
    }

    /// Must be called when a folder (`None`: the root) is entered. Returns rule files that cannot
    /// be read.
    pub fn enter(&mut self, below: Option<&RelPath>) -> Vec<ScanFailure> {
        if !self.rules.gitignore {
            return Vec::new();
        }
        self.layers
            .enter(&self.root.path, below, &self.rules.limits)
    }

    pub fn judge(&self, candidate: &Candidate<'_>) -> Verdict<'_> {
        let kind = candidate.kind;
        let verdict = if kind.is_symlink() {
            self.link(candidate)
        } else if kind.is_dir() {
            self.folder(candidate).map(|()| Verdict::Enter)
        } else if kind.is_file() {
            self.file(candidate, |path| path.symlink_metadata())
        } else {
            Err((SkipReason::Special, Rule::Kind))
        };
        verdict.unwrap_or_else(|(reason, rule)| Verdict::Skip(reason, rule))
    }

    fn folder(&self, candidate: &Candidate<'_>) -> Result<(), Objection<'_>> {
        if self.is_inner_root(candidate.real) {
            return Err((SkipReason::OtherRoot, Rule::InnerRoot));
        }
        if let Some(what) = outputs::folder(self.root, candidate.rel, &self.rules.limits) {
            return Err((SkipReason::Output, Rule::Output(what)));
        }
        let name = std::str::from_utf8(candidate.rel.file_name()).ok();
        if let Some(entry) = name.and_then(|name| self.rules.skip_dirs.get(name)) {
            let key = "skip_dirs";
            return Err((SkipReason::SkippedDir, Rule::Listed { key, entry }));
        }
        self.not_excluded(candidate)?;
        self.not_secret(candidate.rel, secrets::folder_pattern)?;
        self.not_ignored(candidate, true)
    }

    fn file(
        &self,
        candidate: &Candidate<'_>,
        metadata: fn(&Path) -> io::Result<Metadata>,
    ) -> Result<Verdict<'_>, Objection<'_>> {
        let rel = candidate.rel;
        self.not_excluded(candidate)?;
        self.included(candidate)?;
        if let Some(what) = outputs::file(self.root, rel, &self.rules.limits) {
            return Err((SkipReason::Output, Rule::Output(what)));
        }
        self.not_secret(rel, secrets::secret_pattern)?;
        if let Some(entry) = self.rules.skip_names.matching(self.below(candidate)) {
            let key = "skip_names";
            return Err((SkipReason::SkippedName, Rule::Listed { key, entry }));
        }
        let extension = rel.extension();
        if !self.rules.extensions.contains(&extension) {
            let rule = Rule::Extension(extension);
            return Err((SkipReason::Extension, rule));
        }
        self.not_ignored(candidate, false)?;
        let metadata =
            metadata(candidate.path).map_err(|error| (io_reason(&error), Rule::Io(error)))?;
        self.within_limits(metadata.len())?;
        if platform::file_identity(&metadata).is_some_and(|it| self.streams.contains(&it)) {
            let what = "the output of this run";
            return Err((SkipReason::Output, Rule::Output(what)));
        }
        if let Some(what) = outputs::text(self.root, rel, &self.rules.limits) {
            return Err((SkipReason::Output, Rule::Output(what)));
        }
        Ok(Verdict::Eligible(FileEntry {
            path: rel.clone(),
            size: metadata.len(),
            mtime_ns: mtime_ns(&metadata),
        }))
    }

    /// Follows a link one step deep: a link met below a linked folder is refused, for a few links
    /// that point at each other's folders would make more paths than any disk has files.
    fn link(&self, candidate: &Candidate<'_>) -> Result<Verdict<'_>, Objection<'_>> {
        let refused = |why| (SkipReason::LinkRefused, Rule::Link(why));
        if !self.rules.limits.follow_links {
            return Err((SkipReason::Link, Rule::Link("follow_links is off")));
        }
        if candidate.in_link {
            return Err(refused("a link below a linked folder"));
        }
        let target = platform::real_path(candidate.path);
        let target = target.map_err(|error| (SkipReason::LinkRefused, Rule::Io(error)))?;
        if candidate.real.starts_with(&target) {
            return Err(refused("runs in a circle"));
        }
        let Some(target_rel) = RelPath::below(&self.root.path, &target) else {
            return Err(refused("leads out of the root"));
        };
        if target.ancestors().any(|folder| self.is_inner_root(folder)) {
            return Err((SkipReason::OtherRoot, Rule::InnerRoot));
        }
        // A harmless name must not open the way to a secret.
        self.not_secret(&target_rel, secrets::pattern_on_the_way)?;
        let metadata = target.symlink_metadata();
        let metadata = metadata.map_err(|error| (SkipReason::LinkRefused, Rule::Io(error)))?;
        if metadata.is_dir() {
            self.folder(candidate)?;
            return Ok(Verdict::EnterLink(target));
        }
        if metadata.is_file() {
            return self.file(candidate, |path| path.metadata());
        }
        Err((SkipReason::Special, Rule::Kind))
    }

    fn is_inner_root(&self, folder: &Path) -> bool {
        let inner = &self.root.inner;
        !inner.is_empty()
            && RelPath::below(&self.root.path, folder).is_some_and(|path| inner.contains(&path))
    }

    fn not_excluded(&self, candidate: &Candidate<'_>) -> Result<(), Objection<'_>> {
        let key = "exclude";
        match self.root.exclude.matching(self.below(candidate)) {
            Some(entry) => Err((SkipReason::Excluded, Rule::Listed { key, entry })),
            None => Ok(()),
        }
    }

    fn included(&self, candidate: &Candidate<'_>) -> Result<(), Objection<'_>> {
        let include = &self.root.include;
        if include.is_empty() || include.matching_or_above(self.below(candidate)).is_some() {
            return Ok(());
        }
        Err((SkipReason::Excluded, Rule::NotIncluded))
    }

    fn not_secret(
        &self,
        path: &RelPath,
        pattern: fn(&RelPath) -> Option<String>,
    ) -> Result<(), Objection<'_>> {
        match (self.rules.secrets, pattern(path)) {
            (Secrets::Skip, Some(pattern)) => Err((SkipReason::Secret, Rule::Secret(pattern))),
            _ => Ok(()),
        }
    }

    fn not_ignored(&self, candidate: &Candidate<'_>, is_folder: bool) -> Result<(), Objection<'_>> {
        match self.layers.ignored(candidate.path, is_folder) {
            Some(ignored) => Err((SkipReason::Gitignore, Rule::Gitignore(ignored))),
            None => Ok(()),
        }
    }

    fn within_limits(&self, bytes: u64) -> Result<(), Objection<'_>> {
        let limits = &self.rules.limits;
        if bytes < limits.min_file_bytes {
            let (key, limit) = ("min_file_bytes", limits.min_file_bytes);
            return Err((SkipReason::TooSmall, Rule::Bytes { bytes, key, limit }));
        }
        if bytes > limits.max_file_bytes {
            let (key, limit) = ("max_file_bytes", limits.max_file_bytes);
            return Err((SkipReason::TooLarge, Rule::Bytes { bytes, key, limit }));
        }
        Ok(())
    }

    fn below<'c>(&self, candidate: &Candidate<'c>) -> &'c Path {
        let path = candidate.path;
        path.strip_prefix(&self.root.path).unwrap_or(path)
    }
}

type Objection<'j> = (SkipReason, Rule<'j>);

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed { key, entry } => write!(f, "`{entry}` in {key}"),
            Self::NotIncluded => f.write_str("nothing in include matches"),
            Self::Extension(extension) if extension.is_empty() => f.write_str("has no extension"),
            Self::Extension(extension) => write!(f, "`{extension}` is not in extensions"),
            Self::Secret(pattern) => write!(f, "`{pattern}` is on the list of secret file names"),
            Self::Gitignore(Ignored { line, file }) => match file {
                Some(file) => write!(f, "`{line}` in {}", file.display()),
                None => write!(f, "`{line}`"),
            },
            Self::Bytes { bytes, key, limit } => write!(f, "{bytes} bytes, {key} is {limit}"),
            Self::InnerRoot => f.write_str("belongs to another root of the profile"),
            Self::Output(what) => write!(f, "{what}, written by helix-build"),
            Self::Link(why) => f.write_str(why),
            Self::Kind => f.write_str("neither a file nor a folder"),
            Self::Io(error) => error.fmt(f),
        }
    }
}
