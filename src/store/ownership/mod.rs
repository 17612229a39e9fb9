//! Decides whether a build may replace or delete a file.
//!
//! The one rule: a build replaces or deletes what carries its own mark, and nothing else. A database carries it in its
//! rows (`build_meta`), one that is too damaged to be read in the records beside it; temporary files, segments and
//! manifests carry it in their names and first bytes ([`marks`](crate::report::marks)). Everything that replaces or deletes asks here.

mod holding;
mod leftovers;

pub use holding::{Holding, Mark, is_routing, look};
pub use leftovers::{
    Stale, foreign_beside, foreign_in_segments, remove_segments, remove_shard,
    remove_stale_attempts, remove_tasks,
};

use super::connect::log_beside;
use super::registered::RegisteredShard;
use super::root::Root;
use crate::ids::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What an output records of the files in it.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// In its routing database.
    pub registered: Vec<RegisteredShard>,
    /// Databases that its manifest lists, with their digests in hexadecimal.
    pub listed: BTreeMap<PathBuf, String>,
    /// Spelled paths of the roots that it was built from.
    pub roots: BTreeSet<String>,
    /// The user has said that whatever another profile built here may be replaced.
    pub taken_over: bool,
}

/// Why a build must not replace a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error(
        "{} is {what}, which this program did not write and will not replace: move it away with its -wal and -shm, or choose another --out-dir",
        path.display()
    )]
    Foreign { path: PathBuf, what: String },
    #[error(
        "{} is the log of a database that is not there, and may hold what is nowhere else: move it away to its database, or choose another --out-dir",
        path.display()
    )]
    Log { path: PathBuf },
    #[error(
        "{} is the shard of another profile, from other folders: move it away, choose another --out-dir, or replace it with --take-over",
        path.display()
    )]
    OfAnotherProfile { path: PathBuf },
    #[error(
        "{} was written by another version of this program ({by}, format {format}): --rebuild builds it afresh, another --out-dir keeps both",
        path.display()
    )]
    OtherFormat {
        path: PathBuf,
        format: String,
        by: String,
    },
}

/// How to treat a database of another version of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherFormats {
    Keep,
    Replace,
}

impl Records {
    /// Return whether the shard `label` may be put at `path`, in place of `holding`, which lies there.
    pub fn may_replace(
        &self,
        path: &Path,
        holding: &Holding,
        label: &str,
        others: OtherFormats,
    ) -> Result<(), NotOurs> {
        let foreign = |what: String| {
            let path = path.to_path_buf();
            Err(NotOurs::Foreign { path, what })
        };
        match holding {
            Holding::Nothing => match log_beside(path) {
                None => Ok(()),
                Some(path) => Err(NotOurs::Log { path }),
            },
            Holding::Ours(mark) if mark.label == label => {
                match self.taken_over || self.made(path, mark) {
                    true => Ok(()),
                    false => Err(NotOurs::OfAnotherProfile {
                        path: path.to_path_buf(),
                    }),
                }
            }
            Holding::Ours(mark) => foreign(format!("a copy of the shard {}", mark.label)),
            Holding::OtherFormat { .. } if others == OtherFormats::Replace => Ok(()),
            Holding::OtherFormat { format, by } => Err(NotOurs::OtherFormat {
                path: path.to_path_buf(),
                format: format.clone(),
                by: by.clone(),
            }),
            Holding::Unreadable if self.is_recorded(path) => Ok(()),
            Holding::Unreadable => foreign("a file that is not an index".to_owned()),
            Holding::Foreign(what) => foreign((*what).to_owned()),
        }
    }

    /// Return whether the shard at `path`, which holds `holding` and is not planned any more, may be deleted. `name_of` is the
    /// path of the shard of a label. One that nobody registered was put there by a build that was killed before it
    /// could, or by somebody: its roots tell.
    pub fn may_delete(
        &self,
        path: &Path,
        holding: &Holding,
        name_of: impl Fn(&str) -> PathBuf,
    ) -> bool {
        let rows = || {
            let same = |row: &&RegisteredShard| row.path.file_name() == path.file_name();
            self.registered.iter().filter(same)
        };
        if rows().any(|row| row.build.is_none()) {
            return false;
        }
        let registered = rows().next().is_some();
        match holding {
            Holding::Ours(mark) => {
                let known = |root: &Root| self.roots.contains(&root.path);
                name_of(&mark.label) == path && (registered || mark.roots.iter().all(known))
            }
            Holding::Unreadable => registered,
            Holding::Nothing | Holding::OtherFormat { .. } | Holding::Foreign(_) => false,
        }
    }

    /// Return whether this output made the database at `path`: it is the one that is recorded, or, made by a build that was
    /// killed before it could record it, of roots that the output knows.
    fn made(&self, path: &Path, mark: &Mark) -> bool {
        let of_known_roots = || {
            let known = |root: &Root| self.roots.contains(&root.path);
            !mark.roots.is_empty() && mark.roots.iter().all(known)
        };
        let is_registered = |digest: Digest| {
            let mut rows = self.registered.iter();
            rows.any(|row| {
                row.path.file_name() == path.file_name()
                    && row.build.is_some_and(|build| build.digest == digest)
            })
        };
        let is_listed = |digest: Digest| self.listed.get(path) == Some(&digest.to_string());
        let is_recorded = |digest: Digest| is_registered(digest) || is_listed(digest);
        of_known_roots() || mark.digest.is_some_and(is_recorded)
    }

    /// Return whether our records name the database at `path`.
    pub fn is_recorded(&self, path: &Path) -> bool {
        let ours =
            |row: &RegisteredShard| row.build.is_some() && row.path.file_name() == path.file_name();
        self.listed.contains_key(path) || self.registered.iter().any(ours)
    }
}

#[cfg(test)]
mod tests;
