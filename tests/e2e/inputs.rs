//! Files that change during the build, and wrong file times and clocks.

#![cfg(unix)]

use crate::same_bytes::query;
use crate::world::{BARE, Ran, World, count, finish};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes of a file that is read in two pieces.
const TWO_PIECES: usize = 80_000;

/// Whether this user may read files that nobody may read.
pub fn is_root() -> bool {
    let folder = crate::test_folder::create();
    let file = folder.path().join("f");
    fs::write(&file, "").expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o000)).expect("set");
    File::open(&file).is_ok()
}

/// Makes `command` run as an ordinary user. `false`, and a line that says so: that user cannot start
/// the program where it lies.
pub fn as_ordinary_user(world: &World, command: &mut Command) -> bool {
    const NOBODY: u32 = 65_534;
    if !is_root() {
        return true;
    }
    fs::set_permissions(world.path(""), Permissions::from_mode(0o777)).expect("set");
    command.env("HOME", world.path(""));
    command.uid(NOBODY).gid(NOBODY);
    let mut attempt = Command::new(command.get_program());
    attempt.arg("version").stdout(Stdio::null());
    let starts = attempt.uid(NOBODY).gid(NOBODY).status().is_ok();
    if !starts {
        println!("skipped: the program lies where ordinary users may not go");
    }
    starts
}

/// Lines that tell which version of a file they belong to.
fn version(name: char, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    let mut line = 0;
    while text.len() < bytes {
        text.push_str(&format!(
            "version {name} of this file, line number {line}, some words\n"
        ));
        line += 1;
    }
    text.truncate(bytes);
    text
}

/// What becomes of a file while it is in hand.
#[derive(Clone, Copy, Debug)]
enum Change {
    Grow,
    Shrink,
    Empty,
    GrowTooLarge,
    Vanish,
    Link,
    Fifo,
    Folder,
    /// Another file is renamed over it.
    Replace,
    /// Its folder is swapped for a link to one with a file of the same name.
    FolderLink,
    /// Rewritten in place with the same number of bytes.
    Rewrite,
    /// The same, with the modification time put back.
    Disguise,
    Forbid,
}

const CHANGES: [Change; 13] = [
    Change::Grow,
    Change::Shrink,
    Change::Empty,
    Change::GrowTooLarge,
    Change::Vanish,
    Change::Link,
    Change::Fifo,
    Change::Folder,
    Change::Replace,
    Change::FolderLink,
    Change::Rewrite,
    Change::Disguise,
    Change::Forbid,
];

impl Change {
    fn path(self) -> String {
        format!("{self:?}/victim.txt").to_lowercase()
    }

    /// Does it to the file at `path`. `outside` is a folder beyond the root.
    fn make(self, path: &Path, outside: &Path) {
        let other = version('b', TWO_PIECES);
        let swap = |make: &dyn Fn()| {
            fs::remove_file(path).expect("removed");
            make();
        };
        match self {
            Self::Grow => fs::write(path, version('a', TWO_PIECES + 5_000)).expect("written"),
            Self::Shrink => fs::write(path, version('b', 3_000)).expect("written"),
            Self::Empty => fs::write(path, "").expect("written"),
            Self::GrowTooLarge => fs::write(path, version('b', 200_001)).expect("written"),
            Self::Vanish => swap(&|| {}),
            Self::Link => swap(&|| symlink(outside.join("victim.txt"), path).expect("link")),
            Self::Fifo => swap(&|| {
                let made = Command::new("mkfifo").arg(path).status();
                assert!(made.is_ok_and(|status| status.success()));
            }),
            Self::Folder => swap(&|| fs::create_dir(path).expect("folder")),
            Self::Replace => {
                let beside = path.with_extension("new");
                fs::write(&beside, &other).expect("written");
                fs::rename(beside, path).expect("renamed");
            }
            Self::FolderLink => {
                let folder = path.parent().expect("in a folder");
                fs::rename(folder, outside.join("moved-away")).expect("renamed");
                symlink(outside, folder).expect("link");
            }
            Self::Rewrite => overwrite(path, &other),
            Self::Disguise => {
                let time = fs::metadata(path).and_then(|m| m.modified()).expect("time");
                overwrite(path, &other);
                set_modified(path, time);
            }
            Self::Forbid => {
                fs::set_permissions(path, Permissions::from_mode(0o000)).expect("set");
            }
        }
    }

