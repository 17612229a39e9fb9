//! The watchdog end to end, with a simulated device: the CPU in its place, simulated memory, and encoders that crawl, hang and
//! fail. `src/engine/watchdog` tests when it decides what.
#![cfg(unix)]

#[cfg(target_os = "linux")]
use crate::running_build::{self, RunningBuild};
use crate::world::{Ran, World, finish};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A card of 12 GB that is full, in MiB.
const FULL: &str = "echo 12135 12288";

/// A run during a crawl really takes this much longer, in milliseconds, so that memory is asked meanwhile.
const CRAWL: u32 = 150;

/// Durations are played, so that a machine which is busy with something else makes no difference: from run number
/// `first` on, counted in each process, `n` runs crawl, or all.
fn crawl(point: &str, first: usize, n: Option<usize>) -> String {
    let (runs, after, healthy) = match n {
        Some(n) => (format!("{n}*"), "->off", "->return(1)"),
        None => (String::new(), "", ""),
    };
    format!(
        "{point}={first}*off->{runs}sleep({CRAWL}){after};\
         encode::took={first}*return(1)->{runs}return({CRAWL}){healthy}"
    )
}

/// A small window and small batches, so that there are enough of them.
const FLAGS: [&str; 12] = [
    "--device",
    "cuda",
    "--batch-size",
    "2",
    "--crawl-window",
    "3",
    "--crawl-factor",
    "10",
    "--shard-workers",
    "1",
    "--dense-model=none",
    "--no-shard-sort",
];

struct Played<'a> {
    flags: &'a [&'a str],
    failpoints: &'a str,
    environment: &'a [(&'a str, &'a str)],
}

impl Default for Played<'_> {
    fn default() -> Self {
        Self {
            flags: &["--vram-probe", FULL],
            failpoints: "",
            environment: &[],
        }
    }
}

impl<'a> Played<'a> {
    fn build(&self, world: &World, out: &'a str) -> Ran {
        let mut command = world.command(&self.arguments(out));
        command.env("FAILPOINTS", self.all_failpoints());
        command.envs(self.environment.iter().copied());
        finish(command.spawn().expect("starts"))
    }

