//! What is found in a small tree of files, and in which order.

#![cfg(unix)]

use super::*;
use crate::file::{RelPath, SkipReason};
use crate::profile::recipe::RuleSet;
use crate::profile::{Limits, Patterns, Root, Rules, Secrets};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

mod extremes;
mod gitignore;
mod links;
mod reasons;
mod standard;

/// With the system's own command, since the call is not to be had safely on all of them.
pub fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("runs").success());
}

struct Tree {
    dir: TempDir,
    root: Root,
    rules: Rules,
}

impl Tree {
    /// A root with these files, of 60 bytes each.
    fn new(files: &[&str]) -> Self {
        let dir = crate::test_folder::create();
        let root = dir.path().canonicalize().expect("exists").join("root");
        fs::create_dir(&root).expect("folder");
        let tree = Self {
            dir,
            root: Root::new("root", root),
            rules: Rules::of(RuleSet::Compat),
        };
        for file in files {
            tree.write(file, &[b'x'; 60]);
        }
        tree
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path.join(below)
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folder");
        fs::write(path, bytes).expect(file);
    }

    fn scan(&self) -> RootScan {
        scan(&self.root, &self.rules).expect("the root exists")
    }

    fn files(&self) -> Vec<String> {
        spelled(&self.scan())
    }

    fn why(&self, path: &str) -> Why {
        why(&self.root, &self.rules, &rel(path))
    }

    fn skipped(&self, path: &str) -> (String, SkipReason, String) {
        match self.why(path) {
            Why::Skipped { at, reason, rule } => (at.spelling().into_owned(), reason, rule),
            other => panic!("{path}: {other:?}"),
        }
    }
}

fn rel(spelling: &str) -> RelPath {
    RelPath::from_spelling(spelling).expect(spelling)
}

fn spelled(scan: &RootScan) -> Vec<String> {
    scan.files
        .iter()
        .map(|file| file.path.spelling().into_owned())
        .collect()
}

fn patterns(list: &[&str]) -> Patterns {
    Patterns::compile(list.iter().copied()).expect("compiles")
}

#[test]
fn canonical_order_is_that_of_bytes() {
    let tree = Tree::new(&[
        "a/x.rs", "a-b/x.rs", "a.rs", "A.rs", "ä.rs", "b/a/x.rs", "b.rs",
    ]);
    assert_eq!(
        tree.files(),
        [
            "A.rs", "a-b/x.rs", "a.rs", "a/x.rs", "b.rs", "b/a/x.rs", "ä.rs"
        ]
    );
}

#[test]
fn include_narrows_and_exclude_wins() {
    let mut tree = Tree::new(&[
        "src/a.rs",
        "src/deep/b.rs",
        "src/old/c.rs",
        "docs/d.md",
        "e.rs",
    ]);
    tree.root.include = patterns(&["src/", "*.md"]);
    tree.root.exclude = patterns(&["old"]);
    assert_eq!(tree.files(), ["docs/d.md", "src/a.rs", "src/deep/b.rs"]);
    assert_eq!(tree.skipped("e.rs").2, "nothing in include matches");
    assert_eq!(
        tree.skipped("src/old/c.rs"),
        (
            "src/old".into(),
            SkipReason::Excluded,
            "`old` in exclude".into()
        )
    );
}

#[test]
fn the_inner_root_owns_its_files() {
    let mut tree = Tree::new(&["a/x.rs", "a/inner/y.rs"]);
    tree.root.inner = vec![rel("a/inner")];
    let scan = tree.scan();
    assert_eq!(spelled(&scan), ["a/x.rs"]);
    assert_eq!(scan.skipped, [(SkipReason::OtherRoot, 1)].into());
    assert_eq!(tree.skipped("a/inner/y.rs").1, SkipReason::OtherRoot);
}
