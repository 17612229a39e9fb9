//! Publishing: turns a shard's segments into a database that servers can see.
//!
//! For each shard:
//! 1. Load the segments in order, as they become complete, into a file with a temporary name.
//! 2. Build links and indexes, merge the full-text index, commit, close.
//! 3. Open the file again for reading: quick check, row counts, digest.
//! 4. Write the digests into it, and the journal mode that servers expect into its header.
//! 5. fsync the file, rename it into place, fsync the folder. A blob is visible from here on.
//! 6. Register it in the routing database, in one durable transaction. A shard is visible from here on.
//! 7. Delete its segments.
//!
//! Once all shards are published, [`reconcile`] makes the routing database match the plan and deletes obsolete shards,
//! and [`manifest`] records the result.
//!
//! A crash between any two steps leaves the earlier index, the segments and at most one file with a temporary name. The
//! load uses no journal: every failed write then fails a statement or the commit. A database with a log could be closed
//! without an error although its last checkpoint did not fit on the disk. Step 5 catches errors that a file system
//! reports only at fsync.
//!
//! The supervisor decides when a shard is complete. All functions block; one thread may publish while workers encode.

pub(super) mod attempt;
pub(super) mod manifest;
pub(super) mod publisher;
pub(super) mod reconcile;
mod turns;

use crate::failpoint::failpoint;
use crate::file::RelPath;
use crate::ids::{Digest, FileHash};
use crate::platform;
use crate::store::digest::ContentDigest;
use crate::store::routing::{RoutingDb, attempt_beside};
use crate::store::segment::SegmentReader;
use crate::store::shard::{Loaded, ShardHeader, ShardLoader, seal};
use crate::store::{StoreError, hash_file, remove_database, remove_log, transfer};
use attempt::Attempt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// A shard that is being published. Dropping it abandons the publication and removes the temporary file.
#[derive(Debug)]
pub struct ShardPublisher {
    // Declared before `attempt`, so that the file is closed before it is removed.
    loader: ShardLoader,
    attempt: Attempt,
    target: PathBuf,
    stop: Arc<AtomicBool>,
}

/// A shard that was moved into place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedShard {
    pub path: PathBuf,
    pub digest: Digest,
    pub content: ContentDigest,
    /// Ledger rows, skipped files included.
    pub files: u64,
    /// Distinct chunks.
    pub chunks: u64,
    pub bytes: u64,
    /// Hash of the whole file. It also finds damage outside of rows, until a server writes to the file.
    pub file_hash: FileHash,
}

impl ShardPublisher {
    /// Begin the shard at `target`, an absolute path, and create its folder. Once `stop` is set, loading and finishing end
    /// with [`StoreError::Interrupted`], until the shard is checked and only has to be moved into place.
    pub fn begin(
        target: &Path,
        header: ShardHeader,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        Self::begin_as(Attempt::new(target), target, header, stop)
    }

    /// Do the same in the folder `scratch`, from which the finished shard is copied to its place.
    pub fn begin_in(
        scratch: &Path,
        target: &Path,
        header: ShardHeader,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        Self::begin_as(Attempt::in_folder(scratch, target), target, header, stop)
    }

    fn begin_as(
        attempt: Attempt,
        target: &Path,
        header: ShardHeader,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let folder = folder_of(target);
        platform::create_folders(folder).map_err(StoreError::io(folder))?;
        Ok(Self {
            loader: ShardLoader::create(attempt.path(), header, Arc::clone(&stop))?,
            attempt,
            target: target.to_path_buf(),
            stop,
        })
    }

    /// Load `files` of root number `root_id` from the segment file `segment`. Call it in the order of the shard's
    /// segments, with files in canonical order. After an error, drop the publisher.
    pub fn load(
        &mut self,
        segment: &Path,
        root_id: u32,
        files: &[RelPath],
    ) -> Result<(), StoreError> {
        failpoint!("publish::load", self.target.display());
        self.loader
            .load_segment(&SegmentReader::open(segment)?, root_id, files)
    }

    pub fn loaded(&self) -> Loaded {
        self.loader.loaded()
    }

    /// Run steps 2 to 5. On return the shard is in place and survives a power cut.
    pub fn finish(self) -> Result<PublishedShard, StoreError> {
        let Self {
            loader,
            attempt,
            target,
            stop,
        } = self;
        failpoint!("publish::index", target.display());
        let loaded = loader.finish()?;
        failpoint!("publish::seal", target.display());
        let began = Instant::now();
        let digest = seal(attempt.path(), loaded, &stop)?;
        let checked = began.elapsed();
        let file_hash = hash_file(attempt.path())?;
        let bytes = put_in_place(attempt, &target)?;
        tracing::debug!(?target, ?checked, put = ?began.elapsed());
        Ok(PublishedShard {
            path: target,
            digest: digest.digest,
            content: digest.content,
            files: digest.files,
            chunks: digest.chunks,
            bytes,
            file_hash,
        })
    }
}

/// Run step 6: make the shard visible to servers.
pub fn register(routing: &mut RoutingDb, shard: &PublishedShard) -> Result<(), StoreError> {
    failpoint!("publish::register", shard.path.display());
    routing.register(&shard.path, Some(shard.file_hash))?;
    failpoint!("publish::registered", shard.path.display());
    Ok(())
}

/// Run step 7. Missing segments are not an error.
pub fn delete_segments<'a>(segments: impl IntoIterator<Item = &'a Path>) -> Result<(), StoreError> {
    segments.into_iter().try_for_each(|segment| {
        remove_database(segment)?;
        failpoint!("publish::deleted", segment.display());
        Ok(())
    })
}

fn folder_of(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("."))
}

/// Run step 5. Return the size of the file in bytes.
fn put_in_place(attempt: Attempt, target: &Path) -> Result<u64, StoreError> {
    let path = attempt.path();
    if folder_of(path) != folder_of(target) {
        return copy_to_place(attempt, target);
    }
    let file = File::options()
        .write(true)
        .open(path)
        .map_err(StoreError::io(path))?;
    let bytes = file.metadata().map_err(StoreError::io(path))?.len();
    file.sync_all().map_err(StoreError::io(path))?;
    drop(file);
    failpoint!("publish::rename", target.display());
    // SQLite would apply a log of the replaced shard to the new one.
    remove_log(target)?;
    platform::replace_file(path, target).map_err(StoreError::io(target))?;
    attempt.succeeded();
    failpoint!("publish::renamed", target.display());
    let folder = folder_of(target);
    platform::sync_directory(folder).map_err(StoreError::io(folder))?;
    Ok(bytes)
}

/// Move a shard from the place where a task has put it to its own. Does nothing if it is there already.
pub fn move_to_place(staged: &Path, target: &Path) -> Result<(), StoreError> {
    if !staged.exists() {
        return Ok(());
    }
    let folder = folder_of(target);
    platform::create_folders(folder).map_err(StoreError::io(folder))?;
    failpoint!("publish::rename", target.display());
    remove_log(target)?;
    platform::replace_file(staged, target).map_err(StoreError::io(target))?;
    failpoint!("publish::renamed", target.display());
    platform::sync_directory(folder).map_err(StoreError::io(folder))
}

/// Run step 5 for a shard that was made in another folder.
fn copy_to_place(attempt: Attempt, target: &Path) -> Result<u64, StoreError> {
    failpoint!("publish::rename", target.display());
    remove_log(target)?;
    let put = transfer::put(attempt.path(), target, |n| attempt_beside(target, n))?;
    failpoint!("publish::renamed", target.display());
    Ok(put.bytes)
}

#[cfg(test)]
mod tests;