    fn arguments(&self, out: &'a str) -> Vec<&'a str> {
        let mut arguments = vec![
            "--profile",
            "p.toml",
            "--out-dir",
            out,
            "--json",
            "--progress",
            "plain",
        ];
        arguments.extend(FLAGS);
        arguments.extend(self.flags);
        arguments
    }

    fn all_failpoints(&self) -> String {
        // Some files keep the encoder waiting, so that it does not take all of them together.
        format!(
            "encode::device=return(skip);worker::prepare=return(crawl@9.);{}",
            self.failpoints
        )
    }
}

/// What was noticed and done, in order; recoveries and what was told of the probe are left out.
fn actions(summary: &Value) -> Vec<String> {
    let events = summary["watchdog"].as_array().expect("a list");
    let told = events.iter().filter(|event| {
        let noticed = event["noticed"].as_str().expect("a word");
        !matches!(noticed, "recovered" | "probe_silent" | "probe_back")
    });
    told.map(|event| {
        let word = |field: &str| event[field].as_str().expect("a word").to_owned();
        format!("{} {}", word("noticed"), word("action"))
    })
    .collect()
}

fn devices(world: &World, index: &str) -> Vec<String> {
    let shards = world.run(&["inspect", index, "--json"]).lines();
    let segments = shards
        .iter()
        .flat_map(|shard| shard["segments"].as_array().expect("a list"));
    let mut devices: Vec<_> = segments
        .map(|segment| segment["device"].as_str().expect("a name").to_owned())
        .collect();
    devices.sort();
    devices.dedup();
    devices
}

/// Runs that an undisturbed build does, in one process.
fn runs_of(world: &World, out: &str) -> (usize, Value) {
    let trace = world.path(&format!("{out}.trace"));
    let trace_name = trace.to_string_lossy().into_owned();
    let played = Played {
        flags: &[],
        environment: &[("FAILPOINT_TRACE", &trace_name)],
        ..Played::default()
    };
    let summary = played.build(world, out).summary();
    let steps = fs::read_to_string(&trace).expect("a trace");
    let runs = steps
        .lines()
        .filter(|line| line.contains(" encode::run "))
        .count();
    (runs, summary)
}

#[test]
fn a_crawl_climbs_the_ladder_and_nothing_is_lost() {
    let world = World::corpus(1, 120);
    let (runs, undisturbed) = runs_of(&world, "o");
    assert!(runs > 50, "{runs} batches are too few for this test");
    assert_eq!(actions(&undisturbed), Vec::<String>::new());
    // From three quarters on everything crawls. The next process has less than that to do: every file keeps the encoder
    // waiting, so that what comes before is committed in small parts, on a busy machine as well.
    let crawls = crawl("encode::run", runs * 3 / 4, None);
    let played = Played {
        failpoints: &format!("worker::prepare=return(crawl);{crawls}"),
        ..Played::default()
    };
    let ran = played.build(&world, "crawl");
    let summary = ran.summary();
    let actions = actions(&summary);
    assert_eq!(
        actions,
        ["crawl release_memory", "crawl respawn"],
        "{ran:?}"
    );
    assert_eq!(summary["digest"], undisturbed["digest"]);
    assert_eq!(devices(&world, "crawl-sharded/p"), ["cuda:0"]);
    assert!(
        ran.stderr
            .contains("[crawl-watchdog] crawl: action=respawn shard=root0"),
        "{ran:?}"
    );
    world.verified("crawl-sharded/p");
}

#[test]
fn a_shard_that_crawls_again_is_finished_on_the_cpu_and_the_next_begins_on_the_device() {
    // Enough batches after each rung for the next, whatever was committed before.
    let world = World::corpus(2, 200);
    let (runs, undisturbed) = runs_of(&world, "o");
    // Every process crawls from its 24th run on, in the other shard as well. Opening takes eight, and on a busy machine
    // half-filled batches make no baseline.
    let played = Played {
        failpoints: &crawl("encode::run", 24, None),
        ..Played::default()
    };
    let ran = played.build(&world, "crawl");
    let summary = ran.summary();
    let actions = actions(&summary);
    let ladder = ["crawl release_memory", "crawl respawn", "crawl cpu"];
    assert!(runs > 50, "{runs} batches are too few for this test");
    assert!(
        actions.starts_with(&ladder.map(str::to_owned)),
        "{actions:?} in {ran:?}"
    );
    for figure in ["files", "chunks", "skipped"] {
        assert_eq!(summary[figure], undisturbed[figure], "{figure}");
    }
    assert_eq!(summary["devices"], json!(["cpu", "cuda:0"]));
    assert!(devices(&world, "crawl-sharded/p").contains(&"cpu".to_owned()));
    world.verified("crawl-sharded/p");
    let again = world.run(&[
        "verify",
        "crawl-sharded/p",
        "--reencode",
        "50",
        "--seed",
        "1",
    ]);
    assert_eq!(again.code, Some(0), "{again:?}");
    // The manifest keeps what happened.
    let manifest = fs::read_to_string(world.path("crawl-sharded/manifest.json")).expect("is there");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let text = manifest.to_string();
    assert!(text.contains("\"action\":\"cpu\""), "{text}");
}

#[test]
fn slow_alone_is_no_crawl() {
    let world = World::corpus(1, 90);
    for probe in ["echo 4000 12288", "sleep 1000", "echo nonsense", "false"] {
        let played = Played {
            flags: &["--vram-probe", probe],
            failpoints: &crawl("encode::run", 24, Some(12)),
            ..Played::default()
        };
        let summary = played.build(&world, "o").summary();
        assert_eq!(actions(&summary), Vec::<String>::new(), "{probe}");
        fs::remove_dir_all(world.path("o-sharded")).expect("removed");
    }
}

#[test]
fn a_batch_that_does_not_end_costs_its_process_and_nothing_else() {
    let world = World::corpus(1, 60);
    let (_, undisturbed) = runs_of(&world, "o");
    // Once in the life of the build: a process that finds the file goes past.
    let played = Played {
        flags: &["--stall-timeout", "4", "--vram-probe", "false"],
        failpoints: "encode::run=20*off->return(spin)",
        ..Played::default()
    };
    let ran = played.build(&world, "hang");
    let summary = ran.summary();
    let actions = actions(&summary);
    assert_eq!(
        actions.first().map(String::as_str),
        Some("stall respawn"),
        "{ran:?}"
    );
    assert_eq!(summary["chunks"], undisturbed["chunks"]);
    assert_eq!(
        summary["quarantined"],
        json!([]),
        "a hanging device is not a file's fault"
    );
    world.verified("hang-sharded/p");
}

/// Suspended in the middle of a batch for longer than a batch may take, as a laptop's lid does it.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_that_sleeps_is_no_stall_and_no_crawl() {
    use rustix::process::Signal;
    let world = World::corpus(1, 60);
    let (_, undisturbed) = runs_of(&world, "o");
    let played = Played {
        flags: &["--stall-timeout", "3", "--vram-probe", FULL],
        failpoints: "encode::run=20*off->1*return(hold)->off",
        ..Played::default()
    };
    let arguments = played.arguments("asleep");
    let mut live = RunningBuild::start(&world, &arguments, &played.all_failpoints());
    live.wait_held().expect("is reached");
    let everyone = live.processes();
    for pid in &everyone {
        running_build::signal(*pid, Signal::STOP);
    }
    // Time has to pass: it is what the test is about.
    std::thread::sleep(std::time::Duration::from_secs(6));
    live.go();
    for pid in everyone {
        running_build::signal(pid, Signal::CONT);
    }
    let (ran, _) = live.finish();
    let summary = ran.summary();
    assert_eq!(actions(&summary), Vec::<String>::new(), "{ran:?}");
    assert_eq!(summary["digest"], undisturbed["digest"], "{ran:?}");
}

