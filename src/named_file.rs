//! Opening what a user named: profiles, models, databases, queries, logs, metrics.
//!
//! A path that comes from outside may lead to anything. So nothing here waits for the other end of a FIFO, nothing is
//! read past a bound, and what is no regular file is an error that says what it is, unless a stream makes sense there.
//! The files of a corpus have a stricter door of their own, in `scan`.

use crate::platform;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Texts that people write: profiles, configurations of models. The largest that we know has 60 KB.
pub const MOST_TEXT_BYTES: u64 = 16 << 20;

/// Tokenizers: the largest that we know has 35 MB.
pub const MOST_TOKENIZER_BYTES: u64 = 512 << 20;

/// Manifests: some 400 bytes a shard, and as much for each file that could not be read.
pub const MOST_MANIFEST_BYTES: u64 = 256 << 20;

/// One line of a stream: what is longer has no lines.
pub const MOST_LINE_BYTES: u64 = 64 << 20;

/// Opens a regular file for reading; links are followed.
///
/// # Errors
/// The system's, and `InvalidInput` for a folder, FIFO, socket or device, which says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_anything(OpenOptions::new().read(true), path)?;
    regular(&file)?;
    Ok(file)
}

/// The bytes of a regular file of `most` bytes at most.
///
/// # Errors
/// Those of [`open`], and `FileTooLarge` for a longer file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    within(open(path)?, most)
}

/// The text of a regular file of `most` bytes at most.
///
/// # Errors
/// Those of [`read`], and `InvalidData` for what is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    text(read(path, most)?)
}

/// Opens a regular file, a FIFO or a character device for reading. A FIFO that nobody writes to is empty.
///
/// # Errors
/// Those of [`open`].
pub fn open_stream(path: &Path) -> io::Result<File> {
    let file = open_anything(OpenOptions::new().read(true), path)?;
    if platform::is_stream(file.metadata()?.file_type()) {
        platform::wait_for_data(&file)?;
    } else {
        regular(&file)?;
    }
    Ok(file)
}

/// The first bytes of a regular file, `most` at most.
///
/// # Errors
/// Those of [`open`].
pub fn head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    open(path)?.take(most).read_to_end(&mut head)?;
    Ok(head)
}

/// Where something is written that a user named a path for.
#[derive(Debug)]
pub enum Target {
    /// Nothing is there, or a regular file, at this path, which is free of links when a link led to it.
    File(PathBuf),
    /// A FIFO or a character device, open for writing without waiting.
    Stream(File),
}

/// Looks where `path` leads, and opens it if it is a stream. Creates nothing.
///
/// # Errors
/// For a folder, a socket, a block device, a link that leads nowhere, and a FIFO that nobody reads.
pub fn target(path: &Path) -> io::Result<Target> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Target::File(path.to_path_buf()));
        }
        found => found?,
    };
    if found.is_file() {
        return Ok(Target::File(path.to_path_buf()));
    }
    let real = path.metadata().map_err(|error| match found.is_symlink() {
        true => io::Error::new(error.kind(), format!("a link that leads nowhere: {error}")),
        false => error,
    })?;
    if real.is_file() {
        return platform::real_path(path).map(Target::File);
    }
    if !platform::is_stream(real.file_type()) {
        return Err(odd(real.file_type(), "a regular file or a stream"));
    }
    let file = open_anything(OpenOptions::new().write(true), path).map_err(|error| {
        // The system says "no such device".
        let is_fifo = platform::kind_in_words(real.file_type()) == "a FIFO";
        match is_fifo && error.kind() != io::ErrorKind::PermissionDenied {
            true => io::Error::new(error.kind(), "it is a FIFO that nobody reads"),
            false => error,
        }
    })?;
    match platform::is_stream(file.metadata()?.file_type()) {
        true => Ok(Target::Stream(file)),
        false => Err(io::Error::other("it has just become another file")),
    }
}

