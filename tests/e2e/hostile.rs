//! Trees that nobody would make on purpose.

#![cfg(unix)]

use crate::world::World;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::Command;

const TEXT: &str =
    "fn ordinary() -> u32 {\n    // text that is long enough to be indexed\n    1\n}\n";

#[test]
fn hostile_names_and_bodies_are_indexed_or_listed() {
    let world = World::new();
    world.write("r/plain.rs", TEXT);
    let root = world.path("r");
    let names: [&[u8]; 6] = [
        b"not-utf8-\xff\xfe.rs",
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
    let utf16: Vec<u8> = std::iter::once(0xFEFF_u16)
        .chain(TEXT.replace("ordinary", "wide").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    world.write("r/utf16.rs", utf16);
    world.write("r/deep.json", "[".repeat(60_000) + &"]".repeat(60_000));
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
    symlink("/etc/passwd", root.join("passwd.txt")).expect("link");
    let sparse = fs::File::create(root.join("sparse.txt")).expect("file");
    sparse.set_len(1 << 40).expect("sparse");
    fs::hard_link(root.join("plain.rs"), root.join("hard.rs")).expect("hard link");
    world.profile(&["r"]);

    let summary = world.build("o", &[]);
    let skipped = &summary["skipped"];
    assert_eq!(skipped["binary"], 1, "{skipped}");
    assert_eq!(skipped["blank"], 1, "{skipped}");
    assert_eq!(skipped["too_large"], 1, "{skipped}");
    assert_eq!(skipped["special"], 2, "{skipped}");
    assert_eq!(skipped["link"], 5, "{skipped}");
    assert_eq!(skipped["secret"], 2, "{skipped}");
    // plain, hard, six names, invalid, utf16, deep, underscores, one-line.
    assert_eq!(summary["files"], 13, "{summary}");
    let verdict = world.verified("o-sharded/p");
    assert_eq!(verdict["digest"], summary["digest"]);
    let ran = world.run(&["inspect", "o-sharded/p", "not-utf8-\\xFF\\xFE.rs", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
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
    world.write("r/tiny.rs", "x");
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
    for n in 0..50 {
        let tag = format!("$a{n}{}$", "a".repeat(1_000));
        let function = format!(
            "create function f() returns void as {tag}\n{}{tag} language sql;\n\n",
            "select 1;\n".repeat(1_300)
        );
        world.write(&format!("r/{n}.sql"), function.repeat(12));
    }
    world.profile(&["r"]);
    let program = world.command(&[
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--json",
        "--shard-workers",
        "1",
    ]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 2000000 && exec \"$0\" \"$@\""]);
    limited.arg(program.get_program()).args(program.get_args());
    limited.args(crate::world::BARE).current_dir(world.path(""));
    limited.stdout(std::process::Stdio::piped());
    limited.stderr(std::process::Stdio::piped());
    let ran = crate::world::finish(limited.spawn().expect("starts"));
    assert_eq!(ran.summary()["files"], 50, "{ran:?}");
    // A new worker would go on where one without memory ends.
    assert!(!ran.stderr.contains("died"), "{ran:?}");
}
