//! Injects a fault into every system call on the output, once or permanently: the build fails with an error that names the
//! file, or works without the call; the next run finishes.
//!
//! A point is a file, a call, and the number of that call on that file in its thread. The points come from a trace of a whole
//! build, so no list of them must be maintained.

use crate::strace::{self, Call, PID};
use crate::world::{BARE, Ran, World, count, files_below};
use std::collections::BTreeMap;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

/// Points of a short run.
const FAST: u32 = 32;

#[derive(Clone, Debug)]
struct Point {
    /// With [`PID`] in place of the process id.
    path: String,
    call: String,
    nth: usize,
    error: &'static str,
    /// `""`: that call alone; `"+"`: that and all later ones.
    how_long: &'static str,
}

fn corpus() -> World {
    let world = World::new();
    for root in ["left", "right"] {
        for n in 0..4 {
            let text = format!(
                "/// Turns {root} {n}.\npub fn turn_{root}_{n}(dial: u64) -> u64 {{\n    dial * {n}\n}}\n"
            );
            world.write(&format!("{root}/file{n}.rs"), text);
        }
    }
    world.profile(&["left", "right"]);
    world
}

fn arguments() -> Vec<&'static str> {
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o", "--json"];
    arguments.extend(BARE);
    arguments.extend(["--progress", "none"]);
    arguments.extend(["--shard-workers", "1", "--shard-file-workers", "1"]);
    arguments
}

fn output(world: &World) -> String {
    let folder = fs::canonicalize(world.path("")).expect("the world");
    folder.join("o-sharded").to_string_lossy().into_owned()
}

/// The faults that a call can meet.
fn errors_of(call: &Call) -> &'static [&'static str] {
    let takes_space = match call.name.as_str() {
        "read" | "pread64" => false,
        "openat" => call.arguments.contains("O_CREAT"),
        name => !name.starts_with("unlink") && name != "rmdir",
    };
    if takes_space {
        &["ENOSPC", "EIO"]
    } else {
        &["EIO"]
    }
}

/// Every point of the build in `trace`, in the order in which the files are first touched.
fn points(world: &World, calls: &[Call]) -> Vec<Point> {
    let output = output(world);
    let mut counted: BTreeMap<(usize, String, String), BTreeMap<u32, usize>> = BTreeMap::new();
    let mut files: Vec<String> = Vec::new();
    let mut errors: BTreeMap<(usize, String), &'static [&'static str]> = BTreeMap::new();
    for call in calls
        .iter()
        .filter(|call| call.first_path().starts_with(&output))
    {
        // `.tmp-<pid>-<n>` and `.tmp-<pid>`.
        let path = match call.first_path().split_once(".tmp-") {
            None => call.first_path().to_owned(),
            Some((before, after)) => {
                let end = after
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(after.len());
                format!("{before}.tmp-{PID}{}", &after[end..])
            }
        };
        let file = files
            .iter()
            .position(|known| *known == path)
            .unwrap_or_else(|| {
                files.push(path.clone());
                files.len() - 1
            });
        let known = errors.entry((file, call.name.clone())).or_default();
        if known.len() < errors_of(call).len() {
            *known = errors_of(call);
        }
        *counted
            .entry((file, path, call.name.clone()))
            .or_default()
            .entry(call.thread)
            .or_default() += 1;
    }
    let mut points = Vec::new();
    for ((file, path, call), threads) in counted {
        let most = threads.into_values().max().unwrap_or(0);
        for nth in 1..=most {
            for error in errors[&(file, call.clone())] {
                for how_long in ["", "+"] {
                    points.push(Point {
                        path: path.clone(),
                        call: call.clone(),
                        nth,
                        error,
                        how_long,
                    });
                }
            }
        }
    }
    points
}

/// What must hold after every run that failed or was said to be fine.
fn finished(world: &World, ran: &Ran, digest: &str, context: &str) {
    assert_eq!(ran.code, Some(0), "{context}: {ran:?}");
    assert_eq!(ran.summary()["digest"], digest, "{context}");
    let verdict = world.verified("o-sharded/p");
    assert_eq!(verdict["digest"], digest, "{context}");
    let left = files_below(Path::new(&output(world)));
    let is_left = |f: &String| f.contains(".tmp") || f.contains(".seg");
    assert!(!left.iter().any(is_left), "{context}: {left:?}");
}

