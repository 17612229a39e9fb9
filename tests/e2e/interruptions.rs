//! Builds whose processes are stopped, killed or cut off, in various orders.

use crate::kill_fixture::{BuildVariant, KillFixture};
use crate::running_build::{RunningBuild, Step, arguments, signal};
use crate::world::{Dice, World, count};
use rustix::process::Signal;
use std::process::{Command, Stdio};
use std::time::Duration;

const BARE: BuildVariant = BuildVariant {
    blob: false,
    encoders: false,
};

/// Files that a worker has read and not committed.
fn queued(steps: &[Step], worker: u32) -> usize {
    let of = |point: &str| {
        let mine = steps.iter().filter(|s| s.pid == worker && s.point == point);
        mine.count()
    };
    of("worker::prepare").saturating_sub(of("sink::committed"))
}

/// A worker whose sink does not come on, with files waiting before it. Its supervisor runs.
fn stalled(ground: &KillFixture, failpoint: &str) -> (RunningBuild, u32) {
    let failpoints = format!("sink::group=return(skip);{failpoint}");
    let mut live = ground.start(BARE, &failpoints);
    let worker = live.wait("files waiting for the sink", |live| {
        let steps = live.steps();
        let held = live.held()?;
        (queued(&steps, held) >= 8).then_some(held)
    });
    (live, worker)
}

/// What is done to a build, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    StopWorker,
    StopSupervisor,
    KillWorker,
    KillSupervisor,
    ContinueWorker,
    ContinueSupervisor,
    /// The sink comes on again.
    Go,
}

fn perform(live: &mut RunningBuild, worker: u32, deed: Deed) {
    match deed {
        Deed::StopWorker => stop(live, worker),
        Deed::StopSupervisor => stop(live, live.pid()),
        Deed::KillWorker => signal(worker, Signal::KILL),
        Deed::KillSupervisor => signal(live.pid(), Signal::KILL),
        Deed::ContinueWorker => signal(worker, Signal::CONT),
        Deed::ContinueSupervisor => signal(live.pid(), Signal::CONT),
        Deed::Go => live.go(),
    }
}

/// Stops a process, all its threads.
fn stop(live: &mut RunningBuild, pid: u32) {
    signal(pid, Signal::STOP);
    live.wait("a process to stand still", |_| {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let is_stopped = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('T'))
        };
        tasks.flatten().all(is_stopped).then_some(())
    });
}

#[test]
fn destroyed_with_a_stalled_sink_and_files_queued_nothing_is_lost() {
    use Deed::{
        ContinueSupervisor, ContinueWorker, Go, KillSupervisor, KillWorker, StopSupervisor,
        StopWorker,
    };
    let treatments: [&[Deed]; 11] = [
        &[KillSupervisor, KillWorker, Go],
        &[KillWorker, KillSupervisor, Go],
        &[KillSupervisor, Go],
        &[KillWorker, Go],
        &[StopWorker, KillSupervisor, KillWorker, Go],
        &[StopWorker, KillWorker, KillSupervisor, Go],
        &[StopWorker, KillSupervisor, ContinueWorker, Go],
        // Nobody wakes it: the system does when its supervisor dies.
        &[StopWorker, KillSupervisor, Go],
        &[StopWorker, Go, KillWorker],
        &[StopSupervisor, Go, KillWorker, ContinueSupervisor],
        &[StopSupervisor, Go, KillSupervisor],
    ];
    let mut ground = KillFixture::new(14);
    for treatment in treatments {
        let context = format!("{treatment:?}");
        ground.clean();
        let (mut live, worker) = stalled(&ground, "sink::commit=2*off->return(hold)");
        for deed in treatment {
            perform(&mut live, worker, *deed);
        }
        let (ran, _) = live.finish();
        match treatment.contains(&KillSupervisor) {
            true => assert_eq!(ran.code, None, "{context}: {ran:?}"),
            false => ground.check_summary(BARE, &ran, &context),
        }
        ground.settle(BARE, &context);
    }
}

