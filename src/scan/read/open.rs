//! Opens a file below a root, folder by folder and never through a link.

use crate::file::RelPath;
use std::fs::File;
use std::io;
use std::path::Path;

/// Open the file at `path` below `root` for reading, without following a link on the way and without waiting.
#[cfg(unix)]
pub fn open_without_links(root: &Path, path: &RelPath) -> io::Result<File> {
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

/// Return whether the error says that another kind of thing lies there now: a link where a file was, a file where a
/// folder was, a socket.
#[cfg(unix)]
pub fn is_other_kind(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    [Errno::LOOP, Errno::NOTDIR, Errno::NXIO]
        .map(Some)
        .contains(&errno)
}

#[cfg(not(unix))]
pub fn open_without_links(root: &Path, path: &RelPath) -> io::Result<File> {
    // No relative opens here: the best that can be done is to look before opening.
    let path = path.on_disk(root);
    if std::fs::symlink_metadata(&path)?.is_file() {
        return File::open(path);
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(not(unix))]
pub fn is_other_kind(_: &io::Error) -> bool {
    false
}