/// An error is one line, no panic, names the file (or the database that it belongs to), and when the disk
/// is full says how much is missing.
fn check_error(ran: &Ran, point: &Point, context: &str) {
    assert_eq!(ran.code, Some(1), "{context}: {ran:?}");
    let errors: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(errors.len(), 1, "{context}: {ran:?}");
    let error = errors[0];
    assert!(error.starts_with("error: "), "{context}: {ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{context}: {ran:?}");
    let lines = ran.lines();
    assert_eq!(lines.len(), 1, "{context}: {ran:?}");
    assert_eq!(lines[0]["type"], "failed", "{context}: {ran:?}");
    let told = lines[0]["error"].as_str().unwrap_or_default();
    assert_eq!(error, format!("error: {told}"), "{context}: {ran:?}");
    let mut name = point.path.clone();
    let beside = ["-wal", "-shm", "-journal"];
    let suffix = beside.iter().find(|suffix| name.ends_with(*suffix));
    name.truncate(name.len() - suffix.map_or(0, |suffix| suffix.len()));
    name.truncate(name.find(".tmp").unwrap_or(name.len()));
    // The manifest's temporary name has a dot in front.
    let name = name.replace("/.manifest.json", "/manifest.json");
    assert!(
        error.contains(&name),
        "{context}: {error:?} does not name {name}"
    );
    // Where SQLite creates a file it keeps to itself why it could not; on a disk that is really full, the
    // next file cannot be created either, and that is told.
    let is_kept = point.call == "openat" && (suffix.is_some() || point.nth > 1);
    if point.error == "ENOSPC" && !is_kept {
        let says = ["the disk is full", "No space left on device"];
        assert!(says.iter().any(|s| error.contains(s)), "{context}: {error}");
        assert!(error.contains("MiB are needed"), "{context}: {error}");
    }
}

/// Traces a whole build. `None`, with the reason printed, where that cannot be done.
fn trace(test: &str) -> Option<(World, Vec<Point>, String)> {
    if !strace::available(test) {
        return None;
    }
    let world = corpus();
    let options = [
        "-e".to_owned(),
        format!("trace=read,pread64,{}", strace::WRITING),
    ];
    let (whole, calls) = strace::run(&world, &options, &arguments());
    let digest = whole.summary()["digest"].as_str().expect("text").to_owned();
    let points = points(&world, &calls);
    Some((world, points, digest))
}

#[test]
fn a_fault_in_any_system_call_is_an_error_or_does_no_harm() {
    let test = "a_fault_in_any_system_call_is_an_error_or_does_no_harm";
    let Some((world, all, digest)) = trace(test) else {
        return;
    };
    assert!(all.len() > 500, "only {} points", all.len());
    let seed = std::env::var("HELIX_TEST_SEED").ok();
    let seed: usize = seed.and_then(|seed| seed.parse().ok()).unwrap_or(0);
    // Spread evenly; the seed moves the comb.
    let step = all.len().div_ceil(count(FAST, u32::MAX) as usize);
    let chosen: Vec<_> = all.iter().skip(seed % step).step_by(step).collect();
    let mut tally = BTreeMap::<&str, usize>::new();
    for point in &chosen {
        // All that is wrong is worth knowing, not the first alone.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            strike(&world, point, &digest, &format!("seed {seed}, {point:?}"))
        }));
        *tally.entry(outcome.unwrap_or("wrong")).or_default() += 1;
    }
    println!(
        "{} of {} points, seed {seed}: {tally:?}",
        chosen.len(),
        all.len()
    );
    assert!(!tally.contains_key("wrong"), "{tally:?}");
    let of = |name| tally.get(name).copied().unwrap_or(0);
    // Threads may share the work another way, and a number may then not be reached in any of them.
    assert!(of("not reached") * 10 <= chosen.len(), "{tally:?}");
    assert!(of("clean error") > of("success"), "{tally:?}");
}

