//! Which files of a repository are tracked: its index.

use crate::named_file;
use bstr::{BStr, BString};
use gix_index::decode::Options;
use gix_index::hash::Kind;
use gix_index::{File, State};
use std::io;
use std::path::Path;

/// Bytes of an index at most: some three million files.
const MAX_INDEX_BYTES: u64 = 512 << 20;

/// The tracked paths of a repository.
#[derive(Debug, Default)]
pub struct Index(Option<State>);

impl Index {
    /// Read the index of the repository whose data is in `git_dir`. A missing one is empty; one that cannot be read is too, with
    /// a warning, so that rules hide its files.
    pub fn read(git_dir: &Path, hash: Kind) -> Self {
        let path = git_dir.join("index");
        match read(&path, hash) {
            Ok(state) => Self(Some(state)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self(None),
            Err(error) => {
                tracing::warn!(
                    "{} cannot be read, so tracked files that a rule of git hides are skipped: {error}",
                    path.display()
                );
                Self(None)
            }
        }
    }

    pub fn tracks_file(&self, path: &BStr) -> bool {
        let state = self.0.as_ref();
        state.is_some_and(|state| state.entry_by_path(path).is_some())
    }

    /// Return whether there are tracked files below the folder `path`, or it is a submodule.
    pub fn tracks_folder(&self, path: &BStr) -> bool {
        let Some(state) = &self.0 else {
            return false;
        };
        let mut prefix = BString::from(path.to_vec());
        prefix.push(b'/');
        let below = || state.prefixed_entries_range(prefix.as_ref());
        state.entry_by_path(path).is_some() || below().is_some()
    }
}

fn read(path: &Path, hash: Kind) -> io::Result<State> {
    let options = Options {
        thread_limit: Some(1),
        alloc_limit_bytes: usize::try_from(2 * MAX_INDEX_BYTES).ok(),
        ..Options::default()
    };
    let bytes = named_file::read(path, MAX_INDEX_BYTES)?;
    // The time matters only to those who compare files with it.
    let time = State::new(hash).timestamp();
    let decoded = State::from_bytes(&bytes, time, hash, options);
    let (state, _) = decoded.map_err(|error| io::Error::other(error.to_string()))?;
    if state.link().is_none() {
        return Ok(state);
    }
    // A split index: only this function finds the shared part, a file beside it.
    let file = File::at(path, hash, true, options);
    let file = file.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(file.into_parts().0)
}
