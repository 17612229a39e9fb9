//! Folders for the files of tests; the end-to-end tests include this file too.

use std::path::Path;
use tempfile::TempDir;

/// Make an empty folder, removed when it is dropped.
pub fn create() -> TempDir {
    in_memory()
        .map_or_else(tempfile::tempdir, tempfile::tempdir_in)
        .expect("a temporary folder")
}

/// Return the folder for files in memory, if the system has one with room enough. A tenth of what short tests compute is
/// making, syncing and deleting files on a disk. The long form does that, and so does whoever sets `TMPDIR`.
fn in_memory() -> Option<&'static Path> {
    /// Ten times what the tests have there at once, in KiB.
    const ROOM: u64 = 2 << 20;
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if is_set("HELIX_TEST_LONG") || is_set("TMPDIR") {
        return None;
    }
    // Linux alone has these files.
    let memory = std::fs::read_to_string("/proc/meminfo").ok()?;
    let available = memory
        .lines()
        .find_map(|it| it.strip_prefix("MemAvailable:"))?;
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let mut options = mounts
        .lines()
        .find_map(|line| line.strip_prefix("tmpfs /dev/shm tmpfs "))?
        .split([' ', ',']);
    // Tests run programs and open devices there.
    let is_enough = |option: &str| match option.strip_prefix("size=") {
        Some(size) => kib(size.trim_end_matches('k')) >= ROOM,
        None => !matches!(option, "ro" | "noexec" | "nodev"),
    };
    let folder = Path::new("/dev/shm");
    (kib(available) >= ROOM && options.all(is_enough)).then_some(folder)
}

/// Read a number of KiB; of another unit, none.
fn kib(text: &str) -> u64 {
    let number = text.trim().trim_end_matches(" kB");
    number.parse().unwrap_or_default()
}