    /// Why the file is not indexed afterwards. `None`: it is, as it stands at the end.
    fn reason(self, point: &str) -> Option<&'static str> {
        match self {
            Self::Grow | Self::Shrink | Self::Replace | Self::Rewrite | Self::Disguise => None,
            // What is open already was inside the root when it was opened.
            Self::FolderLink if point != "worker::prepare" => None,
            Self::Empty => Some("blank"),
            Self::GrowTooLarge => Some("too_large"),
            Self::Vanish | Self::Link | Self::Fifo | Self::Folder | Self::FolderLink => {
                Some("vanished")
            }
            Self::Forbid => Some("unreadable"),
        }
    }
}

fn overwrite(path: &Path, text: &str) {
    use std::os::unix::fs::FileExt as _;
    let file = File::options().write(true).open(path).expect("opens");
    file.write_all_at(text.as_bytes(), 0).expect("written");
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = File::options().write(true).open(path).expect("opens");
    file.set_modified(time).expect("set");
}

/// Builds into `o`, one file at a time, and calls `act` with the path of each file that comes to
/// `point` and has `part` in it, while it is held there. `None`: cannot be shown on this machine.
fn build_held(world: &World, point: &str, part: &str, act: &mut dyn FnMut(&str)) -> Option<Ran> {
    let gate = world.path("gate");
    let mut command = world
        .bare_build("o")
        .args(["--shard-workers", "1", "--shard-file-workers", "1"])
        .command();
    if !as_ordinary_user(world, &mut command) {
        return None;
    }
    command.env(
        "FAILPOINTS",
        format!("{point}=return(wait={}@{part})", gate.display()),
    );
    let mut child = command.spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{point}: not done after 120 s: {:?}", finish(child));
        }
        match fs::read_to_string(&gate) {
            Ok(subject) if !subject.is_empty() => {
                act(&subject);
                fs::remove_file(&gate).expect("removed");
            }
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    Some(finish(child))
}

/// What the ledger of the one shard says: path to hash and skip reason.
fn ledger(world: &World, shard: &str) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let path = world.path(&format!("o-sharded/p/shards/{shard}.genome.db"));
    let rows = query(
        &path,
        "SELECT path, lower(hex(blake3)), skip_reason FROM build_files",
    );
    let text = |value: &rusqlite::types::Value| match value {
        rusqlite::types::Value::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    rows.iter()
        .map(|row| {
            (
                text(&row[0]).expect("a path"),
                (text(&row[1]), text(&row[2])),
            )
        })
        .collect()
}

fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Builds into a folder.
type Build = fn(&World, &str) -> serde_json::Value;

/// Builds once more, and afresh elsewhere: the same index, whatever happened before.
fn heals(world: &World, build: Build, context: &str) -> serde_json::Value {
    let again = build(world, "o");
    let fresh = build(world, "fresh");
    assert_eq!(again["digest"], fresh["digest"], "{context}");
    assert_eq!(again["skipped"], fresh["skipped"], "{context}");
    let verdict = world.verified("o-sharded/p");
    assert_eq!(verdict["digest"], fresh["digest"], "{context}");
    again
}

fn build_as_an_ordinary_user(world: &World, out: &str) -> serde_json::Value {
    world.build(out, &[])
}

fn as_ordinary(world: &World, out: &str) -> serde_json::Value {
    let mut command = world.bare_build(out).command();
    as_ordinary_user(world, &mut command);
    finish(command.spawn().expect("starts")).summary()
}

