//! Limits of the machine: open files, file sizes, a full standard output, control characters on a terminal.

use crate::world::{BARE, Ran, World, finish};
use std::fs;

/// Runs the program under limits that the shell sets.
#[cfg(unix)]
fn limited(world: &World, limit: &str, arguments: &[&str]) -> Ran {
    finish(shell(world, limit, arguments).spawn().expect("starts"))
}

#[cfg(unix)]
fn shell(world: &World, limit: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    let script = format!("{limit}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_helix-build")]);
    command
        .args(arguments)
        .current_dir(world.path(""))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command
}

/// More shards than descriptors, with vectors that are looked up in the shards of before.
#[cfg(unix)]
#[test]
fn an_index_of_more_shards_than_descriptors_is_built_and_read() {
    const FEW: &str = "ulimit -n 48";
    let world = World::new();
    let text = |n: usize, more: &str| {
        format!("# Root {n}\n\nThe text of root {n} with the word xq{n}z in it.\n{more}")
    };
    for n in 0..50 {
        world.write(&format!("r/root{n}/a.md"), text(n, ""));
        world.write(&format!("r/root{n}/b.md"), text(n + 1000, ""));
    }
    world.write("p.toml", "roots = [\"r/*\"]\n");
    let flags = [
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--json",
        "--sparse-model",
        "none",
    ];
    let build = || limited(&world, FEW, &flags).summary();
    build();
    for n in 0..50 {
        world.write(&format!("r/root{n}/a.md"), text(n, "One line more.\n"));
    }
    let again = build();
    assert_eq!(again["reused_chunks"], 50, "{again}");
    for arguments in [
        &[
            "query",
            "o-sharded",
            "xq49z",
            "--mode",
            "lexical",
            "-k",
            "1",
        ][..],
        &["inspect", "o-sharded", "root49"],
        &["verify", "o-sharded"],
        &[
            "verify",
            "o-sharded",
            "--quick",
            "--reencode",
            "60",
            "--sparse-model",
            "none",
        ],
    ] {
        let ran = limited(&world, FEW, arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        assert!(
            arguments[0] == "verify" || ran.stdout.contains("root49"),
            "{ran:?}"
        );
    }
}

/// A query that waits for its first line is looked at from outside.
#[cfg(target_os = "linux")]
#[test]
fn the_soft_limit_of_descriptors_is_raised() {
    use std::io::Write as _;
    let world = World::corpus(1, 2);
    world.build("o", &[]);
    let query = ["query", "o-sharded", "--queries", "-", "--mode", "lexical"];
    let mut command = shell(&world, "ulimit -Sn 24", &query);
    command.stdin(std::process::Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    writeln!(stdin, "gadget").expect("written");
    let limits = format!("/proc/{}/limits", child.id());
    let deadline = std::time::Instant::now() + crate::running_build::DEADLINE;
    loop {
        let text = fs::read_to_string(&limits).expect("reads");
        let line = text.lines().find(|line| line.starts_with("Max open files"));
        let mut words = line.expect("a limit").split_whitespace().skip(3);
        let soft: u64 = words.next().expect("a number").parse().expect("a number");
        if soft > 24 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "it stays {soft}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    drop(stdin);
    assert_eq!(finish(child).code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_file_that_must_not_grow_is_named_with_the_reason() {
    let world = World::corpus(1, 8);
    let build = [&["--profile", "p.toml", "--out-dir", "o"][..], &BARE].concat();
    // Of the routing database, of a segment, of the shard: each larger than the one before. In blocks of 512 or
    // 1,024 bytes.
    for blocks in [8, 160, 600] {
        let ran = limited(&world, &format!("ulimit -f {blocks}"), &build);
        assert_eq!(ran.code, Some(1), "{blocks}: {ran:?}");
        let error = ran.stderr.lines().last().unwrap_or_default();
        assert!(
            error.contains("o-sharded")
                && error.contains("bytes at most: raise the limit (`ulimit -f`)"),
            "{blocks}: {error}"
        );
    }
    world.build("o", &[]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_named() {
    let world = World::corpus(1, 2);
    world.build("o", &[]);
    let build = [&["--profile", "p.toml", "--out-dir", "o"][..], &BARE].concat();
    let said: [&[&str]; 7] = [
        &build,
        &["verify", "o-sharded"],
        &["version"],
        &["man"],
        &["--help"],
        &["query", "--help"],
        &["--version"],
    ];
    for arguments in said {
        let mut command = world.command(arguments);
        command.stdout(
            fs::File::options()
                .write(true)
                .open("/dev/full")
                .expect("opens"),
        );
        let ran = finish(command.spawn().expect("starts"));
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.stderr.contains("standard output: No space left"),
            "{ran:?}"
        );
    }
}

/// No character that a terminal obeys, and no line that a name has made.
fn assert_harmless(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let odd = text
            .chars()
            .find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(odd, None, "{ran:?}");
        let forged = text
            .lines()
            .any(|line| line.trim_start().starts_with("forged"));
        assert!(!forged, "{ran:?}");
    }
}

#[cfg(unix)]
#[test]
fn names_and_texts_cannot_speak_to_the_terminal() {
    let world = World::new();
    let odd = [
        "\u{1b}]0;title\u{7}.rs",
        "x.rs  [r]\nforged: 1. 99.0 trusted.rs",
        "\u{9b}2J\u{202e}sr.rs",
    ];
    for name in odd {
        let text =
            "fn gadget_here() { /* \u{1b}]52;c;ZXZpbA==\u{7} \u{1b}[2J */ let words = 1; }\n";
        world.write(&format!("r/{name}"), text.repeat(2));
    }
    // Cannot be read as text, so that the summary lists it.
    let dangling = world.path("r/\u{1b}[31mgone\nforged.rs");
    std::os::unix::fs::symlink("nowhere\u{1b}[2J\nforged", dangling).expect("a link");
    world.write(
        "p.toml",
        "description = \"\u{9}odd\"\nroots = [\"r\"]\nfollow_links = true\n",
    );
    let build = [
        &[
            "--profile",
            "p.toml",
            "--out-dir",
            "o",
            "--progress",
            "plain",
            "-v",
        ][..],
        &BARE,
    ]
    .concat();
    let ran = world.run(&[&build[..], &["--log-file", "log"]].concat());
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
    assert_harmless(&ran);
    let log = fs::read_to_string(world.path("log")).expect("a log");
    assert!(
        !log.contains('\u{1b}') && !log.lines().any(|line| line.starts_with("forged")),
        "{log}"
    );
    let why = format!("r/{}", odd[1]);
    for arguments in [
        &["query", "o-sharded", "gadget here", "--mode", "lexical"][..],
        &[
            "query",
            "o-sharded",
            "gadget here",
            "--mode",
            "lexical",
            "--json",
        ],
        &["inspect", "o-sharded", odd[0]],
        &["inspect", "o-sharded"],
        &["plan", "--profile", "p.toml", "--why", &why],
        &["profile", "show", "p.toml"],
        &["verify", "o-sharded"],
        &["verify", "no\u{1b}[2J\nforged"],
        &["query", "o-sharded", "--no-such-flag\u{1b}[2J"],
        &["models", "check", "no\u{1b}[2J\nforged"],
        &["plan", "--profile", "no\u{1b}[2J\nforged.toml"],
    ] {
        let ran = world.run(arguments);
        assert_harmless(&ran);
        assert!(
            !(ran.stdout.is_empty() && ran.stderr.is_empty()),
            "{arguments:?}"
        );
    }
    // JSON still says what it is.
    let ran = world.run(&[
        "query",
        "o-sharded",
        "gadget here",
        "--mode",
        "lexical",
        "--json",
    ]);
    let text = ran.last_line()["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(text.contains("\u{1b}]52;c;"), "{text}");
}

#[test]
fn a_batch_answers_every_line_that_can_be_answered() {
    let world = World::corpus(1, 6);
    world.build("o", &[]);
    let long = "a".repeat((1 << 20) + 10);
    let lines: [&[u8]; 5] = [
        b"gadget",
        b"\xff\xfe gadget",
        long.as_bytes(),
        b"",
        b"widget\r",
    ];
    world.write("q", lines.join(&b'\n'));
    let query = [
        "query",
        "o-sharded",
        "--queries",
        "q",
        "--mode",
        "lexical",
        "-k",
        "1",
    ];
    let ran = world.run(&[&query[..], &["--json"]].concat());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let said = ran.lines();
    let said: Vec<_> = said
        .iter()
        .map(|line| {
            (
                line["type"].as_str().unwrap_or_default(),
                line["query"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("hit", Some(0)),
            ("unanswered", Some(1)),
            ("unanswered", Some(2)),
            ("hit", Some(4))
        ]
    );
    let ran = world.run(&query);
    assert_eq!(
        (ran.code, ran.stdout.matches("not answered: ").count()),
        (Some(3), 2),
        "{ran:?}"
    );
    assert_eq!(ran.stdout.matches("== ").count(), 5, "{ran:?}");
    world.write("q", "gadget\nwidget\n");
    assert_eq!(world.run(&query).code, Some(0));
    for missing in ["nothing", "root0"] {
        let ran = world.run(&[
            "query",
            "o-sharded",
            "--queries",
            missing,
            "--mode",
            "lexical",
        ]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains(&format!("--queries {missing}")),
            "{ran:?}"
        );
    }
}

#[test]
fn paths_as_people_type_them() {
    let world = World::corpus(1, 2);
    world.write("a,b/p.toml", "roots = [\"../root0\"]\n");
    let ran = world.run(&[&["plan", "--profile", "a,b/p.toml"][..], &BARE].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    world.write(
        "w.toml",
        "description = 'x'\nroots = [\"C:\\Users\\me\\src\"]\n",
    );
    let ran = world.run(&["plan", "--profile", "w.toml"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("w.toml:2:") && ran.stderr.contains("single quotes"),
        "{ran:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_cache_that_forbids_execution_is_avoided() {
    let world = World::corpus(1, 2);
    // Not a mount, which needs root: a library that cannot be mapped from there, since the folder is a file's.
    world.write("cache/helix-build", "in the way");
    // On the CPU the built-in encoders need no runtime.
    let flags = [
        "--profile=p.toml",
        "--out-dir=o",
        "--json",
        "--device=cuda",
        "--batch-size=2",
    ];
    let build = |more: &[&str], temporary: Option<&str>| {
        let mut build = world.command(&[&flags[..], &["--dense-model=none"], more].concat());
        build.env("XDG_CACHE_HOME", world.path("cache"));
        build.env("FAILPOINTS", "encode::device=return(skip)");
        if let Some(folder) = temporary {
            build.env("TMPDIR", world.path(folder));
        }
        finish(build.spawn().expect("starts"))
    };
    build(&[], None).summary();
    let ran = build(&["--rebuild"], Some("nowhere"));
    assert_eq!(ran.code, Some(13), "{ran:?}");
    for words in ["XDG_CACHE_HOME", "TMPDIR", "--ort-lib"] {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
}
