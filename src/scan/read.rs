//! Opening and reading one file of a root, whatever has become of it since the walk.
//!
//! The path is opened folder by folder, each relative to the one before and never through a link,
//! so that a folder swapped for a link cannot lead outside. Nothing here can block: FIFOs and
//! devices are opened without waiting and refused once their kind is known.

use crate::failpoint::failpoint;
use crate::file::{FileEntry, RelPath, SkipReason};
use crate::ids::FileHash;
use crate::platform;
use crate::profile::Limits;
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
    pub bytes: Vec<u8>,
    /// Size of `bytes`, and the modification time from before they were read: a file that changes
    /// meanwhile has a newer one, and the next build sees that.
    pub entry: FileEntry,
    pub hash: FileHash,
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

/// Reads the file of `entry` below `root` (absolute, free of links).
///
/// Enforces the upper limit on the bytes themselves; a file that has shrunk is taken as it is. Any
/// failure concerns this file alone.
pub fn read_file(root: &Path, entry: &FileEntry, limits: &Limits) -> Result<ReadFile, ReadFailure> {
    failpoint!("scan::read", entry.path.spelling());
    let (bytes, before) = read_bytes(root, &entry.path, limits)?;
    Ok(ReadFile {
        entry: FileEntry {
            path: entry.path.clone(),
            size: bytes.len() as u64,
            mtime_ns: mtime_ns(&before),
        },
        hash: FileHash::of(&bytes),
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

/// The bytes of a file and its metadata from just before they were read.
pub(super) fn read_bytes(
    root: &Path,
    path: &RelPath,
    limits: &Limits,
) -> Result<(Vec<u8>, Metadata), ReadFailure> {
    first_at_rest(|| read_once(root, path, limits))
        .map(|read| (read.bytes, read.before))
        .map_err(|failure| of_root(root, failure))
}

/// The first bytes of a file, `most` at most.
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

/// Reads until the file rests meanwhile. One that never does cannot be read.
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
    let bytes = read_within(&mut file, &before, limits.max_file_bytes, &mut || {
        failpoint!("scan::piece", path.spelling());
    })?;
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

/// What changes when a file does. The change time is there for those who put the modification time
/// back.
fn stamp(metadata: &Metadata) -> (u64, i64, Option<(i64, i64)>) {
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt as _;
        Some((metadata.ctime(), metadata.ctime_nsec()))
    };
    #[cfg(not(unix))]
    let changed = None;
    (metadata.len(), mtime_ns(metadata), changed)
}

/// How long after `now` a file could still change without getting another time. A time in the future
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

/// Reads to the end, and calls `between` after each piece.
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

fn failure(error: &io::Error) -> ReadFailure {
    ReadFailure::new(io_reason(error), error)
}

/// What an error says about a file that the walk has seen.
pub(super) fn io_reason(error: &io::Error) -> SkipReason {
    if error.kind() == io::ErrorKind::NotFound || turned_into_something_else(error) {
        SkipReason::Vanished
    } else {
        SkipReason::Unreadable
    }
}

fn open_below(root: &Path, path: &RelPath, limits: &Limits) -> Result<File, ReadFailure> {
    if !limits.follow_links {
        return open_without_links(root, path).map_err(|error| failure(&error));
    }
    let target = platform::real_path(&path.on_disk(root));
    let target = target.map_err(|error| failure(&error))?;
    match RelPath::below(root, &target) {
        Some(target) => open_without_links(root, &target).map_err(|error| failure(&error)),
        None => Err(ReadFailure::new(
            SkipReason::LinkRefused,
            "leads out of the root",
        )),
    }
}

#[cfg(unix)]
fn open_without_links(root: &Path, path: &RelPath) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open, openat};
    // A folder may be searchable without being readable; Linux opens such a one as a mere place.
    #[cfg(target_os = "linux")]
    let folder_flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let folder_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let file_flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;

    let mut here = open(root, folder_flags | OFlags::NOFOLLOW, Mode::empty())?;
    let mut names = path.as_bytes().split(|byte| *byte == b'/').peekable();
    while let Some(name) = names.next() {
        let flags = match names.peek() {
            Some(_) => folder_flags,
            None => file_flags,
        };
        here = openat(&here, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(File::from(here))
}

/// A link where a file was, a file where a folder was, a socket.
#[cfg(unix)]
fn turned_into_something_else(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    [Errno::LOOP, Errno::NOTDIR, Errno::NXIO]
        .map(Some)
        .contains(&errno)
}

#[cfg(not(unix))]
fn open_without_links(root: &Path, path: &RelPath) -> io::Result<File> {
    // No relative opens here: the best that can be done is to look before opening.
    let path = path.on_disk(root);
    if std::fs::symlink_metadata(&path)?.is_file() {
        return File::open(path);
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(not(unix))]
fn turned_into_something_else(_: &io::Error) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::scan::tests::make_fifo;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use tempfile::TempDir;

    const TEXT: &[u8] = b"some text";

    /// A root with the file `a/b/f.txt`, beside a folder outside it with the same names.
    fn setup() -> (TempDir, PathBuf, FileEntry) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let base = dir.path().canonicalize().expect("exists");
        for (top, text) in [("root", TEXT), ("outside", b"not yours")] {
            fs::create_dir_all(base.join(top).join("a/b")).expect("folder");
            fs::write(base.join(top).join("a/b/f.txt"), text).expect("file");
        }
        let entry = FileEntry {
            path: RelPath::from_spelling("a/b/f.txt").expect("a path"),
            size: TEXT.len() as u64,
            mtime_ns: 0,
        };
        (dir, base.join("root"), entry)
    }

    fn reason(root: &Path, entry: &FileEntry) -> SkipReason {
        let failure = read_file(root, entry, &Limits::default()).expect_err("no file");
        assert!(!failure.detail.is_empty());
        failure.reason
    }

    #[test]
    fn a_file_is_read_with_its_identity() {
        let (_dir, root, mut entry) = setup();
        let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::from_nanos(5);
        let file = File::options()
            .write(true)
            .open(root.join("a/b/f.txt"))
            .expect("file");
        file.set_modified(before_1970).expect("set");
        entry.size = 3;
        let read = read_file(&root, &entry, &Limits::default()).expect("reads");
        assert_eq!((read.bytes.as_slice(), read.entry.size), (TEXT, 9));
        assert_eq!(read.entry.mtime_ns, -5);
        assert_eq!(read.hash, FileHash::of(TEXT));
    }

    #[test]
    fn what_is_gone_or_changed_its_kind_has_vanished() {
        let (_dir, root, entry) = setup();
        let file = root.join("a/b/f.txt");
        fs::remove_file(&file).expect("removed");
        assert_eq!(reason(&root, &entry), SkipReason::Vanished, "gone");
        symlink(root.join("../outside/a/b/f.txt"), &file).expect("link");
        assert_eq!(reason(&root, &entry), SkipReason::Vanished, "link");
        fs::remove_file(&file).expect("removed");
        fs::create_dir(&file).expect("folder");
        assert_eq!(reason(&root, &entry), SkipReason::Vanished, "folder");
        fs::remove_dir(&file).expect("removed");
        make_fifo(&file);
        assert_eq!(reason(&root, &entry), SkipReason::Vanished, "fifo");
        fs::remove_file(&file).expect("removed");
        let _socket = std::os::unix::net::UnixListener::bind(&file).expect("socket");
        assert_eq!(reason(&root, &entry), SkipReason::Vanished, "socket");
    }

    #[test]
    fn a_folder_swapped_for_a_link_does_not_lead_outside() {
        let (_dir, root, entry) = setup();
        for swapped in ["a/b", "a"] {
            let folder = root.join(swapped);
            fs::rename(&folder, root.join("aside")).expect("renamed");
            symlink(root.join("../outside").join(swapped), &folder).expect("link");
            assert_eq!(
                fs::read(root.join("a/b/f.txt")).expect("by the link"),
                b"not yours"
            );
            assert_eq!(reason(&root, &entry), SkipReason::Vanished, "{swapped}");
            let followed = Limits {
                follow_links: true,
                ..Limits::default()
            };
            let failure = read_file(&root, &entry, &followed).expect_err("outside");
            assert_eq!(failure.reason, SkipReason::LinkRefused, "{swapped}");
            fs::remove_file(&folder).expect("removed");
            fs::rename(root.join("aside"), &folder).expect("renamed");
        }
        assert!(read_file(&root, &entry, &Limits::default()).is_ok());
    }

    #[test]
    fn without_its_root_no_file_has_vanished() {
        let (_dir, root, entry) = setup();
        fs::rename(&root, root.with_file_name("aside")).expect("renamed");
        assert_eq!(reason(&root, &entry), SkipReason::Unreadable, "gone");
        symlink("outside", &root).expect("link");
        assert!(root.join("a/b/f.txt").is_file());
        assert_eq!(reason(&root, &entry), SkipReason::Unreadable, "a link");
    }

    #[test]
    fn links_inside_the_root_are_followed_when_asked_for() {
        let (_dir, root, mut entry) = setup();
        symlink("a/b", root.join("link")).expect("link");
        entry.path = RelPath::from_spelling("link/f.txt").expect("a path");
        assert_eq!(reason(&root, &entry), SkipReason::Vanished);
        let followed = Limits {
            follow_links: true,
            ..Limits::default()
        };
        let read = read_file(&root, &entry, &followed).expect("reads");
        assert_eq!((read.bytes.as_slice(), read.entry.path), (TEXT, entry.path));
    }

    #[test]
    fn the_upper_limit_holds_for_the_bytes_read() {
        let (_dir, root, entry) = setup();
        let most = |max_file_bytes| Limits {
            max_file_bytes,
            ..Limits::default()
        };
        assert!(read_file(&root, &entry, &most(9)).is_ok());
        let failure = read_file(&root, &entry, &most(8)).expect_err("too large");
        assert_eq!(failure.reason, SkipReason::TooLarge);
        // A file without a size of its own that never ends.
        let mut endless = File::open("/dev/zero").expect("opens");
        let metadata = File::open(root.join("a/b/f.txt"))
            .and_then(|file| file.metadata())
            .expect("file");
        let failure =
            read_within(&mut endless, &metadata, 1000, &mut || {}).expect_err("too large");
        assert_eq!(failure.reason, SkipReason::TooLarge);
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_read_again_but_not_forever() {
        let (_dir, root, entry) = setup();
        for changes in [0, 1, ATTEMPTS - 1, ATTEMPTS, 99] {
            let mut n_reads = 0;
            let read = first_at_rest(|| {
                let attempt = read_once(&root, &entry.path, &Limits::default())?;
                n_reads += 1;
                Ok(Attempt {
                    unrest: (n_reads <= changes).then_some(Duration::from_millis(1)),
                    ..attempt
                })
            });
            assert_eq!(n_reads, (changes + 1).min(ATTEMPTS));
            match read {
                Ok(read) => assert_eq!((read.bytes.as_slice(), changes < ATTEMPTS), (TEXT, true)),
                Err(failure) => {
                    assert!(changes >= ATTEMPTS, "{failure:?}");
                    assert_eq!(failure.reason, SkipReason::Unreadable);
                }
            }
        }
    }

    #[test]
    fn a_change_that_keeps_size_and_time_is_seen_by_the_change_time() {
        let (_dir, root, _) = setup();
        let path = root.join("a/b/f.txt");
        let before = fs::metadata(&path).expect("file");
        // The clock of files may stand still for some milliseconds.
        let changed = (0..1000).any(|_| {
            fs::write(&path, b"text some").expect("written");
            let file = File::options().write(true).open(&path).expect("file");
            file.set_modified(before.modified().expect("time"))
                .expect("set");
            let after = fs::metadata(&path).expect("file");
            assert_eq!(mtime_ns(&after), mtime_ns(&before));
            thread::sleep(Duration::from_millis(1));
            stamp(&after) != stamp(&before)
        });
        assert!(changed, "1,000 changes left no trace");
    }

    #[test]
    fn a_file_of_this_very_moment_is_fresh() {
        let (_dir, root, _) = setup();
        let path = root.join("a/b/f.txt");
        let with_time = |seconds: u64, nanos: u32| {
            let time = std::time::UNIX_EPOCH + Duration::new(seconds, nanos);
            let file = File::options().write(true).open(&path).expect("file");
            file.set_modified(time).expect("set");
            (file.metadata().expect("file"), time)
        };
        let ms = Duration::from_millis;
        let (fine, time) = with_time(1_000_000_000, 500);
        assert_eq!(fresh_for(&fine, time + ms(5)), Some(ms(15)));
        assert_eq!(fresh_for(&fine, time + ms(20)), None);
        assert_eq!(fresh_for(&fine, time - ms(1)), None, "the future");
        let (coarse, time) = with_time(1_000_000_000, 0);
        assert_eq!(fresh_for(&coarse, time + ms(500)), Some(ms(1500)));
        assert_eq!(fresh_for(&coarse, time + ms(2000)), None);
    }

    #[test]
    fn a_file_that_may_not_be_read_is_unreadable() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, root, entry) = setup();
        let file = root.join("a/b/f.txt");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("set");
        if File::open(&file).is_ok() {
            return println!("skipped: this user may read anything");
        }
        assert_eq!(reason(&root, &entry), SkipReason::Unreadable);
    }
}
