//! Whether a path is eligible: the one place that decides, for the walk and for `why` alike.
//!
//! Rules are asked in a fixed order, names before anything that costs a system call, and the first
//! that objects is the reason.

use super::git::{self, Ignored, Layers};
use super::outputs::Looked;
use super::read::{io_reason, mtime_ns};
use super::result::ScanFailure;
use super::{folder_marks, outputs, secrets};
use crate::file::{FileEntry, RelPath, SkipReason};
use crate::platform;
use crate::profile::recipe::RuleSet;
use crate::profile::{LOCK_FILES, LargeFiles, MINIFIED, Root, Rules, SOURCE_MAPS, Secrets};
use std::fmt;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Extensions of images in the form of text.
const IMAGES: [&str; 6] = ["eps", "ps", "svg", "xpm", "xbm", "pgm"];

/// Bytes up to which such a file is indexed: a diagram that someone wrote by hand, or an icon with a title.
const IMAGE_BYTES: u64 = 8 * 1024;

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
    Eligible(FileEntry, Author),
    /// A folder to walk.
    Enter,
    /// A link to the folder given, to be walked under the link's name.
    EnterLink(PathBuf),
    Skip(SkipReason, Rule<'j>),
}

/// Who wrote a file, as its repository says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A person: its content is not judged.
    Person,
    Unknown,
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
    Ignored(Ignored),
    /// An attribute in `.gitattributes`.
    Attribute(&'static str),
    /// The working tree that is indexed in its place, or the data that both share.
    Worktree(PathBuf),
    /// What lies in a folder, or beside it, tells what it is.
    Marked(&'static str),
    Image {
        bytes: u64,
    },
    /// The first bytes are no text.
    Nul,
    Bytes {
        bytes: u64,
        key: &'static str,
        limit: u64,
    },
    InnerRoot,
    /// What builds wrote there.
    Output(&'static str),
    /// The build reads its settings there.
    Profile,
    Link(&'static str),
    Kind,
    Io(io::Error),
}

impl<'r> Judge<'r> {
    pub fn new(root: &'r Root, rules: &'r Rules) -> Self {
        Self {
            root,
            rules,
            layers: Layers::new(root, rules),
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
        if self.rules.set == RuleSet::Standard {
            self.not_marked(candidate)?;
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
        if self.root.profile_file.as_ref() == Some(rel) {
            return Err((SkipReason::Output, Rule::Profile));
        }
        self.not_secret(rel, secrets::secret_pattern)?;
        let said = self.layers.linguist(rel);
        if let Some(entry) = self.rules.skip_names.matching(self.below(candidate)) {
            let key = "skip_names";
            let reason = self.reason_of_name(entry);
            if reason == SkipReason::SkippedName || said.generated != Some(false) {
                return Err((reason, Rule::Listed { key, entry }));
            }
        }
        if !self.rules.names.take(rel) {
            let rule = Rule::Extension(rel.extension());
            return Err((SkipReason::Extension, rule));
        }
        self.not_ignored(candidate, false)?;
        if said.vendored == Some(true) {
            let rule = Rule::Attribute("linguist-vendored");
            return Err((SkipReason::Vendored, rule));
        }
        if said.generated == Some(true) {
            let rule = Rule::Attribute("linguist-generated");
            return Err((SkipReason::Generated, rule));
        }
        let metadata =
            metadata(candidate.path).map_err(|error| (io_reason(&error), Rule::Io(error)))?;
        self.within_limits(metadata.len())?;
        if said.generated != Some(false) {
            self.not_image(rel, metadata.len())?;
        }
        if platform::file_identity(&metadata).is_some_and(|it| self.streams.contains(&it)) {
            let what = "the output of this run";
            return Err((SkipReason::Output, Rule::Output(what)));
        }
        match outputs::text(self.root, rel, self.rules) {
            Some(Looked::Output(what)) => return Err((SkipReason::Output, Rule::Output(what))),
            Some(Looked::Binary) => return Err((SkipReason::Binary, Rule::Nul)),
            None => {}
        }
        let entry = FileEntry {
            path: rel.clone(),
            size: metadata.len(),
            mtime_ns: mtime_ns(&metadata),
        };
        let author = match said.generated {
            Some(false) => Author::Person,
            _ => Author::Unknown,
        };
        Ok(Verdict::Eligible(entry, author))
    }

    /// Refuse the folders of tools, and second working trees of a repository.
    fn not_marked(&self, candidate: &Candidate<'_>) -> Result<(), Objection<'_>> {
        let (root, rel, path) = (self.root, candidate.rel, candidate.path);
        if let Some((reason, what)) = folder_marks::folder(root, rel, path, &self.rules.limits) {
            // What holds for the files in the folder is asked of one that may not be there.
            let inside = RelPath::try_from([rel.as_bytes(), b"/_"].concat());
            let said = inside.map(|inside| self.layers.linguist(&inside));
            let is_kept = reason == SkipReason::Vendored
                && said.is_ok_and(|said| said.vendored == Some(false));
            if !is_kept {
                return Err((reason, Rule::Marked(what)));
            }
        }
        match git::other_worktree(&root.path, candidate.real, self.layers.common_dir()) {
            Some(other) => Err((SkipReason::Worktree, Rule::Worktree(other))),
            None => Ok(()),
        }
    }

    /// Return the reason for a pattern of `skip_names`. The compat rules have one for all.
    fn reason_of_name(&self, pattern: &str) -> SkipReason {
        match self.rules.set {
            RuleSet::Standard if LOCK_FILES.contains(&pattern) => SkipReason::LockFile,
            RuleSet::Standard if MINIFIED.contains(&pattern) => SkipReason::Minified,
            RuleSet::Standard if SOURCE_MAPS.contains(&pattern) => SkipReason::SourceMap,
            _ => SkipReason::SkippedName,
        }
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
        match self.layers.ignored(candidate.rel, is_folder) {
            Some((reason, ignored)) => Err((reason, Rule::Ignored(ignored))),
            None => Ok(()),
        }
    }

    fn within_limits(&self, bytes: u64) -> Result<(), Objection<'_>> {
        let limits = &self.rules.limits;
        if bytes < limits.min_file_bytes {
            let (key, limit) = ("min_file_bytes", limits.min_file_bytes);
            return Err((SkipReason::TooSmall, Rule::Bytes { bytes, key, limit }));
        }
        if bytes > limits.max_file_bytes && limits.large_files == LargeFiles::Skip {
            let (key, limit) = ("max_file_bytes", limits.max_file_bytes);
            return Err((SkipReason::TooLarge, Rule::Bytes { bytes, key, limit }));
        }
        Ok(())
    }

    /// Refuse drawings under the standard rules: what is not a number in them is a word or two.
    fn not_image(&self, path: &RelPath, bytes: u64) -> Result<(), Objection<'_>> {
        let is_drawing = || IMAGES.contains(&path.extension().as_str());
        if self.rules.set == RuleSet::Standard && bytes > IMAGE_BYTES && is_drawing() {
            return Err((SkipReason::Image, Rule::Image { bytes }));
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
            Self::Ignored(Ignored { line, file }) => write!(f, "`{line}` in {}", file.display()),
            Self::Attribute(name) => write!(f, "`{name}` in .gitattributes"),
            Self::Worktree(other) => {
                write!(
                    f,
                    "another working tree of the repository in {}",
                    other.display()
                )
            }
            Self::Bytes { bytes, key, limit } => write!(f, "{bytes} bytes, {key} is {limit}"),
            Self::Marked(what) => write!(f, "{what}, as the files there say"),
            Self::Image { bytes } => {
                write!(
                    f,
                    "{bytes} bytes of an image in the form of text; up to {IMAGE_BYTES} are indexed"
                )
            }
            Self::Nul => f.write_str("NUL bytes in its beginning: not text"),
            Self::InnerRoot => f.write_str("belongs to another root of the profile"),
            Self::Output(what) => write!(f, "{what}, written by helix-build"),
            Self::Profile => f.write_str("the profile of this build"),
            Self::Link(why) => f.write_str(why),
            Self::Kind => f.write_str("neither a file nor a folder"),
            Self::Io(error) => error.fmt(f),
        }
    }
}
