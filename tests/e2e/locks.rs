//! Simultaneous builds: of one output, and of several profiles in one folder.

use crate::running_build::{RunningBuild, arguments};
use crate::world::{World, files_below};
use std::fs::{self, File};

fn lock_path(world: &World) -> std::path::PathBuf {
    world.path("o-sharded/p/.build/lock")
}

#[test]
fn a_second_build_of_an_output_ends_with_11_and_names_the_first() {
    let world = World::corpus(2, 8);
    let build = arguments("o", false, &[]);
    let mut first = RunningBuild::start(&world, &build, "build::scan=return(hold)");
    first.wait_held().expect("is reached");
    // It ends while the first still goes on.
    let second = world.run(&build);
    assert_eq!(second.code, Some(11), "{second:?}");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let holder = format!("process {} on {}:", first.pid(), host.trim());
    for text in [holder.as_str(), "o-sharded/p", "--out-dir"] {
        assert!(second.stderr.contains(text), "{text}: {second:?}");
    }
    // Only building needs the lock.
    assert_eq!(
        world
            .helix()
            .arg("plan")
            .profile("p.toml")
            .out("o")
            .run()
            .code,
        Some(0)
    );
    first.go();
    let (ran, _) = first.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    world.verified("o-sharded/p");
}

#[test]
fn a_lock_file_left_behind_never_blocks() {
    let world = World::corpus(1, 6);
    let build = arguments("o", false, &[]);
    let expected = world.build("whole", &[])["digest"].clone();
    let mut live = RunningBuild::start(&world, &build, "publish::index=return(hold)");
    live.wait_held().expect("is reached");
    crate::running_build::signal(live.pid(), rustix::process::Signal::KILL);
    let (ran, _) = live.finish();
    assert_eq!(ran.code, None);
    let left = fs::read_to_string(lock_path(&world)).expect("left behind");
    assert!(left.starts_with("process "), "{left:?}");
    assert_eq!(world.build("o", &[])["digest"], expected);
    // A power cut leaves nothing, or zeros.
    let ours: [&[u8]; 3] = [b"", &[0; 30], b"process 1 on nowhere"];
    for content in ours {
        fs::write(lock_path(&world), content).expect("written");
        assert_eq!(world.build("o", &[])["digest"], expected);
        let now = fs::read_to_string(lock_path(&world)).expect("text");
        assert!(now.starts_with("process ") && now.len() < 300, "{now:?}");
    }
    let others: [&[u8]; 2] = [b"\xff\xfe\0\x1b[2J\n\n", &[b'x'; 100_000]];
    for content in others {
        fs::write(lock_path(&world), content).expect("written");
        let ran = world.run(&build);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains("lock is not a file of a build"),
            "{ran:?}"
        );
        let now = fs::read(lock_path(&world)).expect("there");
        assert!(now == content, "it stays as it is");
    }
}

/// As after a kill: a worker that was being started has the lock in its hands for a moment.
#[test]
fn a_briefly_held_lock_is_waited_for() {
    let world = World::corpus(1, 6);
    world.build("o", &[]);
    let held = File::open(lock_path(&world)).expect("opens");
    held.lock().expect("locks");
    let mut live = RunningBuild::start(
        &world,
        &arguments("o", false, &[]),
        "lock::wait=return(hold)",
    );
    live.wait_held().expect("comes up to the lock");
    drop(held);
    live.go();
    let (ran, _) = live.finish();
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_foreign_lock_holder_is_named_in_one_line() {
    let world = World::corpus(1, 6);
    world.build("o", &[]);
    for content in [
        b"\xff\xfe\0\x1b[2J\nsecond line\n".as_slice(),
        &[b'x'; 100_000],
        b"",
        b"\n\n",
    ] {
        fs::write(lock_path(&world), content).expect("written");
        let held = File::open(lock_path(&world)).expect("opens");
        held.lock().expect("locks");
        let ran = world.run(&arguments("o", false, &[]));
        assert_eq!(ran.code, Some(11), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!(ran.stderr.len() < 600, "{ran:?}");
        assert!(!ran.stderr.trim_end().contains(char::is_control), "{ran:?}");
        drop(held);
    }
    assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
}

#[test]
fn a_lock_that_cannot_be_taken_names_the_file() {
    let world = World::corpus(1, 6);
    fs::create_dir_all(lock_path(&world)).expect("a folder in its place");
    let ran = world.run(&arguments("o", false, &[]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("o-sharded/p/.build/lock"), "{ran:?}");
}

/// Two profiles, `a` and `b`, over the two roots of one corpus.
fn two_profiles() -> World {
    let world = World::corpus(2, 8);
    world.write("a.toml", "roots = [\"root0\"]\n");
    world.write("b.toml", "roots = [\"root1\"]\n");
    world
}

#[test]
fn two_profiles_share_an_output_folder_at_the_same_time() {
    for (mode, folder, indexes) in [
        ("sharded", "o-sharded", ["o-sharded/a", "o-sharded/b"]),
        ("blob", "o", ["o/a.db", "o/b.db"]),
    ] {
        // Where the first is while the second does all it can: on its way into place, or with the
        // manifest in hand.
        for (point, waits) in [
            ("publish::rename", false),
            ("build::conclude", true),
            ("manifest::rename", true),
        ] {
            let world = two_profiles();
            let flags = ["--mode", mode];
            let mut first_build = arguments("o", false, &flags);
            first_build[1] = "a.toml";
            let mut second_build = arguments("o", false, &flags);
            second_build[1] = "b.toml";
            let mut first =
                RunningBuild::start(&world, &first_build, &format!("{point}=return(hold)"));
            first.wait_held().expect("is reached");
            let mut second = RunningBuild::start(&world, &second_build, "");
            if waits {
                // The manifest is in the first one's hands: the second comes up to it.
                second.wait_step("publish::deleted");
                first.go();
            } else {
                second.wait("the second build", |live| live.has_ended().then_some(()));
                first.go();
            }
            for live in [first, second] {
                let (ran, _) = live.finish();
                assert_eq!(ran.code, Some(0), "{mode}, {point}: {ran:?}");
            }
            for index in indexes {
                world.verified(index);
            }
            let manifest = fs::read_to_string(world.path(&format!("{folder}/manifest.json")));
            let manifest = manifest.expect("a manifest");
            let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
            let targets = manifest["targets"].as_object().expect("targets");
            assert_eq!(targets.len(), 2, "{mode}, {point}: {manifest}");
            let left = files_below(&world.path(folder));
            assert!(left.iter().all(|f| !f.contains("tmp")), "{left:?}");
        }
    }
}