#[test]
fn files_changed_while_being_read_are_indexed_or_listed() {
    for point in ["worker::prepare", "scan::opened", "scan::piece"] {
        let world = World::new();
        let outside = world.path("outside");
        world.write("outside/victim.txt", version('x', TWO_PIECES));
        world.write("r/plain.txt", version('p', 3_000));
        for change in CHANGES {
            world.write(&format!("r/{}", change.path()), version('a', TWO_PIECES));
        }
        world.compat_profile(&["r"]);
        fs::set_permissions(&outside, Permissions::from_mode(0o777)).expect("set");
        let mut changed = BTreeSet::new();
        let ran = build_held(&world, point, "victim.txt", &mut |subject| {
            // A file that is read again passes here again.
            if changed.insert(subject.to_owned()) {
                let change = CHANGES.into_iter().find(|c| c.path() == subject);
                let change = change.expect("one of ours");
                change.make(&world.path(&format!("r/{subject}")), &outside);
            }
        });
        let Some(ran) = ran else { return };
        assert_eq!(changed.len(), CHANGES.len(), "{point}: {changed:?}");
        let summary = ran.summary();
        assert_eq!(summary["exit"], 3, "{point}: {summary}");
        let ledger = ledger(&world, "r");
        for change in CHANGES {
            let (hash, reason) = &ledger[&change.path()];
            let context = format!("{change:?} at {point}: {reason:?}");
            assert_eq!(reason.as_deref(), change.reason(point), "{context}");
            if !matches!(change.reason(point), None | Some("blank")) {
                assert_eq!(*hash, None, "{context}");
                continue;
            }
            let place = match change {
                Change::FolderLink => outside.join("moved-away/victim.txt"),
                _ => world.path(&format!("r/{}", change.path())),
            };
            let at_the_end = fs::read(place).expect("still there");
            assert_eq!(*hash, Some(hash_of(&at_the_end)), "{context}");
        }
        let shard = world.path("o-sharded/p/shards/r.genome.db");
        let leaked = "SELECT 1 FROM genes WHERE content LIKE '%version x%'";
        assert!(query(&shard, leaked).is_empty(), "{point}: read outside");
        heals(&world, as_ordinary, point);
        assert_eq!(as_ordinary(&world, "o")["unchanged_shards"], 1, "{point}");
    }
}

#[test]
fn what_was_read_is_known_to_the_next_build() {
    let world = World::new();
    world.write("r/victim.txt", version('a', TWO_PIECES));
    world.profile(&["r"]);
    let mut n_held = 0;
    let ran = build_held(&world, "scan::piece", "victim", &mut |_| {
        n_held += 1;
        if n_held == 1 {
            overwrite(&world.path("r/victim.txt"), &version('b', TWO_PIECES));
        }
    });
    let Some(ran) = ran else { return };
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(n_held, 2, "the changed file was not read again");
    let again = heals(&world, as_ordinary, "rewritten");
    assert_eq!(again["unchanged_shards"], 1, "{again}");
}

