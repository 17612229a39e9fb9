//! Unattended runs: the last JSON line, the log file and the metrics file.

use crate::world::{BARE, Ran, World, finish};
use serde_json::{Value, json};
use std::fs;

/// A build of these profiles with `--json`.
fn build(world: &World, profiles: &str, flags: &[&str], failpoints: &str) -> Ran {
    let mut command = world
        .helix()
        .profile(profiles)
        .out("o")
        .json()
        .args(flags)
        .command();
    command.env("FAILPOINTS", failpoints);
    finish(command.spawn().expect("starts"))
}

/// The run failed, and its last line says so.
fn failed(ran: &Ran, exit: i32, profile: Value) {
    assert_eq!(ran.code, Some(exit), "{ran:?}");
    let line = ran.last_line();
    assert_eq!(line["type"], "failed", "{ran:?}");
    assert_eq!(line["exit"], exit, "{ran:?}");
    assert_eq!(line["profile"], profile, "{ran:?}");
    let error = line["error"].as_str().expect("text");
    assert!(!error.is_empty() && ran.stderr.contains(error), "{ran:?}");
}

/// Of several profiles one that fails keeps none of the others from being built.
#[test]
fn a_profile_that_fails_stops_no_other() {
    let world = World::corpus(3, 4);
    fs::create_dir(world.path("empty")).expect("created");
    for (name, root) in [
        ("a", "root0"),
        ("b", "empty"),
        ("c", "root1"),
        ("d", "root2"),
    ] {
        world.write(&format!("{name}.toml"), format!("roots = [\"{root}\"]\n"));
    }
    let all = "a.toml,b.toml,c.toml,d.toml";
    let metrics = [
        &BARE[..],
        &["--metrics-file", "m.prom", "--log-file", "x.log"],
    ]
    .concat();
    let ran = build(&world, all, &metrics, "");
    failed(&ran, 4, json!("b"));
    let kinds: Vec<_> = ran
        .lines()
        .iter()
        .map(|l| (l["type"].clone(), l["profile"].clone()))
        .collect();
    let expected = [
        ("summary", "a"),
        ("summary", "c"),
        ("summary", "d"),
        ("failed", "b"),
    ];
    assert_eq!(
        kinds,
        expected.map(|(kind, name)| (json!(kind), json!(name)))
    );
    let errors = ran.stderr.lines().filter(|line| line.starts_with("error"));
    assert_eq!(errors.count(), 1, "{ran:?}");
    let figures = fs::read_to_string(world.path("m.prom")).expect("reads");
    for (name, code) in [("a", 0), ("b", 4), ("c", 0), ("d", 0)] {
        let line = format!("helix_build_exit_code{{profile=\"{name}\"}} {code}\n");
        assert!(figures.contains(&line), "{line}: {figures}");
    }
    let log = fs::read_to_string(world.path("x.log")).expect("reads");
    assert!(log.contains("has no file to index"), "{log}");
    // The first error stands for the run, before what is only incomplete.
    world.write("c.toml", "roots = [\"root1\"]\nchunk_chars = 700\n");
    world.write("d.toml", "roots = [\"root2\", \"mistyped\"]\n");
    assert_eq!(
        build(&world, "d.toml,c.toml,b.toml,a.toml", &BARE, "").code,
        Some(12)
    );
    assert_eq!(
        build(&world, "a.toml,d.toml,a.toml", &BARE, "").code,
        Some(3)
    );
}

