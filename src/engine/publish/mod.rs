//! Publishing: from a shard's segments to a file that servers may open.
//!
//! 1. Load the segments, in order, into a file with a name of its own, as they become complete.
//! 2. Build links and indexes, merge the full-text index, commit, close.
//! 3. Open the file again, for reading: quick check, row counts, digest.
//! 4. Note the digests in it, and put the journal mode that servers expect into the header.
//! 5. fsync the file; rename it into place; fsync the folder.
//! 6. Register it in the routing database, in one durable transaction.
//! 7. Only then delete its segments.
//!
//! A crash between any two steps leaves the earlier index, the segments and at most a file with a
//! temporary name. The load runs without a journal: every failed write fails a statement or the
//! commit, where a database with a log could be closed without saying that its last checkpoint did
//! not fit the disk. What a file system only says at fsync, step 5 hears.
//!
//! It decides nothing: when a shard is complete, and what is in it, the supervisor says. All
//! functions block; one thread may publish while workers encode.

mod attempt;
pub(super) mod queue;
pub(super) mod registry;

use crate::failpoint::failpoint;
use crate::file::RelPath;
use crate::ids::{Digest, FileHash};
use crate::platform;
use crate::store::digest::ContentDigest;
use crate::store::routing::RoutingDb;
use crate::store::segment::SegmentReader;
use crate::store::shard::{Loaded, ShardHeader, ShardLoader, seal};
use crate::store::{StoreError, hash_file, remove_database, remove_log};
use attempt::Attempt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// One shard on its way to publication. Dropping it gives up and removes the temporary file.
#[derive(Debug)]
pub struct ShardPublisher {
    // Before `attempt`, so that the file is closed when it is removed.
    loader: ShardLoader,
    attempt: Attempt,
    target: PathBuf,
    stop: Arc<AtomicBool>,
}

/// A shard in its place, not yet registered.
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
    /// Of the whole file: it also finds damage where no row lies, until a server writes to the file.
    pub file_hash: FileHash,
}

impl ShardPublisher {
    /// Starts a shard that shall become `target`, which is absolute; its folder is created. Once `stop`
    /// is set, loading and finishing end with [`StoreError::Interrupted`], up to the point where the
    /// shard is checked and only needs to be put into place.
    pub fn begin(
        target: &Path,
        header: ShardHeader,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        let folder = folder_of(target);
        platform::create_folders(folder).map_err(StoreError::io(folder))?;
        let attempt = Attempt::new(target);
        Ok(Self {
            loader: ShardLoader::create(attempt.path(), header, Arc::clone(&stop))?,
            attempt,
            target: target.to_path_buf(),
            stop,
        })
    }

    /// Loads `files` of the root number `root_id` from the segment at `segment`. Segments come in
    /// the shard's order, files in canonical order. After an error the attempt is lost.
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

    /// Steps 2 to 5. On return the shard is in place and will survive a power cut.
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

/// Step 6.
pub fn register(routing: &mut RoutingDb, shard: &PublishedShard) -> Result<(), StoreError> {
    failpoint!("publish::register", shard.path.display());
    routing.register(&shard.path, Some(shard.file_hash))?;
    failpoint!("publish::registered", shard.path.display());
    Ok(())
}

/// Step 7. Segments that are already gone are no error.
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

/// fsync, rename, fsync. Returns the size of the file.
fn put_in_place(attempt: Attempt, target: &Path) -> Result<u64, StoreError> {
    let path = attempt.path();
    let file = File::options()
        .write(true)
        .open(path)
        .map_err(StoreError::io(path))?;
    let bytes = file.metadata().map_err(StoreError::io(path))?.len();
    file.sync_all().map_err(StoreError::io(path))?;
    drop(file);
    failpoint!("publish::rename", target.display());
    // A log of the shard that is replaced would be taken for the new one's.
    remove_log(target)?;
    platform::replace_file(path, target).map_err(StoreError::io(target))?;
    attempt.succeeded();
    failpoint!("publish::renamed", target.display());
    let folder = folder_of(target);
    platform::sync_directory(folder).map_err(StoreError::io(folder))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
