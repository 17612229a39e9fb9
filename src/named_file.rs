//! Opens paths that the user gives: profiles, models, databases, queries, logs, metrics.
//!
//! Such a path may lead to anything. These functions never wait for the other end of a FIFO, never read more than a limit,
//! and refuse anything but regular files with an error that says what it is, unless a stream makes sense. `scan` opens
//! the files of a corpus, with stricter rules.

use crate::platform;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Limit for text written by people: profiles, model configurations. The largest known has 60 KB.
pub const MOST_TEXT_BYTES: u64 = 16 << 20;

/// Limit for tokenizers. The largest known has 35 MB.
pub const MOST_TOKENIZER_BYTES: u64 = 512 << 20;

/// Limit for manifests: about 400 bytes per shard and per failed file.
pub const MOST_MANIFEST_BYTES: u64 = 256 << 20;

/// Limit for one line of a stream.
pub const MOST_LINE_BYTES: u64 = 64 << 20;

/// Open a regular file for reading. Follows links.
///
/// # Errors
/// Those of the system; `InvalidInput` for a folder, FIFO, socket or device, whose message says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    let file = open_anything(OpenOptions::new().read(true), path)?;
    regular(&file)?;
    Ok(file)
}

/// Read a regular file of at most `most` bytes.
///
/// # Errors
/// Those of [`open`], and `FileTooLarge` for a longer file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    within(open(path)?, most)
}

/// Read the text of a regular file of at most `most` bytes.
///
/// # Errors
/// Those of [`read`], and `InvalidData` if it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    text(read(path, most)?)
}

/// Open a regular file, a FIFO or a character device for reading. Waits until a FIFO has a writer, as `cat` does; a signal
/// that ends the process ends the wait.
///
/// # Errors
/// Those of [`open`].
pub fn open_stream(path: &Path) -> io::Result<File> {
    let is_fifo = platform::kind_in_words(path.metadata()?.file_type()) == "a FIFO";
    let file = match is_fifo {
        true => File::open(path)?,
        false => open_anything(OpenOptions::new().read(true), path)?,
    };
    if platform::is_stream(file.metadata()?.file_type()) {
        platform::wait_for_data(&file)?;
    } else {
        regular(&file)?;
    }
    Ok(file)
}

/// Read at most `most` bytes from the beginning of a regular file.
///
/// # Errors
/// Those of [`open`].
pub fn head(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    open(path)?.take(most).read_to_end(&mut head)?;
    Ok(head)
}

/// An output that the user named.
#[derive(Debug)]
pub enum Target {
    /// The path of a regular file, existing or not. If the user named a link, the path that it leads to.
    File(PathBuf),
    /// A FIFO or a character device, open for non-blocking writes.
    Stream(File),
}

/// Resolve an output path like [`target`], but open nothing: a reader of a FIFO would see its end when a writer that only
/// looked goes away. `None` for a stream.
///
/// # Errors
/// For a folder, a socket, a block device and a dangling link.
pub fn target_file(path: &Path) -> io::Result<Option<PathBuf>> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(path.to_path_buf()));
        }
        found => found?,
    };
    if found.is_file() {
        return Ok(Some(path.to_path_buf()));
    }
    let real = path.metadata().map_err(|error| match found.is_symlink() {
        true => io::Error::new(error.kind(), format!("a dangling link: {error}")),
        false => error,
    })?;
    if real.is_file() {
        return platform::real_path(path).map(Some);
    }
    match platform::is_stream(real.file_type()) {
        true => Ok(None),
        false => Err(odd(real.file_type(), "a regular file or a stream")),
    }
}

/// Resolve an output path, and open it if it is a stream. Creates nothing.
///
/// # Errors
/// For a folder, a socket, a block device, a dangling link, and a FIFO without a reader.
pub fn target(path: &Path) -> io::Result<Target> {
    if let Some(file) = target_file(path)? {
        return Ok(Target::File(file));
    }
    let real = path.metadata()?;
    let file = open_anything(OpenOptions::new().write(true), path).map_err(|error| {
        // Replaces the system's message, "no such device".
        let is_fifo = platform::kind_in_words(real.file_type()) == "a FIFO";
        match is_fifo && error.kind() != io::ErrorKind::PermissionDenied {
            true => io::Error::new(error.kind(), "it is a FIFO without a reader"),
            false => error,
        }
    })?;
    match platform::is_stream(file.metadata()?.file_type()) {
        true => Ok(Target::Stream(file)),
        false => Err(io::Error::other("it was replaced by another file just now")),
    }
}

/// Explain to people why a write to a stream or file failed.
pub fn unwritten(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock => "it is full, because its reader is too slow".to_owned(),
        io::ErrorKind::BrokenPipe => "its reader is gone".to_owned(),
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
        let what = format!("it is longer than the limit of {most} bytes");
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

    /// Create a folder with a file, a FIFO, a folder, a socket, and links to a file, to devices and to nothing.
    fn folder() -> TempDir {
        let dir = crate::test_folder::create();
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
    fn only_regular_files_are_read_and_errors_name_the_kind() {
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
            error
                .to_string()
                .contains("longer than the limit of 3 bytes"),
            "{error}"
        );
    }

    #[test]
    fn streams_are_read_up_to_the_limit() {
        let dir = folder();
        let read = |name: &str| text(within(open_stream(&dir.path().join(name))?, 100)?);
        assert_eq!(read("file").expect("a file"), "text");
        let mut options = File::options();
        let writer = options.read(true).write(true).open(dir.path().join("fifo"));
        let mut writer = writer.expect("opened");
        writer.write_all(b"from a writer").expect("written");
        let mut from = open_stream(&dir.path().join("fifo")).expect("a stream");
        drop(writer);
        let mut said = String::new();
        from.read_to_string(&mut said).expect("read");
        assert_eq!(said, "from a writer");
        let error = read("zero").expect_err("endless").to_string();
        assert!(error.contains("longer than"), "{error}");
        assert!(read("folder").is_err());
    }

    #[test]
    fn streams_are_opened_and_links_resolved() {
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
            panic!("it has a reader");
        };
        // More than a pipe holds: the write does not block.
        let error = fifo.write_all(&vec![0; 4 << 20]).expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(reader);
    }
}
