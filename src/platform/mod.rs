//! What differs between operating systems.
//!
//! Small functions with the same meaning everywhere, and no policy. All other code uses the standard library.

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

/// Create a temporary file in `folder` with the permissions that the umask allows; otherwise only its owner could read it.
/// Persist it under its name.
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

/// Return the path without links, as [`Path::canonicalize`] does; on Windows in the common form (`C:\...`) if there is one,
/// since globs and other programs do not accept the other (`\\?\C:\...`).
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    dunce::canonicalize(path)
}

/// Rename `from` to `to` and replace what is there. On Windows, a file that another program has open cannot be replaced.
/// Scanners and indexing services open new files for a moment, so retry for ten seconds.
pub fn replace_file(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        const RETRY_FOR: Duration = Duration::from_secs(10);
        let began = std::time::Instant::now();
        loop {
            match std::fs::rename(from, to) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    if began.elapsed() > RETRY_FOR {
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

/// Make `options` open a FIFO or a device without waiting for its other end. Opening a FIFO for writing then fails if no
/// process reads it.
pub fn without_waiting(options: &mut std::fs::OpenOptions) -> &mut std::fs::OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    options
}

/// Make reads of a file that was opened [`without_waiting`] wait for data.
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

/// Whether a file has other names (hard links). `false` on Windows, where that is unknown.
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

/// Return the kind of a file that is neither a regular file nor a folder, for people.
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

/// Return when a file's bytes, name or permissions last changed, in nanoseconds since 1970. Programs cannot set it. `None`
/// where the system has no such time, or for a time beyond the years 1677 to 2262.
pub fn change_time(metadata: &std::fs::Metadata) -> Option<i64> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let seconds = metadata.ctime().checked_mul(1_000_000_000)?;
        seconds.checked_add(metadata.ctime_nsec())
    }
    #[cfg(not(unix))]
    {
        // Unused here.
        let _ = metadata;
        None
    }
}

/// Return the identity of a file on this machine; `None` where the system has none.
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

/// Whether a file belongs to the user as whom this process runs. `false` where that is unknown, as on Windows.
pub fn is_own(file: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        file.uid() == rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// Return what tells this run of this machine, from its start to its end, from all others: one line. `None` where the system
/// does not say; only Linux does.
pub fn machine_run() -> Option<String> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{file}")).ok();
    let (start, name) = (read("random/boot_id")?, read("hostname")?);
    Some(format!("{} {}", start.trim(), name.trim()))
}

/// Return the identities of the regular files to which standard output and standard error of this process go.
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

/// Whether a file of this kind is a stream: a FIFO, a terminal or another character device.
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

/// Run a child in its own process group, so that Ctrl-C in a terminal does not reach it: its parent shuts it down.
pub fn own_process_group(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
        std::os::windows::process::CommandExt::creation_flags(command, CREATE_NEW_PROCESS_GROUP);
    }
}

/// Kill a child with its [`own_process_group`], and all that it has started; on Windows only the child. The caller must still
/// wait for it.
pub fn kill_group(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    )?;
    child.kill()
}

/// Reserve standard output for a protocol: return it, and redirect all later prints (by a library, by the runtime) to standard
/// error. On Windows prints are not redirected, and the protocol's checksums detect them.
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

/// End the process at once, without destructors, which could wait for a stuck thread.
pub fn exit_now(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

/// Return the user and system CPU time of this process so far; zero if unknown.
pub fn process_cpu_time() -> Duration {
    cpu_time::ProcessTime::try_now().map_or(Duration::ZERO, |time| time.as_duration())
}

/// Return the resident memory of this process; `None` if unknown.
pub fn resident_memory_bytes() -> Option<u64> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem as u64)
}

/// Make the OOM killer prefer this process to its parent. Has no effect except on Linux.
pub fn raise_oom_score() {
    // Of 1000. The kernel adds it to the process's share of memory.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
}

/// Make a rename within `directory` durable. Windows has no such call and needs none. Some network file systems have none
/// either, and there a rename is as durable as they make it.
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

/// Create `folder` and its missing parents, each durably: a synced file is lost if a power failure loses the name of its
/// folder.
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
        // A folder that may be written but not read cannot be opened for syncing.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The free space of a file system for this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    pub bytes: u64,
    /// With what the file system keeps for the administrator.
    pub most_bytes: u64,
    /// `None` if the file system does not count files.
    pub files: Option<u64>,
}

/// Return the free space of the file system of `path`; `None` if unknown.
pub fn free_space(path: &std::path::Path) -> Option<Free> {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(Free {
            bytes: found.f_bavail.saturating_mul(found.f_frsize),
            most_bytes: found.f_bfree.saturating_mul(found.f_frsize),
            files: (found.f_files > 0).then_some(found.f_favail),
        })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
