//! Equal input gives equal output: byte by byte with a fixed date, row by row without.

use crate::world::{BARE, Dice, Ran, World, count, files_below, finish};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The rows of a finished database; nothing appears beside it.
pub fn query(path: &Path, sql: &str) -> Vec<Vec<Value>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", path.display());
    let conn = Connection::open_with_flags(uri, flags).expect("opens");
    let mut statement = conn.prepare(sql).expect(sql);
    let n_columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..n_columns).map(|n| row.get(n)).collect());
    rows.expect(sql).collect::<Result<_, _>>().expect(sql)
}

/// A table: names of its columns, and its rows in their order.
#[derive(Debug, PartialEq)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

/// Everything that a database holds: all tables, those of the full-text index and the schema included.
fn dump(path: &Path) -> BTreeMap<String, Table> {
    let names = query(path, "SELECT name FROM sqlite_schema WHERE type = 'table'");
    let mut tables = BTreeMap::new();
    for name in names
        .iter()
        .map(|row| text(&row[0]))
        .chain(["sqlite_schema"])
    {
        let columns = query(
            path,
            &format!("SELECT name FROM pragma_table_info('{name}')"),
        );
        let columns = columns.iter().map(|row| text(&row[0]).to_owned()).collect();
        let rows = query(path, &format!("SELECT * FROM {name}"));
        tables.insert(name.to_owned(), Table { columns, rows });
    }
    assert!(tables.len() > 5, "{}: {tables:?}", path.display());
    tables
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        other => panic!("{other:?} is not text"),
    }
}

/// A routing database without what depends on which shard was finished first: the order of rows of
/// different shards, and on which pages tables begin.
fn dump_routing(path: &Path) -> BTreeMap<String, Table> {
    let mut tables = dump(path);
    tables.remove("sqlite_schema");
    for table in tables.values_mut() {
        table.rows.sort_by_cached_key(|row| format!("{row:?}"));
    }
    tables
}

/// Flags of a build of `p.toml` into `o`.
const BUILD: [&str; 5] = ["--profile", "p.toml", "--out-dir", "o", "--json"];

fn dated(world: &World, flags: &[&str]) -> Command {
    let mut command = world.command(&[&BUILD[..], flags].concat());
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

fn built(world: &World, flags: &[&str]) -> Ran {
    finish(dated(world, flags).spawn().expect("starts"))
}

/// The files of an output that must be equal to the byte: all but locks and the routing database.
fn bytes_of(world: &World, out: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = world.path(out);
    files_below(&folder)
        .into_iter()
        .filter(|name| !name.ends_with("lock") && !name.ends_with("main.genome.db"))
        .map(|name| {
            let bytes = fs::read(folder.join(&name)).expect("reads");
            (name, bytes)
        })
        .collect()
}

fn assert_same(
    expected: &BTreeMap<String, Vec<u8>>,
    found: &BTreeMap<String, Vec<u8>>,
    context: &str,
) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(expected), names(found), "{context}");
    for (name, bytes) in expected {
        let other = &found[name];
        let differs = bytes.iter().zip(other).position(|(a, b)| a != b);
        assert_eq!(
            (differs, bytes.len()),
            (None, other.len()),
            "{context}: {name} differs first at the byte given"
        );
    }
}

/// Where an interrupted build is held; the subject of the last ones is a shard's path.
const POINTS: [&str; 7] = [
    "worker::prepare",
    "sink::commit",
    "sink::committed",
    "publish::index",
    "publish::rename",
    "publish::renamed",
    "publish::registered",
];

/// Starts a build and stops it, by SIGTERM or for good, when it comes to `point`.
fn stopped(world: &World, flags: &[&str], point: &str, signal: &str) -> Ran {
    let gate = world.path("gate");
    let mut command = dated(world, flags);
    command.env(
        "FAILPOINTS",
        format!("{point}=return(wait={})", gate.display()),
    );
    let mut child = command.spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(120);
    while !gate.exists() {
        let ended = child.try_wait().expect("a child").is_some();
        if ended || Instant::now() > deadline {
            let _ = child.kill();
            panic!("{point} was not reached: {:?}", finish(child));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    stop(&mut child, signal);
    // Whoever is held, or comes there now, goes on until it notices.
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) || gate.exists() {
                let _ = fs::remove_file(&gate);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ran = finish(child);
        ended.store(true, Ordering::Relaxed);
        ran
    })
}

