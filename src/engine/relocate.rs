//! Rewrites the absolute paths of an index that was moved or copied, or whose sources were. Encodes nothing.
//!
//! Crash-safe: a note in the work folder says which roots move where, before anything is written and until all is. A
//! shard is rewritten in a copy that replaces it in one step; the routing database in one transaction. A repeated call
//! finishes what the note says: each step sees whether it is done.

use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::draft;
use crate::engine::output::layout::Layout;
use crate::engine::output::lock::{self, BuildLock};
use crate::engine::output::provenance::Provenance;
use crate::engine::publish::attempt::Attempt;
use crate::engine::publish::manifest;
use crate::failpoint::failpoint;
use crate::file;
use crate::named_file;
use crate::plan::Mode;
use crate::platform;
use crate::report::{Manifest, marks};
use crate::store::index::Index;
use crate::store::relocate::{self, MovedRoot, Placed};
use crate::store::routing::RoutingDb;
use crate::store::{hash_file, log_beside};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a build of another profile of the same folder to release the manifest.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(120);

/// Old and new place of folders, absolute.
pub type Map = (PathBuf, PathBuf);

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relocated {
    /// Path of the database that servers open.
    pub index: String,
    pub roots: Vec<MovedRoot>,
    pub shards: usize,
    /// Shards whose file was rewritten.
    pub rewritten: usize,
}

/// The note of a relocation that has begun.
#[derive(Serialize, Deserialize)]
struct Note {
    roots: Vec<MovedRoot>,
}