#[test]
fn a_file_that_never_rests_is_listed_and_read_when_it_does() {
    let world = World::new();
    world.write("r/plain.txt", version('p', 3_000));
    world.write("r/victim.txt", version('a', TWO_PIECES));
    world.profile(&["r"]);
    let mut n_held = 0;
    let ran = build_held(&world, "scan::piece", "victim", &mut |_| {
        n_held += 1;
        let name = char::from(b'a' + n_held);
        overwrite(&world.path("r/victim.txt"), &version(name, TWO_PIECES));
    });
    let Some(ran) = ran else { return };
    let summary = ran.summary();
    assert_eq!(summary["exit"], 3, "{summary}");
    assert_eq!(summary["files"], 1, "{summary}");
    let listed = &summary["unreadable"][0];
    assert_eq!(listed["path"], "victim.txt", "{summary}");
    let detail = listed["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("changed"), "{summary}");
    assert!(n_held > 1, "read once only");
    assert_eq!(heals(&world, as_ordinary, "never rests")["files"], 2);
}

#[test]
fn a_file_back_as_the_walk_saw_it_is_tried_again() {
    let world = World::new();
    world.write("r/plain.txt", version('p', 3_000));
    world.write("r/victim.txt", version('a', 3_000));
    world.compat_profile(&["r"]);
    let victim = world.path("r/victim.txt");
    let time = fs::metadata(&victim)
        .and_then(|m| m.modified())
        .expect("time");
    let ran = build_held(&world, "worker::prepare", "victim", &mut |_| {
        fs::write(&victim, version('b', 200_001)).expect("written");
    });
    let Some(ran) = ran else { return };
    assert_eq!(ran.summary()["skipped"]["too_large"], 1, "{ran:?}");
    fs::write(&victim, version('a', 3_000)).expect("written");
    set_modified(&victim, time);
    assert_eq!(heals(&world, as_ordinary, "back again")["files"], 2);
}

/// A disk that is unplugged must not look like a tree that was emptied.
#[test]
fn a_root_that_goes_away_is_a_failure() {
    let world = World::corpus(1, 6);
    let (root, aside) = (world.path("root0"), world.path("aside"));
    fs::create_dir_all(world.path("elsewhere/dir0")).expect("folders");
    world.write("elsewhere/dir0/file0.rs", version('x', 3_000));
    for swapped in [false, true] {
        as_ordinary(&world, "o");
        let shard = world.path("o-sharded/p/shards/root0.genome.db");
        let before = fs::read(&shard).expect("a shard");
        let text = version(if swapped { 'y' } else { 'z' }, 3_000);
        world.write("root0/dir0/file0.rs", text);
        let ran = build_held(&world, "worker::prepare", "", &mut |_| {
            if !aside.exists() {
                fs::rename(&root, &aside).expect("renamed");
                if swapped {
                    symlink("elsewhere", &root).expect("link");
                }
            }
        });
        let Some(ran) = ran else { return };
        if swapped {
            fs::remove_file(&root).expect("removed");
        }
        // What was there before is there still.
        let kept = world.path("o-sharded/p/shards/root0.genome.db");
        assert_eq!(fs::read(kept).expect("a shard"), before);
        fs::rename(&aside, &root).expect("renamed");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("root0"), "{ran:?}");
        assert_eq!(heals(&world, as_ordinary, "root back")["files"], 6);
        fs::remove_dir_all(world.path("o-sharded")).expect("removed");
    }
}

