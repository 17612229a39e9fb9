//! Pausing a build in any phase loses no work.

use crate::kill_fixture::{BuildVariant, KillFixture};
use crate::running_build::{RunningBuild, signal};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::CommandExt as _;

const BARE: BuildVariant = BuildVariant {
    blob: false,
    encoders: false,
};

const ASKING: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::USR1];

/// A transaction for every file, and one place that holds.
fn holding(point: &str, after: u32) -> String {
    let first = match after {
        0 => String::new(),
        n => format!("{n}*off->"),
    };
    format!("sink::group=return(skip);{point}={first}return(hold)")
}

fn wait_pausing(live: &mut RunningBuild) {
    live.wait("the pause", |live| {
        live.said().1.contains("\"pausing\"").then_some(())
    });
}

#[test]
fn a_signal_in_any_phase_pauses_the_build() {
    let mut ground = KillFixture::new(10);
    let phases = [
        // Before there is a supervisor that could say that it pauses.
        ("build::scan", 0, false),
        ("build::planned", 0, false),
        ("worker::start", 0, true),
        ("segment::open", 0, true),
        ("worker::prepare", 2, true),
        ("worker::encode", 3, true),
        ("sink::commit", 3, true),
        ("sink::committed", 3, true),
        ("publish::load", 0, true),
        ("publish::index", 0, true),
        ("publish::rename", 0, true),
        ("publish::register", 0, true),
        ("publish::registered", 0, true),
    ];
    for (n, (point, after, says_so)) in phases.into_iter().enumerate() {
        let asking = ASKING[n % 3];
        let context = format!("{asking:?} at {point}");
        ground.clean();
        let mut live = ground.start(BARE, &holding(point, after));
        live.wait_held().expect("is reached");
        signal(live.pid(), asking);
        if says_so {
            wait_pausing(&mut live);
        }
        live.go();
        let (ran, _) = live.finish();
        assert_eq!(ran.code, Some(75), "{context}: {ran:?}");
        let last = ran.last_line();
        assert_eq!(
            (&last["type"], &last["exit"]),
            (&"paused".into(), &75.into())
        );
        ground.settle(BARE, &context);
    }
}

/// Never let go: a folder on a server that is gone, say.
#[test]
fn a_hang_outside_the_workers_ends_the_build() {
    let mut ground = KillFixture::new(4);
    let mut live = ground.start(BARE, &holding("build::scan", 0));
    live.wait_held().expect("is reached");
    signal(live.pid(), Signal::TERM);
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(75), "{ran:?}");
    assert!(
        ran.stderr.contains("run the same command again to resume"),
        "{ran:?}"
    );
    ground.settle(BARE, "a build that hung");
}

/// A full pipe that nobody reads.
#[cfg(target_os = "linux")]
#[test]
fn a_blocked_standard_error_does_not_keep_a_build_alive() {
    use crate::world::World;
    use std::io::Write as _;
    const CAPACITY: usize = 65_536;
    let world = World::corpus(20, 2);
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(&[b'.'; CAPACITY]).expect("room");
    let mut command = world
        .helix()
        .profile("p.toml")
        .out("o")
        .args(["--progress", "json"])
        .bare()
        .command();
    let mut child = command.stderr(writer).spawn().expect("starts");
    let lock = world.path("o-sharded/p/.build/lock");
    crate::running_build::eventually("the build has begun", || lock.exists().then_some(()));
    signal(child.id(), Signal::TERM);
    let status =
        crate::running_build::eventually("the build ends", || child.try_wait().expect("waits"));
    assert_eq!(status.code(), Some(75));
    drop((command, reader));
    world.build("o", &[]);
}

#[test]
fn the_file_in_hand_is_finished_and_kept() {
    let mut ground = KillFixture::new(10);
    for (n, asking) in ASKING.into_iter().enumerate() {
        let context = format!("{asking:?}");
        ground.clean();
        let mut live = ground.start(BARE, &holding("worker::encode", 3));
        let worker = live.wait_held().expect("is reached");
        signal(live.pid(), asking);
        wait_pausing(&mut live);
        if n == 1 {
            // Asking again in another way changes nothing.
            signal(live.pid(), Signal::USR1);
            signal(live.pid(), Signal::TERM);
        }
        live.go();
        let (ran, steps) = live.finish();
        assert_eq!(ran.code, Some(75), "{context}: {ran:?}");
        let encoded = |pid: Option<u32>| {
            let of = steps.iter().filter(|s| s.point == "worker::encode");
            let of = of.filter(|s| pid.is_none_or(|pid| s.pid == pid));
            of.map(|s| s.subject.clone()).collect::<Vec<_>>()
        };
        let begun = encoded(Some(worker));
        assert!(begun.len() >= 4, "{context}: {steps:?}");
        let (ran, again) = ground.start(BARE, "").finish();
        ground.check_summary(BARE, &ran, &context);
        // A worker that hears of the pause late may have finished its shard of ten, which is published.
        let number = |field: &str| ran.last_line()[field].as_u64().expect("a number");
        let kept = number("resumed_chunks") + 10 * number("unchanged_shards");
        assert!(kept >= 4, "{context}: {ran:?}");
        // What any worker had begun is not begun again: as many files were left as are encoded now.
        let now = again.iter().filter(|s| s.point == "worker::encode").count();
        assert_eq!(
            now + encoded(None).len(),
            30,
            "{context}: {begun:?}, {again:?}"
        );
        ground.settle(BARE, &context);
    }
}

