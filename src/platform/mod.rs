//! The one door to what differs between operating systems.
//!
//! Small functions with the same meaning everywhere; no policy. Everything else in the project is
//! written against the standard library.

mod limits;
mod memory;
pub mod wire_path;

pub use limits::{
    file_limit, file_limit_met, ignore_file_size_signal, most_bytes_a_file, most_open_files,
    raise_open_files,
};
pub use memory::available_memory_bytes;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// A new temporary file in `folder`, as wide as the umask lets any file be: temporary files are their owner's alone
/// otherwise. Persist it under its name.
pub fn new_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o666);
        tempfile::Builder::new()
            .permissions(mode)
            .tempfile_in(folder)
    }
    #[cfg(windows)]
    tempfile::Builder::new().tempfile_in(folder)
}

/// The path without links, as [`Path::canonicalize`] has it; on Windows in the common form (`C:\...`) where it has
/// one: globs and other programs do not take the other (`\\?\C:\...`).
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    dunce::canonicalize(path)
}

/// Renames `from` to `to`, whatever is there. On Windows a file that somebody has open cannot be replaced; scanners
/// and indexing services hold new files for a moment, so it is tried for ten seconds.
pub fn replace_file(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        const PATIENCE: Duration = Duration::from_secs(10);
        let began = std::time::Instant::now();
        loop {
            match std::fs::rename(from, to) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    if began.elapsed() > PATIENCE {
                        let what = format!("{error} (does another program have the file open?)");
                        return Err(io::Error::new(error.kind(), what));
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                done => return done,
            }
        }
    }
    #[cfg(not(windows))]
    std::fs::rename(from, to)
}

/// Makes `options` open a FIFO or a device without waiting for its other end. A FIFO that is opened for writing while
/// nobody reads is an error then.
pub fn without_waiting(options: &mut std::fs::OpenOptions) -> &mut std::fs::OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    options
}

/// Makes reads of a file that was opened [`without_waiting`] wait for data.
pub fn wait_for_data(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        let flags = rustix::fs::fcntl_getfl(file)?;
        rustix::fs::fcntl_setfl(file, flags - rustix::fs::OFlags::NONBLOCK)?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Whether a file has other names besides this one (hard links). Not known on Windows: `false`.
pub fn has_other_names(file: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        file.nlink() > 1
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// What a file is, in words, where it is neither a file nor a folder.
pub fn kind_in_words(kind: std::fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        if kind.is_fifo() {
            return "a FIFO";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_symlink() => "a link",
        kind if kind.is_file() => "a file",
        _ => "neither a file nor a folder",
    }
}

/// What tells a file from all others on this machine; `None` where the system does not say.
pub fn file_identity(metadata: &std::fs::Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

/// The regular files that standard output and standard error of this process are written to, by
/// [`file_identity`].
pub fn own_streams() -> Vec<(u64, u64)> {
    #[cfg(unix)]
    {
        let streams = [rustix::stdio::stdout(), rustix::stdio::stderr()];
        let files = streams.into_iter().filter_map(|stream| {
            let file = File::from(rustix::io::fcntl_dupfd_cloexec(stream, 3).ok()?);
            file.metadata().ok().filter(|found| found.is_file())
        });
        files.filter_map(|found| file_identity(&found)).collect()
    }
    #[cfg(not(unix))]
    Vec::new()
}

/// Whether data can flow through a file of this kind: FIFOs, terminals and other character devices.
pub fn is_stream(kind: std::fs::FileType) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        kind.is_fifo() || kind.is_char_device()
    }
    #[cfg(not(unix))]
    {
        let _ = kind;
        false
    }
}

/// Keeps a terminal's Ctrl-C from reaching a child: its parent stops it in order.
pub fn own_process_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
        std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
    }
}

/// Ends a child that [`own_process_group`] was called for, at once and with all that it has started. Elsewhere
/// than on Unix what it has started goes on. The child must still be waited for.
pub fn kill_group(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    )?;
    child.kill()
}

/// Takes standard output for a protocol: returns it, and sends whatever is printed from now on (by a
/// library, by the runtime) to standard error. Elsewhere than on Unix prints are not diverted, and
/// the protocol's checksums notice them.
pub fn claim_stdout() -> io::Result<File> {
    #[cfg(unix)]
    {
        let protocol = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
        Ok(File::from(protocol))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle as _;
        Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
    }
}

/// Ends the process here and now: no destructor runs, none can hang on a thread that is stuck.
pub fn exit_now(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

/// User and system CPU time of this process so far; zero where it cannot be had.
pub fn process_cpu_time() -> Duration {
    cpu_time::ProcessTime::try_now().map_or(Duration::ZERO, |time| time.as_duration())
}

/// Memory of this process that is in main memory now; `None` where it cannot be had.
pub fn resident_memory_bytes() -> Option<u64> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem as u64)
}

/// Asks the system to end this process first when memory runs out, rather than the one that started
/// it. Nothing happens where there is no such wish.
pub fn raise_oom_score() {
    // Of 1000; the kernel adds it to the share of memory that the process has.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

/// Makes a rename within `directory` durable. Windows has no such call and needs none; nor do some network file
/// systems have it, and there a rename is as durable as they make it.
pub fn sync_directory(directory: &std::path::Path) -> io::Result<()> {
    #[cfg(unix)]
    match File::open(directory)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) => {}
        done => done?,
    }
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

/// Creates `folder` and those above it that are missing, each durably: a file that is synced in a folder
/// whose own name is lost with the power is lost as well.
pub fn create_folders(folder: &std::path::Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder
        .parent()
        .filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        create_folders(above)?;
    }
    match std::fs::create_dir(folder) {
        // Another thread was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        created => created?,
    }
    match above.map_or(Ok(()), sync_directory) {
        // A folder may be written and not read, and then cannot be opened for this.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// What a file system has left for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    pub bytes: u64,
    /// `None` where files are not counted.
    pub files: Option<u64>,
}

/// Of the file system that holds `path`; `None` where it cannot be had.
pub fn free_space(path: &std::path::Path) -> Option<Free> {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(Free {
            bytes: found.f_bavail.saturating_mul(found.f_frsize),
            files: (found.f_files > 0).then_some(found.f_favail),
        })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
