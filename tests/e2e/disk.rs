//! Disks that are full, out of inodes or read-only, and folders without permission: the message names the path and what is
//! needed, and the build resumes later.

use crate::world::{BARE, Ran, World, count, files_below};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, gone with the test.
struct Mount(PathBuf);

impl Mount {
    /// `None`, with the reason printed, where this user may not mount.
    fn new(world: &World, test: &str, options: &str) -> Option<Self> {
        let folder = world.path("disk");
        fs::create_dir_all(&folder).expect("a folder");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&folder)
            .output();
        match done {
            Ok(done) if done.status.success() => Some(Self(folder)),
            Ok(done) => {
                let why = String::from_utf8_lossy(&done.stderr).into_owned();
                println!("{test} is skipped: mounting needs root: {}", why.trim());
                None
            }
            Err(error) => {
                println!("{test} is skipped: mount: {error}");
                None
            }
        }
    }

    fn again_with(&self, options: &str) {
        let options = format!("remount,{options}");
        let done = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.0)
            .status();
        assert!(done.expect("mount").success(), "{options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that is about to end may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn arguments(out: &str) -> Vec<&str> {
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", out, "--json"];
    arguments.extend(BARE);
    arguments.extend(["--progress", "none", "--shard-workers", "2"]);
    arguments
}

/// One line that names something below `folder` and says all of `says`, after a warning if the disk is small.
fn check_error(ran: &Ran, folder: &Path, says: &[&str], context: &str) {
    assert_eq!(ran.code, Some(1), "{context}: {ran:?}");
    let warns = |line: &&str| line.contains(" WARN the disk of the output has ");
    let errors: Vec<_> = ran.stderr.lines().filter(|line| !warns(line)).collect();
    assert_eq!(errors.len(), 1, "{context}: {ran:?}");
    assert!(errors[0].starts_with("error: "), "{context}: {ran:?}");
    let folder = folder.to_string_lossy();
    for text in says.iter().copied().chain([&*folder]) {
        assert!(
            ran.stderr.contains(text),
            "{context}: {text:?} is not in {ran:?}"
        );
    }
}

/// The build is complete, and the index is that of an undisturbed build.
fn check_done(world: &World, ran: &Ran, index: &str, digest: &Value, context: &str) {
    assert_eq!(ran.code, Some(0), "{context}: {ran:?}");
    assert_eq!(ran.summary()["digest"], *digest, "{context}");
    assert_eq!(world.verified(index)["digest"], *digest, "{context}");
    let left = files_below(&world.path(index));
    let is_left = |f: &String| f.contains(".tmp") || f.contains(".seg");
    assert!(!left.iter().any(is_left), "{context}: {left:?}");
}

/// Says that the disk is full, in the system's words or in ours, with the need and what is free.
fn is_full(ran: &Ran) -> bool {
    let full = ["the disk is full", "No space left on device"];
    let figures = ["MiB are needed for ", " are free; "];
    full.iter().any(|text| ran.stderr.contains(text))
        && figures.iter().all(|text| ran.stderr.contains(text))
}

/// The figure of `about 3.4 MiB are needed`.
fn needed_kib(ran: &Ran) -> u64 {
    let words: Vec<_> = ran.stderr.split_whitespace().collect();
    let figure = words.windows(4).find_map(|w| match w {
        ["about", figure, "MiB", "are"] => figure.parse::<f64>().ok(),
        _ => None,
    });
    (figure.unwrap_or_else(|| panic!("{ran:?}")) * 1024.0) as u64
}

/// Pages that the files take.
fn used_kib(folder: &Path) -> u64 {
    let sizes = files_below(folder).into_iter().map(|name| {
        let file = fs::metadata(folder.join(name)).expect("a file");
        file.len().div_ceil(4096) * 4
    });
    sizes.sum()
}