/// Somebody works on the tree all through the build, without asking for leave.
#[test]
fn a_tree_that_never_rests_gives_whole_files_only() {
    let (mut dice, seed) = crate::world::Dice::seeded(20_261_120);
    for round in 0..count(2, 300) {
        let context = format!("seed {seed}, round {round}");
        let world = World::new();
        world.profile(&["r"]);
        let n_files = 12;
        let path = |n: u64| world.path(&format!("r/file{n}.txt"));
        // Every state in which each file ever was.
        let mut states: Vec<BTreeSet<String>> = Vec::new();
        for n in 0..n_files {
            let text = version('a', 1_000 + dice.roll(150_000) as usize);
            world.write(&format!("r/file{n}.txt"), &text);
            states.push(BTreeSet::from([hash_of(text.as_bytes())]));
        }
        // The build goes on from its plan once a few files have changed, however busy the machine is.
        let gate = world.path("gate");
        let waits = format!("build::planned=return(wait={})", gate.display());
        let mut command = world.bare_build("o").command();
        command.env("FAILPOINTS", waits);
        let child = command.spawn().expect("starts");
        let done = AtomicBool::new(false);
        let ran = std::thread::scope(|scope| {
            let mutator = scope.spawn(|| {
                let mut n_changes = 0;
                while !done.load(Ordering::Relaxed) {
                    let n = dice.roll(n_files);
                    let name = char::from(b'b' + (n_changes % 24) as u8);
                    let old = fs::read(path(n)).unwrap_or_default();
                    let new = match dice.roll(4) {
                        0 => version(name, 1_000 + dice.roll(150_000) as usize).into_bytes(),
                        1 if old.len() < 180_000 => {
                            let more = version(name, 1 + dice.roll(9_000) as usize);
                            [old.as_slice(), more.as_bytes()].concat()
                        }
                        2 => Vec::new(),
                        _ => version(name, old.len()).into_bytes(),
                    };
                    states[n as usize].insert(hash_of(&new));
                    if new.is_empty() {
                        let _ = fs::remove_file(path(n));
                    } else if new.len() == old.len() || new.starts_with(&old) && !old.is_empty() {
                        overwrite(&path(n), std::str::from_utf8(&new).expect("text"));
                    } else {
                        let beside = world.path("beside");
                        fs::write(&beside, &new).expect("written");
                        fs::rename(&beside, path(n)).expect("renamed");
                    }
                    n_changes += 1;
                    if n_changes > 3 {
                        let _ = fs::remove_file(&gate);
                    }
                    std::thread::sleep(Duration::from_millis(dice.roll(12)));
                }
                n_changes
            });
            let ran = finish(child);
            done.store(true, Ordering::Relaxed);
            let n_changes = mutator.join().expect("no panic");
            assert!(n_changes > 3, "{context}: only {n_changes} changes");
            ran
        });
        ran.summary();
        for (path, (hash, reason)) in ledger(&world, "r") {
            let n: usize = path["file".len()..path.len() - ".txt".len()]
                .parse()
                .expect("a number");
            match hash {
                Some(hash) => assert!(
                    states[n].contains(&hash),
                    "{context}: {path} was never as it was indexed"
                ),
                None => assert!(reason.is_some(), "{context}: {path} is lost"),
            }
        }
        if (0..n_files).any(|n| path(n).exists()) {
            heals(&world, build_as_an_ordinary_user, &context);
        }
    }
}

/// Times between which nothing sensible lies: seconds and nanoseconds since 1970.
const ODD_TIMES: [(i64, u32); 16] = [
    (i64::MIN / 2, 0),
    (-62_135_596_800, 0), // year 1
    (-11_644_473_600, 0), // 1601
    (-9_223_372_037, 145_224_192),
    (-2_147_483_649, 999_999_999),
    (-2_147_483_648, 0), // 1901
    (-1, 999_999_999),
    (0, 0),
    (0, 1),
    (2_147_483_647, 999_999_999),
    (2_147_483_648, 0),           // 2038
    (9_223_372_036, 854_775_807), // 2262: the last nanosecond of an i64
    (9_223_372_036, 854_775_808),
    (16_725_225_600, 0), // 2500
    (253_402_300_799, 999_999_999),
    (i64::MAX / 2, 0),
];

fn at(seconds: i64, nanos: u32) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = match seconds < 0 {
        true => UNIX_EPOCH.checked_sub(whole)?,
        false => UNIX_EPOCH.checked_add(whole)?,
    };
    base.checked_add(Duration::from_nanos(nanos.into()))
}

#[test]
fn odd_modification_times_change_nothing() {
    let shared_memory = Path::new("/dev/shm");
    // Only some file systems take times beyond the year 2446.
    let folders = [std::env::temp_dir(), shared_memory.to_path_buf()];
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let corpus = tempfile::tempdir_in(folder).expect("a temporary folder");
        let world = World::new();
        let root = corpus.path().join("r");
        fs::create_dir(&root).expect("folder");
        let path = |n: usize| root.join(format!("file{n}.txt"));
        for n in 0..ODD_TIMES.len() {
            fs::write(path(n), version(char::from(b'a' + n as u8), 500)).expect("written");
        }
        world.profile(&[root.to_str().expect("text")]);
        let plain = world.build("plain", &[]);
        let mut n_set = 0;
        for (n, (seconds, nanos)) in ODD_TIMES.into_iter().enumerate() {
            let file = File::options().write(true).open(path(n)).expect("opens");
            let set = at(seconds, nanos).is_some_and(|time| file.set_modified(time).is_ok());
            n_set += u32::from(set);
        }
        assert!(n_set > 8, "{}: only {n_set} times", folder.display());
        let odd = world.build("o", &[]);
        assert_eq!(odd["digest"], plain["digest"], "{}", folder.display());
        assert_eq!(odd["files"], ODD_TIMES.len(), "{odd}");
        world.verified("o-sharded/p");
        assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
        // A new text of the same size, with a time as odd as before but another.
        fs::write(path(3), version('z', 500)).expect("written");
        set_modified(&path(3), at(-1_000, 5).expect("a time"));
        let changed = world.build("o", &[]);
        assert_eq!(changed["unchanged_shards"], 0);
        assert_eq!(changed["digest"], world.build("fresh", &[])["digest"]);
    }
}

