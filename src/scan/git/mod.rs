//! The rules of git, and of `.helixignore` files, on the way from a root to a path.
//!
//! Judges as git does: `.gitignore` files in each folder, then `info/exclude` of the repository, then, if asked for, the user's
//! `core.excludesFile`; the deepest file and the last rule in it win. Tracked files are never ignored. A folder that is a
//! repository of its own starts afresh, and a root inside a repository obeys the rules above it. `.gitignore` files outside
//! of any repository count as if there were one. `.helixignore` files are stronger than all of these.
//!
//! Reads below the root, and of the repository that the root belongs to: rule files, attributes, the index and the
//! configuration. Opens regular files only.

mod attributes;
mod index;
mod list;
mod repository;

pub use attributes::Linguist;
pub use list::{Ignored, RuleList};
pub use repository::other_worktree;

use super::read::read_bytes;
use super::result::ScanFailure;
use crate::file::{RelPath, SkipReason};
use crate::named_file;
use crate::profile::{LargeFiles, Limits, Root, Rules};
use attributes::AttributeList;
use bstr::{BStr, ByteSlice as _};
use gix_glob::pattern::Case;
use list::Verdict;
use repository::Repository;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Bytes of a rule file at most. Larger ones are data with an unlucky name.
const MAX_RULE_FILE_BYTES: u64 = 4 << 20;

/// Returns the bytes and the path of a rule file; `None` if there is none.
type ReadRules<'r> = &'r mut dyn FnMut(&str) -> Option<(Vec<u8>, PathBuf)>;

/// The rules in force, outermost first.
#[derive(Debug)]
pub struct Layers {
    /// Path of the root below its repository, with `/` at its end; empty if the root is not inside one.
    above: Vec<u8>,
    layers: Vec<Layer>,
    obeys_git: bool,
    reads_attributes: bool,
    /// The user's excludes, if they are asked for.
    global: RuleList,
}

#[derive(Debug, Default)]
struct Layer {
    /// Components between the root and the folder; 0 for the root and for folders above it.
    depth: usize,
    /// Length of the folder's path, `/` at its end included, in a path that begins with [`Layers::above`].
    base: usize,
    ignore: RuleList,
    ours: RuleList,
    attributes: AttributeList,
    /// Set if the folder is a repository of its own.
    repository: Option<Repository>,
    /// The rule that hides the folder, which is entered for its tracked files.
    hidden: Option<Ignored>,
}

impl Layers {
    /// Return the rules that come from above `root`.
    pub fn new(root: &Root, rules: &Rules) -> Self {
        let mut layers = Self {
            above: Vec::new(),
            layers: Vec::new(),
            obeys_git: rules.gitignore,
            reads_attributes: rules.reads_attributes(),
            global: RuleList::default(),
        };
        if let Some(file) = &rules.global_excludes
            && rules.gitignore
        {
            layers.global = RuleList::parse(&outside(file), file);
        }
        layers.enter_above(&root.path);
        layers
    }

