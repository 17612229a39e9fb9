//! A file that crashes or blocks its worker costs only that file.

#[cfg(target_os = "linux")]
use crate::running_build::{self, RunningBuild};
use crate::world::{BARE, Ran, World, finish};
#[cfg(target_os = "linux")]
use rustix::process::Signal;

/// What is said of a process that was aborted.
const ABORTED: &str = if cfg!(windows) {
    "exit code"
} else {
    "signal: 6"
};

/// Builds `p.toml` into `o` with something going wrong in the program.
fn build(world: &World, failpoints: &str, flags: &[&str]) -> Ran {
    let mut command = world.bare_build("o").args(flags).command();
    command.env("FAILPOINTS", failpoints);
    finish(command.spawn().expect("starts"))
}

/// A build in which `what` happens to one file of 24 at `point`: that file is listed with a reason
/// that says `why`, and all others are indexed.
fn one_is_left_out(point: &str, what: &str, why: &str, flags: &[&str]) {
    let world = World::corpus(2, 12);
    let bad = "root1/dir1/file1.py";
    std::fs::rename(world.path(bad), world.path("root1/dir1/bad.py")).expect("renamed");
    let failpoints = format!("{point}=return({what}@bad.py)");
    let ran = build(&world, &failpoints, flags);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let summary = ran.last_line();
    assert_eq!(summary["files"], 23, "{summary}");
    let list = summary["quarantined"].as_array().expect("a list");
    assert_eq!(list.len(), 1, "{summary}");
    assert_eq!(list[0]["path"], "dir1/bad.py", "{summary}");
    let reason = list[0]["detail"].as_str().expect("a reason");
    assert!(reason.contains(why), "{reason}");
    assert!(ran.stderr.contains("dir1/bad.py"), "{}", ran.stderr);
    world.verified("o-sharded/p");
    // Without the file the index is the same, but for the file's own line.
    let again = world.build("o", &[]);
    assert_eq!(again["unchanged_shards"], 2, "{again}");
    assert_eq!(again["exit"], 3);
    // Once the cause is gone, `--rebuild` takes it in.
    let healed = world.build("o", &["--rebuild"]);
    assert_eq!(healed["digest"], world.build("f", &[])["digest"]);
}

#[test]
fn a_file_that_panics_is_left_out() {
    one_is_left_out("worker::prepare", "panic", "panicked: asked to panic", &[]);
}

#[test]
fn a_file_that_aborts_is_left_out() {
    let flags = ["--shard-workers", "2"];
    one_is_left_out("worker::prepare", "abort", ABORTED, &flags);
}