#[test]
fn every_failure_is_a_last_line_with_its_profile() {
    let world = World::corpus(2, 4);
    let p = json!("p");
    failed(&world.run(&["--json"]), 2, Value::Null);
    failed(&build(&world, "nope", &BARE, ""), 2, json!("nope"));
    failed(&build(&world, ",", &BARE, ""), 2, Value::Null);
    world.write("bad.toml", "rots = []\n");
    failed(
        &build(&world, "p.toml,bad.toml", &BARE, ""),
        2,
        json!("bad"),
    );
    let odd = [&BARE[..], &["--crawl-factor", "fast"]].concat();
    failed(&build(&world, "p.toml", &odd, ""), 2, p.clone());
    world.write("empty.toml", "roots = [\"empty\"]\n");
    fs::create_dir(world.path("empty")).expect("created");
    // What came before it was built, and said so.
    let ran = build(&world, "p.toml,empty.toml", &BARE, "");
    failed(&ran, 4, json!("empty"));
    assert_eq!(ran.lines()[0]["type"], "summary");
    let metrics = [&BARE[..], &["--metrics-file", "no/such/folder"]].concat();
    failed(&build(&world, "p.toml", &metrics, ""), 2, p.clone());
    failed(
        &build(&world, "p.toml", &["--sparse-model", "no"], ""),
        13,
        p.clone(),
    );
    world.write(
        "p.toml",
        "roots = [\"root0\", \"root1\"]\nchunk_chars = 700\n",
    );
    failed(&build(&world, "p.toml", &BARE, ""), 12, p.clone());
    let plan = [
        &["plan", "--profile", "p.toml", "--out-dir", "o", "--json"][..],
        &BARE,
    ]
    .concat();
    failed(&world.run(&plan), 12, p.clone());
    failed(
        &world.run(&["verify", "nowhere", "--json"]),
        10,
        Value::Null,
    );
    let check = ["profile", "check", "bad.toml", "--json"];
    failed(&world.run(&check), 2, json!("bad"));
    let query = ["query", "nowhere", "text", "--mode", "lexical", "--json"];
    failed(&world.run(&query), 10, Value::Null);
    // A worker that fails, and a panic of the supervisor's own.
    let rebuild = [&BARE[..], &["--rebuild"]].concat();
    let ran = build(&world, "p.toml", &rebuild, "worker::start=return(abort)");
    failed(&ran, 13, p.clone());
    let ran = build(&world, "p.toml", &rebuild, "build::conclude=return(panic)");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.last_line()["type"], "failed", "{ran:?}");
    let held = fs::File::options()
        .write(true)
        .open(world.path("o-sharded/p/.build/lock"))
        .expect("the lock");
    held.lock().expect("locked");
    failed(&build(&world, "p.toml", &rebuild, ""), 11, p);
}