#[test]
fn a_device_that_fails_is_replaced_then_left() {
    let world = World::corpus(1, 60);
    let (_, undisturbed) = runs_of(&world, "o");
    let cases = [
        (
            "encode::memory=15*off->return(skip)",
            "out_of_memory respawn",
        ),
        ("encode::lost=15*off->return(skip)", "device_lost respawn"),
    ];
    for (failpoints, first) in cases {
        let played = Played {
            failpoints,
            ..Played::default()
        };
        let ran = played.build(&world, "o2");
        let summary = ran.summary();
        let actions = actions(&summary);
        assert_eq!(actions.first().map(String::as_str), Some(first), "{ran:?}");
        assert_eq!(summary["chunks"], undisturbed["chunks"], "{failpoints}");
        assert_eq!(summary["quarantined"], json!([]), "{failpoints}");
        world.verified("o2-sharded/p");
        fs::remove_dir_all(world.path("o2-sharded")).expect("removed");
    }
}

/// As a driver does that aborts: the process is gone in the middle of a batch, without a word.
#[test]
fn a_driver_that_ends_its_process_costs_no_file() {
    let world = World::corpus(1, 60);
    let (_, undisturbed) = runs_of(&world, "o");
    let played = Played {
        failpoints: "encode::run=15*off->return(abort)",
        ..Played::default()
    };
    let ran = played.build(&world, "o2");
    let summary = ran.summary();
    let actions = actions(&summary);
    assert_eq!(actions, ["crash respawn", "crash cpu"], "{ran:?}");
    assert_eq!(summary["chunks"], undisturbed["chunks"], "{ran:?}");
    assert_eq!(summary["quarantined"], json!([]), "{ran:?}");
    world.verified("o2-sharded/p");
}

#[test]
fn crawl_settings_come_from_flags_and_environment() {
    let world = World::corpus(1, 120);
    let ran = world
        .helix()
        .profile("p.toml")
        .out("o")
        .args(["--crawl-factor", "fast"])
        .run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--crawl-factor fast"), "{ran:?}");
    let mut plan = world.command(&["plan", "--profile", "p.toml"]);
    plan.env("HELIX_BFM_CRAWL_FACTOR", "often");
    let ran = finish(plan.spawn().expect("starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("HELIX_BFM_CRAWL_FACTOR=often"),
        "{ran:?}"
    );
    let crawling = &crawl("encode::run", 24, Some(14));
    for name in ["HELIX_BFM_CRAWL_ACTION", "CYMATIX_BFM_CRAWL_ACTION"] {
        let off = Played {
            failpoints: crawling,
            environment: &[(name, "off")],
            ..Played::default()
        };
        let ran = off.build(&world, "off");
        assert_eq!(actions(&ran.summary()), ["crawl none"], "{ran:?}");
        fs::remove_dir_all(world.path("off-sharded")).expect("removed");
    }
    let cpu = Played {
        flags: &["--vram-probe", FULL, "--crawl-action", "cpu"],
        failpoints: crawling,
        environment: &[("HELIX_BFM_CRAWL_ACTION", "off")],
    };
    let ran = cpu.build(&world, "cpu");
    assert_eq!(actions(&ran.summary()), ["crawl cpu"], "{ran:?}");
}

#[test]
fn metrics_are_written_for_prometheus() {
    let world = World::corpus(1, 120);
    let played = Played {
        flags: &["--vram-probe", FULL, "--metrics-file", "helix.prom"],
        failpoints: &crawl("encode::run", 24, Some(14)),
        ..Played::default()
    };
    let summary = played.build(&world, "o").summary();
    let text = fs::read_to_string(world.path("helix.prom")).expect("is there");
    let value = |name: &str| -> f64 {
        let start = format!("{name}{{profile=\"p\"");
        let line = text.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        let (_, value) = line.rsplit_once(' ').expect("a value");
        value.parse().expect("a number")
    };
    let crawls = actions(&summary).len() as f64;
    assert!(crawls >= 1.0, "{summary}");
    assert_eq!(value("helix_dense_crawl_detected"), crawls);
    assert_eq!(value("helix_shards_published_total"), 1.0);
    assert!(value("helix_vram_used_bytes") > 12e9, "{text}");
    assert!(value("helix_chunks_total") >= summary["chunks"].as_f64().expect("a number"));
    assert_eq!(value("helix_workers"), 0.0, "none is left");
    // A build with nothing to do says so as well.
    let again = played.build(&world, "o").summary();
    assert_eq!(again["unchanged_shards"], 1);
    let text = fs::read_to_string(world.path("helix.prom")).expect("is there");
    assert!(
        text.contains("\nhelix_chunks_total{profile=\"p\"} 0\n"),
        "{text}"
    );
    let ran = world
        .helix()
        .profile("p.toml")
        .out("o2")
        .args(["--metrics-file", "no/such/dir/x"])
        .run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("--metrics-file no/such/dir/x"),
        "{ran:?}"
    );
}