#[test]
fn a_signal_when_all_is_done_changes_nothing() {
    let mut ground = KillFixture::new(6);
    for point in ["build::deliver", "build::conclude", "manifest::renamed"] {
        ground.clean();
        let mut live = ground.start(BARE, &holding(point, 0));
        live.wait_held().expect("is reached");
        signal(live.pid(), Signal::TERM);
        live.go();
        let (ran, _) = live.finish();
        ground.check_summary(BARE, &ran, point);
    }
}

#[test]
fn a_second_interrupt_is_130_at_once() {
    let mut ground = KillFixture::new(10);
    let phases = [
        ("build::scan", Signal::INT, false),
        ("worker::encode", Signal::INT, true),
        ("publish::rename", Signal::TERM, true),
        ("build::conclude", Signal::USR1, false),
    ];
    for (point, first, says_so) in phases {
        let context = format!("{first:?} and INT at {point}");
        ground.clean();
        let mut live = ground.start(BARE, &holding(point, 0));
        live.wait_held().expect("is reached");
        signal(live.pid(), first);
        if says_so {
            wait_pausing(&mut live);
        }
        signal(live.pid(), Signal::INT);
        live.wait("the end, though a place still holds", |live| {
            // Nothing tells when a silent first signal has been handled: two of a kind may become one, and the handlers
            // of two kinds may run in either order, each in its own thread.
            if !says_so {
                signal(live.pid(), Signal::INT);
            }
            live.has_ended().then_some(())
        });
        live.go();
        let (ran, _) = live.finish();
        assert_eq!(ran.code, Some(130), "{context}: {ran:?}");
        ground.settle(BARE, &context);
    }
}

#[test]
fn ctrl_c_in_a_terminal_reaches_the_supervisor_alone() {
    let mut ground = KillFixture::new(10);
    let arguments = ground.arguments(BARE, "o");
    let failpoints = holding("worker::encode", 2);
    let mut live = RunningBuild::start_with(&ground.world, &arguments, &failpoints, |command| {
        command.process_group(0);
    });
    let worker = live.wait_held().expect("is reached");
    let group = Pid::from_raw(live.pid().cast_signed()).expect("a process");
    kill_process_group(group, Signal::INT).expect("sent");
    wait_pausing(&mut live);
    live.go();
    let (ran, steps) = live.finish();
    assert_eq!(ran.code, Some(75), "{ran:?}");
    // It finished what it had in hand.
    let of = |point: &str| {
        let mine = steps.iter().filter(|s| s.pid == worker && s.point == point);
        mine.count()
    };
    assert_eq!(of("worker::encode"), of("sink::committed"), "{steps:?}");
    ground.settle(BARE, "Ctrl-C");
}

#[test]
fn a_signal_to_a_worker_costs_that_worker_alone() {
    let mut ground = KillFixture::new(10);
    // Not SIGHUP: a test that runs under nohup hands on that it is ignored.
    for asking in [Signal::INT, Signal::TERM, Signal::USR1] {
        let context = format!("{asking:?}");
        ground.clean();
        let mut live = ground.start(BARE, &holding("worker::encode", 2));
        let worker = live.wait_held().expect("is reached");
        signal(worker, asking);
        live.wait("its death to be noticed", |live| {
            live.said().1.contains("worker_lost").then_some(())
        });
        live.go();
        let (ran, _) = live.finish();
        ground.check_summary(BARE, &ran, &context);
    }
    ground.settle(BARE, "signals to workers");
}

/// A profile that fails stops no other, a signal does.
#[test]
fn a_signal_ends_a_run_of_several_profiles() {
    let world = crate::world::World::corpus(2, 3);
    std::fs::create_dir(world.path("empty")).expect("made");
    for (name, root) in [("a", "empty"), ("b", "root0"), ("c", "root1")] {
        world.write(&format!("{name}.toml"), format!("roots = [\"{root}\"]\n"));
    }
    let mut arguments = vec![
        "--profile",
        "a.toml,b.toml,c.toml",
        "--out-dir",
        "o",
        "--json",
    ];
    arguments.extend(crate::world::BARE);
    let mut live = RunningBuild::start(&world, &arguments, "worker::encode=return(hold)");
    live.wait_held().expect("is reached");
    signal(live.pid(), Signal::TERM);
    live.go();
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(75), "{ran:?}");
    let lines = ran.lines();
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| (&line["type"], &line["profile"]))
        .collect();
    let (paused, failed) = (serde_json::json!("paused"), serde_json::json!("failed"));
    assert_eq!(kinds, [(&paused, &"b".into()), (&failed, &"a".into())]);
    assert!(!world.path("o-sharded/c").exists());
}
