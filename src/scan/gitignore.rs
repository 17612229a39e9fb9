//! The `.gitignore` files on the way from a root to a path.
//!
//! Only files inside the root are read, so that the same tree is judged alike wherever it lies. A
//! folder with `.git` in it starts a repository: rules from above end there, and its
//! `.git/info/exclude` holds below its `.gitignore` files. Tracked files are not known here, so a
//! rule hides them too, as `git check-ignore --no-index` would.

mod listed;

pub use listed::{Rules, Verdict};

use super::read::read_bytes;
use super::result::ScanFailure;
use crate::file::{RelPath, SkipReason};
use crate::profile::Limits;
use std::path::Path;

/// Bytes of a rule file at most. Larger ones are data with an unlucky name.
const MAX_RULE_FILE_BYTES: u64 = 4 << 20;

/// The rules in force, outermost first.
#[derive(Debug, Default)]
pub struct Layers(Vec<Layer>);

#[derive(Debug)]
struct Layer {
    /// Components between the root and the folder.
    depth: usize,
    /// In order of precedence: `.gitignore`, then `.git/info/exclude`.
    files: Vec<Rules>,
    starts_repository: bool,
}

/// The rule that hides a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored<'l> {
    pub line: &'l str,
    pub file: Option<&'l Path>,
}

impl Layers {
    /// Drop what does not hold for entries at `depth` (1: directly in the root).
    pub fn leave_to(&mut self, depth: usize) {
        while self.0.pop_if(|layer| layer.depth >= depth).is_some() {}
    }

    /// Add the rules of the folder `below` (`None`: the root itself). Rule files that cannot be
    /// read are returned, for the rules in them are not obeyed.
    pub fn enter(
        &mut self,
        root: &Path,
        below: Option<&RelPath>,
        limits: &Limits,
    ) -> Vec<ScanFailure> {
        let folder = below.map_or_else(|| root.to_path_buf(), |below| below.on_disk(root));
        let starts_repository = folder.join(".git").symlink_metadata().is_ok();
        let mut failures = Vec::new();
        let mut files = Vec::new();
        let names: &[&str] = match starts_repository {
            true => &[".gitignore", ".git/info/exclude"],
            false => &[".gitignore"],
        };
        for name in names {
            let file = RelPath::below(root, &folder.join(name)).expect("a name below the root");
            match rules(root, &folder, &file, limits) {
                Ok(Some(rules)) => files.push(rules),
                Ok(None) => {}
                Err(failure) => failures.push(failure),
            }
        }
        if starts_repository || !files.is_empty() {
            self.0.push(Layer {
                depth: below.map_or(0, |below| below.as_bytes().split(|b| *b == b'/').count()),
                files,
                starts_repository,
            });
        }
        failures
    }

    /// Return the rule that hides `path` (absolute), if one does.
    pub fn ignored(&self, path: &Path, is_folder: bool) -> Option<Ignored<'_>> {
        for layer in self.0.iter().rev() {
            for file in &layer.files {
                match file.matched(path, is_folder) {
                    Some((Verdict::Hidden, rule)) => return Some(rule),
                    Some((Verdict::Shown, _)) => return None,
                    None => {}
                }
            }
            if layer.starts_repository {
                return None;
            }
        }
        None
    }
}

/// Return the rules in `file`, counted from `folder`. `None`: there is no such file.
fn rules(
    root: &Path,
    folder: &Path,
    file: &RelPath,
    limits: &Limits,
) -> Result<Option<Rules>, ScanFailure> {
    let limits = Limits {
        max_file_bytes: MAX_RULE_FILE_BYTES,
        ..*limits
    };
    let bytes = match read_bytes(root, file, &limits) {
        Ok((bytes, _)) => bytes,
        // git itself reads no rules through a link, nor from anything but a file.
        Err(failure) if failure.reason == SkipReason::Vanished => return Ok(None),
        Err(failure) => {
            return Err(ScanFailure {
                path: file.clone(),
                reason: failure.reason,
                detail: failure.detail,
            });
        }
    };
    Ok(Some(Rules::parse(&bytes, folder, &file.on_disk(root))))
}