#[test]
fn the_log_file_has_the_start_the_warnings_and_the_end() {
    let world = World::corpus(2, 4);
    world.write("p.toml", "roots = [\"root0\", \"away\"]\n");
    let log = || fs::read_to_string(world.path("run.log")).expect("a log");
    for progress in ["none", "plain", "json"] {
        let flags = ["--log-file", "run.log", "--progress", progress, "--rebuild"];
        let ran = build(
            &world,
            "p.toml",
            &[&BARE[..], &flags].concat(),
            "worker::pool=return(skip)",
        );
        assert_eq!(ran.code, Some(3), "{ran:?}");
        let log = log();
        let lines: Vec<&str> = log.lines().collect();
        let start = lines.first().expect("a line");
        let arguments = "--profile p.toml --out-dir o --json";
        assert!(
            start.contains(arguments) && start.contains("helix-build 0"),
            "{log}"
        );
        // A time begins each line.
        assert!(lines.iter().all(|line| line.starts_with("20")), "{log}");
        let warned = |part: &str| {
            let found = lines
                .iter()
                .filter(|l| l.contains("WARN") && l.contains(part));
            found.count()
        };
        assert_eq!(warned("root away is not indexed"), 1, "{log}");
        assert!(
            warned("file workers cannot be started") >= 1,
            "of a worker: {log}"
        );
        assert!(
            lines.last().is_some_and(|l| l.contains("exit code 3")),
            "{log}"
        );
        assert_eq!(log.matches("ends with exit code").count(), 1, "{log}");
        // Neither is told twice on standard error.
        assert_eq!(
            ran.stderr.matches("root away is not indexed").count(),
            1,
            "{ran:?}"
        );
    }
    let flags = [&BARE[..], &["--log-file", "run.log"]].concat();
    world.write("p.toml", "roots = [\"root0\"]\nchunk_chars = 700\n");
    let ran = build(&world, "p.toml", &flags, "");
    failed(&ran, 12, json!("p"));
    let text = log();
    let error = ran.last_line()["error"].as_str().expect("text").to_owned();
    let line = text.lines().find(|line| line.contains("ERROR"));
    assert!(line.is_some_and(|line| line.contains(&error)), "{text}");
    assert!(
        text.lines()
            .last()
            .is_some_and(|l| l.contains("exit code 12")),
        "{text}"
    );
    assert_eq!(ran.stderr.matches(&error).count(), 1, "{ran:?}");
    // Of an error before any profile is read as well.
    let ran = world.run(&["--log-file", "run.log"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        log().contains("nothing to build: name a folder"),
        "{}",
        log()
    );
}

/// The value of a figure of one profile.
fn figure(world: &World, name: &str, profile: &str) -> Option<f64> {
    let text = fs::read_to_string(world.path("m.prom")).expect("a metrics file");
    let start = format!("{name}{{profile=\"{profile}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start))?;
    Some(line.parse().expect("a number"))
}

#[test]
fn one_metrics_file_reports_every_profile() {
    let world = World::corpus(2, 4);
    world.write("q.toml", "roots = [\"root1\"]\n");
    let flags = [&BARE[..], &["--metrics-file", "m.prom"]].concat();
    let figure = |name: &str, profile| figure(&world, name, profile);
    let code = |profile| figure("helix_build_exit_code", profile);
    let success = |profile| figure("helix_build_last_success_timestamp_seconds", profile);
    build(&world, "p.toml,q.toml", &flags, "").summary();
    for profile in ["p", "q"] {
        assert_eq!(code(profile), Some(0.0));
        assert!(success(profile) > Some(1.7e9));
        assert_eq!(figure("helix_build_running", profile), Some(0.0));
        assert!(figure("helix_chunks_total", profile) > Some(0.0));
    }
    let before = (success("p"), success("q"));
    let text = fs::read_to_string(world.path("m.prom")).expect("a metrics file");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.contains("{profile=\""), "{line}");
    }
    let mut helped: Vec<_> = text.lines().filter(|l| l.starts_with("# HELP ")).collect();
    let n_families = helped.len();
    helped.dedup();
    assert_eq!(helped.len(), n_families, "each family stands once: {text}");

    // The second fails; the first has nothing to do.
    world.write("q.toml", "roots = [\"root1\"]\nchunk_chars = 700\n");
    let ran = build(&world, "p.toml,q.toml", &flags, "");
    failed(&ran, 12, json!("q"));
    assert!(success("p") > before.0);
    assert_eq!((code("q"), success("q")), (Some(12.0), before.1));
    let run = figure("helix_build_last_run_timestamp_seconds", "q");
    assert!(run > before.1);
    // A run that is killed leaves word that it was under way, and what was known before.
    let killed = [&flags[..], &["--rebuild"]].concat();
    let ran = build(&world, "q.toml", &killed, "build::conclude=return(abort)");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!(figure("helix_build_running", "q"), Some(1.0));
    assert_eq!((code("q"), success("q")), (Some(12.0), before.1));
    assert!(figure("helix_build_last_start_timestamp_seconds", "q") >= run);
    assert_eq!(code("p"), Some(0.0));
    build(&world, "q.toml", &flags, "").summary();
    assert_eq!(code("q"), Some(0.0));
    assert!(success("q") > run);
    // A log that cannot be written is a failure as well.
    let no_log = [&flags[..], &["--log-file", "no/such/folder"]].concat();
    failed(&build(&world, "q.toml", &no_log, ""), 2, Value::Null);
    assert_eq!((code(""), code("q")), (Some(2.0), Some(0.0)));
    // Arguments that make no sense are nobody's success, and stay nobody's after a good run.
    let mut command = world.command(&["--metrics-file", "m.prom"]);
    assert_eq!(finish(command.spawn().expect("starts")).code, Some(2));
    assert_eq!(code(""), Some(2.0));
    build(&world, "q.toml", &flags, "").summary();
    assert_eq!(
        (code(""), code("p"), code("q")),
        (None, Some(0.0), Some(0.0))
    );
}

#[test]
fn an_unfinished_index_says_so() {
    let world = World::corpus(2, 6);
    let ran = build(&world, "p.toml", &BARE, "build::conclude=return(abort)");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let query = ["query", "o", "gadget", "--mode", "lexical"];
    let told = "a build of this index is running or was stopped";
    let ran = world.run(&query);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(told), "{ran:?}");
    let lines = world.run(&[&query[..], &["--json"]].concat()).lines();
    assert_eq!(lines[0]["type"], "unfinished", "{lines:?}");
    assert_eq!(lines[1]["type"], "hit", "{lines:?}");
    for level in ["--full", "--quick"] {
        let ran = world.run(&["verify", "o", level]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(told), "{ran:?}");
        let verdict = world.run(&["verify", "o", level, "--json"]).last_line();
        assert_eq!(verdict["unfinished"], true, "{verdict}");
    }
    world.build("o", &[]);
    let ran = world.run(&query);
    assert!(!ran.stderr.contains(told), "{ran:?}");
    assert_eq!(world.verified("o")["unfinished"], false);
}
