//! The main memory available to this process: the machine's, within the limits of its control groups, which only Linux has.
//!
//! Reads a few small files, decides nothing.

#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

/// Return the bytes that can be used without swapping, by the tightest limit; `None` if unknown.
pub fn available_memory_bytes() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return available_below(Path::new("/"));
    #[cfg(not(target_os = "linux"))]
    {
        let mut system = sysinfo::System::new().ok()?;
        system.refresh_memory();
        Some(system.available_memory()).filter(|bytes| *bytes > 0)
    }
}

/// With `/proc` and `/sys` below `root`.
#[cfg(target_os = "linux")]
fn available_below(root: &Path) -> Option<u64> {
    let limits = groups(root).into_iter().filter_map(|group| group.left());
    limits.chain(of_machine(root)).min()
}

#[cfg(target_os = "linux")]
fn of_machine(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// A control group and the names of its files.
#[cfg(target_os = "linux")]
struct Group {
    folder: PathBuf,
    limit: &'static str,
    used: &'static str,
    /// The entry of `memory.stat` for cached pages of files, which the kernel evicts if memory is short.
    cache: &'static str,
}

#[cfg(target_os = "linux")]
impl Group {
    /// `None` without a limit.
    fn left(&self) -> Option<u64> {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        let stat = read("memory.stat").unwrap_or_default();
        let cache = stat
            .lines()
            .find_map(|line| line.strip_prefix(self.cache)?.trim().parse::<u64>().ok());
        let used = number(self.used)?.saturating_sub(cache.unwrap_or(0));
        Some(number(self.limit)?.saturating_sub(used))
    }
}

/// Return the process's group and all above it, in both versions of the interface. In a container its own group is mounted as
/// the root, while its path may be the one outside, so the root is always included.
#[cfg(target_os = "linux")]
fn groups(root: &Path) -> Vec<Group> {
    let listed = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in listed.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (mount, limit, used, cache) = match kinds {
            "" => (
                "sys/fs/cgroup",
                "memory.max",
                "memory.current",
                "inactive_file ",
            ),
            kinds if kinds.split(',').any(|kind| kind == "memory") => (
                "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file ",
            ),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        groups.extend(path.ancestors().map(|path| Group {
            folder: root.join(mount).join(path),
            limit,
            used,
            cache,
        }));
    }
    groups
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::fs;

    const MIB: u64 = 1 << 20;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = crate::test_folder::create();
        let meminfo = "MemTotal: 2097152 kB\nMemAvailable:    1048576 kB\n";
        for (name, text) in [("proc/meminfo", meminfo)].iter().chain(files) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("a folder");
            fs::write(path, text).expect("written");
        }
        root
    }

    #[test]
    fn the_tightest_limit_of_all_groups_counts() {
        let bare = machine(&[]);
        assert_eq!(available_below(bare.path()), Some(1024 * MIB));
        let unlimited = machine(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.current", "4096\n"),
        ]);
        assert_eq!(available_below(unlimited.path()), Some(1024 * MIB));
        let nested = machine(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "536870912\n"),
            ("sys/fs/cgroup/a/memory.current", "268435456\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 1\ninactive_file 67108864\n",
            ),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "4096\n"),
        ]);
        assert_eq!(available_below(nested.path()), Some((512 - 256 + 64) * MIB));
    }

    #[test]
    fn the_first_version_of_groups_is_read_too_and_the_root_of_a_container() {
        let container = machine(&[
            (
                "proc/self/cgroup",
                "12:cpu,cpuacct:/x\n4:memory:/docker/1234\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "209715200\n"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "total_inactive_file 157286400\n",
            ),
        ]);
        assert_eq!(available_below(container.path()), Some(50 * MIB));
    }
}