#[test]
fn a_full_disk_says_what_it_needs_and_the_build_goes_on() {
    let world = World::corpus(2, 60);
    let digest = &world.build("whole", &[])["digest"];
    let (mut full, mut fitted) = (0, 0);
    // From too small for the first file to large enough for all, so that each stage meets the end.
    let steps = count(8, 64);
    for step in 0..=steps {
        let kib = 64 + 6 * 1024 * step / steps;
        let mut options = format!("size={kib}k");
        let Some(disk) = Mount::new(&world, "a_full_disk_says_what_it_needs", &options) else {
            return;
        };
        let ran = world.run(&arguments("disk/o"));
        if ran.code == Some(0) {
            fitted += 1;
        } else {
            full += 1;
            check_error(&ran, &disk.0, &[], &options);
            let warned = ran.stderr.contains(" WARN the disk of the output has ");
            // An error before the work begins comes first.
            assert!(warned || kib < 1024, "{options}: {ran:?}");
            assert!(is_full(&ran), "{options}: {ran:?}");
            // An error at the same place does no further harm.
            let again = world.run(&arguments("disk/o"));
            assert!(is_full(&again), "{options}: {again:?}");
            // What it says is enough.
            let size = format!("size={}k", used_kib(&disk.0) + needed_kib(&again));
            disk.again_with(&size);
            options = format!("{options}, then {size}");
        }
        let ran = world.run(&arguments("disk/o"));
        check_done(&world, &ran, "disk/o-sharded/p", digest, &options);
    }
    assert!(
        full >= 3 && fitted >= 1,
        "{full} too small, {fitted} large enough"
    );
}

#[test]
fn without_file_entries_left_it_says_so_and_goes_on() {
    let world = World::corpus(2, 20);
    let digest = &world.build("whole", &[])["digest"];
    let (mut full, mut fitted) = (0, 0);
    for inodes in (2..=30).step_by(count(4, 1) as usize) {
        let options = format!("size=64m,nr_inodes={inodes}");
        let Some(disk) = Mount::new(&world, "without_file_entries_left_it_says_so", &options)
        else {
            return;
        };
        let ran = world.run(&arguments("disk/o"));
        if ran.code == Some(0) {
            fitted += 1;
        } else {
            full += 1;
            check_error(&ran, &disk.0, &[" new files are free"], &options);
            assert!(is_full(&ran), "{options}: {ran:?}");
            disk.again_with("nr_inodes=1000");
        }
        let ran = world.run(&arguments("disk/o"));
        check_done(&world, &ran, "disk/o-sharded/p", digest, &options);
    }
    assert!(full >= 2 && fitted >= 1, "{full} too few, {fitted} enough");
}

#[test]
fn a_read_only_disk_is_named_and_the_build_goes_on() {
    let world = World::corpus(2, 20);
    let Some(disk) = Mount::new(&world, "a_read_only_disk_is_named", "size=64m,ro") else {
        return;
    };
    let digest = &world.build("whole", &[])["digest"];
    let refused = world.run(&arguments("disk/o"));
    check_error(&refused, &disk.0, &["Read-only file system"], "empty");
    disk.again_with("rw");
    let ran = world.run(&arguments("disk/o"));
    check_done(&world, &ran, "disk/o-sharded/p", digest, "empty");
    // A finished index on a disk that has become read-only can be read, and not built.
    disk.again_with("ro");
    let verdict = world.verified("disk/o-sharded/p");
    assert_eq!(verdict["digest"], *digest);
    let refused = world.run(&arguments("disk/o"));
    check_error(&refused, &disk.0, &["Read-only file system"], "finished");
}

/// Runs the program as an ordinary user: this one, or when this is root, nobody.
fn as_user(world: &World, out: &str) -> Ran {
    if !is_root() {
        return world.run(&arguments(out));
    }
    let program = world.command(&[]);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(world.path("program"))
        .args(arguments(out))
        .current_dir(world.path(""))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    for (name, value) in program.get_envs() {
        if value.is_none() {
            command.env_remove(name);
        }
    }
    crate::world::finish(command.spawn().expect("starts"))
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("a process");
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.and_then(|line| line.split_whitespace().nth(1)) == Some("0")
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
}

