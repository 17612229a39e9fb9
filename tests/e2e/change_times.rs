//! Files whose size and modification time stay the same: the change time tells.

use crate::running_build::{RunningBuild, arguments, signal};
use crate::world::{World, files_below};
use rustix::process::Signal;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;

/// Texts of equal length.
fn version(letter: char) -> String {
    format!("The frobnicator named {letter} turns gadgets into widgets.\n").repeat(40)
}

/// Replaces a file by one of the same size and time, as unpacking a package with fixed times does.
fn replace_disguised(world: &World, name: &str, letter: char) {
    let path = world.path(name);
    let time = fs::metadata(&path).and_then(|found| found.modified());
    world.write("new", version(letter));
    File::options()
        .write(true)
        .open(world.path("new"))
        .and_then(|file| file.set_modified(time?))
        .expect("set");
    fs::rename(world.path("new"), &path).expect("replaced");
}

#[test]
fn a_file_replaced_by_one_of_the_same_size_and_time_is_indexed_again() {
    for mode in ["sharded", "blob"] {
        let flags = ["--mode", mode];
        let world = World::new();
        world.write("r/victim.txt", version('a'));
        world.write("s/other.txt", version('x'));
        world.profile(&["r", "s"]);
        let first = world.build("o", &flags);
        replace_disguised(&world, "r/victim.txt", 'b');
        let second = world.build("o", &flags);
        assert_ne!(second["digest"], first["digest"], "{second}");
        assert_eq!(second["digest"], world.build("fresh", &flags)["digest"]);
        let kept = u64::from(mode == "sharded");
        assert_eq!(second["unchanged_shards"], kept, "{second}");
    }
}

/// New change times alone, as after a change of permissions or a copy of the tree: the files are read once, and nothing
/// is built again.
#[test]
fn a_tree_with_new_change_times_is_read_once_and_stays() {
    let world = World::corpus(1, 6);
    let first = world.build("o", &[]);
    let reads = || {
        let (ran, steps) = RunningBuild::start(&world, &arguments("o", false, &[]), "").finish();
        let summary = ran.summary();
        assert_eq!(summary["unchanged_shards"], 1, "{summary}");
        assert_eq!(summary["digest"], first["digest"]);
        steps
            .iter()
            .filter(|step| step.point == "scan::read")
            .count()
    };
    assert_eq!(reads(), 0);
    for name in files_below(&world.path("root0")) {
        let path = world.path("root0").join(name);
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("changed");
    }
    assert_eq!(reads(), 6);
    assert_eq!(reads(), 0);
}

#[test]
fn a_file_replaced_while_a_build_is_paused_is_not_taken_for_committed() {
    let world = World::new();
    world.write("r/victim.txt", version('a'));
    world.write("r/zz-halt.txt", version('z'));
    world.profile(&["r"]);
    // Once with a segment that is complete, once with one that is not.
    for halt in [
        "publish::load=return(hold)",
        "worker::prepare=return(hold@zz-halt)",
    ] {
        let failpoints = format!("sink::group=return(skip);{halt}");
        let mut live = RunningBuild::start(&world, &arguments("o", false, &[]), &failpoints);
        live.wait_step("sink::committed");
        live.wait_held().expect("holds");
        let workers = live.workers();
        signal(live.pid(), Signal::KILL);
        workers
            .iter()
            .for_each(|worker| signal(*worker, Signal::KILL));
        live.finish();
        replace_disguised(
            &world,
            "r/victim.txt",
            if halt.contains("load") { 'b' } else { 'c' },
        );
        // Killed once more before it gets that far: the second run must not forget what the first one noted.
        let held = "segment::check=return(hold)";
        let mut live = RunningBuild::start(&world, &arguments("o", false, &[]), held);
        live.wait_held().expect("holds");
        signal(live.pid(), Signal::KILL);
        live.finish();
        let resumed = world.build("o", &[]);
        assert!(
            resumed["resumed_chunks"].as_u64() < resumed["chunks"].as_u64(),
            "{resumed}"
        );
        assert_eq!(
            resumed["digest"],
            world.build(halt.get(..5).expect("long"), &[])["digest"]
        );
        fs::remove_dir_all(world.path("o-sharded")).expect("removed");
    }
}
