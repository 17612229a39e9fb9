//! Tasks of a build over many machines that are killed, stopped, lost, or run twice.

use crate::cluster::{committed, on_plan, planned, worker};
use crate::running_build::{RunningBuild, signal};
use crate::world::{BARE, World, files_below, finish};
use rustix::process::Signal;
use std::fs;

fn task<'a>(scratch: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
    [
        &[
            "worker",
            "--plan",
            "plan.json",
            "--segment",
            "0",
            "--scratch",
            scratch,
        ],
        flags,
    ]
    .concat()
}

fn scratch(world: &World, name: &str) -> String {
    let folder = world.path(name);
    fs::create_dir_all(&folder).expect("made");
    folder.display().to_string()
}

/// A worker that is asked to stop keeps what it has done where the task on another machine finds it.
#[test]
fn a_stopped_task_goes_on_elsewhere() {
    for (asked, first) in [(Signal::TERM, "s1"), (Signal::USR1, "s2")] {
        let world = World::corpus(1, 12);
        let single = world.build("one", &[]);
        planned(&world, "many", &BARE);
        let (here, there) = (scratch(&world, first), scratch(&world, "other"));
        // A worker that hears of the pause late must not have done all files by then.
        let points = "sink::group=return(skip);worker::prepare=6*off->return(hold);worker::encode=sleep(100)";
        let mut live = RunningBuild::start(&world, &task(&here, &[]), points);
        live.wait_held().expect("is reached");
        signal(live.pid(), asked);
        live.wait("the pause", |live| {
            live.said().1.contains("paus").then_some(())
        });
        live.go();
        let (ran, _) = live.finish();
        assert_eq!(ran.code, Some(75), "{ran:?}");
        assert_eq!(
            files_below(&world.path(first)),
            [""; 0],
            "the scratch folder"
        );
        let status = on_plan(&world, "status", &[]);
        assert!(status.stdout.contains("paused     0"), "{status:?}");
        let live = RunningBuild::start(&world, &task(&there, &[]), "off=off");
        let (ran, steps) = live.finish();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let prepared = steps.iter().filter(|step| step.point == "worker::prepare");
        let n = prepared.count();
        assert!(n > 0 && n < 12, "{n} of 12 files were prepared again");
        let summary = committed(&world, 0);
        assert_eq!(summary["digest"], single["digest"]);
    }
}

/// A task that dies while it copies what it has done is repeated like any other.
#[test]
fn a_stopped_task_may_die_before_it_keeps_its_work() {
    let world = World::corpus(1, 12);
    let single = world.build("one", &[]);
    planned(&world, "many", &BARE);
    let here = scratch(&world, "s");
    let points =
        "sink::group=return(skip);worker::prepare=6*off->return(hold);cluster::keep=return(abort)";
    let mut live = RunningBuild::start(&world, &task(&here, &[]), points);
    live.wait_held().expect("is reached");
    signal(live.pid(), Signal::TERM);
    live.wait("the pause", |live| {
        live.said().1.contains("paus").then_some(())
    });
    live.go();
    let (ran, _) = live.finish();
    assert_eq!(ran.code, None, "{ran:?}");
    assert_eq!(worker(&world, "0").code, Some(0));
    assert_eq!(committed(&world, 0)["digest"], single["digest"]);
}

/// Nothing of a killed task counts, wherever it was killed, and nothing of it is in the way.
#[test]
fn a_killed_task_can_be_repeated() {
    let world = World::corpus(1, 8);
    let single = world.build("one", &[]);
    for point in [
        "worker::prepare",
        "sink::finished",
        "cluster::deliver",
        "cluster::delivered",
    ] {
        planned(&world, "many", &[&BARE[..], &["--rebuild"]].concat());
        let here = scratch(&world, "s");
        let mut live =
            RunningBuild::start(&world, &task(&here, &[]), &format!("{point}=return(hold)"));
        live.wait_held().expect("is reached");
        signal(live.pid(), Signal::KILL);
        live.go();
        live.wait_gone();
        let ran = worker(&world, "0");
        assert_eq!(ran.code, Some(0), "{point}: {ran:?}");
        assert_eq!(committed(&world, 0)["digest"], single["digest"], "{point}");
        world.verified("many-sharded/p");
    }
}

