//! Checks a finished index and says what is wrong with it.
//!
//! Everything that can be computed again is computed again and compared; what cannot is covered by
//! the digests and by SQLite's own checks. Faults are values: a check that cannot go on says so and
//! the others do their work. Nothing is ever changed: databases are opened for reading only, and no
//! file appears beside them. Memory is bounded by 50 bytes a chunk; shards are checked side by side.
//!
//! An index that a server has mounted stays sound: rows that a server adds, and columns that it
//! rewrites when it delivers a chunk, are known and left alone.

mod chunks;
mod columns;
mod compare;
mod concurrent;
mod fault;
mod file;
mod full_text;
mod indexes;
mod ledger;
mod level;
mod lost_chunks;
mod manifest;
mod owners;
mod put_away;
mod queries;
mod relations;
mod report;
mod routing;
mod sample;
mod schema_check;
mod schema_object;
mod server_edits;
mod server_schema;
mod shard;
mod side_tables;
mod sparse;
mod statistics;

#[cfg(test)]
mod tests;

#[doc(inline)]
pub use crate::store::digest::ContentDigest;
pub(crate) use compare::Agreement;
pub(crate) use concurrent::BuildWatch;
pub use fault::{Fault, FaultKind, Faults, MOST_LISTED};
pub use level::Level;
pub(crate) use lost_chunks::has_lost_chunks;
pub use report::Report;
pub(crate) use sample::{Sampler, TextVectors};
pub use shard::ShardReport;

use crate::failpoint::failpoint;
use crate::store::StoreError;
use crate::store::index::{Index, label_of};
#[doc(inline)]
pub use crate::store::locate::LocateError;
use crate::store::locate::locate_ours;
use crate::store::names::{ROUTING_NAME, SHARDS_FOLDER};
use crate::store::ownership::{self, Holding};
use crate::store::registered::RegisteredShard;
use fault::Finder;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Check the index that `out` names. Fails only when there is no index to check: a database that is
/// there and cannot be read is a fault like others.
///
/// A build at work replaces shards and rows while they are read. Where that may be the reason of a fault the
/// index is checked again, for half a minute; then the faults count as unconfirmed.
pub fn verify(out: &Path, level: Level) -> Result<Report, LocateError> {
    verify_within(concurrent::PATIENCE, out, level)
}

fn verify_within(patience: Duration, out: &Path, level: Level) -> Result<Report, LocateError> {
    let mut tries = concurrent::Retries::start(patience);
    loop {
        let watch = BuildWatch::start(out);
        let checked = check_once(out, level);
        let is_disturbed = watch.is_disturbed();
        match checked {
            Ok(mut report) => {
                report.being_rebuilt = is_disturbed;
                if report.is_sound() || !is_disturbed {
                    return Ok(report);
                }
                if !tries.wait_for_another() {
                    report.doubt();
                    return Ok(report);
                }
            }
            // A database that is being created looks like another program's.
            Err(error) if !is_disturbed || !tries.wait_for_another() => return Err(error),
            Err(_) => {}
        }
    }
}

fn check_once(out: &Path, level: Level) -> Result<Report, LocateError> {
    let mut report = Report::new(level);
    match locate_ours(out) {
        Ok(index) => return Ok(verify_index(&index, level)),
        Err(LocateError::Routing { path, source }) => {
            let mut finder = routing_finder(&mut report.faults);
            // What is too short to be a database needs no other reason.
            if file::header(&path, &mut finder) {
                let kind = match *source {
                    StoreError::Busy { .. } => FaultKind::Changed,
                    _ => FaultKind::Unreadable,
                };
                let mut cause = source.to_string();
                if let Some(deeper) = std::error::Error::source(&source) {
                    cause = format!("{cause}: {deeper}");
                }
                finder.fault(kind, "shards", "", cause);
            }
        }
        Err(LocateError::NotADatabase { path }) if is_named_database(&path) => {
            let label = label_of(&path);
            let mut finder = Finder {
                shard: &label,
                faults: &mut report.faults,
            };
            let what = "the file does not begin like an SQLite database";
            finder.fault(FaultKind::Unreadable, "", file::file_name(&path), what);
        }
        Err(error) => return Err(error),
    }
    Ok(report)
}

/// Return whether the name says that the file is, or was, a database of ours.
fn is_named_database(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "db")
}

/// Return the threads that look at shards side by side. `None` where they cannot be started (a limit on processes, or on
/// memory): then this one looks at one shard after the other.
fn start_pool() -> Option<rayon::ThreadPool> {
    match failpoint!("verify::pool") {
        true => None,
        false => rayon::ThreadPoolBuilder::new().build().ok(),
    }
}