#[cfg(unix)]
fn stop(child: &mut Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[cfg(not(unix))]
fn stop(child: &mut Child, _: &str) {
    child.kill().expect("killed");
}

/// Keeps `threads` cores busy while `work` runs.
fn under_load<T>(threads: u64, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut dice = Dice(1);
                while !done.load(Ordering::Relaxed) {
                    std::hint::black_box(dice.roll(1000));
                }
            });
        }
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// One kind of build: its flags and its corpus.
struct Kind {
    name: &'static str,
    flags: &'static [&'static str],
    out: &'static str,
    roots: usize,
    files: usize,
    large: bool,
    /// In the short form.
    rounds: u32,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "shards",
        flags: &BARE,
        out: "o-sharded",
        roots: 3,
        files: 16,
        large: true,
        rounds: 1,
    },
    Kind {
        name: "shards with vectors",
        flags: &[],
        out: "o-sharded",
        roots: 2,
        files: 12,
        large: false,
        rounds: 1,
    },
    Kind {
        name: "blob",
        flags: &["--mode", "blob", BARE[0], BARE[1], BARE[2], BARE[3]],
        out: "o",
        roots: 3,
        files: 16,
        large: true,
        rounds: 1,
    },
    Kind {
        name: "blob with vectors",
        flags: &["--mode", "blob"],
        out: "o",
        roots: 2,
        files: 12,
        large: false,
        rounds: 1,
    },
];

#[test]
fn builds_in_a_row_have_the_same_bytes() {
    let (mut dice, seed) = Dice::seeded(20_261_120);
    for kind in KINDS {
        let world = World::corpus(kind.roots, kind.files);
        if kind.large {
            // More than one segment, and so more than one order in which they can be done.
            for n in 0..20 {
                let line =
                    |l: usize| format!("Paragraph {l} of {n} speaks of gadget{}.\n\n", l * n);
                let text: String = (0..1_600).map(line).collect();
                world.write(&format!("root0/big/file{n}.md"), text);
            }
            let plan = world.run(&["plan", "--profile", "p.toml", "--json"]);
            assert!(plan.last_line()["segments"].as_u64() > Some(3), "{plan:?}");
        }
        let ran = built(&world, kind.flags);
        let first = ran.summary();
        let expected = bytes_of(&world, kind.out);
        let routing = world.path("o-sharded/p/main.genome.db");
        let expected_routing = routing.exists().then(|| dump_routing(&routing));
        for round in 0..count(kind.rounds, 20) {
            let _ = fs::remove_dir_all(world.path(kind.out));
            let (workers, file_workers) = (1 + dice.roll(3), 1 + dice.roll(4));
            // The other tests are load enough for the short form.
            let busy = u64::from(count(0, 1)) * dice.roll(2);
            let (workers, file_workers) = (workers.to_string(), file_workers.to_string());
            let mut flags = kind.flags.to_vec();
            flags.extend([
                "--shard-workers",
                &workers,
                "--shard-file-workers",
                &file_workers,
            ]);
            if dice.roll(3) == 0 {
                flags.push("--no-shard-sort");
            }
            let mut story = Vec::new();
            under_load(busy, || {
                for _ in 0..dice.roll(3) {
                    // A blob has no registration to be stopped at.
                    let n_points = if kind.out == "o" { 6 } else { 7 };
                    let point = POINTS[dice.roll(n_points) as usize];
                    let signal = ["KILL", "TERM"][dice.roll(2) as usize];
                    story.push((point, signal));
                    let _ = fs::remove_dir_all(world.path(kind.out)).err();
                    let ran = stopped(&world, &flags, point, signal);
                    story_holds(&ran, signal);
                }
                built(&world, &flags).summary();
            });
            let context = format!(
                "seed {seed}, {}, round {round}, {flags:?}, {busy} busy thread, stopped at {story:?}",
                kind.name
            );
            let order = flags.contains(&"--no-shard-sort");
            let found = bytes_of(&world, kind.out);
            if order {
                assert_same(
                    &without_manifest(&expected),
                    &without_manifest(&found),
                    &context,
                );
            } else {
                assert_same(&expected, &found, &context);
            }
            if let Some(expected) = &expected_routing {
                assert!(
                    *expected == dump_routing(&routing),
                    "{context}: routing differs"
                );
            }
        }
        assert!(first["files"].as_u64() > Some(20), "{first}");
    }
}

