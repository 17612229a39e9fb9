//! Limits that the system sets to a process.

use std::io;

/// Open files that are asked for at most. Some systems allow a billion, and programs that close every descriptor
/// before they start another then take minutes. 10,000 shards are read with far fewer.
#[cfg(unix)]
const ENOUGH_FILES: u64 = 65_536;

/// What macOS takes at most where it states no limit (`OPEN_MAX`).
#[cfg(unix)]
const FEW_FILES: u64 = 10_240;

/// Where a system says nothing: what Windows's C library allows without being asked.
#[cfg(not(unix))]
const USUAL_FILES: u64 = 512;

/// Lets this process and its children open as many files as its user may. Call it first thing in `main`.
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

/// Files that this process may have open at the same time.
pub fn most_open_files() -> u64 {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current.unwrap_or(ENOUGH_FILES).min(ENOUGH_FILES)
    }
    #[cfg(not(unix))]
    USUAL_FILES
}

/// Bytes of a file that this process may write; `None` without a limit of its own.
pub fn most_bytes_a_file() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    #[cfg(not(unix))]
    None
}

/// For people: what a write beyond the limit of a file's size has met, and what to do. `None` for any other error, and
/// where the file system has the limit.
pub fn file_limit_met(error: &io::Error) -> Option<String> {
    let limit = most_bytes_a_file().filter(|_| error.kind() == io::ErrorKind::FileTooLarge)?;
    Some(file_limit(limit))
}

/// The same of a limit of so many bytes.
pub fn file_limit(limit: u64) -> String {
    format!(
        "this process may write files of {limit} bytes at most: raise the limit (`ulimit -f`) and run again"
    )
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`) fail with an error that can be told, in place of
/// a signal that ends the process without a word. Call it first thing in `main`; a child sets it for itself.
pub fn ignore_file_size_signal() {
    #[cfg(unix)]
    {
        // A handler that does nothing: the write fails with EFBIG then.
        // SAFETY: the handler touches nothing, so it may run at any time.
        let registered =
            unsafe { signal_hook::low_level::register(signal_hook::consts::SIGXFSZ, || {}) };
        // Fails for signals that nobody may handle, which this is not.
        let _ = registered;
    }
}