    /// Add the layers of the folders from that of the repository around `root` to the one above it.
    fn enter_above(&mut self, root: &Path) {
        let reads_git = self.obeys_git || self.reads_attributes;
        if !reads_git || Repository::at(root).is_some() {
            return;
        }
        let repository = |folder: &Path| Some((folder.to_path_buf(), Repository::at(folder)?));
        let Some((top, repository)) = root.ancestors().skip(1).find_map(repository) else {
            return;
        };
        let Some(below) = RelPath::below(&top, root) else {
            return;
        };
        self.above = [below.as_bytes(), b"/"].concat();
        let mut folders: Vec<_> = root
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(&top))
            .collect();
        folders.reverse();
        let mut repository = Some(repository);
        for folder in folders {
            let base = RelPath::below(&top, folder).map_or(0, |path| path.as_bytes().len() + 1);
            let read = |name: &str| {
                let file = folder.join(name);
                let is_file = file.symlink_metadata().is_ok_and(|it| it.is_file());
                (if is_file { outside(&file) } else { Vec::new() }, file)
            };
            let repository = repository.take();
            self.push(0, base, repository, None, &mut |name| Some(read(name)));
        }
    }

    /// Drop what does not hold for entries at `depth` (1: directly in the root).
    pub fn leave_to(&mut self, depth: usize) {
        while self.layers.pop_if(|layer| layer.depth >= depth).is_some() {}
    }

    /// Add the rules of the folder `below` (`None`: the root itself). Rule files that cannot be read are returned, for
    /// the rules in them are not obeyed.
    pub fn enter(
        &mut self,
        root: &Path,
        below: Option<&RelPath>,
        limits: &Limits,
    ) -> Vec<ScanFailure> {
        let folder = below.map_or_else(|| root.to_path_buf(), |below| below.on_disk(root));
        let reads_git = self.obeys_git || self.reads_attributes;
        let repository = if reads_git {
            Repository::at(&folder)
        } else {
            None
        };
        let base = match below {
            Some(below) => self.above.len() + below.as_bytes().len() + 1,
            None => self.above.len(),
        };
        let depth = below.map_or(0, |below| below.as_bytes().split(|b| *b == b'/').count());
        let hidden = match (below, &repository) {
            (Some(below), None) if self.obeys_git => self.hidden_by_git(&self.full(below), true),
            _ => None,
        };
        let mut failures = Vec::new();
        let mut read = |name: &str| match rule_file(root, &folder, name, limits) {
            Ok(bytes) => bytes.map(|bytes| (bytes, folder.join(name))),
            Err(failure) => {
                failures.push(failure);
                None
            }
        };
        self.push(depth, base, repository, hidden, &mut read);
        failures
    }

    /// Add a layer, unless it says nothing. `read` returns a rule file and its path.
    fn push(
        &mut self,
        depth: usize,
        base: usize,
        repository: Option<Repository>,
        hidden: Option<Ignored>,
        read: ReadRules<'_>,
    ) {
        let mut rules = |name: &str, is_wanted: bool| match is_wanted.then(|| read(name)) {
            Some(Some((bytes, file))) => RuleList::parse(&bytes, &file),
            _ => RuleList::default(),
        };
        let ours = rules(".helixignore", true);
        let ignore = rules(".gitignore", self.obeys_git);
        let attributes = match self.reads_attributes.then(|| read(".gitattributes")) {
            Some(Some((bytes, _))) => {
                let known = self.layers_of_repository();
                AttributeList::parse(&bytes, known.map(|layer| &layer.attributes))
            }
            _ => AttributeList::default(),
        };
        let says_nothing = ours.is_empty() && ignore.is_empty() && attributes.is_empty();
        if !says_nothing || repository.is_some() || hidden.is_some() {
            self.layers.push(Layer {
                depth,
                base,
                ignore,
                ours,
                attributes,
                repository,
                hidden,
            });
        }
    }

    /// Return the rule that hides `path` from us, with the reason.
    pub fn ignored(&self, path: &RelPath, is_folder: bool) -> Option<(SkipReason, Ignored)> {
        if self.layers.is_empty() {
            return None;
        }
        let full = self.full(path);
        for layer in self.layers.iter().rev() {
            let verdict = layer
                .ours
                .matched(below(&full, layer.base), is_folder, Case::Sensitive);
            match verdict {
                Some(Verdict::Hidden(rule)) => return Some((SkipReason::HelixIgnore, rule)),
                Some(Verdict::Shown) => return None,
                None => {}
            }
        }
        if !self.obeys_git {
            return None;
        }
        let rule = self.hidden_by_git(&full, is_folder)?;
        match self.is_tracked(&full, is_folder) {
            true => None,
            false => Some((SkipReason::Gitignore, rule)),
        }
    }

    /// Return the rule by which git ignores a path that is not tracked.
    fn hidden_by_git(&self, full: &[u8], is_folder: bool) -> Option<Ignored> {
        let case = self
            .repository()
            .map_or(Case::Sensitive, |(_, it)| it.case());
        for layer in self.layers.iter().rev() {
            if let Some(rule) = &layer.hidden {
                return Some(rule.clone());
            }
            let path = below(full, layer.base);
            let of_repository = layer.repository.iter().map(Repository::exclude);
            let global = layer.repository.iter().map(|_| &self.global);
            for list in std::iter::once(&layer.ignore)
                .chain(of_repository)
                .chain(global)
            {
                match list.matched(path, is_folder, case) {
                    Some(Verdict::Hidden(rule)) => return Some(rule),
                    Some(Verdict::Shown) => return None,
                    None => {}
                }
            }
            if layer.repository.is_some() {
                return None;
            }
        }
        None
    }

    /// Return whether a file is tracked, or a folder has tracked files.
    fn is_tracked(&self, full: &[u8], is_folder: bool) -> bool {
        self.repository()
            .is_some_and(|(base, repository)| repository.tracks(below(full, base), is_folder))
    }

    /// Return what `.gitattributes` say of a file for GitHub's Linguist.
    pub fn linguist(&self, path: &RelPath) -> Linguist {
        let mut found = Linguist::default();
        if !self.reads_attributes
            || !self.layers.iter().any(|layer| {
                let of_repository = layer.repository.as_ref();
                !layer.attributes.is_empty()
                    || of_repository.is_some_and(Repository::has_attributes)
            })
        {
            return found;
        }
        let full = self.full(path);
        let case = self
            .repository()
            .map_or(Case::Sensitive, |(_, it)| it.case());
        if let Some((base, repository)) = self.repository() {
            found.add(repository.attributes().linguist(below(&full, base), case));
        }
        for layer in self.layers.iter().rev() {
            found.add(layer.attributes.linguist(below(&full, layer.base), case));
            if layer.repository.is_some() {
                break;
            }
        }
        found
    }

    /// Return the innermost repository, and where paths in it begin.
    fn repository(&self) -> Option<(usize, &Repository)> {
        let mut layers = self.layers.iter().rev();
        layers.find_map(|layer| Some((layer.base, layer.repository.as_ref()?)))
    }

    /// Return the layers of the innermost repository, innermost first.
    fn layers_of_repository(&self) -> impl Iterator<Item = &Layer> {
        let mut is_outside = false;
        self.layers.iter().rev().take_while(move |layer| {
            let is_inside = !is_outside;
            is_outside = layer.repository.is_some();
            is_inside
        })
    }

    /// Return the folder that holds the innermost repository's data, shared by its working trees.
    pub fn common_dir(&self) -> Option<&Path> {
        Some(self.repository()?.1.common_dir())
    }

    fn full<'p>(&self, path: &'p RelPath) -> Cow<'p, [u8]> {
        match self.above.is_empty() {
            true => Cow::Borrowed(path.as_bytes()),
            false => Cow::Owned([&self.above, path.as_bytes()].concat()),
        }
    }
}

