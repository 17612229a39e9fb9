//! Detects a build that runs on an index while the index is checked.
//!
//! A build replaces shards, rows of the routing database and the manifest one after the other, so a check beside it
//! may read parts of two states. The check does not stop the build; it looks whether there was one, and checks again.

use super::file::Stamp;
use crate::store::locate::{LocateError, find};
use crate::store::surroundings::Surroundings;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long an index is checked again because a build is at work. Between two shards that a build puts into place
/// there is time for a check of most indexes; a check of minutes is not repeated for more than this.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Checks before giving up, however long one takes.
const FEWEST_TRIES: u32 = 3;

/// A pause between two checks: the steps in which a build changes an index take milliseconds.
const PAUSE: Duration = Duration::from_millis(50);

/// Counts the checks of an index, and the time since the first.
pub(super) struct Retries {
    began: Instant,
    patience: Duration,
    made: u32,
}

impl Retries {
    pub fn start(patience: Duration) -> Self {
        Self {
            began: Instant::now(),
            patience,
            made: 0,
        }
    }

    /// Wait before another check. Return `false` to give up.
    pub fn wait_for_another(&mut self) -> bool {
        self.made += 1;
        if self.made >= FEWEST_TRIES && self.began.elapsed() >= self.patience {
            return false;
        }
        thread::sleep(PAUSE);
        true
    }
}

/// An index as it was found before a check.
pub struct BuildWatch {
    out: PathBuf,
    before: Option<State>,
}

/// State that changes whenever a build runs.
#[derive(PartialEq, Eq)]
struct State {
    database: PathBuf,
    is_being_built: bool,
    /// Of the lock file, which every build writes when it starts, and of the manifest. A server writes neither.
    stamps: [Option<Stamp>; 2],
    is_unfinished: bool,
}

impl BuildWatch {
    /// Record the state of the index that `out` names, before it is read.
    pub fn start(out: &Path) -> Self {
        Self {
            out: out.to_path_buf(),
            before: state(out).ok(),
        }
    }

    /// Return whether a build was running at any time since the start.
    pub fn is_disturbed(&self) -> bool {
        let now = state(&self.out).ok();
        let runs = |state: &Option<State>| state.as_ref().is_some_and(|state| state.is_being_built);
        runs(&self.before) || runs(&now) || self.before != now
    }
}

fn state(out: &Path) -> Result<State, LocateError> {
    let database = find(out)?;
    let beside = Surroundings::of(&database);
    Ok(State {
        is_being_built: beside.is_being_built(),
        stamps: [&beside.lock, &beside.manifest].map(|path| Stamp::of(path)),
        is_unfinished: beside.is_unfinished(),
        database,
    })
}