/// What a worker has in hand is known before anything can happen to it.
#[test]
fn a_file_that_aborts_at_once_is_left_out() {
    let world = World::corpus(2, 12);
    let failpoints = "worker::in_hand=sleep(50);worker::prepare=return(abort@file1.py)";
    let ran = build(&world, failpoints, &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let list = ran.last_line()["quarantined"].clone();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
    world.verified("o-sharded/p");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_overflows_the_stack_is_left_out() {
    one_is_left_out("worker::prepare", "overflow", "signal: 6", &[]);
}

#[test]
fn a_file_that_loops_is_left_out() {
    let flags = ["--stall-timeout", "6"];
    one_is_left_out("worker::prepare", "spin", "not prepared in 3 s", &flags);
}

#[test]
fn a_file_that_takes_all_memory_is_left_out() {
    let flags = ["--worker-memory", "400"];
    one_is_left_out("worker::prepare", "eat", "more than 400 MiB", &flags);
}

#[test]
fn a_file_that_the_encoder_hangs_on_is_left_out() {
    let flags = ["--stall-timeout", "4"];
    one_is_left_out("worker::encode", "spin", "no progress for 4 s", &flags);
}

#[test]
fn a_file_that_kills_the_encoder_is_left_out() {
    one_is_left_out("worker::encode", "abort", ABORTED, &[]);
}

#[test]
fn files_that_all_kill_stop_the_build_at_once() {
    let world = World::corpus(1, 60);
    let ran = build(&world, "worker::prepare=return(panic)", &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("16 files in a row"), "{}", ran.stderr);
    assert_eq!(
        world.build("o", &[])["exit"],
        0,
        "it resumes once the cause is gone"
    );
}

#[test]
fn workers_that_do_not_start_are_one_error() {
    let world = World::corpus(2, 12);
    for what in ["abort", "panic"] {
        let failpoints = format!("worker::start=return({what})");
        let ran = build(&world, &failpoints, &["--shard-workers", "2"]);
        assert_eq!(ran.code, Some(13), "{ran:?}");
        let errors = ran.stderr.lines().filter(|l| l.starts_with("error: "));
        let errors: Vec<_> = errors.collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains("no worker starts"), "{errors:?}");
    }
    let ran = build(
        &world,
        "worker::start=return(abort@1)",
        &["--shard-workers", "2"],
    );
    assert_eq!(ran.code, Some(0), "the other one does the work: {ran:?}");
}

#[test]
fn workers_that_cannot_be_killed_are_left_behind() {
    // A worker neither ends nor lets go of its segment, and the supervisor's kill does nothing.
    let world = World::corpus(1, 12);
    let failpoints = "supervisor::kill=return(skip);worker::encode=return(spin@dir1/file1.py)";
    let flags = ["--stall-timeout", "2"];
    let ran = build(&world, failpoints, &flags);
    // One is silent, two more have the file announced and in hand.
    let left_behind = ran.stderr.matches(" cannot be killed; it is left").count();
    assert_eq!(left_behind, 3, "{ran:?}");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.last_line()["files"], 11);
    world.verified("o-sharded/p");
}

#[cfg(target_os = "linux")]
#[test]
fn a_worker_that_the_system_gives_too_little_memory_costs_the_file_that_needs_it() {
    let world = World::corpus(1, 12);
    let program = env!("CARGO_BIN_EXE_helix-build");
    let line = format!(
        "ulimit -v 3000000; exec {program} --profile p.toml --out-dir o --json --worker-memory 100000 {}",
        BARE.join(" ")
    );
    let mut command = std::process::Command::new("bash");
    command
        .args(["-c", &line])
        .current_dir(world.path("."))
        .env("FAILPOINTS", "worker::prepare=return(eat@dir1/file1.py)")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let ran = finish(command.spawn().expect("starts"));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.last_line()["quarantined"][0]["path"], "dir1/file1.py");
    world.verified("o-sharded/p");
}

#[cfg(target_os = "linux")]
#[test]
fn a_stopped_worker_is_found_and_its_segment_done_by_another() {
    let world = World::corpus(2, 12);
    let expected = world.build("f", &[])["digest"].clone();
    let flags = ["--stall-timeout", "4", "--shard-workers", "2"];
    // Slow enough that there is something left to do when it is stopped.
    let crawl = "worker::encode=return(crawl)";
    let mut live =
        RunningBuild::start(&world, &running_build::arguments("o", false, &flags), crawl);
    let worker = live.wait_step("worker::encode").pid;
    running_build::signal(worker, Signal::STOP);
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("no progress for 4 s"), "{ran:?}");
    assert_eq!(ran.last_line()["digest"], expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_build_that_was_suspended_has_not_stalled() {
    let world = World::corpus(1, 40);
    let arguments = running_build::arguments("o", false, &["--stall-timeout", "3"]);
    let mut live = RunningBuild::start(&world, &arguments, "worker::encode=return(crawl)");
    let worker = live.wait_step("worker::encode").pid;
    let all = [live.pid(), worker];
    for pid in all {
        running_build::signal(pid, Signal::STOP);
    }
    // Longer than the timeout: this is the one thing a test of time must wait for.
    std::thread::sleep(std::time::Duration::from_secs(6));
    for pid in all {
        running_build::signal(pid, Signal::CONT);
    }
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stderr.contains("no progress"), "{ran:?}");
}