fn story_holds(ran: &Ran, signal: &str) {
    match signal {
        // There are no signals: every one is a kill, whose code is like others.
        _ if cfg!(windows) => assert_eq!(ran.code, Some(1), "{ran:?}"),
        "KILL" => assert_eq!(ran.code, None, "{ran:?}"),
        _ => assert!(matches!(ran.code, Some(75 | 0)), "{ran:?}"),
    }
}

/// The manifest lists shards in the order in which they are built, and `--no-shard-sort` changes that.
fn without_manifest(files: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let mut files = files.clone();
    files.remove("manifest.json").expect("a manifest");
    files
}

#[test]
fn an_index_brought_up_to_date_has_the_bytes_of_a_fresh_one() {
    for kind in KINDS {
        let world = World::corpus(kind.roots, kind.files);
        built(&world, kind.flags).summary();
        world.write(
            "root1/new.md",
            "# New\n\nA text that was not there before, of some length.\n",
        );
        fs::remove_file(world.path("root0/dir1/file1.py")).expect("removed");
        built(&world, kind.flags).summary();
        let updated = bytes_of(&world, kind.out);
        fs::remove_dir_all(world.path(kind.out)).expect("removed");
        built(&world, kind.flags).summary();
        assert_same(&bytes_of(&world, kind.out), &updated, kind.name);
    }
}

/// What docs/format.md lists in the paragraph that begins with `**title**`: everything in backticks
/// that looks like `table.column`.
fn documented(title: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md");
    let page = fs::read_to_string(path).expect("the documentation");
    let start = page.find(&format!("**{title}**")).expect("the paragraph");
    let paragraph = page[start..].split("\n\n").next().expect("its text");
    let quoted = paragraph.split('`').skip(1).step_by(2);
    let columns: BTreeSet<_> = quoted
        .filter(|name| name.contains('.'))
        .map(str::to_owned)
        .collect();
    assert!(columns.len() > 3, "{paragraph}");
    columns
}

/// The columns in which two dumps of equal shape differ.
fn differing(a: &BTreeMap<String, Table>, b: &BTreeMap<String, Table>) -> BTreeSet<String> {
    let mut differing = BTreeSet::new();
    assert!(a.keys().eq(b.keys()));
    for (name, table) in a {
        let other = &b[name];
        assert_eq!(table.columns, other.columns, "{name}");
        assert_eq!(table.rows.len(), other.rows.len(), "{name}");
        for (row, other) in table.rows.iter().zip(&other.rows) {
            for (n, column) in table.columns.iter().enumerate() {
                if row[n] != other[n] {
                    differing.insert(format!("{name}.{column}"));
                }
            }
        }
    }
    differing
}

