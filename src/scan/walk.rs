//! One walk over a root.

use super::judge::{Author, Candidate, Judge, Rule, Verdict};
use super::read::io_reason;
use super::result::{RootScan, ScanError, ScanFailure};
use crate::failpoint::failpoint;
use crate::file::{RelPath, SkipReason};
use crate::profile::{Root, Rules};
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Find the eligible files of `root`.
///
/// Fails only when the root itself cannot be listed, or not to its end; what goes wrong below it is in the result.
pub fn scan(root: &Root, rules: &Rules) -> Result<RootScan, ScanError> {
    scan_with(root, rules, &mut |_, _, _| {})
}

/// Hears of every path left out: the path, the reason and the rule, in words.
pub type OnSkip<'a> = &'a mut dyn FnMut(&RelPath, SkipReason, &dyn std::fmt::Display);

/// [`scan`], telling `on_skip` about every path left out, folder by folder in the order of names.
pub fn scan_with(root: &Root, rules: &Rules, on_skip: OnSkip<'_>) -> Result<RootScan, ScanError> {
    let unlisted = |source| ScanError {
        path: root.path.clone(),
        source,
    };
    std::fs::read_dir(&root.path).map_err(unlisted)?;
    if failpoint!("scan::list", root.label) {
        return Err(unlisted(std::io::ErrorKind::PermissionDenied.into()));
    }
    let mut walk = Walk {
        root,
        judge: Judge::new(root, rules),
        on_skip,
        found: RootScan::default(),
        broken: None,
    };
    walk.enter(None);
    walk.branch(&root.path, None);
    if let Some(source) = walk.broken {
        return Err(unlisted(source));
    }
    let mut found = walk.found;
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found.failures.sort_by(|a, b| a.path.cmp(&b.path));
    found.bytes = found.files.iter().map(|file| file.size).sum();
    Ok(found)
}

struct Walk<'w> {
    root: &'w Root,
    judge: Judge<'w>,
    on_skip: OnSkip<'w>,
    found: RootScan,
    /// Why the root itself could not be listed to its end.
    broken: Option<std::io::Error>,
}

impl Walk<'_> {
    /// Walk what lies below `top`: the root, or a link in it that leads to the folder `target`.
    fn branch(&mut self, top: &Path, target: Option<&Path>) {
        let mut entries = WalkDir::new(top)
            .min_depth(1)
            .sort_by(|a, b| a.file_name().cmp(b.file_name()))
            .into_iter();
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => {
                    if !self.visit(top, target, &entry) && entry.file_type().is_dir() {
                        entries.skip_current_dir();
                    }
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Return whether the entry, if it is a folder, is to be entered.
    fn visit(&mut self, top: &Path, target: Option<&Path>, entry: &DirEntry) -> bool {
        let Some(rel) = self.root.relative(entry.path()) else {
            return false;
        };
        let real = real_path(top, target, entry.path());
        self.judge.leave_to(depth(&rel));
        let verdict = self.judge.judge(&Candidate {
            rel: &rel,
            path: entry.path(),
            real: &real,
            kind: entry.file_type(),
            in_link: target.is_some(),
        });
        match verdict {
            Verdict::Eligible(file, author) => {
                if author == Author::Person {
                    self.found.authored.insert(file.path.clone());
                }
                self.found.files.push(file);
            }
            Verdict::Enter => self.enter(Some(&rel)),
            Verdict::EnterLink(folder) => {
                self.enter(Some(&rel));
                self.branch(entry.path(), Some(&folder));
            }
            Verdict::Skip(reason, rule) => {
                (self.on_skip)(&rel, reason, &rule);
                self.found
                    .count(reason, &self.root.label, &rel, entry.file_type().is_dir());
                if let Rule::Io(error) = rule
                    && reason.is_failure()
                {
                    self.found.failures.push(ScanFailure {
                        path: rel,
                        reason,
                        detail: error.to_string(),
                    });
                }
                return false;
            }
        }
        true
    }

    fn enter(&mut self, below: Option<&RelPath>) {
        let failures = self.judge.enter(below);
        self.found.failures.extend(failures);
    }

    /// A folder that cannot be listed, or not to its end.
    fn fail(&mut self, error: walkdir::Error) {
        let path = error.path().unwrap_or(&self.root.path).to_path_buf();
        let error: std::io::Error = error.into();
        if path == self.root.path {
            self.broken = Some(error);
            return;
        }
        let reason = io_reason(&error);
        let Some(path) = self.root.relative(&path) else {
            return;
        };
        (self.on_skip)(&path, reason, &error);
        self.found.count(reason, &self.root.label, &path, true);
        self.found.failures.push(ScanFailure {
            path,
            reason,
            detail: error.to_string(),
        });
    }
}

/// `path` below `top`, by way of the folder that `top` links to.
fn real_path(top: &Path, target: Option<&Path>, path: &Path) -> PathBuf {
    match (target, path.strip_prefix(top)) {
        (Some(target), Ok(below)) => target.join(below),
        _ => path.to_path_buf(),
    }
}

fn depth(path: &RelPath) -> usize {
    path.as_bytes().split(|byte| *byte == b'/').count()
}
