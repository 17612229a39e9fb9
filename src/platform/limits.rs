//! Limits of the system on a process.

use std::io;

/// Most open files to request. Some systems allow a billion, and programs that close every descriptor before they start another
/// then take minutes. Reading 10,000 shards takes far fewer.
#[cfg(unix)]
const ENOUGH_FILES: u64 = 65_536;

/// The most that macOS accepts if it states no limit (`OPEN_MAX`).
#[cfg(unix)]
const FEW_FILES: u64 = 10_240;

/// The default of the C library on Windows.
#[cfg(not(unix))]
const USUAL_FILES: u64 = 512;

/// Let this process and its children open as many files as its user may. Call it first in `main`.
pub fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        for wanted in [ENOUGH_FILES, FEW_FILES] {
            let wanted = limit.maximum.map_or(wanted, |most| most.min(wanted));
            if limit.current.is_none_or(|now| now >= wanted) {
                return;
            }
            let raised = Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            };
            if setrlimit(Resource::Nofile, raised).is_ok() {
                return;
            }
        }
    }
}

/// Return the number of files that this process may have open at a time.
pub fn most_open_files() -> u64 {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current.unwrap_or(ENOUGH_FILES).min(ENOUGH_FILES)
    }
    #[cfg(not(unix))]
    USUAL_FILES
}

/// Return the limit on the size of a file that this process writes, in bytes; `None` without one.
pub fn most_bytes_a_file() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    #[cfg(not(unix))]
    None
}

/// Explain, for people, a write that failed because of the process's limit on file sizes, and what to do. `None` for any other
/// error, and if the limit is the file system's.
pub fn file_limit_met(error: &io::Error) -> Option<String> {
    let limit = most_bytes_a_file().filter(|_| error.kind() == io::ErrorKind::FileTooLarge)?;
    Some(file_limit(limit))
}

/// Explain a limit of so many bytes.
pub fn file_limit(limit: u64) -> String {
    format!(
        "this process may write files of {limit} bytes at most: raise the limit (`ulimit -f`) and run again"
    )
}

/// Make a write beyond the limit of a file's size (`ulimit -f`) fail with an error instead of a signal that kills the process
/// silently. Call it first in `main`; each child calls it for itself.
pub fn ignore_file_size_signal() {
    #[cfg(unix)]
    {
        // With a handler, even one that does nothing, the write fails with EFBIG.
        // SAFETY: the handler touches nothing, so it may run at any time.
        let registered =
            unsafe { signal_hook::low_level::register(signal_hook::consts::SIGXFSZ, || {}) };
        // Fails only for signals that cannot be handled.
        let _ = registered;
    }
}