#[test]
fn a_worker_whose_supervisor_is_gone_ends_by_itself_whatever_it_does() {
    let ground = KillFixture::new(6);
    // Its sink, its encoder and its file workers never come back.
    let places = [
        "sink::commit=return(spin)",
        "worker::encode=return(spin)",
        "worker::prepare=return(spin)",
    ];
    let mut lives = Vec::new();
    for place in places {
        ground.clean();
        let mut live = ground.start(BARE, place);
        let point = place.split('=').next().expect("a name");
        live.wait_step(point);
        signal(live.pid(), Signal::KILL);
        lives.push(live);
        // Next one: another output, since these may still have their segments open.
        std::fs::rename(
            ground.world.path("o-sharded"),
            ground.world.path(&format!("gone-{point}")),
        )
        .expect("moved");
    }
    for live in lives {
        let (ran, _) = live.finish();
        assert_eq!(ran.code, None, "{ran:?}");
    }
}

#[test]
fn a_build_gets_the_segments_that_an_orphan_still_has() {
    let mut ground = KillFixture::new(10);
    ground.clean();
    let (mut killed, _) = stalled(&ground, "sink::commit=2*off->return(hold)");
    signal(killed.pid(), Signal::KILL);
    killed.wait("the supervisor's end", |live| {
        live.has_ended().then_some(())
    });
    let mut next = ground.start(BARE, "");
    next.wait_step("segment::open");
    killed.go();
    let (ran, steps) = next.finish();
    ground.check_summary(BARE, &ran, "after an orphan");
    assert!(
        steps.iter().any(|s| s.point == "segment::reopen"),
        "{steps:?}"
    );
    killed.finish();
    ground.settle(BARE, "after an orphan");
}

#[test]
fn killed_while_the_disk_is_slow_nothing_is_lost() {
    let (mut dice, seed) = Dice::seeded(3_003);
    let mut ground = KillFixture::new(10);
    for round in 0..count(2, 100) {
        ground.clean();
        let failpoints = "sink::group=return(skip);sink::commit=sleep(20);publish::load=sleep(20)";
        let mut live = ground.start(BARE, failpoints);
        let committed = dice.roll(12) as usize;
        live.wait("files to be committed", |live| {
            let steps = live.steps();
            let n = steps
                .iter()
                .filter(|s| s.point == "sink::committed")
                .count();
            (n >= committed || live.has_ended()).then_some(())
        });
        let workers = live.workers();
        let context = format!("seed {seed}, round {round}, after {committed} files");
        if dice.roll(2) == 0 {
            signal(live.pid(), Signal::KILL);
            workers
                .iter()
                .for_each(|worker| signal(*worker, Signal::KILL));
        } else {
            workers
                .iter()
                .for_each(|worker| signal(*worker, Signal::KILL));
            signal(live.pid(), Signal::KILL);
        }
        live.finish();
        ground.settle(BARE, &context);
    }
}

/// Files whose names fill a report each: 64 KiB of pipe are full after some seventy.
fn world_of_long_names() -> World {
    let world = World::new();
    let folder = [
        "x".repeat(180),
        "y".repeat(180),
        "z".repeat(180),
        "w".repeat(180),
        "v".repeat(180),
    ]
    .join("/");
    for n in 0..240 {
        let text = format!(
            "pub fn number_{n}() -> u32 {{\n    // Long enough to be indexed by the rules.\n    {n}\n}}\n"
        );
        world.write(&format!("root/{folder}/file{n}.rs"), text);
    }
    world.profile(&["root"]);
    world
}