/// [`verify`] of an index already found.
pub fn verify_index(index: &Index, level: Level) -> Report {
    let mut report = Report {
        unfinished: index.surroundings().is_unfinished(),
        ..Report::new(level)
    };
    let manifest = manifest::read(index, &mut report.faults);
    report.foreign_manifest.clone_from(&manifest.foreign);
    let mut databases = index.databases_of_ours();
    let mut registered = match index {
        Index::Sharded { shards, .. } => shards.clone(),
        Index::Single { .. } => Vec::new(),
    };
    let foreign = index.foreign();
    registered.retain(|shard| !foreign.contains(&shard.name));
    report.foreign_shards.extend(foreign);
    let unregistered = unregistered(index, &registered);
    if report.unfinished {
        // A build puts a shard into place before it registers it: such a one is checked by itself.
        registered.retain(|shard| !shard::is_ahead_of(shard));
        databases.extend(
            unregistered
                .iter()
                .map(|path| (label_of(path), path.clone())),
        );
        databases.sort();
    }
    let check = |(label, path): &(String, PathBuf)| {
        let entry = registered.iter().find(|shard| shard.name == *label);
        shard::check(label, path, entry, &manifest, level)
    };
    let checked: Vec<(ShardReport, Faults)> = match start_pool() {
        Some(pool) => pool.install(|| databases.par_iter().map(check).collect()),
        None => databases.iter().map(check).collect(),
    };
    for (shard, faults) in checked {
        report.faults.absorb(faults);
        report.shards.push(shard);
    }
    let mut folders: BTreeSet<PathBuf> = databases
        .iter()
        .filter_map(|(_, path)| folder(path))
        .collect();
    let mut finder = routing_finder(&mut report.faults);
    if let Index::Sharded { routing, .. } = index {
        folders.extend(folder(routing));
        let rows = routing::Rows {
            ours: &registered,
            has_foreign: !report.foreign_shards.is_empty(),
        };
        routing::check(routing, &rows, &manifest, level, &mut finder);
        // A build that did not finish leaves its log, which the next one takes up.
        if !report.unfinished {
            file::neighbours(routing, &mut finder);
        }
    }
    // The next build registers the former and removes the latter.
    if !report.unfinished {
        never_registered(&unregistered, &mut finder);
        file::temporary_files(&folders.into_iter().collect::<Vec<_>>(), &mut finder);
    }
    one_dense_dim(&report.shards, &mut finder);
    report
}

/// Shards in the index's own folder that no row of ours names.
fn unregistered(index: &Index, shards: &[RegisteredShard]) -> Vec<PathBuf> {
    let Index::Sharded { routing, .. } = index else {
        return Vec::new();
    };
    let own = folder(routing).map(|folder| folder.join(SHARDS_FOLDER));
    // No such folder: the shards lie elsewhere.
    let files = own.and_then(|own| std::fs::read_dir(own).ok());
    let paths = files
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path());
    let is_unknown = |path: &PathBuf| {
        let known = |shard: &RegisteredShard| shard.path.file_name() == path.file_name();
        is_named_database(path) && !shards.iter().any(known) && is_our_shard(path)
    };
    paths.filter(is_unknown).collect()
}

/// Return whether a build put the database there under this name. Other files in the folder are ignored.
fn is_our_shard(path: &Path) -> bool {
    // The check that opens it reports a file that cannot be read.
    let Ok(holding) = ownership::look(path) else {
        return true;
    };
    let name = label_of(path);
    // A long label, or the name of a device, is spelled otherwise in a file's name.
    let fits =
        |label: &str| name == label || name == format!("{label}-") || label.len() > name.len();
    matches!(holding, Holding::Ours(mark) if fits(&mark.label))
}

fn never_registered(shards: &[PathBuf], finder: &mut Finder<'_>) {
    for path in shards {
        let what = format!("{} is not registered, so searches skip it", path.display());
        finder.fault(FaultKind::Routing, "shards", label_of(path), what);
    }
}

fn routing_finder(faults: &mut Faults) -> Finder<'_> {
    Finder {
        shard: ROUTING_NAME,
        faults,
    }
}

fn folder(path: &Path) -> Option<PathBuf> {
    path.parent().map(Path::to_path_buf)
}

fn one_dense_dim(shards: &[ShardReport], finder: &mut Finder<'_>) {
    let dims: BTreeSet<usize> = shards
        .iter()
        .flat_map(|s| s.dense_dims.iter().copied())
        .collect();
    if dims.len() > 1 {
        let what = format!("dense vectors of different lengths: {dims:?}");
        finder.fault(FaultKind::DenseVector, "genes", "embedding_dense_v2", what);
    }
}
