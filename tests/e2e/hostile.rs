//! Unusual trees: strange names and contents, deep nesting, many files, forbidden folders.

#![cfg(unix)]

use crate::inputs::as_ordinary_user;
use crate::same_bytes::query;
use crate::world::{BARE, World, finish};
#[cfg(target_os = "linux")]
use crate::world::{Ran, count};
use rusqlite::types::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

const TEXT: &str =
    "fn ordinary() -> u32 {\n    // text that is long enough to be indexed\n    1\n}\n";

#[test]
fn hostile_names_and_bodies_are_indexed_or_listed() {
    let world = World::new();
    world.write("r/plain.rs", TEXT);
    let root = world.path("r");
    let names: [&[u8]; 13] = [
        b"not-utf8-\xff\xfe.rs",
        b"cut-short-\xe2\x82.rs",
        b" in front.rs",
        b"dot and space behind. .rs",
        b"*?[a]{b}$HOME`id`.rs",
        b"quote'and\"quote;--.rs",
        "e\u{301}.rs".as_bytes(),
        "\u{e9}.rs".as_bytes(),
        b"new\nline.rs",
        "right\u{202e}left.rs".as_bytes(),
        b"-rf.rs",
        b"back\\xFFslash.rs",
        &[b"x".repeat(252).as_slice(), b".rs"].concat(),
    ];
    for (n, name) in names.iter().enumerate() {
        let text = TEXT.replace("ordinary", &format!("ordinary_{n}"));
        fs::write(root.join(OsStr::from_bytes(name)), text).expect("written");
    }
    world.write(
        "r/nul.rs",
        b"fn a() {}\0\0\0 and many more bytes so that it is not too small to see",
    );
    world.write(
        "r/invalid.rs",
        [
            b"// caf\xe9 \xc3\x28 \xf0\x28\x8c\x28 ".as_slice(),
            TEXT.as_bytes(),
        ]
        .concat(),
    );
    let wide = |name: &str, mark: Option<u16>, to_bytes: fn(u16) -> [u8; 2]| {
        let text = TEXT.replace("ordinary", name);
        let units = mark
            .into_iter()
            .chain(text.encode_utf16().collect::<Vec<_>>());
        world.write(
            &format!("r/{name}.rs"),
            units.flat_map(to_bytes).collect::<Vec<_>>(),
        );
    };
    wide("wide_le", Some(0xFEFF), u16::to_le_bytes);
    wide("wide_be", Some(0xFEFF), u16::to_be_bytes);
    wide("unmarked_le", None, u16::to_le_bytes);
    wide("unmarked_be", None, u16::to_be_bytes);
    world.write("r/folder. /inside.rs", TEXT.replace("ordinary", "inside"));
    world.write("r/behind.rs.", TEXT);
    world.write("r/behind.rs ", TEXT);
    world.write("r/empty.rs", "");
    world.write("r/underscores.py", "_".repeat(190_000));
    world.write("r/one-line.js", "var a=1;".repeat(20_000));
    world.write("r/blank.txt", " \n\t".repeat(100));
    world.write("r/.env", "PASSWORD=hunter2\n".repeat(10));
    world.write("r/id_rsa", "secret\n".repeat(20));
    let fifo = Command::new("mkfifo").arg(root.join("fifo.rs")).status();
    assert!(fifo.is_ok_and(|s| s.success()));
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.rs")).expect("socket");
    symlink(".", root.join("self")).expect("link");
    symlink("..", root.join("parent")).expect("link");
    symlink("absent", root.join("dangling.rs")).expect("link");
    symlink("/dev/zero", root.join("zero.rs")).expect("link");
    symlink("/proc/self/mem", root.join("memory.rs")).expect("link");
    symlink("/etc/passwd", root.join("passwd.txt")).expect("link");
    let sparse = fs::File::create(root.join("sparse.txt")).expect("file");
    sparse.set_len(1 << 40).expect("sparse");
    fs::hard_link(root.join("plain.rs"), root.join("hard.rs")).expect("hard link");
    let devices = [
        ("zero-device.rs", "c", "1", "5"),
        ("disk.rs", "b", "7", "77"),
    ];
    let mut n_special = 2;
    for (name, kind, major, minor) in devices {
        let made = Command::new("mknod")
            .arg(root.join(name))
            .args([kind, major, minor])
            .output();
        match made.is_ok_and(|made| made.status.success()) {
            true => n_special += 1,
            false => println!("skipped: {name}, this user makes no devices"),
        }
    }
    world.compat_profile(&["r"]);

    let summary = world.build("o", &[]);
    let skipped = serde_json::json!({
        "binary": 1,
        "blank": 1,
        "extension": 2,
        "link": 6,
        "secret": 2,
        "special": n_special,
        "too_large": 1,
        "too_small": 1,
    });
    assert_eq!(summary["skipped"], skipped);
    // plain, hard, inside, invalid, four of UTF-16, underscores, one-line.
    assert_eq!(summary["files"], 10 + names.len(), "{summary}");
    let shard = world.path("o-sharded/p/shards/r.genome.db");
    for name in ["wide_le", "wide_be", "unmarked_le", "unmarked_be"] {
        let decoded = format!("SELECT 1 FROM genes WHERE content LIKE 'fn {name}()%'");
        assert_eq!(query(&shard, &decoded).len(), 1, "{name}");
    }
    let verdict = world.verified("o-sharded/p");
    assert_eq!(verdict["digest"], summary["digest"]);
    for name in names {
        let spelling =
            helix_build::file::RelPath::below(&root, &root.join(OsStr::from_bytes(name)));
        let spelling = spelling.expect("a path").spelling().into_owned();
        let ran = world.run(&["inspect", "--json", "o-sharded/p", "--", &spelling]);
        let hash = ran.last_line()["blake3"].clone();
        let bytes = fs::read(root.join(OsStr::from_bytes(name))).expect("reads");
        assert_eq!(hash, blake3::hash(&bytes).to_hex().as_str(), "{spelling}");
    }
    assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
}

