//! The verdict on one path, with the rule behind it.

use super::judge::{Author, Candidate, Judge, Verdict};
use super::read::io_reason;
use crate::file::{FileEntry, RelPath, SkipReason};
use crate::profile::{Root, Rules};
use std::path::Path;

/// What the walk makes of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Eligible(FileEntry),
    /// A folder whose files are judged one by one.
    Entered,
    Skipped {
        /// The path itself, or the folder above it that is not entered.
        at: RelPath,
        reason: SkipReason,
        /// In words: the key and entry of the profile, or what the system says.
        rule: String,
    },
}

/// Judge `path` as the walk over `root` would.
pub fn why(root: &Root, rules: &Rules, path: &RelPath) -> Why {
    judge(root, rules, path).0
}

/// Whether `.gitattributes` say that a person wrote the eligible file at `path`.
pub fn is_authored(root: &Root, rules: &Rules, path: &RelPath) -> bool {
    judge(root, rules, path).1 == Author::Person
}

fn judge(root: &Root, rules: &Rules, path: &RelPath) -> (Why, Author) {
    let mut author = Author::Unknown;
    let verdict = judge_each(root, rules, path, &mut author);
    (verdict, author)
}

fn judge_each(root: &Root, rules: &Rules, path: &RelPath, author: &mut Author) -> Why {
    let mut judge = Judge::new(root, rules);
    judge.enter(None);
    let full = path.on_disk(&root.path);
    let mut real = root.path.clone();
    let mut in_link = false;
    let below = full.strip_prefix(&root.path).unwrap_or(Path::new(""));
    let mut here = root.path.clone();
    let mut verdict = Why::Entered;
    for name in below {
        if let Why::Eligible(file) = verdict {
            return nothing_below(file.path);
        }
        here.push(name);
        real.push(name);
        let Some(rel) = root.relative(&here) else {
            break;
        };
        let skipped = |reason, rule: String| Why::Skipped {
            at: rel.clone(),
            reason,
            rule,
        };
        let kind = match here.symlink_metadata() {
            Ok(metadata) => metadata.file_type(),
            Err(error) => return skipped(io_reason(&error), error.to_string()),
        };
        let candidate = Candidate {
            rel: &rel,
            path: &here,
            real: &real,
            kind,
            in_link,
        };
        let target = match judge.judge(&candidate) {
            Verdict::Skip(reason, rule) => return skipped(reason, rule.to_string()),
            Verdict::Eligible(file, by) => {
                *author = by;
                verdict = Why::Eligible(file);
                continue;
            }
            Verdict::Enter => None,
            Verdict::EnterLink(target) => Some(target),
        };
        judge.enter(Some(&rel));
        if let Some(target) = target {
            real = target;
            in_link = true;
        }
    }
    verdict
}

fn nothing_below(file: RelPath) -> Why {
    Why::Skipped {
        at: file,
        reason: SkipReason::Vanished,
        rule: "a file, with nothing below it".into(),
    }
}