#[test]
fn a_clock_set_back_between_builds_changes_nothing() {
    let world = World::corpus(2, 12);
    let expected = world.build("plain", &[]);
    let build = |out: &str, epoch: &str| {
        let mut command = world.bare_build(out).command();
        command.env("SOURCE_DATE_EPOCH", epoch);
        finish(command.spawn().expect("starts")).summary()
    };
    for (first, second) in [("4294967295", "0"), ("0", "4294967295")] {
        let _ = fs::remove_dir_all(world.path("o-sharded"));
        assert_eq!(build("o", first)["digest"], expected["digest"]);
        let again = build("o", second);
        assert_eq!(again["unchanged_shards"], 2, "{again}");
        assert_eq!(again["digest"], expected["digest"]);
    }
    world.write("root0/new.txt", version('n', 2_000));
    let changed = build("o", "86400");
    assert_eq!(changed["digest"], build("fresh", "1")["digest"]);
    world.verified("o-sharded/p");
}

/// The system's clock as the program sees it, by way of libfaketime.
#[test]
fn a_clock_that_runs_wild_changes_nothing() {
    let has = Command::new("faketime").arg("--version").output();
    if !has.is_ok_and(|has| has.status.success()) {
        return println!("skipped: faketime is not installed");
    }
    let world = World::corpus(2, 20);
    let expected = world.build("plain", &[]);
    for clock in [
        "@1970-01-01 00:00:01",
        "@1999-12-31 23:59:59",
        "@2100-01-01 00:00:00",
        "@2030-01-01 00:00:00 x10000",
        "@2030-01-01 00:00:00 x0.001",
    ] {
        let mut arguments = vec!["-f", clock, env!("CARGO_BIN_EXE_helix-build")];
        arguments.extend(["--profile", "p.toml", "--out-dir", "o", "--json"]);
        arguments.extend(BARE);
        let mut command = Command::new("faketime");
        // Deadlines count on the other clock, which cannot be set.
        command
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .args(&arguments)
            .current_dir(world.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let summary = finish(command.spawn().expect("starts")).summary();
        assert_eq!(summary["digest"], expected["digest"], "{clock}: {summary}");
        world.write("root0/touched.txt", clock.repeat(10));
        let context = format!("clock {clock}");
        heals(&world, build_as_an_ordinary_user, &context);
        fs::remove_file(world.path("root0/touched.txt")).expect("removed");
        world.build("o", &[]);
    }
}

/// A system without change times, or a record that was lost: size and time stand for the bytes.
#[test]
fn a_disguised_change_without_a_record_is_found_by_rebuild() {
    let world = World::new();
    let victim = world.path("r/victim.txt");
    world.write("r/victim.txt", version('a', 3_000));
    world.profile(&["r"]);
    let first = world.build("o", &[]);
    let time = fs::metadata(&victim)
        .and_then(|m| m.modified())
        .expect("time");
    overwrite(&victim, &version('b', 3_000));
    set_modified(&victim, time);
    fs::remove_file(world.path("o-sharded/p/.build/change-times")).expect("removed");
    assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
    let rebuilt = world.build("o", &["--rebuild"]);
    assert_ne!(rebuilt["digest"], first["digest"]);
    assert_eq!(rebuilt["digest"], world.build("fresh", &[])["digest"]);
}