#[test]
fn a_fault_at_the_end_of_a_segment_ends_the_worker() {
    let Some((world, all, digest)) = trace("a_fault_at_the_end_of_a_segment_ends_the_worker")
    else {
        return;
    };
    // When the last segment has been handed out, no message comes that could wake a worker.
    let last = all.iter().rfind(|point| {
        point.path.ends_with(".seg") && point.call == "fsync" && point.how_long == "+"
    });
    let point = last.expect("segments are synced");
    assert_eq!(
        strike(&world, point, &digest, &format!("{point:?}")),
        "clean error"
    );
}

#[test]
fn a_failed_change_of_the_journal_mode_is_heard() {
    let Some((world, all, digest)) = trace("a_failed_change_of_the_journal_mode_is_heard") else {
        return;
    };
    // The header is written last, and no journal guards it.
    let is_write =
        |point: &&Point| point.path.contains(".genome.db.tmp-") && point.call == "pwrite64";
    let last = all.iter().filter(is_write).map(|point| point.nth).max();
    let points: Vec<_> = all
        .iter()
        .filter(is_write)
        .filter(|point| Some(point.nth) == last && point.error == "ENOSPC")
        .collect();
    assert!(!points.is_empty());
    for point in points {
        assert_eq!(
            strike(&world, point, &digest, &format!("{point:?}")),
            "clean error"
        );
    }
}

/// As some network file systems answer.
#[test]
fn folders_that_know_no_sync_are_no_error() {
    let Some((world, _, digest)) = trace("folders_that_know_no_sync_are_no_error") else {
        return;
    };
    let out = output(&world);
    for error in ["EINVAL", "EOPNOTSUPP"] {
        let _ = fs::remove_dir_all(&out);
        let mut options = vec!["-e".to_owned(), "trace=fsync,fdatasync".to_owned()];
        let inject = format!("inject=fsync,fdatasync:error={error}");
        options.extend(["-e".to_owned(), inject]);
        for folder in ["", "/p", "/p/shards", "/p/.build", "/p/.build/segments"] {
            options.extend(["-P".to_owned(), format!("{out}{folder}")]);
        }
        let (ran, calls) = strace::run(&world, &options, &arguments());
        let context = format!("{error}: {ran:?}");
        assert!(
            calls.iter().filter(|call| call.injected).count() > 3,
            "{context}"
        );
        assert_eq!(ran.code, Some(0), "{context}");
        finished(&world, &ran, &digest, &context);
    }
}

/// Builds with the fault, then without.
fn strike(world: &World, point: &Point, digest: &str, context: &str) -> &'static str {
    let _ = fs::remove_dir_all(output(world));
    let inject = format!(
        "{}:error={}:when={}{}",
        point.call, point.error, point.nth, point.how_long
    );
    let mut options = vec!["-e".to_owned(), format!("trace={}", point.call)];
    options.extend(["-e".to_owned(), format!("inject={inject}")]);
    // Which of the two shards is begun first is not settled.
    let attempt = format!(".tmp-{PID}-");
    for number in ["0", "1"] {
        let path = match point.path.split_once(&attempt) {
            Some((before, after)) => format!("{before}{attempt}{number}{}", &after[1..]),
            None => point.path.clone(),
        };
        options.extend(["-P".to_owned(), path]);
    }
    let (ran, calls) = strace::run(world, &options, &arguments());
    if ran.code == Some(0) {
        // SQLite does not say when it cannot remove its log at the end; it holds nothing any more. `verify`
        // would advise to delete it, and so does the next build.
        let is_log = ["main.genome.db-wal", "main.genome.db-shm"];
        if point.call == "unlink" && is_log.iter().any(|name| point.path.ends_with(name)) {
            world.run(&arguments()).summary();
        }
        finished(world, &ran, digest, context);
        let struck = calls.iter().any(|call| call.injected);
        return if struck { "success" } else { "not reached" };
    }
    check_error(&ran, point, context);
    finished(world, &world.run(&arguments()), digest, context);
    "clean error"
}