fn below(full: &[u8], base: usize) -> &BStr {
    full.get(base..).unwrap_or_default().as_bstr()
}

/// Return the bytes of the rule file `name` in `folder`. `None`: there is no such file.
fn rule_file(
    root: &Path,
    folder: &Path,
    name: &str,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, ScanFailure> {
    let file = folder.join(name);
    if file.symlink_metadata().is_err() {
        return Ok(None);
    }
    let path = RelPath::below(root, &file).expect("a name below the root");
    let limits = Limits {
        max_file_bytes: MAX_RULE_FILE_BYTES,
        large_files: LargeFiles::Skip,
        ..*limits
    };
    match read_bytes(root, &path, &limits) {
        Ok((bytes, _)) => Ok(Some(bytes)),
        // git itself reads no rules through a link, nor from anything but a file.
        Err(failure) if failure.reason == SkipReason::Vanished => Ok(None),
        Err(failure) => Err(ScanFailure {
            path,
            reason: failure.reason,
            detail: failure.detail,
        }),
    }
}

/// Return the bytes of a rule file outside the root; none if it is missing. Warns if it cannot be read.
fn outside(file: &Path) -> Vec<u8> {
    match named_file::read(file, MAX_RULE_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!("the rules in {} are not obeyed: {error}", file.display());
            Vec::new()
        }
    }
}