/// The most memory that the program and its workers held, in KiB, and how it ended.
#[cfg(target_os = "linux")]
struct Peaks {
    supervisor_kib: u64,
    worker_kib: u64,
    ran: Ran,
}

/// Runs the program and looks at its memory all the while.
#[cfg(target_os = "linux")]
fn measured(world: &World, arguments: &[&str]) -> Peaks {
    let peak_of = |pid: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let mut child = world.command(arguments).spawn().expect("starts");
    let (mut supervisor_kib, mut worker_kib) = (0, 0);
    while child.try_wait().expect("a child").is_none() {
        supervisor_kib = supervisor_kib.max(peak_of(child.id()).unwrap_or(0));
        for worker in crate::running_build::workers_of(child.id()) {
            worker_kib = worker_kib.max(peak_of(worker).unwrap_or(0));
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(supervisor_kib > 0, "too quick to be seen");
    Peaks {
        supervisor_kib,
        worker_kib,
        ran: finish(child),
    }
}

/// Nesting without end in every grammar: no crash, and no memory to speak of.
#[cfg(target_os = "linux")]
#[test]
fn deep_nesting_costs_neither_a_worker_nor_its_memory() {
    let deep = count(10_000, 200_000) as usize;
    let world = World::new();
    let nested = |name: &str, n: usize, front: &str, open: &str, middle: &str, close: &str| {
        let text = [front, &open.repeat(n), middle, &close.repeat(n), "\n"].concat();
        world.write(&format!("r/{name}"), text);
    };
    // What RELIABILITY asks for, in the short form as well.
    nested("lists.json", 200_000, "", "[", "", "]");
    for (name, front, open, middle, close) in [
        ("objects.json", "", "{\"a\":", "1", "}"),
        ("a.rs", "fn a() { ", "(", "1", ")"),
        ("b.rs", "fn a() ", "{", "", "}"),
        ("a.py", "x = ", "[", "", "]"),
        ("a.js", "x = ", "(", "1", ")"),
        ("b.js", "", "{", "", "}"),
        ("c.js", "", "`${", "", "}`"),
        ("a.ts", "type A = ", "Array<", "B", ">"),
        ("a.tsx", "x = ", "<a>", "", "</a>"),
        ("a.c", "int x = ", "(", "1", ")"),
        ("b.h", "", "#if A\n", "", "#endif\n"),
        ("a.cpp", "", "A<", "int", ">"),
        ("a.go", "package a\nvar x = ", "(", "1", ")"),
        ("a.java", "class A { int x = ", "(", "1", ")"),
        ("a.cs", "class A { int x = ", "(", "1", ")"),
        ("a.lua", "x = ", "{", "", "}"),
        ("a.rb", "x = ", "[", "", "]"),
        ("a.sh", "x=", "$(", "", ")"),
        ("b.sh", "", "{ ", "", "}; "),
        ("a.html", "", "<div>", "", "</div>"),
        ("a.sql", "select ", "(", "1", ")"),
        ("a.toml", "x = ", "[", "", "]"),
        ("a.yaml", "", "[", "", "]"),
        ("b.yaml", "", "- ", "", ""),
        ("a.md", "", ">", "", ""),
        ("b.md", "", "[", "", "]"),
        ("c.md", "", "#", "", ""),
    ] {
        nested(name, deep, front, open, middle, close);
    }
    world.write(
        "p.toml",
        "roots = [\"r\"]\nrules = \"compat\"\nmax_file_bytes = 10_000_000\nextensions = [\"...\", \"tsx\", \"rb\"]\n",
    );
    let mut arguments = vec!["--profile", "p.toml", "--out-dir", "o", "--json"];
    arguments.extend(BARE);
    let peaks = measured(&world, &arguments);
    let summary = peaks.ran.summary();
    assert_eq!(summary["files"], 28, "{summary}");
    assert_eq!(summary["exit"], 0, "{summary}");
    println!(
        "worker: {} MiB, supervisor: {} MiB",
        peaks.worker_kib >> 10,
        peaks.supervisor_kib >> 10
    );
    assert!(
        peaks.worker_kib < 400 << 10,
        "worker: {} KiB",
        peaks.worker_kib
    );
    world.verified("o-sharded/p");
}

#[cfg(target_os = "linux")]
#[test]
fn paths_beyond_the_systems_limit_are_listed() {
    use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
    use std::io::Write as _;
    let world = World::new();
    world.write("r/plain.rs", TEXT);
    let folder_flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut here = open(world.path("r"), folder_flags, Mode::empty()).expect("the root");
    let name = "d".repeat(200);
    let mut length = world.path("r").as_os_str().len();
    let mut n_within = 0;
    while length < 6_000 {
        mkdirat(&here, &name, Mode::RWXU).expect("folder");
        here = openat(&here, &name, folder_flags, Mode::empty()).expect("folder");
        length += 1 + name.len();
        // `/f.rs`, and the byte behind a path.
        n_within += usize::from(length + 6 <= 4096);
        let flags = OFlags::CREATE | OFlags::WRONLY;
        let file = openat(&here, "f.rs", flags, Mode::RUSR | Mode::WUSR).expect("file");
        let text = TEXT.replace("ordinary", &format!("ordinary_{length}"));
        fs::File::from(file)
            .write_all(text.as_bytes())
            .expect("written");
    }
    world.profile(&["r"]);
    let summary = world.build("o", &[]);
    assert_eq!(summary["exit"], 3, "{summary}");
    assert_eq!(summary["files"], 1 + n_within, "{summary}");
    assert_eq!(
        summary["skipped"],
        serde_json::json!({ "unreadable": 1 }),
        "{summary}"
    );
    let listed = &summary["unreadable"][0];
    assert!(
        listed["path"]
            .as_str()
            .is_some_and(|path| path.len() > 4_000)
    );
    assert!(
        listed["detail"]
            .as_str()
            .is_some_and(|why| why.contains("too long")),
        "{listed}"
    );
    world.verified("o-sharded/p");
    assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
}

#[test]
fn what_may_not_be_read_is_listed_and_the_rest_is_built() {
    let world = World::new();
    world.write("r/plain.rs", TEXT);
    world.write("r/file.rs", TEXT.replace("ordinary", "closed"));
    world.write("r/folder/inside.rs", TEXT.replace("ordinary", "inside"));
    world.write("r/named/inside.rs", TEXT.replace("ordinary", "named"));
    world.profile(&["r"]);
    let mode = |name: &str, mode: u32| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(world.path(name), permissions).expect("set");
    };
    mode("r/file.rs", 0o000);
    mode("r/folder", 0o000);
    // May be listed, not entered.
    mode("r/named", 0o444);
    let mut command = world.bare_build("o").command();
    if !as_ordinary_user(&world, &mut command) {
        return;
    }
    let summary = finish(command.spawn().expect("starts")).summary();
    mode("r/folder", 0o755);
    mode("r/named", 0o755);
    assert_eq!(summary["exit"], 3, "{summary}");
    assert_eq!(summary["files"], 1, "{summary}");
    assert_eq!(
        summary["skipped"],
        serde_json::json!({ "unreadable": 3 }),
        "{summary}"
    );
    let mut listed: Vec<_> = summary["unreadable"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    listed.sort_by_key(|entry| entry["path"].as_str().map(str::to_owned));
    let paths: Vec<_> = listed.iter().map(|entry| &entry["path"]).collect();
    assert_eq!(paths, ["file.rs", "folder", "named/inside.rs"]);
}

/// What is too large is known from the walk, and never opened.
#[cfg(target_os = "linux")]
#[test]
fn a_line_of_a_gigabyte_is_not_opened() {
    let world = World::new();
    world.write("r/plain.rs", TEXT);
    let line = fs::File::create(world.path("r/one-line.js")).expect("file");
    line.set_len(1 << 30).expect("sparse");
    world.compat_profile(&["r"]);
    let probe = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return println!("skipped: strace does not work here");
    }
    let trace = world.path("trace");
    let mut command = Command::new("strace");
    crate::world::without_cargos_library_folders(&mut command)
        .args(["-f", "-qq", "-e", "trace=open,openat,openat2", "-o"])
        .arg(&trace);
    command
        .arg(env!("CARGO_BIN_EXE_helix-build"))
        .current_dir(world.path(""));
    command
        .args(["--profile", "p.toml", "--out-dir", "o", "--json"])
        .args(BARE);
    let ran = command.output().expect("runs");
    let calls = fs::read_to_string(&trace).expect("a trace");
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert!(calls.contains("plain.rs"), "the trace misses what is read");
    assert!(!calls.contains("one-line.js"), "opened");
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(text.contains("\"too_large\":1"), "{text}");
}

/// One folder with very many files: a path and a few numbers for each is all that may grow.
#[cfg(target_os = "linux")]
#[test]
fn a_crowded_folder_takes_little_memory_a_file() {
    let most = count(6_000, 100_000);
    let world = World::new();
    fs::create_dir(world.path("r")).expect("folder");
    world.profile(&["r"]);
    let mut build = vec![
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--json",
        "--rebuild",
    ];
    build.extend(BARE);
    // The short form only walks and plans: a small build grows by page caches that have a limit.
    let mut runs = vec![vec!["plan", "--profile", "p.toml", "--json"]];
    if most == 100_000 {
        runs.push(build);
    }
    let mut peaks = vec![Vec::new(); runs.len()];
    let mut made = 0;
    let steps = [most / 4, most];
    for n in steps {
        for n in made..n {
            let text = format!(
                "Note {n} is long enough to be indexed, and unlike note {}.\n",
                n + 1
            );
            fs::write(world.path(&format!("r/note-number-{n:06}.txt")), text).expect("written");
        }
        made = n;
        for (run, peaks) in runs.iter().zip(&mut peaks) {
            let seen = measured(&world, run);
            assert_eq!(seen.ran.last_line()["files"], n, "{:?}", seen.ran);
            peaks.push([seen.supervisor_kib, seen.worker_kib]);
        }
    }
    for (run, peaks) in runs.iter().zip(&peaks) {
        println!(
            "{} files: supervisor and worker {peaks:?} KiB, {run:?}",
            format_args!("{steps:?}")
        );
        for who in [0, 1] {
            let grown = (peaks[1][who].saturating_sub(peaks[0][who])) << 10;
            let a_file = grown / u64::from(steps[1] - steps[0]);
            println!("{a_file} bytes a file");
            assert!(
                a_file < 2_048,
                "{a_file} bytes a file, {run:?}: {peaks:?} KiB"
            );
        }
    }
}

/// Two roots that differ in bytes that are not text. A profile, which is text, names them by links.
#[test]
fn roots_that_are_not_utf8_are_told_apart() {
    let world = World::new();
    for (n, name) in [b"v\xff".as_slice(), b"v\xfe"].into_iter().enumerate() {
        let folder = world.path("").join(OsStr::from_bytes(name));
        if fs::create_dir(&folder).is_err() {
            return println!("skipped: this file system takes text only");
        }
        let text = TEXT.replace("ordinary", &format!("ordinary_{n}"));
        fs::write(folder.join("same.rs"), text).expect("written");
        symlink(&folder, world.path(&format!("link{n}"))).expect("link");
    }
    world.profile(&["link0", "link1"]);
    let summary = world.build("o", &[]);
    assert_eq!(summary["files"], 2, "{summary}");
    world.verified("o-sharded/p");
    let source = |root: &str| {
        let shard = world.path(&format!("o-sharded/p/shards/{root}.genome.db"));
        match &query(&shard, "SELECT source_id FROM genes")[..] {
            [row] => match &row[0] {
                Value::Text(text) => text.clone(),
                other => panic!("{other:?}"),
            },
            rows => panic!("{rows:?}"),
        }
    };
    for (root, ending) in [("link0", "/v\\xFF/same.rs"), ("link1", "/v\\xFE/same.rs")] {
        assert!(source(root).ends_with(ending), "{}", source(root));
        let ran = world.run(&["inspect", "o-sharded/p", ending, "--json"]);
        assert_eq!(ran.lines().len(), 1, "{ran:?}");
        assert_eq!(ran.last_line()["shard"], root);
    }
    let ran = world.run(&[
        "query",
        "o-sharded/p",
        "ordinary_1",
        "--mode",
        "lexical",
        "--json",
    ]);
    assert!(
        ran.lines()[0]["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("/v\\xFE/same.rs")),
        "{ran:?}"
    );
    assert_eq!(world.build("o", &[])["unchanged_shards"], 2);
    // The links change places: other roots under the same labels.
    fs::rename(world.path("link0"), world.path("link")).expect("renamed");
    fs::rename(world.path("link1"), world.path("link0")).expect("renamed");
    fs::rename(world.path("link"), world.path("link1")).expect("renamed");
    assert_eq!(world.build("o", &[])["unchanged_shards"], 0);
    assert!(
        source("link0").ends_with("/v\\xFE/same.rs"),
        "{}",
        source("link0")
    );
}

#[test]
fn nothing_outside_the_root_is_read_through_a_link() {
    let world = World::new();
    world.write("outside/secret.rs", TEXT.replace("ordinary", "treasure"));
    world.write("r/plain.rs", TEXT);
    symlink("../outside", world.path("r/way-out")).expect("link");
    world.write("p.toml", "roots = [\"r\"]\nfollow_links = true\n");
    let summary = world.build("o", &[]);
    assert_eq!(summary["files"], 1);
    assert_eq!(summary["skipped"]["link_refused"], 1, "{summary}");
}

#[test]
fn why_names_the_rule() {
    let world = World::new();
    world.write("r/plain.rs", TEXT);
    world.write("r/id_ed25519", TEXT);
    world.write("r/node_modules/x/index.js", TEXT);
    world.write("r/tiny.rs", "");
    world.profile(&["r"]);
    let verdict = |path: &str| {
        let ran = world.run(&["plan", "--profile", "p.toml", "--why", path, "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.last_line()["verdict"].clone()
    };
    assert_eq!(verdict("r/plain.rs"), "indexed");
    assert_eq!(verdict("r/id_ed25519"), "secret");
    assert_eq!(verdict("r/node_modules/x/index.js"), "skipped_dir");
    assert_eq!(verdict("r/tiny.rs"), "too_small");
    let ran = world.run(&["plan", "--profile", "p.toml", "--why", "p.toml"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

/// Elsewhere such names cannot be made.
#[cfg(target_os = "linux")]
#[test]
fn folders_whose_names_are_not_unicode_are_indexed() {
    let world = World::new();
    for folder in [b"r\xff".as_slice(), b"s\xfe/a", b"out\xfd"] {
        let folder = world.path("").join(OsStr::from_bytes(folder));
        fs::create_dir_all(&folder).expect("folders");
        fs::write(folder.join("plain.rs"), TEXT).expect("written");
    }
    world.write("p.toml", "roots = ['r*', 's?/a']\n");
    let summary = world.build("o", &[]);
    assert_eq!(summary["files"], 2, "{summary}");
    assert_eq!(world.verified("o-sharded/p")["digest"], summary["digest"]);
    assert_eq!(world.build("o", &[])["unchanged_shards"], 2);

    let build = |mode: &str| {
        let mut command = world.command(&["--profile", "p.toml", "--json", "--mode", mode]);
        command.args(crate::world::BARE).arg("--out-dir");
        command.arg(OsStr::from_bytes(b"out\xfd/o"));
        crate::world::finish(command.spawn().expect("starts"))
    };
    // A server could not open the shards by the path that is recorded for them.
    let ran = build("sharded");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--out-dir"), "{ran:?}");
    assert_eq!(build("blob").summary()["files"], 2);
}

/// Only Linux keeps to a limit on a process's memory. Each file once lost 55 MB of it.
#[cfg(target_os = "linux")]
#[test]
fn sql_with_long_dollar_quotes_loses_no_memory() {
    let world = World::new();
    // Together more than the limit below leaves.
    let n_files = 30;
    for n in 0..n_files {
        let tag = format!("$a{n}{}$", "a".repeat(1_000));
        let function = format!(
            "create function f() returns void as {tag}\n{}{tag} language sql;\n\n",
            "select 1;\n".repeat(1_300)
        );
        world.write(&format!("r/{n}.sql"), function.repeat(12));
    }
    world.profile(&["r"]);
    let program = world
        .encoded_build("o")
        .args(["--shard-workers", "1"])
        .command();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 1500000 && exec \"$0\" \"$@\""]);
    limited.arg(program.get_program()).args(program.get_args());
    limited.args(crate::world::BARE).current_dir(world.path(""));
    limited.stdout(std::process::Stdio::piped());
    limited.stderr(std::process::Stdio::piped());
    let ran = crate::world::finish(limited.spawn().expect("starts"));
    assert_eq!(ran.summary()["files"], n_files, "{ran:?}");
    // A new worker would go on where one without memory ends.
    assert!(!ran.stderr.contains("died"), "{ran:?}");
}
