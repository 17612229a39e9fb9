//! Opening and reading one file of a root, whatever has become of it since the walk.
//!
//! The path is opened folder by folder, each relative to the one before and never through a link,
//! so that a folder swapped for a link cannot lead outside. Nothing here can block: FIFOs and
//! devices are opened without waiting and refused once their kind is known.

mod open;

use crate::failpoint::failpoint;
use crate::file::{FileEntry, RelPath, SkipReason};
use crate::ids::{FileHash, FileSha256};
use crate::platform;
use crate::profile::{LargeFiles, Limits};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

/// How often a file that changes under the reader is read before it is given up.
const ATTEMPTS: usize = 5;

/// Two changes within one tick of a file system's clock leave the same time behind, and the second
/// would go unseen. So a file that changed this recently is read once more when the tick is over.
/// Kernels tick every 1 to 16 ms.
const TICK: Duration = Duration::from_millis(20);

/// The same where files have whole seconds only; FAT has even ones.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// Bytes read at a time.
const PIECE_BYTES: u64 = 64 * 1024;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// All of the file, or as much of its beginning as the limits take: [`Self::is_head`].
    pub bytes: Vec<u8>,
    /// Size of the file, and the modification time from before they were read: a file that changes
    /// meanwhile has a newer one, and the next build sees that.
    pub entry: FileEntry,
    /// Of `bytes`.
    pub hash: FileHash,
    /// Of the whole file; `None` of a head.
    pub sha256: Option<FileSha256>,
}

impl ReadFile {
    /// Whether `bytes` are the beginning of a file that is larger than the limits.
    pub fn is_head(&self) -> bool {
        (self.bytes.len() as u64) < self.entry.size
    }
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFailure {
    pub reason: SkipReason,
    /// For people.
    pub detail: String,
}

impl ReadFailure {
    fn new(reason: SkipReason, detail: impl ToString) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
        }
    }
}

/// Read the file of `entry` below `root` (absolute, free of links).
///
/// Enforces the upper limit on the bytes themselves; a file that has shrunk is taken as it is. Any
/// failure concerns this file alone.
pub fn read_file(root: &Path, entry: &FileEntry, limits: &Limits) -> Result<ReadFile, ReadFailure> {
    failpoint!("scan::read", entry.path.spelling());
    let (bytes, before) = read_bytes(root, &entry.path, limits)?;
    let size = before.len().max(bytes.len() as u64);
    Ok(ReadFile {
        entry: FileEntry {
            path: entry.path.clone(),
            size,
            mtime_ns: mtime_ns(&before),
        },
        hash: FileHash::of(&bytes),
        sha256: (bytes.len() as u64 == size).then(|| FileSha256::of(&bytes)),
        bytes,
    })
}

