//! FIFOs, devices and endless files at every path that a user can give: refused with a message or written through, and never
//! waited for.

use crate::world::{BARE, Ran, World, finish, make_fifo};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, symlink};
use std::time::{Duration, Instant};

/// Runs to the end; a run that waits for something is ended, and fails the test.
fn run(world: &World, arguments: &[&str]) -> Ran {
    let mut child = world.command(arguments).spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().expect("waited").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("killed");
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    finish(child)
}

fn build(world: &World, flags: &[&str]) -> Ran {
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o", "--json"];
    arguments.extend(BARE);
    arguments.extend(flags);
    run(world, &arguments)
}

/// A FIFO, a device without an end, a folder, by name.
fn oddities(world: &World) -> [&'static str; 3] {
    make_fifo(&world.path("fifo"));
    symlink("/dev/zero", world.path("zero")).expect("linked");
    fs::create_dir(world.path("folder")).expect("made");
    ["fifo", "zero", "folder"]
}

fn says(ran: &Ran, codes: &[i32], texts: &[&str]) {
    assert!(
        ran.code.is_some_and(|code| codes.contains(&code)),
        "{ran:?}"
    );
    for text in texts {
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    }
    let errors = ran.stderr.lines().filter(|line| line.starts_with("error"));
    assert_eq!(errors.count(), 1, "{ran:?}");
}

#[test]
fn profiles_libraries_and_indexes_are_regular_files() {
    let world = World::corpus(1, 3);
    for name in oddities(&world) {
        let profile = format!("{name}.toml");
        fs::rename(world.path(name), world.path(&profile)).expect("renamed");
        let ran = run(&world, &["--profile", &profile]);
        says(&ran, &[2], &[&profile, "not a regular file"]);
        fs::rename(world.path(&profile), world.path(name)).expect("renamed");
        let ran = run(&world, &["--profile", "p.toml", "--ort-lib", name]);
        says(&ran, &[13], &[name]);
        if name != "folder" {
            for command in ["query", "verify", "inspect"] {
                let mut arguments = vec![command, name];
                arguments.extend((command == "query").then_some("text"));
                says(&run(&world, &arguments), &[1, 10], &[name]);
            }
        }
        let reuse = build(&world, &["--reuse-from", name]);
        assert_eq!(reuse.code, Some(0), "{reuse:?}");
    }
}

