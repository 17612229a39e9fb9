//! A build over many machines: the same index as on one, whatever the tasks do in whatever order.

use crate::world::{BARE, Dice, Ran, World, files_below, finish};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Plan `p.toml` into `out` with these flags and write `plan.json`; return the line that describes it.
pub fn planned(world: &World, out: &str, flags: &[&str]) -> Value {
    let arguments = [
        "plan",
        "--profile",
        "p.toml",
        "--out-dir",
        out,
        "--out",
        "plan.json",
        "--json",
    ];
    let ran = world.run(&[&arguments[..], flags].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = ran.last_line();
    assert_eq!(line["type"], "plan_file");
    line
}

/// Run a command of a task on `plan.json`.
pub fn on_plan(world: &World, command: &str, flags: &[&str]) -> Ran {
    world.run(&[&[command, "--plan", "plan.json"], flags].concat())
}

pub fn worker(world: &World, segments: &str) -> Ran {
    on_plan(world, "worker", &["--segment", segments])
}

fn with_index(world: &World, variable: &str, index: u32, arguments: &[&str]) -> Ran {
    let mut command: Command = world.command(arguments);
    command.env(variable, index.to_string());
    finish(command.spawn().expect("starts"))
}

/// Commit and return the summary.
pub fn committed(world: &World, code: i32) -> Value {
    let ran = on_plan(world, "commit", &["--json"]);
    assert_eq!(ran.code, Some(code), "{ran:?}");
    ran.summary()
}

fn missing(world: &World, flags: &[&str]) -> String {
    let ran = on_plan(world, "missing", flags);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.trim_end().to_owned()
}

#[track_caller]
fn assert_same(one: &Value, other: &Value) {
    for field in [
        "digest",
        "content_digest",
        "files",
        "chunks",
        "skipped",
        "fingerprint",
    ] {
        assert_eq!(one[field], other[field], "{field}");
    }
}

/// Build on one machine and over many, in any order, with every way to say which part; compare.
fn same_as_on_one_machine(mode: &str, flags: &[&str]) {
    let world = World::corpus(5, 6);
    let flags = [&["--mode", mode], flags].concat();
    let single = world.run(
        &[
            &["--profile", "p.toml", "--out-dir", "one", "--json"],
            &flags[..],
        ]
        .concat(),
    );
    let plan = planned(&world, "many", &flags);
    assert_eq!(plan["array"], "0-4", "{plan}");
    assert_eq!(missing(&world, &[]), "0-4");

    let ran = worker(&world, "3");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(missing(&world, &[]), "0-2,4");
    let arguments = [
        "worker",
        "--plan",
        "plan.json",
        "--per-task",
        "2",
        "--offset",
        "1",
    ];
    let ran = with_index(&world, "SLURM_ARRAY_TASK_ID", 1, &arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(missing(&world, &[]), "0-2");
    assert_eq!(missing(&world, &["--per-task", "2"]), "0-1");
    assert_eq!(missing(&world, &["--offset", "1", "--tasks", "1"]), "0");

    // Nothing is changed while parts are missing.
    let ran = on_plan(&world, "commit", &["--json"]);
    assert_eq!(ran.code, Some(66), "{ran:?}");
    let error = ran.last_line()["error"]
        .as_str()
        .expect("a text")
        .to_owned();
    assert!(
        error.contains("3 segments are missing") && error.contains("0-2"),
        "{error}"
    );
    let ran = on_plan(&world, "publish", &["--shard", "0"]);
    assert_eq!(ran.code, Some(66), "{ran:?}");

    for (variable, index) in [
        ("JOB_COMPLETION_INDEX", 0),
        ("AWS_BATCH_JOB_ARRAY_INDEX", 1),
    ] {
        let ran = with_index(&world, variable, index, &["worker", "--plan", "plan.json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(worker(&world, "0-2").code, Some(0));
    assert_eq!(missing(&world, &[]), "");
    // Beyond the plan there is nothing to do.
    let ran = with_index(
        &world,
        "SLURM_ARRAY_TASK_ID",
        9,
        &["worker", "--plan", "plan.json"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let beyond = worker(&world, "5");
    assert_eq!(beyond.code, Some(2), "{beyond:?}");

    for _ in 0..2 {
        let ran = on_plan(&world, "publish", &["--shard", "0"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let status = on_plan(&world, "status", &["--json"]).last_line();
    assert_eq!(status["published"], serde_json::json!([0]));
    let summary = committed(&world, 0);
    assert_same(&summary, &single.summary());

    let index = if mode == "blob" {
        "many/p.db"
    } else {
        "many-sharded/p"
    };
    world.verified(index);
    let left: Vec<_> = files_below(&world.path(if mode == "blob" {
        "many"
    } else {
        "many-sharded"
    }));
    assert!(
        !left
            .iter()
            .any(|file| file.contains("segments/") || file.contains("tasks/")),
        "{left:?}"
    );
    // The next build has nothing to do.
    let again = world.run(
        &[
            &["--profile", "p.toml", "--out-dir", "many", "--json"],
            &flags[..],
        ]
        .concat(),
    );
    let again = again.summary();
    assert_eq!(
        again["unchanged_shards"],
        summary["shards"].as_array().expect("shards").len()
    );
    assert_eq!(again["digest"], summary["digest"]);
}

#[test]
fn a_sharded_index_is_the_same() {
    same_as_on_one_machine("sharded", &BARE);
}

#[test]
fn a_blob_is_the_same() {
    same_as_on_one_machine("blob", &BARE);
}

#[test]
fn an_index_with_the_embedded_encoders_is_the_same() {
    same_as_on_one_machine("sharded", &[]);
}

#[test]
fn a_blob_with_the_embedded_encoders_is_the_same() {
    same_as_on_one_machine("blob", &[]);
}

/// With a fixed date even the bytes are the same, whichever machine publishes.
#[test]
fn shards_have_the_same_bytes() {
    let world = World::corpus(2, 5);
    let dated = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        let ran = finish(command.spawn().expect("starts"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    };
    let flags = [&["--profile", "p.toml", "--json"], &BARE[..]].concat();
    let on_plan = ["--plan", "plan.json"];
    dated(&[&flags[..], &["--out-dir", "one"]].concat());
    let plan = ["--out-dir", "many", "--out", "plan.json"];
    let plan = dated(&[&["plan"], &flags[..], &plan].concat()).last_line();
    for task in [
        ["worker", "--segment", "1"],
        ["worker", "--segment", "0"],
        ["publish", "--shard", "1"],
    ] {
        dated(&[&task[..], &on_plan].concat());
    }
    assert_eq!(plan["shards"].as_array().map(Vec::len), Some(2));
    let published = world.path("many-sharded/p/.build/tasks/shard-1.db");
    let first = fs::read(&published).expect("published");
    // A node that was lost comes back and publishes again.
    fs::remove_file(world.path("many-sharded/p/.build/tasks/shard-1.json")).expect("noted");
    dated(&[&["publish", "--shard", "1"], &on_plan[..]].concat());
    assert!(fs::read(&published).expect("published") == first);
    dated(&[&["commit"], &on_plan[..]].concat());
    for shard in ["root0", "root1"] {
        let name = |out: &str| format!("{out}-sharded/p/shards/{shard}.genome.db");
        let read = |out: &str| fs::read(world.path(&name(out))).expect("built");
        assert!(read("one") == read("many"), "{shard}");
    }
}

fn changed(file: &Path) {
    let text = fs::read_to_string(file).expect("text") + "\n# One more line.\n";
    fs::write(file, text).expect("written");
}

/// What changes between the plan and its task is left out and listed, and the next build indexes it.
#[test]
fn inputs_that_changed_since_the_plan_are_listed_and_never_mixed() {
    let world = World::corpus(2, 8);
    planned(&world, "many", &BARE);
    changed(&world.path("root0/dir1/file1.py"));
    fs::remove_file(world.path("root0/dir2/file2.md")).expect("removed");
    world.write(
        "root0/dir0/later.md",
        "# Later\n\nThis file is not in the plan.\n",
    );
    let ran = on_plan(&world, "worker", &["--segment", "0-1", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let failures = ran.last_line()["failures"].clone();
    let listed: Vec<_> = failures.as_array().expect("a list").iter().collect();
    let paths: Vec<_> = listed
        .iter()
        .map(|file| file["path"].as_str().expect("a path"))
        .collect();
    assert_eq!(paths, ["dir1/file1.py", "dir2/file2.md"], "{failures}");
    assert!(
        listed.iter().all(|file| file["reason"] == "changed"),
        "{failures}"
    );
    // Another try says the same.
    assert_eq!(worker(&world, "0-1").code, Some(3));
    let summary = committed(&world, 3);
    assert_eq!(summary["unreadable"], failures);
    assert_eq!(summary["files"], 14);
    world.verified("many-sharded/p");
    let next = world.build("many", &[]);
    assert_eq!(
        (&next["exit"], &next["unreadable"]),
        (&0.into(), &serde_json::json!([]))
    );
    let fresh = world.build("fresh", &[]);
    assert_same(&next, &fresh);
}

/// A file whose time alone changes is compared by its bytes, where an earlier index knows their hash.
#[test]
fn a_file_with_another_time_but_known_bytes_has_not_changed() {
    let world = World::corpus(1, 6);
    world.build("many", &[]);
    changed(&world.path("root0/dir0/file0.rs"));
    planned(&world, "many", &BARE);
    for file in ["root0/dir1/file1.py", "root0/dir0/file0.rs"] {
        let file = fs::File::options()
            .append(true)
            .open(world.path(file))
            .expect("opens");
        let time =
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
        file.set_modified(time).expect("set");
    }
    let ran = on_plan(&world, "worker", &["--segment", "0", "--json"]);
    let failures = ran.last_line()["failures"].clone();
    // Nothing knows the bytes that file0 had when the plan was made.
    assert_eq!(failures.as_array().map(Vec::len), Some(1), "{ran:?}");
    assert_eq!(failures[0]["path"], "dir0/file0.rs");
    assert_eq!(missing(&world, &[]), "");
    assert_eq!(committed(&world, 3)["files"], 5);
}

#[test]
fn a_plan_is_done_where_its_folders_are() {
    let world = World::corpus(3, 5);
    let single = world.build("one", &[]);
    planned(&world, "many", &BARE);
    fs::create_dir(world.path("moved")).expect("made");
    for name in ["root0", "root1", "root2", "many-sharded"] {
        fs::rename(world.path(name), world.path("moved").join(name)).expect("moved");
    }
    let ran = worker(&world, "0");
    assert_eq!(ran.code, Some(10), "{ran:?}");
    assert!(ran.stderr.contains("--map"), "{ran:?}");
    let root = world.path("").canonicalize().expect("there");
    let map = format!("{0}={0}/moved", root.display());
    // The output alone is not enough.
    let output = format!("{0}/many={0}/moved/many", root.display());
    let ran = on_plan(&world, "worker", &["--segment", "0", "--map", &output]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("is not a folder on this machine"),
        "{ran:?}"
    );
    let ran = on_plan(&world, "worker", &["--segment", "0-2", "--map", &map]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = on_plan(&world, "commit", &["--json", "--map", &map]);
    // The index names the files by the paths of the plan.
    assert_same(&ran.summary(), &single);
    let hits = world.run(&["inspect", "moved/many-sharded/p", "root0", "--json"]);
    assert_eq!(hits.code, Some(0), "{hits:?}");
}

/// A part that is damaged in the plan fails on every machine; the others do not.
#[test]
fn a_poisoned_segment_is_not_tried_again() {
    let world = World::corpus(3, 5);
    planned(&world, "many", &BARE);
    let mut text = fs::read(world.path("plan.json")).expect("a plan");
    let line = text.iter().position(|byte| *byte == b'\n').expect("lines") + 1;
    text[line + 4] ^= 1;
    fs::write(world.path("plan.json"), &text).expect("written");
    let ran = worker(&world, "0-2");
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.stderr.contains("segment 0"), "{ran:?}");
    assert_eq!(missing(&world, &[]), "");
    let status = on_plan(&world, "status", &[]);
    assert!(status.stdout.contains("poisoned   0"), "{status:?}");
    let ran = on_plan(&world, "commit", &[]);
    assert_eq!(ran.code, Some(66), "{ran:?}");
    assert!(
        ran.stderr.contains("segment 0 fails wherever it is tried"),
        "{ran:?}"
    );
}

#[test]
fn a_damaged_plan_and_other_files_are_refused() {
    let world = World::corpus(1, 3);
    world.write("notes.txt", "mine");
    let arguments = [
        "plan",
        "--profile",
        "p.toml",
        "--out-dir",
        "o",
        "--out",
        "notes.txt",
    ];
    let ran = world.run(&[&arguments[..], &BARE].concat());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(fs::read(world.path("notes.txt")).expect("there"), b"mine");
    planned(&world, "many", &BARE);
    let text = fs::read_to_string(world.path("plan.json")).expect("a plan");
    let lie = text.replacen("\"prune\":false", "\"prune\":true", 1);
    assert_ne!(lie, text);
    for wrong in [lie.as_str(), &text[..text.len() / 8], "{}\n", "", "mine"] {
        world.write("plan.json", wrong);
        let ran = worker(&world, "0");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("plan"), "{ran:?}");
    }
    let ran = world.run(&["worker", "--plan", "none.json", "--segment", "0"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    // Wherever a bit of the first line is wrong.
    let (mut dice, seed) = Dice::seeded(17);
    let end = text.find('\n').expect("lines") as u64;
    for _ in 0..12 {
        let mut bytes = text.clone().into_bytes();
        let at = dice.roll(end) as usize;
        bytes[at] ^= 1;
        world.write("plan.json", bytes);
        let ran = worker(&world, "0");
        assert_eq!(ran.code, Some(2), "byte {at}, seed {seed}: {ran:?}");
    }
    world.write("plan.json", &text);
    assert_eq!(on_plan(&world, "worker", &[]).code, Some(2), "no index");
    assert_eq!(worker(&world, "0").code, Some(0));
    committed(&world, 0);
}

/// Shards that did not change are not in the plan of a later build, and a plan with nothing to do can be committed.
#[test]
fn only_what_changed_is_planned() {
    let world = World::corpus(3, 5);
    world.build("many", &[]);
    assert_eq!(planned(&world, "many", &BARE)["segments"], 0);
    let summary = committed(&world, 0);
    assert_eq!(summary["unchanged_shards"], 3);
    changed(&world.path("root1/dir0/file0.rs"));
    let plan = planned(&world, "many", &BARE);
    assert_eq!(plan["shards"], serde_json::json!(["root1"]), "{plan}");
    assert_eq!(worker(&world, "0").code, Some(0));
    assert_same(&committed(&world, 0), &world.build("fresh", &[]));
    world.verified("many-sharded/p");
    // A rebuild does everything again, and keeps what its tasks have published.
    let flags = [&BARE[..], &["--rebuild"]].concat();
    assert_eq!(planned(&world, "many", &flags)["segments"], 3);
    assert_eq!(on_plan(&world, "commit", &[]).code, Some(66));
    assert_eq!(worker(&world, "0-2").code, Some(0));
    assert_eq!(on_plan(&world, "publish", &["--shard", "2"]).code, Some(0));
    let summary = committed(&world, 0);
    assert_eq!(summary["unchanged_shards"], 0);
    world.verified("many-sharded/p");
}

/// A task that comes back after the commit, or after another plan, finds that it is late and leaves nothing.
#[test]
fn a_late_task_leaves_nothing() {
    let world = World::corpus(1, 4);
    planned(&world, "many", &BARE);
    let first = fs::read(world.path("plan.json")).expect("a plan");
    assert_eq!(worker(&world, "0").code, Some(0));
    committed(&world, 0);
    let before = files_below(&world.path("many-sharded"));
    for command in ["worker", "publish", "status", "missing"] {
        let flags: &[&str] = match command {
            "worker" => &["--segment", "0"],
            "publish" => &["--shard", "0"],
            _ => &[],
        };
        let ran = on_plan(&world, command, flags);
        assert_eq!(ran.code, Some(10), "{command}: {ran:?}");
        assert!(ran.stderr.contains("it was committed"), "{ran:?}");
    }
    assert_eq!(files_below(&world.path("many-sharded")), before);
    changed(&world.path("root0/dir0/file0.rs"));
    planned(&world, "many", &BARE);
    fs::write(world.path("old.json"), first).expect("written");
    let ran = world.run(&["worker", "--plan", "old.json", "--segment", "0"]);
    assert_eq!(ran.code, Some(10), "{ran:?}");
    assert!(ran.stderr.contains("another plan"), "{ran:?}");
}

/// A scheduler may repeat a commit of which it lost the answer.
#[test]
fn a_commit_can_be_repeated() {
    for mode in ["sharded", "blob"] {
        let world = World::corpus(2, 4);
        let flags = [&BARE[..], &["--mode", mode]].concat();
        planned(&world, "many", &flags);
        assert_eq!(worker(&world, "0-1").code, Some(0));
        let first = committed(&world, 0);
        let again = committed(&world, 0);
        assert_same(&first, &again);
        // Also after an update of which one shard is unchanged.
        changed(&world.path("root0/dir0/file0.rs"));
        planned(&world, "many", &flags);
        assert_eq!(worker(&world, &missing(&world, &[])).code, Some(0));
        let update = committed(&world, 0);
        assert_ne!(update["digest"], first["digest"]);
        assert_same(&update, &committed(&world, 0));
        world.verified(match mode {
            "blob" => "many/p.db",
            _ => "many-sharded/p",
        });
        // Another build has taken its place.
        changed(&world.path("root1/dir0/file0.rs"));
        let arguments = ["--profile", "p.toml", "--out-dir", "many"];
        let built = world.run(&[&arguments[..], &flags].concat());
        assert_eq!(built.code, Some(0), "{built:?}");
        let late = on_plan(&world, "commit", &[]);
        assert_eq!(late.code, Some(10), "{mode}: {late:?}");
    }
}

/// A repeated commit goes on where a killed one stopped, and vouches for what it committed alone.
#[test]
fn a_commit_is_repeated_only_over_what_it_committed() {
    let world = World::corpus(2, 4);
    planned(&world, "many", &BARE);
    assert_eq!(worker(&world, "0-1").code, Some(0));
    let first = committed(&world, 0);
    // Killed while it cleaned up, and before the routing database was renamed.
    let work = world.path("many-sharded/p/.build");
    fs::create_dir_all(work.join("tasks")).expect("made");
    fs::create_dir_all(work.join("segments")).expect("made");
    fs::write(work.join("tasks/0.json"), "{}").expect("written");
    let main = world.path("many-sharded/p/main.genome.db");
    let attempt = world.path("many-sharded/p/main.genome.db.tmp-7-0");
    fs::copy(&main, &attempt).expect("copied");
    assert_same(&first, &committed(&world, 0));
    assert!(!work.join("tasks").exists() && !work.join("segments").exists());
    assert!(!attempt.exists());
    world.verified("many-sharded/p");
    // A build with nothing to do removes such a file as well.
    fs::copy(&main, &attempt).expect("copied");
    let shard = world.path("many-sharded/p/shards/root0.genome.db");
    let own = fs::read(&shard).expect("reads");
    for other in ["root1", "nothing"] {
        match other {
            "nothing" => fs::remove_file(&shard).expect("removed"),
            other => {
                let other = world.path(&format!("many-sharded/p/shards/{other}.genome.db"));
                fs::copy(other, &shard).expect("copied");
            }
        }
        let ran = on_plan(&world, "commit", &[]);
        assert_eq!(ran.code, Some(66), "{other}: {ran:?}");
        assert!(ran.stderr.contains("root0"), "{ran:?}");
    }
    fs::write(&shard, own).expect("written");
    world.build("many", &[]);
    assert!(!attempt.exists());
}

/// What a commit would not take is done again by its task.
#[test]
fn a_damaged_segment_is_missing_and_done_again() {
    let world = World::corpus(2, 4);
    planned(&world, "many", &BARE);
    assert_eq!(worker(&world, "0-1").code, Some(0));
    let segments = world.path("many-sharded/p/.build/segments");
    let file = files_below(&segments)
        .into_iter()
        .next()
        .expect("a segment");
    let file = segments.join(file);
    let mut bytes = fs::read(&file).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("written");
    assert_eq!(on_plan(&world, "commit", &[]).code, Some(66));
    let lost = missing(&world, &[]);
    assert!(["0", "1"].contains(&lost.as_str()), "{lost}");
    assert_eq!(worker(&world, &lost).code, Some(0));
    assert_eq!(missing(&world, &[]), "");
    committed(&world, 0);
    world.verified("many-sharded/p");
}

/// A database of another program in the place of a shard stays.
#[test]
fn a_commit_refuses_what_is_not_ours() {
    let world = World::corpus(2, 4);
    planned(&world, "many", &BARE);
    assert_eq!(worker(&world, "0-1").code, Some(0));
    let shard = world.path("many-sharded/p/shards/root0.genome.db");
    fs::create_dir_all(shard.parent().expect("a folder")).expect("made");
    let foreign = rusqlite::Connection::open(&shard).expect("opens");
    foreign
        .execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')")
        .expect("written");
    drop(foreign);
    let ran = on_plan(&world, "commit", &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!ran.stderr.contains("to resume"), "{ran:?}");
    let foreign = rusqlite::Connection::open(&shard).expect("opens");
    let mine = foreign.query_row("SELECT text FROM notes", [], |row| row.get::<_, String>(0));
    assert_eq!(mine.as_deref(), Ok("mine"));
}

/// A build on one machine goes on with the segments of the tasks, and ends the plan.
#[test]
fn one_machine_can_take_over() {
    let world = World::corpus(3, 5);
    planned(&world, "many", &BARE);
    assert_eq!(worker(&world, "1").code, Some(0));
    let summary = world.build("many", &[]);
    assert!(summary["resumed_chunks"].as_u64() > Some(0), "{summary}");
    assert_same(&summary, &world.build("fresh", &[]));
    assert_eq!(worker(&world, "2").code, Some(10));
}

/// A published shard that was damaged on its way is published again; `--quick` looks at its size alone.
#[test]
fn a_commit_reads_published_shards() {
    let world = World::corpus(2, 5);
    planned(&world, "many", &BARE);
    assert_eq!(worker(&world, "0-1").code, Some(0));
    assert_eq!(on_plan(&world, "publish", &["--shard", "0"]).code, Some(0));
    let shard = &world.path("many-sharded/p/.build/tasks/shard-0.db");
    let mut bytes = fs::read(shard).expect("reads");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(shard, bytes).expect("written");
    let summary = committed(&world, 0);
    assert_same(&summary, &world.build("fresh", &[]));
    world.verified("many-sharded/p");
}

/// Servers see an earlier index until the commit, whole; then it is as the profile says.
#[test]
fn an_earlier_index_stays_until_the_commit() {
    let world = World::corpus(3, 5);
    world.build("many", &[]);
    let snapshot = || {
        let folder = world.path("many-sharded/p");
        let mut files = files_below(&folder);
        files.retain(|name| !name.starts_with(".build/"));
        let read = |name: String| (fs::read(folder.join(&name)).expect("reads"), name);
        files.into_iter().map(read).collect::<Vec<_>>()
    };
    let before = snapshot();
    assert_eq!(before.len(), 4);
    world.profile(&["root0", "root1"]);
    changed(&world.path("root1/dir0/file0.rs"));
    planned(&world, "many", &BARE);
    assert_eq!(worker(&world, "0").code, Some(0));
    let ran = on_plan(&world, "publish", &["--shard", "0"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(snapshot() == before);
    let summary = committed(&world, 0);
    assert_eq!(summary["deleted"], serde_json::json!(["root2"]));
    assert_same(&summary, &world.build("fresh", &[]));
    world.verified("many-sharded/p");
    assert_eq!(snapshot().len(), 3);
}

/// Segments that are done when a plan is made are noted then, and nobody has to do or read them again.
#[test]
fn a_new_plan_keeps_what_is_done() {
    let world = World::corpus(2, 5);
    let plan = planned(&world, "many", &BARE);
    assert_eq!(worker(&world, "0-1").code, Some(0));
    // The files of one root have the same names, but one is another.
    let root = plan["shards"][0].as_str().expect("a label");
    changed(&world.path(&format!("{root}/dir0/file0.rs")));
    planned(&world, "many", &BARE);
    let listed = missing(&world, &[]);
    assert_eq!(listed.len(), 1, "{listed}");
    let done = if listed == "0" { "1" } else { "0" };
    let note = world.path(&format!("many-sharded/p/.build/tasks/{done}.json"));
    let text = fs::read_to_string(note).expect("noted");
    assert!(text.contains("\"state\":\"done\""), "{text}");
    assert_eq!(worker(&world, &listed).code, Some(0));
    assert_same(&committed(&world, 0), &world.build("fresh", &[]));
}