#[test]
fn a_full_report_pipe_does_not_block_forever() {
    let world = world_of_long_names();
    let expected = world.build("whole", &[])["digest"].clone();
    let build = arguments("o", false, &["--shard-workers", "1"]);
    use Deed::{ContinueSupervisor, KillSupervisor, KillWorker};
    let treatments: [&[Deed]; 4] = [
        &[ContinueSupervisor],
        &[KillWorker, ContinueSupervisor],
        &[KillSupervisor],
        &[KillSupervisor, KillWorker],
    ];
    for treatment in treatments {
        let _ = std::fs::remove_dir_all(world.path("o-sharded"));
        let mut live = RunningBuild::start(
            &world,
            &build,
            "sink::group=return(skip);sink::commit=2*off->return(hold)",
        );
        let worker = live.wait_held().expect("commits");
        signal(live.pid(), Signal::STOP);
        live.go();
        // Until it stands still: the pipe and the queue before it are full.
        let mut distance = 0;
        let mut unchanged = 0;
        live.wait("the worker to stand still", |live| {
            unchanged = if live.distance() == distance {
                unchanged + 1
            } else {
                0
            };
            distance = live.distance();
            std::thread::sleep(Duration::from_millis(2));
            (unchanged > 100).then_some(())
        });
        let steps = live.steps();
        let committed = steps
            .iter()
            .filter(|s| s.point == "sink::committed")
            .count();
        assert!(
            (60..240).contains(&committed),
            "{committed} of 240 reports fit the pipe"
        );
        for deed in treatment {
            perform(&mut live, worker, *deed);
        }
        let (ran, _) = live.finish();
        if treatment.contains(&KillSupervisor) {
            assert_eq!(ran.code, None, "{treatment:?}: {ran:?}");
        } else {
            assert_eq!(ran.summary()["digest"], expected, "{treatment:?}");
        }
        let resumed = world.build("o", &[]);
        assert_eq!(resumed["digest"], expected, "{treatment:?}");
        if treatment == [KillSupervisor] {
            // All that was committed is kept, reported or not.
            assert!(
                resumed["resumed_chunks"].as_u64() >= Some(committed as u64),
                "{resumed}"
            );
        }
        assert_eq!(world.verified("o-sharded/p")["digest"], expected);
    }
}

/// A pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_closed_output_is_no_panic() {
    let mut ground = KillFixture::new(6);
    type Change = fn(&mut Command);
    let closings: [(&str, Change); 3] = [
        ("stdout", |command| {
            command.stdout(closed_pipe());
        }),
        ("stderr", |command| {
            command.stderr(closed_pipe());
        }),
        ("both", |command| {
            command.stdout(closed_pipe()).stderr(closed_pipe());
        }),
    ];
    for (what, change) in closings {
        for style in ["json", "plain"] {
            ground.clean();
            // Talkative: log lines of the supervisor and of its workers go there too.
            let flags = ["--progress", style, "-vvv", "--shard-workers", "2"];
            let build = arguments("o", false, &flags);
            let live = RunningBuild::start_with(&ground.world, &build, "", change);
            let (ran, steps) = live.finish();
            assert_eq!(ran.code, Some(0), "{what}, {style}: {ran:?}");
            let workers = steps.iter().filter(|s| s.point == "worker::start").count();
            assert!(workers <= 2, "{what}, {style}: workers died: {steps:?}");
            ground.settle(BARE, what);
        }
    }
}

#[test]
fn closed_descriptors_and_a_reader_of_one_line_are_no_errors() {
    let mut ground = KillFixture::new(6);
    let program = env!("CARGO_BIN_EXE_helix-build");
    let line = "\"$0\" --profile p.toml --out-dir o --json --progress json -vv --sparse-model none --dense-model none --shard-workers 2";
    for redirection in [
        "2>&-",
        ">&- 2>&-",
        "<&- >&- 2>&-",
        "2>/dev/null | head -n 1",
        "2>&1 | head -n 1",
    ] {
        ground.clean();
        // With a pipe, the shell ends with the code of the program, not of `head`.
        let script = format!("{{ {line}; echo $? > code; }} {redirection}");
        let status = Command::new("sh")
            .args(["-c", &script, program])
            .current_dir(ground.world.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok(), "{redirection}");
        let code = std::fs::read_to_string(ground.world.path("code")).expect("a code");
        assert_eq!(code.trim(), "0", "{redirection}");
        ground.settle(BARE, redirection);
    }
}