/// With a probe, and with the CPU asked for, it plays a device, for rehearsals.
#[test]
fn a_device_can_be_simulated_on_any_machine() {
    let world = World::corpus(1, 60);
    let plain = [
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--json",
        "--dense-model=none",
    ];
    let undisturbed = world.run(&plain).summary();
    let mut command = world
        .encoded_build("played")
        .args([
            "--dense-model=none",
            "--device=cpu",
            "--crawl-window=3",
            "--crawl-factor=10",
            "--shard-workers=1",
            "--vram-probe",
            FULL,
        ])
        .command();
    command.env("FAILPOINTS", crawl("encode::text", 30, Some(16)));
    let ran = finish(command.spawn().expect("starts"));
    let summary = ran.summary();
    let actions = actions(&summary);
    assert!(
        actions.starts_with(&["crawl release_memory".to_owned()]),
        "{ran:?}"
    );
    assert_eq!(summary["watchdog"][0]["device"], "cpu (played card)");
    assert_eq!(summary["digest"], undisturbed["digest"]);
}

/// What a device gave of a segment must not stay when the CPU goes on: the CPU's process encodes every file of it.
#[test]
fn a_segment_that_goes_to_the_cpu_is_done_again_whole() {
    let world = World::corpus(1, 120);
    let trace = world.path("trace").to_string_lossy().into_owned();
    let played = Played {
        flags: &["--vram-probe", FULL, "--crawl-action", "cpu"],
        failpoints: &format!(
            "sink::group=return(skip);{}",
            crawl("encode::run", 40, Some(14))
        ),
        environment: &[("FAILPOINT_TRACE", &trace)],
    };
    let ran = played.build(&world, "o");
    assert_eq!(actions(&ran.summary()), ["crawl cpu"], "{ran:?}");
    assert_eq!(devices(&world, "o-sharded/p"), ["cpu"]);
    let steps = fs::read_to_string(&trace).expect("a trace");
    let starts: Vec<&str> = steps
        .lines()
        .filter_map(|line| line.split_once(" worker::start ").map(|(pid, _)| pid))
        .collect();
    let [device, cpu] = starts[..] else {
        panic!("two processes: {starts:?}");
    };
    let count = |pid: &str, place: &str| {
        let beginning = format!("{pid} {place} ");
        steps
            .lines()
            .filter(|line| line.starts_with(&beginning))
            .count()
    };
    assert!(
        count(device, "sink::committed") > 0,
        "else this test shows nothing"
    );
    assert_eq!(count(cpu, "worker::encode"), 120);
}

/// A command that hangs, and what it has started, go with the build, however that ends.
#[test]
fn a_killed_build_leaves_no_probe_behind() {
    let world = World::corpus(1, 200);
    let pids = world.path("pids").display().to_string();
    let probe = format!("sleep 600 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; wait");
    let mut child = world
        .encoded_build("o")
        .args(["--device=cpu", "--vram-probe", &probe])
        .command()
        .env("FAILPOINTS", "encode::text=sleep(100)")
        .spawn()
        .expect("starts");
    let wait_for = |what: &str, is_it: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_it() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait_for("no probe starts", &|| world.path("pids").exists());
    child.kill().expect("killed");
    child.wait().expect("ended");
    let started = fs::read_to_string(world.path("pids")).expect("two numbers");
    let is_alive = |pid: &str| {
        let mut command = std::process::Command::new("kill");
        command.args(["-0", pid]).stderr(Stdio::null());
        command.status().is_ok_and(|found| found.success()) && !is_zombie(pid)
    };
    wait_for("the probe is left", &|| {
        !started.split_whitespace().any(is_alive)
    });
}

/// Whether nobody has waited for it yet: in a container nobody may.
fn is_zombie(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('Z'))
}