/// Takes the build's time out of the columns that hold more than that.
fn without_time(tables: &mut BTreeMap<String, Table>) {
    let parse =
        |value: &Value| serde_json::from_str::<serde_json::Value>(text(value)).expect("JSON");
    for (name, table) in tables {
        for row in &mut table.rows {
            for (n, column) in table.columns.iter().enumerate() {
                match (name.as_str(), column.as_str()) {
                    ("genes", "epigenetics") => {
                        let mut json = parse(&row[n]);
                        let json = json.as_object_mut().expect("an object");
                        assert_eq!(json.remove("created_at"), json.remove("last_accessed"));
                        row[n] = Value::Text(format!("{json:?}"));
                    }
                    ("shards", "metadata") => {
                        let mut json = parse(&row[n]);
                        let build = json["build"].as_object_mut().expect("an object");
                        assert!(build.remove("file_blake3").is_some());
                        row[n] = Value::Text(json.to_string());
                    }
                    ("build_meta", "value") if row[0] == Value::Text("epoch".into()) => {
                        row[n] = Value::Null;
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn without_a_fixed_time_the_documented_columns_differ_and_no_others() {
    let world = World::corpus(2, 25);
    let dumps = |out: &str| {
        world.encoded_build(out).run().summary();
        let folder = world.path(&format!("{out}-sharded/p"));
        let mut all = vec![dump_routing(&folder.join("main.genome.db"))];
        for root in ["root0", "root1"] {
            all.push(dump(&folder.join(format!("shards/{root}.genome.db"))));
        }
        all
    };
    // The paths of the shards would differ with the name of the output.
    let first = dumps("o");
    fs::rename(world.path("o-sharded"), world.path("first-sharded")).expect("renamed");
    // Times are in whole seconds.
    let seconds = || {
        let since = SystemTime::UNIX_EPOCH.elapsed();
        since.expect("later").as_secs()
    };
    let end = seconds();
    while seconds() == end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = dumps("o");
    let mut times = BTreeSet::new();
    for (mut a, mut b) in first.into_iter().zip(second) {
        times.append(&mut differing(&a, &b));
        without_time(&mut a);
        without_time(&mut b);
        for column in differing(&a, &b) {
            let (_, name) = column.split_once('.').expect("table and column");
            assert!(
                name.ends_with("_at") || ["last_seen", "at_utc"].contains(&name),
                "{column} holds more than the time"
            );
        }
    }
    assert_eq!(times, documented("Times of the build"));
    // The manifests, but for these.
    let manifest = |out: &str| {
        let text = fs::read_to_string(world.path(out).join("manifest.json")).expect("a manifest");
        let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let target = json["targets"]["p-sharded"]
            .as_object_mut()
            .expect("a target");
        assert!(target.remove("built_at").is_some() && target.remove("run").is_some());
        assert!(target.remove("routing_blake3").is_some());
        for shard in target["shards"].as_array_mut().expect("shards") {
            assert!(
                shard
                    .as_object_mut()
                    .expect("a shard")
                    .remove("file_blake3")
                    .is_some()
            );
        }
        // Of the text with all of these.
        let object = json.as_object_mut().expect("an object");
        assert!(object.remove("blake3").is_some());
        json
    };
    assert_eq!(manifest("first-sharded"), manifest("o-sharded"));
}

#[test]
fn a_tree_elsewhere_differs_in_its_absolute_paths_alone() {
    let here = World::corpus(2, 25);
    let there = World::new();
    for name in files_below(&here.path("")) {
        let path = format!("further/down/{name}");
        there.write(&path, fs::read(here.path(&name)).expect("reads"));
        let time = fs::metadata(here.path(&name))
            .and_then(|m| m.modified())
            .expect("time");
        let file = fs::File::options()
            .write(true)
            .open(there.path(&path))
            .expect("opens");
        file.set_modified(time).expect("set");
    }
    let ran = |world: &World, profile: &str| {
        let mut command = world.helix().profile(profile).out("o").json().command();
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        finish(command.spawn().expect("starts")).summary()
    };
    let first = ran(&here, "p.toml");
    let second = ran(&there, "further/down/p.toml");
    assert_eq!(first["digest"], second["digest"]);
    let mut places = BTreeSet::new();
    for name in ["main", "shards/root0", "shards/root1"] {
        let dumped = |world: &World| {
            let path = world.path(&format!("o-sharded/p/{name}.genome.db"));
            match name {
                "main" => dump_routing(&path),
                _ => dump(&path),
            }
        };
        let (mut a, mut b) = (dumped(&here), dumped(&there));
        // The words of paths are indexed, so the index over them differs as a whole; and so does where
        // pages begin.
        let derived = |table: &str| {
            table.starts_with("genes_fts") && table != "genes_fts" || table == "sqlite_schema"
        };
        a.retain(|table, _| !derived(table));
        b.retain(|table, _| !derived(table));
        places.append(&mut differing(&a, &b));
    }
    let mut documented = documented("Absolute paths");
    // Longer paths take more pages, or just fit.
    documented.remove("shards.byte_size");
    places.remove("shards.byte_size");
    assert_eq!(places, documented);
}
