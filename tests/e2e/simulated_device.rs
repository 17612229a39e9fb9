//! Incidents on a simulated device, with the CPU in its place: silent probes, batches that never end, and load that is not a
//! problem of the device. `src/engine/watchdog` tests its decisions with a simulated card.

use crate::running_build::{self, RunningBuild};
use crate::world::{Ran, World, count, finish};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A card of 12 GB that is full, and one with room, in MiB.
const FULL: &str = "echo 12135 12288";
const ROOM: &str = "echo 4000 12288";

fn arguments<'a>(out: &'a str, probe: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["--profile", "p.toml", "--out-dir", out, "--json"];
    all.extend(["--progress", "plain", "--device=cpu", "--shard-workers=1"]);
    all.extend(["--vram-probe", probe]);
    all.extend(flags);
    all
}

/// What was noticed, in order.
fn noticed(summary: &Value) -> Vec<String> {
    let events = summary["watchdog"].as_array().expect("a list").iter();
    let name = |event: &Value| event["noticed"].as_str().expect("a word").to_owned();
    events.map(name).collect()
}

/// What was noticed, but for silent probes: on a busy machine a probe may not answer in time.
fn without_probe(summary: &Value) -> Vec<Value> {
    let events = summary["watchdog"].as_array().expect("a list").iter();
    let is_of_device = |event: &&Value| {
        let noticed = event["noticed"].as_str().expect("a word");
        !noticed.starts_with("probe_")
    };
    events.filter(is_of_device).cloned().collect()
}

#[test]
fn a_silent_probe_is_told_once_and_so_is_its_return() {
    let world = World::corpus(1, 60);
    let probe = format!("cat {:?}", world.path("card"));
    let flags = ["--metrics-file", "m.prom"];
    let arguments = arguments("o", &probe, &flags);
    let mut live = RunningBuild::start(
        &world,
        &arguments,
        "encode::text=20*off->1*return(hold)->off",
    );
    live.wait_held().expect("is reached");
    let says = |part: &'static str| {
        move |live: &mut RunningBuild| live.said().1.contains(part).then_some(())
    };
    live.wait("word of the silence", says("probe_silent"));
    let metrics = || fs::read_to_string(world.path("m.prom")).expect("figures");
    let up = |n: u8| {
        let device = "profile=\"p\",device=\"cpu (played card)\"";
        format!("helix_vram_probe_up{{{device}}} {n}\n")
    };
    live.wait("the gauge", |_| metrics().contains(&up(0)).then_some(()));
    world.write("next", "4000 12288\n");
    fs::rename(world.path("next"), world.path("card")).expect("renamed");
    live.wait("word of its return", says("probe_back"));
    live.go();
    let (ran, _) = live.finish();
    let summary = ran.summary();
    assert_eq!(noticed(&summary), ["probe_silent", "probe_back"], "{ran:?}");
    assert_eq!(summary["watchdog"][0]["worker"], Value::Null);
    let reason = summary["watchdog"][0]["reason"].as_str().expect("text");
    assert!(reason.contains("exit status"), "{reason}");
    assert_eq!(ran.stderr.matches("probe_").count(), 2, "{ran:?}");
    assert!(metrics().contains(&up(1)), "{}", metrics());
}

/// Too short for three readings.
#[test]
fn a_short_build_too_says_that_its_probe_is_silent() {
    let world = World::corpus(1, 3);
    let ran = world.run(&arguments("o", "false", &[]));
    assert_eq!(noticed(&ran.summary()), ["probe_silent"], "{ran:?}");
    assert!(
        ran.stderr
            .contains("warning: [crawl-watchdog] probe_silent"),
        "{ran:?}"
    );
}