#[test]
fn a_manifest_or_database_that_is_none_is_said() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    let manifest = world.path("o-sharded/manifest.json");
    fs::remove_file(&manifest).expect("removed");
    make_fifo(&manifest);
    let ran = run(&world, &["verify", "o-sharded/p", "--json"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    says(&build(&world, &[]), &[2], &["manifest.json", "a FIFO"]);
}

#[test]
fn queries_come_from_files_and_streams() {
    let world = World::corpus(1, 5);
    world.build("o", &[]);
    let query = |file: &str| {
        run(
            &world,
            &[
                "query",
                "o-sharded/p",
                "--mode",
                "lexical",
                "--queries",
                file,
                "--json",
            ],
        )
    };
    let [fifo, zero, folder] = oddities(&world);
    says(&query(zero), &[1, 2], &["--queries", "zero"]);
    says(&query(folder), &[1, 2], &["--queries", "folder"]);
    // It waits for its writer, as `cat` does.
    let waiting = || {
        let flags = ["query", "o-sharded/p", "--mode", "lexical", "--json"];
        let mut command = world.command(&flags);
        command.args(["--queries", fifo]).spawn().expect("starts")
    };
    let mut child = waiting();
    // Opening for writing waits for the reader.
    fs::write(world.path(fifo), "gadget\nwidget\n").expect("written");
    let ran = finish(child);
    assert!(ran.lines().iter().any(|hit| hit["query"] == 1), "{ran:?}");
    child = waiting();
    let pid = child.id().to_string();
    let ended = std::process::Command::new("kill").arg(pid).status();
    assert!(ended.is_ok_and(|ended| ended.success()));
    let deadline = Instant::now() + Duration::from_secs(10);
    while child.try_wait().expect("waited").is_none() {
        assert!(Instant::now() < deadline, "it waits on after SIGTERM");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut command = world.command(&[
        "query",
        "o-sharded/p",
        "--mode",
        "lexical",
        "--queries",
        "/dev/stdin",
        "--json",
    ]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, b"gadget\nwidget\n").expect("written");
    drop(stdin);
    let ran = finish(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.lines().iter().any(|hit| hit["query"] == 1), "{ran:?}");
}

#[test]
fn figures_and_logs_are_written_through_streams_and_links() {
    let world = World::corpus(1, 3);
    // Never the machine's own: a mistake would replace it. Making one takes root.
    let made = std::process::Command::new("mknod")
        .args(["null", "c", "1", "3"])
        .current_dir(world.path(""))
        .status();
    let made = made.is_ok_and(|made| made.success());
    let has_device = made && fs::write(world.path("null"), "x").is_ok();
    if !has_device {
        eprintln!("without a device: none can be made and opened here");
    }
    world.write("real/m.prom", "");
    symlink("real/m.prom", world.path("link")).expect("linked");
    let [fifo, _, folder] = oddities(&world);
    let reader = fs::File::options()
        .read(true)
        .write(true)
        .open(world.path(fifo))
        .expect("read");
    for flag in ["--metrics-file", "--log-file"] {
        for name in [fifo, "null"].into_iter().take(1 + usize::from(has_device)) {
            let ran = build(&world, &[flag, name]);
            assert_eq!(ran.code, Some(0), "{flag} {name}: {ran:?}");
        }
        says(&build(&world, &[flag, folder]), &[2], &[flag, "a folder"]);
    }
    drop(reader);
    if has_device {
        let null = world.path("null").symlink_metadata().expect("is there");
        assert!(null.file_type().is_char_device());
    }
    let kind = world
        .path(fifo)
        .symlink_metadata()
        .expect("is there")
        .file_type();
    assert!(kind.is_fifo());
    assert_eq!(build(&world, &["--metrics-file", "link"]).code, Some(0));
    assert!(
        world
            .path("link")
            .symlink_metadata()
            .is_ok_and(|it| it.is_symlink())
    );
    let text = fs::read_to_string(world.path("real/m.prom")).expect("reads");
    assert!(text.starts_with("# helix-build "), "{text}");
    // Nobody reads: that is said before any work, not waited for.
    for flag in ["--metrics-file", "--log-file"] {
        says(
            &build(&world, &[flag, fifo, "--rebuild"]),
            &[2],
            &[flag, fifo, "FIFO without a reader"],
        );
    }
}

#[test]
fn figures_and_logs_replace_their_own_kind_alone() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    for flag in ["--metrics-file", "--log-file"] {
        world.write("thesis.txt", "the only copy\n");
        says(
            &build(&world, &[flag, "thesis.txt"]),
            &[2],
            &[flag, "thesis.txt", "choose another file"],
        );
        let text = fs::read_to_string(world.path("thesis.txt")).expect("reads");
        assert_eq!(text, "the only copy\n");
        let own = [
            "o-sharded/manifest.json",
            "p.toml",
            "o-sharded/p/main.genome.db",
        ];
        for name in own {
            let before = fs::read(world.path(name)).expect("reads");
            says(&build(&world, &[flag, name]), &[2], &[flag, name]);
            assert!(
                fs::read(world.path(name)).expect("reads") == before,
                "{name}"
            );
        }
        for _ in 0..2 {
            assert_eq!(build(&world, &[flag, "own.txt"]).code, Some(0));
        }
        fs::remove_file(world.path("own.txt")).expect("removed");
    }
    // Not there yet, but soon.
    fs::remove_dir_all(world.path("o-sharded")).expect("removed");
    fs::create_dir(world.path("o-sharded")).expect("made");
    let own = "o-sharded/manifest.json";
    says(
        &build(&world, &["--metrics-file", own]),
        &[2],
        &["--metrics-file", own],
    );
}

#[test]
fn a_model_is_made_of_regular_files_below_its_folder() {
    let graph = include_bytes!("../../assets/models/helix-sparse-mini.onnx");
    let tokenizer = include_bytes!("../../assets/models/tokenizer.json");
    let world = World::corpus(1, 3);
    oddities(&world);
    let build = |texts: &[&str]| {
        let flags = [
            "--profile",
            "p.toml",
            "--sparse-model",
            "m",
            "--dense-model",
            "none",
        ];
        says(&run(&world, &flags), &[13], texts);
    };
    for file in [
        "model.onnx",
        "tokenizer.json",
        "config.json",
        "helix-model.toml",
    ] {
        for (odd, what) in [("fifo", "a FIFO"), ("zero", "a device")] {
            world.write("m/model.onnx", graph);
            world.write("m/tokenizer.json", tokenizer);
            let path = world.path("m").join(file);
            let _ = fs::remove_file(&path);
            symlink(world.path(odd), &path).expect("linked");
            build(&[file, what]);
            fs::remove_file(&path).expect("removed");
        }
    }
    world.write("m/model.onnx", graph);
    world.write("m/tokenizer.json", tokenizer);
    world.write("x.onnx", graph);
    for outside in ["../x.onnx", "/x.onnx", "onnx/../../x.onnx"] {
        world.write("m/helix-model.toml", format!("file = {outside:?}\n"));
        build(&[outside, "not below its directory"]);
    }
}

/// What cannot take figures or a log is said once, in plain words, and stops no build.
#[test]
fn a_blocked_stream_does_not_stop_a_build() {
    let world = World::corpus(1, 3);
    make_fifo(&world.path("full"));
    let mut reader = fs::File::options();
    let reader = reader.read(true).write(true).open(world.path("full"));
    let mut reader = reader.expect("opened");
    // More than a FIFO holds: its end that is written to does not wait, like that of the program.
    let nonblocking = if cfg!(target_os = "linux") { 0o4000 } else { 4 };
    let filler = fs::File::options()
        .write(true)
        .custom_flags(nonblocking)
        .open(world.path("full"));
    let mut filler = filler.expect("opened");
    while filler.write(&[b'\n'; 1]).is_ok() {}
    for (name, why) in [("full", "too slow"), ("/dev/full", "No space left")] {
        if !std::path::Path::new("/dev/full").exists() && name == "/dev/full" {
            continue;
        }
        for flag in ["--metrics-file", "--log-file"] {
            let ran = build(&world, &[flag, name, "--rebuild"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let told = format!("{flag} {name}");
            let lines: Vec<_> = ran.stderr.lines().filter(|l| l.contains(&told)).collect();
            assert_eq!(lines.len(), 1, "{ran:?}");
            assert!(lines[0].contains(why), "{ran:?}");
            assert!(!ran.stderr.contains("temporarily"), "{ran:?}");
        }
    }
    reader.read_exact(&mut [0]).expect("still there");
}

#[test]
fn a_log_that_cannot_be_made_is_a_wrong_flag() {
    let world = World::corpus(1, 3);
    let log = "no/such/folder.log";
    says(
        &build(&world, &["--log-file", log]),
        &[2],
        &["--log-file", log],
    );
    assert!(!world.path("o-sharded").exists());
}

#[test]
fn paths_that_cannot_hold_an_index_have_none() {
    let world = World::new();
    for name in oddities(&world).into_iter().take(2) {
        for command in ["query", "verify", "inspect"] {
            let mut arguments = vec![command, name];
            if command == "query" {
                arguments.push("text");
            }
            let ran = run(&world, &arguments);
            says(&ran, &[10], &["no index at", name, "it is a"]);
        }
    }
}
