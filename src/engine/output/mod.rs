//! The output folder: its layout, its lock, what a build may replace in it, and what it remembers between builds.

pub mod change_times;
pub mod draft;
pub mod flag_files;
pub mod layout;
pub mod lock;
pub mod obstacles;
pub mod provenance;
pub mod rebuild;
pub mod unavailable_roots;

use crate::engine::error::{Context as _, Result};
use crate::plan::Mode;
use crate::store::ownership::{self, Stale};
use layout::Layout;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// List the databases in the place of this output's shards, sorted by path; in blob mode the blob alone. Skips links.
pub fn list_databases(layout: &Layout) -> Result<Vec<PathBuf>> {
    if layout.mode == Mode::Blob {
        let blob = layout.database.is_file().then(|| layout.database.clone());
        return Ok(blob.into_iter().collect());
    }
    let folder = &layout.shards;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing {}", folder.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("listing {}", folder.display()))?
            .path();
        let is_shard = path.to_string_lossy().ends_with(".genome.db");
        if is_shard && fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Remove what killed builds of this output left: temporary files of its databases. The caller holds the lock of the output and
/// has begun none itself.
pub fn remove_stale_attempts(layout: &Layout) -> Result<()> {
    let own = Stale::Of(&layout.database);
    if layout.mode == Mode::Sharded {
        ownership::remove_stale_attempts(&layout.shards, Stale::All)?;
    }
    if let Some(folder) = layout.database.parent() {
        ownership::remove_stale_attempts(folder, own)?;
    }
    Ok(())
}