#[test]
fn without_permission_the_path_is_named_and_the_build_goes_on() {
    if is_root() && Command::new("setpriv").arg("--version").output().is_err() {
        println!("without_permission_the_path_is_named is skipped: root, and setpriv is missing");
        return;
    }
    let world = World::corpus(2, 12);
    // An ordinary user may neither enter a private folder nor the folder of the program.
    chmod(&world.path(""), 0o755);
    let program = env!("CARGO_BIN_EXE_helix-build");
    fs::hard_link(program, world.path("program"))
        .or_else(|_| fs::copy(program, world.path("program")).map(drop))
        .expect("the program");
    let open = world.path("open");
    fs::create_dir(&open).expect("a folder");
    chmod(&open, 0o777);
    let whole = as_user(&world, "open/whole").summary();
    let digest = &whole["digest"];
    fs::create_dir(world.path("closed")).expect("a folder");
    chmod(&world.path("closed"), 0o555);
    let refused = as_user(&world, "closed/o");
    check_error(
        &refused,
        &world.path("closed"),
        &["Permission denied"],
        "closed",
    );

    // Each part of a finished index in turn, when both shards have to be built anew.
    let index = "open/whole-sharded/p";
    let parts = [
        "",
        ".build",
        "shards",
        "main.genome.db",
        ".build/lock",
        "../.manifest.lock",
        "..",
    ];
    let mut refusals = 0;
    for (round, part) in parts.iter().enumerate() {
        for root in ["root0", "root1"] {
            let text =
                format!("pub fn round_{round}() -> u64 {{ {round} + 40_000_000_000 }} // {root}\n");
            world.write(&format!("{root}/dir0/file0.rs"), text);
        }
        let path = world.path(index).join(part);
        let mode = fs::metadata(&path).expect("a part").permissions().mode();
        chmod(&path, mode & 0o555);
        let ran = as_user(&world, "open/whole");
        if ran.code != Some(0) {
            refusals += 1;
            let named = world.path("open/whole-sharded");
            check_error(&ran, &named, &["ermission denied"], part);
        }
        chmod(&path, mode);
        let digest = &world.build(&format!("round{round}"), &[])["digest"];
        check_done(&world, &as_user(&world, "open/whole"), index, digest, part);
    }
    assert!(refusals >= 5, "{refusals}");
    // The entries of other profiles are in it, so it is not simply written anew.
    let manifest = world.path("open/whole-sharded/manifest.json");
    chmod(&manifest, 0o000);
    let refused = as_user(&world, "open/whole");
    check_error(&refused, &manifest, &["Permission denied"], "manifest");
    chmod(&manifest, 0o644);
    assert_ne!(
        world.verified(index)["digest"],
        *digest,
        "nothing was rebuilt"
    );
}

/// Sorting spills into files, which lie on the disk of the output: the system's folder for temporary files
/// may be small, and a message that names the index would be wrong. It takes an index of millions of rows to
/// see one, so this is part of the long run alone.
#[test]
fn the_folder_for_temporary_files_may_be_small() {
    if count(0, 1) == 0 {
        println!(
            "the_folder_for_temporary_files_may_be_small is skipped: it needs HELIX_TEST_LONG=1"
        );
        return;
    }
    let world = World::corpus(1, 6000);
    let Some(disk) = Mount::new(
        &world,
        "the_folder_for_temporary_files_may_be_small",
        "size=64k",
    ) else {
        return;
    };
    let arguments = [
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--json",
        "--dense-model",
        "none",
    ];
    let mut command = world.command(&arguments);
    command.env("SQLITE_TMPDIR", &disk.0).env("TMPDIR", &disk.0);
    crate::world::finish(command.spawn().expect("starts")).summary();
}