/// A killed task cannot remove its scratch folder. A later one of the machine does, but not that of a task that runs.
#[cfg(target_os = "linux")]
#[test]
fn scratch_folders_of_killed_tasks_are_removed_by_a_later_one() {
    let world = World::corpus(1, 8);
    planned(&world, "many", &BARE);
    let here = scratch(&world, "s");
    let folders = || fs::read_dir(&here).expect("read").count();
    let begin = || {
        let mut live =
            RunningBuild::start(&world, &task(&here, &[]), "cluster::scratch=return(hold)");
        live.wait_held().expect("is reached");
        live
    };
    let mut killed = begin();
    let running = begin();
    assert_eq!(folders(), 2);
    signal(killed.pid(), Signal::KILL);
    killed.go();
    killed.wait_gone();

    let ran = finish(world.command(&task(&here, &[])).spawn().expect("starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(folders(), 1, "only that of the running task");
    running.go();
    let (ran, _) = running.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(folders(), 0);
}

/// Two machines on one segment: both succeed, and there is one file with the same bytes.
#[test]
fn two_machines_on_one_segment_give_one_result() {
    let world = World::corpus(1, 8);
    let single = world.build("one", &[]);
    planned(&world, "many", &BARE);
    let (here, there) = (scratch(&world, "s1"), scratch(&world, "s2"));
    let mut lost = RunningBuild::start(&world, &task(&here, &[]), "cluster::deliver=return(hold)");
    lost.wait_held().expect("is reached");
    let ran = world.run(&task(&there, &[]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let segments = world.path("many-sharded/p/.build/segments");
    let name = files_below(&segments)
        .into_iter()
        .next()
        .expect("a segment");
    let first = fs::read(segments.join(&name)).expect("reads");
    // The lost machine comes back.
    lost.go();
    let (ran, _) = lost.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(files_below(&segments), std::slice::from_ref(&name));
    assert!(fs::read(segments.join(&name)).expect("reads") == first);
    assert_eq!(committed(&world, 0)["digest"], single["digest"]);
}

/// A machine that was lost comes back when the index is committed: it changes nothing.
#[test]
fn a_lost_machine_comes_back_after_the_commit() {
    let world = World::corpus(1, 8);
    planned(&world, "many", &BARE);
    let here = scratch(&world, "s1");
    let mut lost = RunningBuild::start(&world, &task(&here, &[]), "cluster::deliver=return(hold)");
    lost.wait_held().expect("is reached");
    assert_eq!(worker(&world, "0").code, Some(0));
    let summary = committed(&world, 0);
    let before = files_below(&world.path("many-sharded"));
    lost.go();
    let (ran, _) = lost.finish();
    assert_eq!(ran.code, Some(10), "{ran:?}");
    assert!(ran.stderr.contains("it was committed"), "{ran:?}");
    assert_eq!(files_below(&world.path("many-sharded")), before);
    assert_eq!(
        world.verified("many-sharded/p")["digest"],
        summary["digest"]
    );
}

/// A segment whose workers die wherever they are is told from the others of its task, and not tried again.
#[test]
fn workers_that_always_die_poison_their_segment_alone() {
    let world = World::corpus(3, 4);
    let single = world.build("one", &[]);
    planned(&world, "many", &BARE);
    let arguments = [
        "worker",
        "--plan",
        "plan.json",
        "--segment",
        "0-2",
        "--shard-workers",
        "1",
    ];
    let live = RunningBuild::start(&world, &arguments, "segment::opened=return(abort@root1)");
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(65), "{ran:?}");
    let status = on_plan(&world, "status", &["--json"]).last_line();
    let states: Vec<_> = status["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .map(|part| part["state"].clone())
        .collect();
    assert_eq!(
        states.iter().filter(|state| *state == "done").count(),
        2,
        "{status}"
    );
    assert_eq!(
        states.iter().filter(|state| *state == "poisoned").count(),
        1,
        "{status}"
    );
    assert_eq!(on_plan(&world, "missing", &[]).stdout, "");
    assert_eq!(on_plan(&world, "commit", &[]).code, Some(66));
    // Named, it is tried again.
    assert_eq!(worker(&world, "0-2").code, Some(0));
    assert_eq!(committed(&world, 0)["digest"], single["digest"]);
}

/// A file that kills its worker is quarantined by the task, as by a build.
#[test]
fn a_file_that_kills_its_worker_is_quarantined() {
    let world = World::corpus(1, 6);
    planned(&world, "many", &BARE);
    let arguments = ["worker", "--plan", "plan.json", "--segment", "0", "--json"];
    let live = RunningBuild::start(&world, &arguments, "worker::prepare=return(abort@file3)");
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.last_line()["failures"][0]["reason"], "quarantined");
    assert_eq!(worker(&world, "0").code, Some(3), "it is done");
    let summary = committed(&world, 3);
    assert_eq!(summary["quarantined"].as_array().map(Vec::len), Some(1));
    world.verified("many-sharded/p");
}

/// While a task and a publication work, no file of SQLite lies in the shared folder but finished databases.
#[test]
fn unfinished_databases_stay_on_the_scratch_disk() {
    let world = World::corpus(2, 6);
    planned(&world, "many", &BARE);
    let here = scratch(&world, "s");
    let work = "many-sharded/p";
    let shared = |world: &World| {
        let files = files_below(&world.path(work));
        let of_sqlite = files.iter().filter(|file| file.contains(".db"));
        of_sqlite.cloned().collect::<Vec<_>>()
    };
    for (arguments, point) in [
        (
            vec!["worker", "--plan", "plan.json", "--segment", "0-1"],
            "sink::commit",
        ),
        (
            vec!["publish", "--plan", "plan.json", "--shard", "0"],
            "publish::seal",
        ),
        (vec!["commit", "--plan", "plan.json"], "publish::registered"),
    ] {
        let arguments = [&arguments[..], &["--scratch", &here]].concat();
        let before = shared(&world);
        let mut live = RunningBuild::start(&world, &arguments, &format!("{point}=return(hold)"));
        live.wait_held().expect("is reached");
        let meanwhile = shared(&world);
        let whole = |file: &String| {
            file.ends_with(".db") && (file.contains("shards/") || file.contains("tasks/shard-"))
        };
        assert!(
            meanwhile.iter().all(whole),
            "{point}: {before:?} {meanwhile:?}"
        );
        live.go();
        let (ran, _) = live.finish();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(files_below(&world.path("s")), [""; 0]);
    }
    world.verified("many-sharded/p");
}

/// A commit that was killed can be repeated.
#[test]
fn a_killed_commit_can_be_repeated() {
    let world = World::corpus(2, 6);
    let single = world.build("one", &[]);
    for point in [
        "publish::renamed",
        "publish::registered",
        "build::delivered",
        "manifest::renamed",
    ] {
        planned(&world, "many", &[&BARE[..], &["--rebuild"]].concat());
        assert_eq!(worker(&world, "0-1").code, Some(0));
        let here = scratch(&world, "s");
        let arguments = ["commit", "--plan", "plan.json", "--scratch", &here];
        let mut live = RunningBuild::start(&world, &arguments, &format!("{point}=return(hold)"));
        live.wait_held().expect("is reached");
        signal(live.pid(), Signal::KILL);
        live.wait_gone();
        assert_eq!(committed(&world, 0)["digest"], single["digest"], "{point}");
        world.verified("many-sharded/p");
    }
}
