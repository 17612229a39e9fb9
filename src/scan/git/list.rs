//! The rules of one rule file.

use crate::file::RelPath;
use bstr::BStr;
use gix_glob::Pattern;
use gix_glob::pattern::Case;
use gix_glob::wildmatch::Mode;
use std::path::Path;
use std::rc::Rc;

/// The rules of one file. A rule takes its text and some 60 bytes, so even the largest file needs little memory; a path is
/// compared with each of them, as git does.
#[derive(Clone, Debug)]
pub struct RuleList {
    patterns: Vec<Pattern>,
    source: Rc<Path>,
}

/// The rule that hides a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// As git reads it.
    pub line: String,
    pub file: Rc<Path>,
}

/// What the last rule that fits a path says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Hidden(Ignored),
    /// Shown in spite of earlier rules.
    Shown,
}

impl Default for RuleList {
    /// No rules.
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            source: Path::new("").into(),
        }
    }
}

impl RuleList {
    /// Return the rules in the `bytes` of `file`.
    pub fn parse(bytes: &[u8], file: &Path) -> Self {
        let rules = gix_ignore::parse(bytes, false);
        let mut patterns: Vec<_> = rules.map(|(pattern, _, _)| pattern).collect();
        patterns.shrink_to_fit();
        Self {
            patterns,
            source: file.into(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Return whether the rules hide a path below the folder of the file; `None` if they say nothing of it.
    pub fn says(&self, path: &RelPath, is_folder: bool) -> Option<bool> {
        let verdict = self.matched(path.as_bytes().into(), is_folder, Case::Sensitive)?;
        Some(matches!(verdict, Verdict::Hidden(_)))
    }

    /// Return what the last rule that fits says of `path`, which counts from the folder of the file.
    pub(super) fn matched(&self, path: &BStr, is_folder: bool, case: Case) -> Option<Verdict> {
        let name = path.iter().rposition(|byte| *byte == b'/').map(|at| at + 1);
        let fits = |pattern: &&Pattern| {
            let mode = Mode::NO_MATCH_SLASH_LITERAL;
            pattern.matches_repo_relative_path(path, name, Some(is_folder), case, mode)
        };
        let pattern = self.patterns.iter().rev().find(fits)?;
        Some(match pattern.is_negative() {
            true => Verdict::Shown,
            false => Verdict::Hidden(Ignored {
                line: pattern.to_string(),
                file: Rc::clone(&self.source),
            }),
        })
    }
}
