//! Every exit code, with a message that says what to do.

#[cfg(unix)]
use crate::world::finish;
use crate::world::{BARE, World};
use std::fs;

fn fails(world: &World, arguments: &[&str], code: i32, says: &[&str]) {
    let ran = world.run(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
    for text in says {
        assert!(
            ran.stderr.contains(text),
            "{text:?} is missing in: {}",
            ran.stderr
        );
    }
}

#[test]
fn usage_errors_are_2() {
    let world = World::corpus(1, 3);
    fails(&world, &["--no-such-flag"], 2, &["--no-such-flag"]);
    fails(&world, &[], 2, &["--profile"]);
    fails(&world, &["--profile", "nope"], 2, &["nope"]);
    fails(&world, &["--profile", "nope.toml"], 2, &["nope.toml"]);
    world.write("bad.toml", "roots = [\"root0\"]\nextention = [\"rs\"]\n");
    fails(
        &world,
        &["--profile", "bad.toml"],
        2,
        &["bad.toml:2", "extention", "extensions"],
    );
    world.write(
        "glob.toml",
        "roots = [{ path = \"root0\", include = [\"a{b\"] }]\n",
    );
    fails(&world, &["--profile", "glob.toml"], 2, &["glob.toml"]);
    world.write("twice.toml", "roots = [\"root0\", \"./root0\"]\n");
    fails(&world, &["--profile", "twice.toml"], 2, &["root0"]);
    fails(
        &world,
        &["--profile", "p.toml", "--device", "gpu"],
        2,
        &["--device"],
    );
    let many = ["--profile", "p.toml", "--shard-file-workers", "99999"];
    fails(&world, &many, 2, &["--shard-file-workers"]);
}

/// Root may read everything, so as root the program runs as nobody.
#[cfg(unix)]
#[test]
fn unreadable_input_is_3_and_listed() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let world = World::corpus(1, 6);
    let allow = |name: &str, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(world.path(name), permissions).expect("set");
    };
    allow("", 0o777);
    allow("root0/dir0/file0.rs", 0o000);
    let is_root = fs::read(world.path("root0/dir0/file0.rs")).is_ok();
    let mut command = world.bare_build("o").command();
    command.env("HOME", world.path(""));
    if is_root {
        command.uid(NOBODY).gid(NOBODY);
    }
    let child = match command.spawn() {
        Ok(child) => child,
        // The program lies where nobody may go: nothing can be shown here.
        Err(error) if is_root && error.kind() == std::io::ErrorKind::PermissionDenied => return,
        Err(error) => panic!("{error}"),
    };
    let summary = finish(child).summary();
    assert_eq!(summary["exit"], 3);
    assert_eq!(summary["files"], 5);
    assert_eq!(summary["unreadable"][0]["path"], "dir0/file0.rs");
}

#[test]
fn nothing_to_index_is_4() {
    let world = World::new();
    world.write("r/picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    world.write("p.toml", "roots = [\"r\"]\n");
    fails(
        &world,
        &["--profile", "p.toml"],
        4,
        &["no file to index", "--why"],
    );
    world.write(
        "m.toml",
        "roots = [\"absent\"]\nmissing_hint = \"run profiles/fetch-corpus\"\n",
    );
    fails(
        &world,
        &["--profile", "m.toml"],
        4,
        &["absent", "profiles/fetch-corpus"],
    );
}

#[test]
fn no_index_is_10() {
    let world = World::new();
    fails(
        &world,
        &["query", "nowhere", "text", "--mode", "lexical"],
        10,
        &["nowhere"],
    );
    fails(&world, &["verify", "nowhere"], 10, &["nowhere"]);
    fails(&world, &["inspect", "nowhere"], 10, &["nowhere"]);
}

#[test]
fn a_locked_output_is_11_and_names_the_holder() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    let lock = world.path("o-sharded/p/.build/lock");
    let file = fs::File::options()
        .write(true)
        .open(lock)
        .expect("lock file");
    file.lock().expect("locked");
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o"];
    arguments.extend(BARE);
    fails(&world, &arguments, 11, &["being built by", "--out-dir"]);
    drop(file);
    assert_eq!(
        world.run(&arguments).code,
        Some(0),
        "a stale lock file must not block"
    );
}

#[test]
fn other_settings_on_the_same_output_are_12() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    world.write("p.toml", "roots = [\"root0\"]\nchunk_chars = 700\n");
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o"];
    arguments.extend(BARE);
    let named = "(chunk_chars 2000 -> 700)";
    fails(&world, &arguments, 12, &["--rebuild", named]);
    let encoders = ["--profile", "p.toml", "--out-dir", "o"];
    let named = "chunk_chars 2000 -> 700, sparse encoder none -> helix-sparse-mini";
    fails(&world, &encoders, 12, &[named, "dense encoder none -> "]);
    arguments.push("--rebuild");
    assert_eq!(world.run(&arguments).code, Some(0));
    world.verified("o-sharded/p");
}

#[test]
fn a_missing_model_or_runtime_is_13() {
    let world = World::corpus(1, 3);
    fails(
        &world,
        &["--profile", "p.toml", "--sparse-model", "absent"],
        13,
        &["absent"],
    );
    world.write("not-a-library.so", "text");
    fails(
        &world,
        &["--profile", "p.toml", "--ort-lib", "not-a-library.so"],
        13,
        &["not-a-library.so"],
    );
    fails(
        &world,
        &["--profile", "p.toml", "--device", "cuda"],
        13,
        &["--device cpu"],
    );
}

#[test]
fn a_fault_found_is_14() {
    let world = World::corpus(1, 8);
    world.build("o", &[]);
    let shard = world.path("o-sharded/p/shards/root0.genome.db");
    let mut bytes = fs::read(&shard).expect("shard");
    // Everywhere, since pages also hold remains of rows that were moved.
    let text = b"Computes the gadget";
    let places: Vec<_> = (0..bytes.len() - text.len())
        .filter(|at| bytes[*at..].starts_with(text))
        .collect();
    assert!(!places.is_empty(), "the text is stored as it is");
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(&shard, bytes).expect("written");
    let ran = world.run(&["verify", "o-sharded/p", "--json"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    assert_eq!(ran.lines()[0]["type"], "fault");
}

#[cfg(unix)]
#[test]
fn a_paused_build_exits_with_75_and_resumes() {
    let world = World::corpus(2, 200);
    let arguments = [
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--json",
        "--shard-workers",
        "1",
        "--progress",
        "json",
    ];
    let mut child = world.command(&arguments).spawn().expect("starts");
    let stderr = child.stderr.take().expect("piped");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    let committed = lines.find(|line| line.as_ref().is_ok_and(|l| l.contains("files_committed")));
    assert!(committed.is_some(), "nothing was committed");
    signal(&child, "TERM");
    // Keeps reading, so that the program is not stopped by a full pipe.
    let reader = std::thread::spawn(move || lines.count());
    let ran = finish(child);
    reader.join().expect("reads");
    assert_eq!(ran.code, Some(75), "{ran:?}");
    assert_eq!(ran.last_line()["type"], "paused");
    let summary = world.run(&arguments).summary();
    assert!(
        summary["resumed_chunks"].as_u64().is_some_and(|n| n > 0),
        "{summary}"
    );
    let fresh = ["--profile", "p.toml", "--out-dir", "f", "--json"];
    assert_eq!(world.run(&fresh).summary()["digest"], summary["digest"]);
}

#[cfg(unix)]
fn signal(child: &std::process::Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(status.is_ok_and(|s| s.success()));
}