/// As in the rehearsal of a hang: its process is stopped in the middle of a batch.
#[test]
fn a_worker_that_is_stopped_in_a_batch_is_a_stall_and_no_files_fault() {
    let world = World::corpus(1, 60);
    let undisturbed = world.run(&arguments("o", ROOM, &[])).summary();
    assert_eq!(without_probe(&undisturbed), Vec::<Value>::new());
    let flags = ["--stall-timeout", "6"];
    let arguments = arguments("stopped", ROOM, &flags);
    let mut live = RunningBuild::start(
        &world,
        &arguments,
        "encode::text=20*off->1*return(hold)->off",
    );
    let worker = live.wait_held().expect("is reached");
    running_build::signal(worker, Signal::STOP);
    live.go();
    let (ran, _) = live.finish();
    let summary = ran.summary();
    let event = without_probe(&summary).into_iter().next();
    let event = event.unwrap_or_else(|| panic!("no stall: {ran:?}"));
    assert_eq!(
        (&event["noticed"], &event["action"]),
        (&json!("stall"), &json!("respawn"))
    );
    assert!(
        event["shard"] == "root0" && event["waited_s"].as_f64() > Some(2.0),
        "{event}"
    );
    assert_eq!(summary["quarantined"], json!([]), "{ran:?}");
    assert_eq!(summary["digest"], undisturbed["digest"], "{ran:?}");
    world.verified("stopped-sharded/p");
}

/// Busy loops, ended with it.
struct Load(Vec<Child>);

impl Load {
    /// Four for each core: a machine may have others to run besides.
    fn on_every_core() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let busy = |_| {
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .expect("a shell")
        };
        Self((0..4 * cores).map(busy).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn no_alarm(ran: &Ran) {
    let summary = ran.summary();
    assert_eq!(noticed(&summary), Vec::<String>::new(), "{ran:?}");
    assert_eq!(summary["quarantined"], json!([]), "{ran:?}");
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
}

/// Texts that fill several windows each, so that a busy machine slows all of them, not one in ten.
fn letters(world: &World, name: &str, lines: usize) {
    let line =
        "The archive keeps each letter of the harbour master, with its date and its answer.\n";
    world.write(name, format!("# Letters {name}\n\n{}", line.repeat(lines)));
}

/// Runs after the moment at which a build is starved: they come in bursts.
const STARVED_RUNS: usize = 30;

/// The load ends after this in any case: on a machine that is busy already, those runs take minutes.
fn loaded() -> Duration {
    Duration::from_millis(count(1_500, 3_000).into())
}

/// The lowest priority, and a busy loop for each core: every run takes many times longer than before. Its device has
/// room, so that is not a crawl.
#[test]
fn a_starved_build_is_no_crawl_and_no_stall() {
    let world = World::new();
    for n in 0..55 {
        letters(&world, &format!("r/{n}.md"), 400);
    }
    world.write("p.toml", "roots = [\"r\"]\nchunk_chars = 50000\n");
    let flags = ["--crawl-window=3", "--crawl-factor=2", "--dense-model=none"];
    let arguments = arguments("o", ROOM, &flags);
    let mut live = RunningBuild::start(
        &world,
        &arguments,
        "encode::text=20*off->1*return(hold)->off",
    );
    let worker = live.wait_held().expect("is reached");
    let threads = fs::read_dir(format!("/proc/{worker}/task"))
        .expect("lists")
        .flatten();
    let threads = threads.map(|thread| thread.file_name());
    let mut renice = Command::new("renice");
    renice
        .args(["-n", "19", "-p"])
        .args(threads)
        .stdout(Stdio::null());
    assert!(renice.status().is_ok_and(|status| status.success()));
    let load = Load::on_every_core();
    live.go();
    let began = Instant::now();
    live.wait("runs beside the load", |live| {
        let steps = live.steps();
        let runs = steps
            .iter()
            .filter(|step| step.point == "encode::text")
            .count();
        (runs > 20 + STARVED_RUNS || began.elapsed() > loaded()).then_some(())
    });
    drop(load);
    no_alarm(&live.finish().0);
}

/// Short chunks first, then long ones: chunks per second fall, tokens per second do not.
#[test]
fn long_chunks_after_short_ones_are_no_crawl() {
    let world = World::new();
    for n in 0..40 {
        letters(&world, &format!("r/a{n}.md"), 2);
        letters(&world, &format!("r/b{n}.md"), 400);
    }
    world.write("p.toml", "roots = [\"r\"]\nchunk_chars = 50000\n");
    no_alarm(&world.run(&arguments("o", FULL, &["--dense-model=none"])));
}

/// The encoder waits for each file: that is in no batch.
#[test]
fn a_slow_disk_is_no_crawl() {
    let world = World::corpus(1, 40);
    let mut command = world.command(&arguments("o", FULL, &["--shard-file-workers=1"]));
    command.env("FAILPOINTS", "worker::prepare=return(crawl)");
    no_alarm(&finish(command.spawn().expect("starts")));
}