/// Why a stream or file took no more, for people.
pub fn unwritten(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock => "its reader is too slow, and it is full".to_owned(),
        io::ErrorKind::BrokenPipe => "nobody reads it any more".to_owned(),
        _ => platform::file_limit_met(error).unwrap_or_else(|| error.to_string()),
    }
}

fn open_anything(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    platform::without_waiting(options).open(path)
}

fn regular(file: &File) -> io::Result<()> {
    let kind = file.metadata()?.file_type();
    match kind.is_file() {
        true => Ok(()),
        false => Err(odd(kind, "a regular file")),
    }
}

fn odd(kind: FileType, wanted: &str) -> io::Error {
    let found = platform::kind_in_words(kind);
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {found}, not {wanted}"),
    )
}

fn within(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("it is longer than the {most} bytes that are read");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        let what = "stream did not contain valid UTF-8";
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A folder with a file, a FIFO, a folder, a socket, and links to a file, a device and to nothing.
    fn folder() -> TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "text").expect("written");
        fs::create_dir(at("folder")).expect("created");
        drop(std::os::unix::net::UnixListener::bind(at("socket")).expect("bound"));
        let made = std::process::Command::new("mkfifo")
            .arg(at("fifo"))
            .status();
        assert!(made.expect("mkfifo runs").success());
        symlink("file", at("link")).expect("linked");
        symlink("/dev/zero", at("zero")).expect("linked");
        symlink("/dev/null", at("null")).expect("linked");
        symlink("nowhere", at("dangling")).expect("linked");
        dir
    }

    #[test]
    fn only_regular_files_are_read_and_the_others_are_named() {
        let dir = folder();
        let read = |name: &str| read_text(&dir.path().join(name), 100);
        assert_eq!(read("file").expect("a file"), "text");
        assert_eq!(read("link").expect("by a link"), "text");
        for (name, what) in [
            ("fifo", "a FIFO"),
            ("zero", "a device"),
            ("folder", "a folder"),
        ] {
            let error = read(name).expect_err(name).to_string();
            assert_eq!(error, format!("it is {what}, not a regular file"));
        }
        assert!(read("socket").is_err() && read("dangling").is_err());
        let error = read_text(&dir.path().join("file"), 3).expect_err("too long");
        assert!(
            error.to_string().contains("longer than the 3 bytes"),
            "{error}"
        );
    }

    #[test]
    fn streams_are_read_within_their_bound() {
        let dir = folder();
        let read = |name: &str| text(within(open_stream(&dir.path().join(name))?, 100)?);
        assert_eq!(read("file").expect("a file"), "text");
        // Nobody writes.
        assert_eq!(read("fifo").expect("a stream"), "");
        let error = read("zero").expect_err("endless").to_string();
        assert!(error.contains("longer than"), "{error}");
        assert!(read("folder").is_err());
    }

    #[test]
    fn a_stream_is_written_through_and_a_link_is_kept() {
        let dir = folder();
        let target = |name: &str| target(&dir.path().join(name));
        let real = dir.path().canonicalize().expect("exists");
        assert!(matches!(target("null"), Ok(Target::Stream(_))));
        assert!(matches!(target("new"), Ok(Target::File(path)) if path == dir.path().join("new")));
        assert!(
            matches!(target("file"), Ok(Target::File(path)) if path == dir.path().join("file"))
        );
        assert!(matches!(target("link"), Ok(Target::File(path)) if path == real.join("file")));
        for name in ["folder", "socket", "dangling", "fifo"] {
            assert!(target(name).is_err(), "{name}");
        }
        let reader = File::options()
            .read(true)
            .write(true)
            .open(dir.path().join("fifo"))
            .expect("read");
        let Ok(Target::Stream(mut fifo)) = target("fifo") else {
            panic!("somebody reads");
        };
        // More than a pipe holds: whoever does not read is not waited for.
        let error = fifo.write_all(&vec![0; 4 << 20]).expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(reader);
    }
}
