//! Refuses links where a build writes.
//!
//! The output folder may itself lie behind a link, which is how people put it on another disk. Inside a
//! profile's output the build makes, empties and removes files under fixed names: behind a link it
//! would do so to somebody else's. Whoever may write there at the very moment of the build can still
//! swap a name; this is against links that lie in wait.

use super::layout::Layout;
use crate::exit_code::{Exit, ExitCode};
use crate::plan::Mode;
use std::fs;
use std::path::{Path, PathBuf};

/// What SQLite keeps beside a database that is written in place.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Exit code 2 when something that the build writes to, or empties, is a link. Files that it replaces
/// by renaming are no matter: the link goes, not what it leads to.
pub fn refuse(layout: &Layout) -> anyhow::Result<()> {
    let mut written = vec![layout.work.clone(), layout.lock(), layout.manifest_lock()];
    if layout.mode == Mode::Sharded {
        written.push(layout.shards.clone());
        written.extend(BESIDE.map(|suffix| beside(&layout.database, suffix)));
    }
    let segments = layout.segments();
    written.push(segments.clone());
    written.iter().try_for_each(|path| refuse_one(path))?;
    // No such folder: there is no segment yet.
    for entry in fs::read_dir(segments).into_iter().flatten().flatten() {
        refuse_one(&entry.path())?;
    }
    Ok(())
}

fn refuse_one(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            let text = format!(
                "{} is a link, and the build would write or remove what it leads to: remove the link, or choose another --out-dir",
                path.display()
            );
            Err(Exit::error(ExitCode::Usage, text))
        }
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