/// Rewrite the paths of an index, as `maps` say for its roots, and register its shards where they lie now.
///
/// # Errors
/// `InvalidRequest` for a map that fits no root, and for an index whose build has not finished; `Locked` while a build or a
/// server has the index open; a disk or a database that cannot be read or written.
pub fn relocate(index: &Index, maps: &[Map]) -> Result<Relocated> {
    let layout = layout_of(index)?;
    let _lock = BuildLock::take(&layout.lock())?;
    let _manifest_lock = lock::wait_for(&layout.manifest_lock(), MANIFEST_PATIENCE)?;
    if index.surroundings().is_unfinished() {
        let text = format!(
            "a build of {} has not finished: run it again to its end, then relocate the index",
            layout.database.display()
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    let shards: Vec<(String, PathBuf)> = index
        .databases_of_ours()
        .into_iter()
        .map(|(label, path)| (label, std::path::absolute(&path).unwrap_or(path)))
        .collect();
    let mut rewritten = 0;
    let mut roots = Vec::new();
    if let Some(note) = read_note(&layout) {
        // Finish what was begun, whatever is asked for now.
        rewritten += finish(&layout, &shards, &note.roots)?;
        roots = note.roots;
    }
    let wanted = moved_roots(&shards, maps, &roots)?;
    if !wanted.is_empty() || roots.is_empty() {
        let text = serde_json::to_vec(&Note {
            roots: wanted.clone(),
        })?;
        let note = note_path(&layout);
        draft::replace(&note, &text).with_context(|| format!("writing {}", note.display()))?;
        rewritten += finish(&layout, &shards, &wanted)?;
        roots.extend(wanted);
    }
    Ok(Relocated {
        index: layout.database.display().to_string(),
        roots,
        shards: shards.len(),
        rewritten,
    })
}

/// Return where the index lies now, whatever its folders are called.
fn layout_of(index: &Index) -> Result<Layout> {
    let database = index.database();
    let database =
        std::path::absolute(database).with_context(|| format!("finding {}", database.display()))?;
    let surroundings = index.surroundings();
    let folder = database.parent().unwrap_or(Path::new("/")).to_path_buf();
    let work = surroundings.lock.parent().unwrap_or(&folder).to_path_buf();
    let (mode, shards) = match index {
        Index::Sharded { .. } => (
            Mode::Sharded,
            folder.join(crate::store::names::SHARDS_FOLDER),
        ),
        Index::Single { .. } => (Mode::Blob, folder),
    };
    Ok(Layout {
        mode,
        database,
        shards,
        work,
        manifest: surroundings.manifest,
    })
}

fn note_path(layout: &Layout) -> PathBuf {
    layout.work.join("relocation.json")
}

fn read_note(layout: &Layout) -> Option<Note> {
    let text = named_file::read_text(&note_path(layout), named_file::MOST_TEXT_BYTES).ok()?;
    serde_json::from_str(&text).ok()
}

/// Return the roots that the maps move. `before` has just been moved: a map that fits it is done.
fn moved_roots(
    shards: &[(String, PathBuf)],
    maps: &[Map],
    before: &[MovedRoot],
) -> Result<Vec<MovedRoot>> {
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    for (_, path) in shards {
        known.extend(
            relocate::roots(path)?
                .into_iter()
                .map(|root| (root.label, root.path)),
        );
    }
    let maps: Vec<MovedRoot> = maps
        .iter()
        .map(|(from, to)| MovedRoot {
            label: String::new(),
            from: file::root_spelling(from).into_owned(),
            to: file::root_spelling(to).into_owned(),
        })
        .collect();
    let is_elsewhere =
        |root: &&MovedRoot| relocate::moved(&maps, &root.from).is_some_and(|to| to != root.to);
    if let Some(root) = before.iter().find(is_elsewhere) {
        let text = format!(
            "--map: a relocation that was interrupted is finished now, and took {} to {}: to move it again, map the new place",
            root.from, root.to
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    for map in &maps {
        let moved = |path: &str| relocate::moved(std::slice::from_ref(map), path);
        if known.iter().any(|(_, path)| moved(path).is_some()) {
            continue;
        }
        // The command may be repeated.
        let back = [MovedRoot {
            label: String::new(),
            from: map.to.clone(),
            to: map.from.clone(),
        }];
        let is_done = |(_, path): &(String, String)| relocate::moved(&back, path).is_some();
        if !known.iter().any(is_done) {
            let shown: Vec<&str> = known
                .iter()
                .map(|(_, path)| path.as_str())
                .take(12)
                .collect();
            let text = format!(
                "--map {}={}: no root of the index lies there; its roots are {}",
                map.from,
                map.to,
                shown.join(", ")
            );
            return Err(BuildError::new(ErrorKind::InvalidRequest, text));
        }
    }
    let is_done = |label: &str| before.iter().any(|root| root.label == label);
    let moved = known.iter().filter(|(label, _)| !is_done(label));
    let moved = moved.filter_map(|(label, path)| {
        let to = relocate::moved(&maps, path)?;
        (to != *path).then(|| MovedRoot {
            label: label.clone(),
            from: path.clone(),
            to,
        })
    });
    let moved: Vec<MovedRoot> = moved.collect();
    let mut places = BTreeSet::new();
    for (label, path) in &known {
        let place = moved.iter().find(|root| root.label == *label);
        let place = place.map_or(path, |root| &root.to);
        if !places.insert(place) {
            let text = format!("--map: two roots of the index would lie at {place}");
            return Err(BuildError::new(ErrorKind::InvalidRequest, text));
        }
    }
    Ok(moved)
}

/// Do all steps that are not done, and remove the note. Return how many shards were rewritten.
fn finish(layout: &Layout, shards: &[(String, PathBuf)], roots: &[MovedRoot]) -> Result<usize> {
    failpoint!("relocate::begun", layout.database.display());
    remove_leftovers(shards)?;
    let mut rewritten = 0;
    let mut placed = Vec::with_capacity(shards.len());
    for (label, path) in shards {
        if log_beside(path).is_some() {
            relocate::fold_log(path)?;
        }
        let outdated = relocate::outdated(roots, path)?;
        if !outdated.is_empty() {
            replace(path, &outdated)?;
            rewritten += 1;
        }
        let (label, path) = (label.clone(), path.clone());
        let hash = hash_file(&path)?;
        placed.push(Placed { label, path, hash });
    }
    if layout.mode == Mode::Sharded {
        let mut routing = RoutingDb::open_existing(&layout.database)?;
        if !routing.has_placed(&placed)? {
            routing.relocate(&placed, roots)?;
        }
        routing.finish()?;
        failpoint!("relocate::routed", layout.database.display());
    }
    note_in_manifest(layout, &placed)?;
    failpoint!("relocate::noted", layout.manifest.display());
    if let Some(provenance) = Provenance::read(layout) {
        let moved = |path: &str| relocate::moved(roots, path);
        provenance.relocated(layout, moved).write(layout)?;
    }
    failpoint!("relocate::remembered", layout.work.display());
    let note = note_path(layout);
    fs::remove_file(&note).with_context(|| format!("removing {}", note.display()))?;
    Ok(platform::sync_directory(&layout.work).map(|()| rewritten)?)
}

/// Remove the copies that a killed relocation left beside the shards.
fn remove_leftovers(shards: &[(String, PathBuf)]) -> Result<()> {
    let names: BTreeSet<&OsStr> = shards
        .iter()
        .filter_map(|(_, path)| path.file_name())
        .collect();
    let folders: BTreeSet<&Path> = shards
        .iter()
        .filter_map(|(_, path)| path.parent())
        .collect();
    for folder in folders {
        let listing = || format!("listing {}", folder.display());
        for entry in fs::read_dir(folder).with_context(listing)? {
            let entry = entry.with_context(listing)?;
            let name = entry.file_name();
            let target = name.to_str().and_then(marks::attempt_of);
            if target.is_some_and(|target| names.contains(OsStr::new(target))) {
                let path = entry.path();
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// Replace a shard by a copy with other paths, durably and in one step.
fn replace(path: &Path, roots: &[MovedRoot]) -> Result<()> {
    let attempt = Attempt::new(path);
    let copy = attempt.path();
    fs::copy(path, copy).with_context(|| format!("copying {}", path.display()))?;
    failpoint!("relocate::copied", path.display());
    relocate::rewrite(copy, roots)?;
    let written = fs::File::options()
        .write(true)
        .open(copy)
        .and_then(|file| file.sync_all());
    written.with_context(|| format!("writing {}", copy.display()))?;
    failpoint!("relocate::rename", path.display());
    platform::replace_file(copy, path).with_context(|| format!("replacing {}", path.display()))?;
    attempt.succeeded();
    let folder = path.parent().unwrap_or(Path::new("/"));
    platform::sync_directory(folder).with_context(|| format!("writing {}", folder.display()))?;
    failpoint!("relocate::renamed", path.display());
    Ok(())
}

/// Write the new paths and hashes into the index's entry of the manifest, if there is one.
fn note_in_manifest(layout: &Layout, placed: &[Placed]) -> Result<()> {
    let path = &layout.manifest;
    let Ok(text) = named_file::read(path, named_file::MOST_MANIFEST_BYTES) else {
        return Ok(());
    };
    let Some(mut noted) = Manifest::parse(&String::from_utf8_lossy(&text)) else {
        return Ok(());
    };
    let name = match layout.mode {
        Mode::Sharded => layout.database.parent().and_then(Path::file_name),
        Mode::Blob => layout.database.file_stem(),
    };
    let name = name.unwrap_or_default().to_string_lossy();
    let key = match layout.mode {
        Mode::Sharded => format!("{name}-sharded"),
        Mode::Blob => name.into_owned(),
    };
    let Some(target) = noted.targets.get_mut(&key) else {
        return Ok(());
    };
    target.index.output = layout.database.display().to_string();
    for shard in &mut target.index.shards {
        let blob = layout.mode == Mode::Blob;
        let Some(placed) = placed
            .iter()
            .find(|placed| blob || placed.label == shard.label)
        else {
            continue;
        };
        shard.path = placed.path.display().to_string();
        shard.bytes = fs::metadata(&placed.path)?.len();
        shard.file_blake3 = shard.file_blake3.take().map(|_| placed.hash.to_string());
    }
    if target.routing_blake3.is_some() {
        target.routing_blake3 = Some(hash_file(&layout.database)?.to_string());
    }
    manifest::write(path, &noted).with_context(|| format!("writing {}", path.display()))
}