/// Modification time in nanoseconds since 1970, saturated; 0 where the system has none.
pub(super) fn mtime_ns(metadata: &Metadata) -> i64 {
    let Ok(time) = metadata.modified() else {
        return 0;
    };
    match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// Return the bytes of a file and its metadata from just before they were read.
pub(super) fn read_bytes(
    root: &Path,
    path: &RelPath,
    limits: &Limits,
) -> Result<(Vec<u8>, Metadata), ReadFailure> {
    first_at_rest(|| read_once(root, path, limits))
        .map(|read| (read.bytes, read.before))
        .map_err(|failure| of_root(root, failure))
}

/// Return the first bytes of a file, `most` at most.
pub(super) fn head(
    root: &Path,
    path: &RelPath,
    limits: &Limits,
    most: u64,
) -> Result<Vec<u8>, ReadFailure> {
    let file = open_below(root, path, limits)?;
    regular(&file)?;
    let mut head = Vec::new();
    let read = file.take(most).read_to_end(&mut head);
    read.map_err(|error| failure(&error))?;
    Ok(head)
}

/// Files do not vanish all at once: where the root is gone, none of them could be read.
fn of_root(root: &Path, failure: ReadFailure) -> ReadFailure {
    let is_there = || root.symlink_metadata().is_ok_and(|root| root.is_dir());
    if failure.reason != SkipReason::Vanished || is_there() {
        return failure;
    }
    let detail = format!("root {} is gone", root.display());
    ReadFailure::new(SkipReason::Unreadable, detail)
}

struct Attempt {
    bytes: Vec<u8>,
    before: Metadata,
    /// `None`: the file rested. Else the bytes may be a mixture, or another change go unseen; reading
    /// again makes sense after this time.
    unrest: Option<Duration>,
}

/// Read until the file rests meanwhile. One that never does cannot be read.
fn first_at_rest(
    mut read: impl FnMut() -> Result<Attempt, ReadFailure>,
) -> Result<Attempt, ReadFailure> {
    for _ in 0..ATTEMPTS {
        let attempt = read()?;
        match attempt.unrest {
            None => return Ok(attempt),
            Some(wait) => thread::sleep(wait),
        }
    }
    let detail = format!("changed all the time; read {ATTEMPTS} times");
    Err(ReadFailure::new(SkipReason::Unreadable, detail))
}

fn read_once(root: &Path, path: &RelPath, limits: &Limits) -> Result<Attempt, ReadFailure> {
    let mut file = open_below(root, path, limits)?;
    let before = regular(&file)?;
    let now = SystemTime::now();
    failpoint!("scan::opened", path.spelling());
    let most = limits.most_bytes(path, before.len());
    let mut between = || {
        failpoint!("scan::piece", path.spelling());
    };
    let bytes = match limits.large_files {
        LargeFiles::Head if before.len() > most => head_of_lines(&mut file, most)?,
        _ => read_within(&mut file, &before, most, &mut between)?,
    };
    let after = file.metadata().map_err(|error| failure(&error))?;
    let unrest = match stamp(&after) == stamp(&before) {
        true => fresh_for(&before, now),
        false => Some(TICK),
    };
    Ok(Attempt {
        bytes,
        before,
        unrest,
    })
}

/// Return what changes when a file does. The change time is there for those who put the modification time
/// back.
fn stamp(metadata: &Metadata) -> (u64, i64, Option<i64>) {
    let changed = platform::change_time(metadata);
    (metadata.len(), mtime_ns(metadata), changed)
}

/// Return how long after `now` a file could still change without getting another time. A time in the future
/// came from elsewhere.
fn fresh_for(metadata: &Metadata, now: SystemTime) -> Option<Duration> {
    let age = now.duration_since(metadata.modified().ok()?).ok()?;
    let whole_seconds = mtime_ns(metadata) % 1_000_000_000 == 0;
    let tick = if whole_seconds { COARSE_TICK } else { TICK };
    tick.checked_sub(age).filter(|rest| !rest.is_zero())
}

fn regular(file: &File) -> Result<Metadata, ReadFailure> {
    let metadata = file.metadata().map_err(|error| failure(&error))?;
    if metadata.is_file() {
        return Ok(metadata);
    }
    Err(ReadFailure::new(
        SkipReason::Vanished,
        "no longer a regular file",
    ))
}

/// Read to the end, and call `between` after each piece.
fn read_within(
    file: &mut File,
    before: &Metadata,
    most: u64,
    between: &mut dyn FnMut(),
) -> Result<Vec<u8>, ReadFailure> {
    let too_large = |bytes: u64| {
        let detail = format!("{bytes} bytes when read, the limit is {most}");
        ReadFailure::new(SkipReason::TooLarge, detail)
    };
    if before.len() > most {
        return Err(too_large(before.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    loop {
        let got = file
            .take(PIECE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| failure(&error))?;
        if bytes.len() as u64 > most {
            return Err(too_large(bytes.len() as u64));
        }
        if got < PIECE_BYTES as usize {
            return Ok(bytes);
        }
        between();
    }
}

/// Read the first `most` bytes, without the incomplete line at their end. Of a single line, all but the bytes of an
/// incomplete character.
fn head_of_lines(file: &mut File, most: u64) -> Result<Vec<u8>, ReadFailure> {
    let mut bytes = Vec::new();
    let read = file.take(most).read_to_end(&mut bytes);
    read.map_err(|error| failure(&error))?;
    let end = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let pairs = bytes.as_chunks::<2>().0;
        let is_end = |pair: &[u8; 2]| matches!(pair, b"\n\0" | b"\0\n");
        2 * pairs
            .iter()
            .rposition(is_end)
            .map_or(pairs.len(), |n| n + 1)
    } else {
        let line = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = || match std::str::from_utf8(&bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => bytes.len(),
        };
        line.map_or_else(whole, |n| n + 1)
    };
    bytes.truncate(end);
    Ok(bytes)
}

fn failure(error: &io::Error) -> ReadFailure {
    ReadFailure::new(io_reason(error), error)
}

/// Return what an error says about a file that the walk has seen.
pub(super) fn io_reason(error: &io::Error) -> SkipReason {
    if error.kind() == io::ErrorKind::NotFound || open::is_other_kind(error) {
        SkipReason::Vanished
    } else {
        SkipReason::Unreadable
    }
}

fn open_below(root: &Path, path: &RelPath, limits: &Limits) -> Result<File, ReadFailure> {
    if !limits.follow_links {
        return open::open_without_links(root, path).map_err(|error| failure(&error));
    }
    let target = platform::real_path(&path.on_disk(root));
    let target = target.map_err(|error| failure(&error))?;
    match RelPath::below(root, &target) {
        Some(target) => open::open_without_links(root, &target).map_err(|error| failure(&error)),
        None => Err(ReadFailure::new(
            SkipReason::LinkRefused,
            "leads out of the root",
        )),
    }
}

#[cfg(all(test, unix))]
mod tests;
