//! Builds never change files and registrations of other programs, and report obstacles before any work.

use crate::world::{Ran, World, make_fifo};
use std::fs;
use std::path::Path;

/// A file's bytes under the name of another.
fn copy(world: &World, from: &str, to: &str) {
    fs::copy(world.path(from), world.path(to)).expect("copied");
}

fn sql(world: &World, database: &str, text: &str) {
    let conn = rusqlite::Connection::open(world.path(database)).expect("opened");
    conn.execute_batch(text).expect("run");
}

fn count(world: &World, database: &str, text: &str) -> i64 {
    let conn = rusqlite::Connection::open(world.path(database)).expect("opened");
    conn.query_row(text, [], |row| row.get(0)).expect("counted")
}

fn run(world: &World, flags: &[&str]) -> Ran {
    world.bare_build("o").args(flags).run()
}

/// Runs a build that must be refused with this code, and whose error must hold these texts.
fn refused(world: &World, flags: &[&str], code: i32, texts: &[&str]) {
    let ran = run(world, flags);
    assert_eq!(ran.code, Some(code), "{flags:?}: {ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    }
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
}

#[test]
fn files_and_registrations_of_others_stay() {
    let world = World::corpus(3, 5);
    world.build("o", &[]);
    let shards = "o-sharded/p/shards";
    let at = |name: &str| format!("{shards}/{name}.genome.db");
    // A copy that the user keeps, a text, another program's database, and a shard that a tool registered.
    for name in ["root0-before", "team-notes"] {
        copy(&world, &at("root0"), &at(name));
    }
    world.write(&at("notes"), "mine");
    sql(&world, &at("customers"), "CREATE TABLE customers (name)");
    world.write(&format!("{shards}/x.genome.db.tmp-1-1/kept"), "a folder");
    fs::remove_file(world.path("root0/dir0/file0.rs")).expect("removed");
    let routing = "o-sharded/p/main.genome.db";
    sql(
        &world,
        routing,
        "INSERT INTO shards (shard_name, category, path, created_at, updated_at, gene_count, byte_size, health)
         VALUES ('team-notes', 'participant', '/there/team-notes.genome.db', 1, 1, 1, 1, 'ok')",
    );
    // A tool that copies what we note, too.
    let copied = world.path(&at("root0-before"));
    let text = format!(
        "INSERT INTO shards SELECT 'root0-before', category, '{}', 1, 1, gene_count, byte_size, health, metadata
         FROM shards WHERE shard_name = 'root0'",
        copied.display()
    );
    sql(&world, routing, &text);
    // One of the roots leaves the profile: its shard goes, and nothing else.
    world.profile(&["root0", "root1"]);
    for _ in 0..2 {
        world.build("o", &[]);
        for name in ["root0", "root0-before", "team-notes", "notes", "customers"] {
            assert!(world.path(&at(name)).exists(), "{name}");
        }
        assert!(!world.path(&at("root2")).exists());
        assert!(
            world
                .path(&format!("{shards}/x.genome.db.tmp-1-1/kept"))
                .exists()
        );
        let rows = count(&world, routing, "SELECT count(*) FROM shards");
        assert_eq!(rows, 4);
        let theirs =
            "SELECT count(*) FROM shards WHERE shard_name = 'team-notes' AND metadata IS NULL";
        assert_eq!(count(&world, routing, theirs), 1);
    }
}

#[test]
fn a_shard_of_elsewhere_stays() {
    let world = World::corpus(2, 5);
    world.profile(&["root0"]);
    world.build("o", &[]);
    world.profile(&["root1"]);
    world.build("n", &[]);
    copy(
        &world,
        "n-sharded/p/shards/root1.genome.db",
        "o-sharded/p/shards/root1.genome.db",
    );
    world.profile(&["root0"]);
    world.build("o", &[]);
    assert!(world.path("o-sharded/p/shards/root1.genome.db").exists());
}

#[test]
fn copies_and_texts_beside_the_shards_are_no_fault() {
    let world = World::corpus(1, 5);
    world.build("o", &[]);
    let shards = "o-sharded/p/shards";
    copy(
        &world,
        &format!("{shards}/root0.genome.db"),
        &format!("{shards}/root0-before.genome.db"),
    );
    world.write(&format!("{shards}/notes.genome.db"), "mine");
    world.verified("o-sharded/p");
}

#[test]
fn another_programs_files_are_not_replaced() {
    let database = "CREATE TABLE customers (name); INSERT INTO customers VALUES ('only copy')";
    let customers = "SELECT count(*) FROM customers";
    // A blob, a shard, a routing database.
    let sharded = &[][..];
    for (place, flags) in [
        ("o/p.db", &["--mode", "blob"][..]),
        ("o-sharded/p/shards/root0.genome.db", sharded),
        ("o-sharded/p/main.genome.db", sharded),
    ] {
        for rebuild in [&[][..], &["--rebuild"]] {
            let world = World::corpus(1, 3);
            world.write(place, "");
            sql(&world, place, database);
            let flags = [flags, rebuild].concat();
            refused(
                &world,
                &flags,
                2,
                &[place, "another program's database", "--out-dir"],
            );
            assert_eq!(count(&world, place, customers), 1, "{place}");
        }
    }
    for (place, flags) in [
        ("o/p.db", &["--mode", "blob"][..]),
        ("o/manifest.json", &["--mode", "blob"]),
        ("o-sharded/manifest.json", sharded),
        ("o-sharded/p/shards/root0.genome.db", sharded),
    ] {
        let world = World::corpus(1, 3);
        world.write(place, "{\"name\": \"an app of ours\", \"blake3\": \"x\"}");
        let before = fs::read(world.path(place)).expect("reads");
        refused(&world, flags, 2, &[place, "--out-dir"]);
        assert_eq!(fs::read(world.path(place)).expect("reads"), before);
    }
}

#[test]
fn a_registration_of_another_tool_is_not_replaced() {
    let world = World::corpus(2, 3);
    world.profile(&["root0"]);
    world.build("o", &[]);
    sql(
        &world,
        "o-sharded/p/main.genome.db",
        "INSERT INTO shards (shard_name, category, path, created_at, updated_at, gene_count, byte_size, health)
         VALUES ('root1', 'participant', '/there/root1.genome.db', 1, 1, 1, 1, 'ok')",
    );
    world.profile(&["root0", "root1"]);
    refused(
        &world,
        &[],
        2,
        &["root1", "another program registered", "label"],
    );
}

#[test]
fn a_database_of_another_version_is_not_replaced_silently() {
    for (mode, place) in [
        ("sharded", "o-sharded/p/shards/root0.genome.db"),
        ("blob", "o/p.db"),
    ] {
        let world = World::corpus(1, 3);
        world.build("o", &["--mode", mode]);
        sql(
            &world,
            place,
            "UPDATE build_meta SET value = 99 WHERE key = 'format'",
        );
        let flags = ["--mode", mode];
        refused(&world, &flags, 12, &[place, "format 99", "--rebuild"]);
        world.build("o", &["--mode", mode, "--rebuild"]);
        world.verified(if mode == "blob" {
            "o/p.db"
        } else {
            "o-sharded/p"
        });
    }
}

#[test]
fn a_damaged_shard_of_ours_is_built_again() {
    let world = World::corpus(2, 5);
    let first = world.build("o", &[]);
    for (place, bytes) in [("root0", &b"garbage"[..]), ("root1", b"")] {
        world.write(&format!("o-sharded/p/shards/{place}.genome.db"), bytes);
    }
    let again = world.build("o", &[]);
    assert_eq!(again["digest"], first["digest"]);
    world.build("o", &["--mode", "blob"]);
    world.write("o/p.db", "garbage");
    world.build("o", &["--mode", "blob"]);
    world.verified("o/p.db");
}

/// A folder, and a FIFO where there are some, in place of everything that a build writes.
#[test]
fn obstacles_are_reported_before_any_work() {
    let places = [
        ("p/.build/lock", "sharded"),
        ("p/.build/output.json", "sharded"),
        ("p/.build/rebuild", "sharded"),
        ("p/.build/change-times", "sharded"),
        ("p/.build/segments/a.seg", "sharded"),
        ("p/main.genome.db", "sharded"),
        ("p/main.genome.db-wal", "sharded"),
        ("p/shards/root0.genome.db", "sharded"),
        ("p/shards/root0.genome.db-wal", "sharded"),
        ("manifest.json", "sharded"),
        (".manifest.lock", "sharded"),
        (".manifest.json.tmp", "sharded"),
        (".p.build/lock", "blob"),
        ("p.db", "blob"),
        ("p.db-journal", "blob"),
        ("manifest.json", "blob"),
    ];
    for (place, mode) in places {
        for fifo in [false, true] {
            let world = World::corpus(1, 3);
            let base = if mode == "blob" { "o" } else { "o-sharded" };
            let path = world.path(base).join(place);
            fs::create_dir_all(path.parent().expect("below")).expect("folders");
            match fifo {
                false => fs::create_dir(&path).expect("made"),
                true if cfg!(unix) => make_fifo(&path),
                true => continue,
            }
            let name = Path::new(place)
                .file_name()
                .expect("named")
                .to_string_lossy();
            refused(
                &world,
                &["--mode", mode, "--rebuild"],
                2,
                &[&name, "move it away"],
            );
            assert!(path.symlink_metadata().is_ok(), "{place} is gone");
        }
    }
    if cfg!(unix) {
        let world = World::corpus(1, 3);
        make_fifo(&world.path("o"));
        refused(&world, &[], 2, &["a FIFO where the build needs a folder"]);
    }
    // A file where a folder is needed.
    for place in ["p/.build", "p/.build/segments", "p/shards", "p", ""] {
        let world = World::corpus(1, 3);
        let place = format!("o-sharded/{place}");
        world.write(place.trim_end_matches('/'), "text");
        refused(&world, &[], 2, &[place.trim_end_matches('/'), "a folder"]);
    }
}

#[test]
fn a_folder_of_segments_with_something_else_in_it_is_not_emptied() {
    let world = World::corpus(1, 3);
    let notes = "o-sharded/p/.build/segments/notes.txt";
    world.write(notes, "mine");
    for flags in [&[][..], &["--rebuild"]] {
        refused(&world, flags, 2, &["notes.txt", "move it away"]);
    }
    assert!(world.path(notes).exists());
}

#[test]
fn names_of_profiles_that_collide_with_ours_are_refused() {
    for (name, mode) in [
        ("manifest.json", "sharded"),
        ("Manifest.JSON", "sharded"),
        (".manifest.lock", "sharded"),
        (".manifest.json.tmp", "sharded"),
        ("main.genome", "blob"),
        ("x.genome", "blob"),
    ] {
        let world = World::corpus(1, 3);
        let file = format!("{name}.toml");
        world.write(&file, "roots = ['root0']\n");
        let ran = world
            .helix()
            .profile(&file)
            .out("o")
            .args(["--mode", mode])
            .bare()
            .run();
        assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
        assert!(ran.stderr.contains("rename the profile"), "{ran:?}");
        assert!(!world.path("o").exists() && !world.path("o-sharded").exists());
    }
}

#[test]
fn of_several_profiles_none_is_built_when_one_is_refused() {
    let world = World::corpus(1, 3);
    world.write("profiles/one.toml", "roots = ['../root0']\n");
    world.write("profiles/two.toml", "roots = ['../root0']\n");
    world.write("o-sharded/two/shards", "a file");
    let ran = world.helix().profile("one,two").out("o").bare().run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!world.path("o-sharded/one").exists());
}

#[test]
fn two_profiles_of_one_name_do_not_share_an_output() {
    for mode in ["sharded", "blob"] {
        let world = World::corpus(2, 3);
        world.write("d1/x.toml", "roots = ['../root0']\n");
        world.write("d2/x.toml", "roots = ['../root1']\n");
        let run = |profile: &str, flags: &[&str]| {
            world
                .helix()
                .profile(profile)
                .out("o")
                .args(["--mode", mode])
                .json()
                .bare()
                .args(flags)
                .run()
        };
        let first = run("d1/x.toml", &[]).summary();
        let ran = run("d2/x.toml", &[]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        for text in ["d1/x.toml", "d2/x.toml", "--take-over", "--out-dir"] {
            assert!(
                ran.stderr
                    .contains(&text.replace('/', std::path::MAIN_SEPARATOR_STR)),
                "{text}: {ran:?}"
            );
        }
        // By another way to the same file, and where the folder of both was moved.
        fs::create_dir_all(world.path("d1/deep")).expect("made");
        assert_eq!(
            run("d1/deep/../x.toml", &[]).summary()["digest"],
            first["digest"]
        );
        let taken = run("d2/x.toml", &["--take-over"]).summary();
        assert_ne!(taken["digest"], first["digest"]);
        assert_eq!(run("d1/x.toml", &[]).code, Some(2));
        // That a file is away proves nothing.
        fs::remove_file(world.path("d2/x.toml")).expect("removed");
        let ran = run("d1/x.toml", &[]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("--take-over"), "{ran:?}");
        let back = run("d1/x.toml", &["--take-over"]).summary();
        assert_eq!(back["digest"], first["digest"]);
        assert_eq!(run("d1/x.toml", &[]).summary()["digest"], first["digest"]);
    }
}

#[test]
fn a_project_that_was_copied_or_moved_with_its_output_is_the_same() {
    let world = World::corpus(1, 3);
    world.write("here/p.toml", "roots = ['../root0']\n");
    let run = |folder: &str| {
        let (profile, out) = (format!("{folder}/p.toml"), format!("{folder}/o"));
        world
            .helix()
            .profile(&profile)
            .out(&out)
            .json()
            .bare()
            .run()
            .summary()
    };
    run("here");
    fs::rename(world.path("here"), world.path("there")).expect("moved");
    assert_eq!(run("there")["unchanged_shards"], 1);
    // The old name exists again, with another profile.
    world.write("here/p.toml", "roots = ['../root0']\n");
    assert_eq!(run("there")["unchanged_shards"], 1);
}

/// A build takes hours; what somebody puts in its way meanwhile is theirs.
#[cfg(target_os = "linux")]
#[test]
fn files_created_during_a_build_are_not_replaced() {
    for (mode, place, point) in [
        (
            "sharded",
            "o-sharded/p/shards/root0.genome.db",
            "worker::encode",
        ),
        ("blob", "o/p.db", "worker::encode"),
        ("sharded", "o-sharded/manifest.json", "build::conclude"),
    ] {
        let world = World::corpus(1, 3);
        let arguments = crate::running_build::arguments("o", false, &["--mode", mode]);
        let failpoint = format!("{point}=return(hold)");
        let mut live = crate::running_build::RunningBuild::start(&world, &arguments, &failpoint);
        live.wait_held().expect("is reached");
        world.write(place, "{\"only\": \"copy\"}");
        live.go();
        let (ran, _) = live.finish();
        assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
        assert!(ran.stderr.contains(place), "{ran:?}");
        let text = fs::read_to_string(world.path(place)).expect("reads");
        assert_eq!(text, "{\"only\": \"copy\"}");
        // Out of the way, it goes on.
        fs::remove_file(world.path(place)).expect("removed");
        world.build("o", &["--mode", mode]);
        world.verified(if mode == "blob" {
            "o/p.db"
        } else {
            "o-sharded/p"
        });
    }
}

/// What a database of somebody else left beside a place of ours: the log may hold all that was written lately.
#[test]
fn logs_without_their_database_are_not_deleted() {
    for (place, mode) in [
        ("o-sharded/p/main.genome.db", "sharded"),
        ("o-sharded/p/shards/root0.genome.db", "sharded"),
        ("o/p.db", "blob"),
    ] {
        // Nothing was built before; the database of ours was moved away; it is empty.
        for state in ["new", "moved", "empty"] {
            let world = World::corpus(1, 3);
            if state != "new" {
                world.build("o", &["--mode", mode]);
                fs::remove_file(world.path(place)).expect("moved");
            }
            if state == "empty" && place.ends_with("main.genome.db") {
                world.write(place, "");
            }
            let logs = ["-wal", "-shm", "-journal"].map(|suffix| format!("{place}{suffix}"));
            for log in &logs {
                world.write(log, "the only copy");
                for flags in [&["--mode", mode][..], &["--mode", mode, "--rebuild"]] {
                    refused(&world, flags, 2, &[log, "move it away"]);
                    let text = fs::read_to_string(world.path(log)).expect("reads");
                    assert_eq!(text, "the only copy");
                }
                fs::remove_file(world.path(log)).expect("removed");
            }
            for log in &logs {
                world.write(log, "");
            }
            world.build("o", &["--mode", mode]);
        }
    }
}

#[test]
fn a_live_database_of_another_program_is_named_with_its_log() {
    let world = World::corpus(1, 3);
    world.write("o/p.db", "");
    let conn = rusqlite::Connection::open(world.path("o/p.db")).expect("opened");
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
         CREATE TABLE customers (name); INSERT INTO customers VALUES ('only copy')",
    )
    .expect("written");
    let log = fs::read(world.path("o/p.db-wal")).expect("a log");
    let texts = ["another program's database", "with its -wal and -shm"];
    refused(&world, &["--mode", "blob"], 2, &texts);
    assert_eq!(fs::read(world.path("o/p.db-wal")).expect("a log"), log);
}

#[test]
fn an_index_whose_mark_is_damaged_is_still_ours() {
    for (mode, place) in [
        ("sharded", "o-sharded/p/shards/root0.genome.db"),
        ("blob", "o/p.db"),
    ] {
        let flags = ["--mode", mode];
        let world = World::corpus(1, 3);
        let first = world.build("o", &flags);
        for damage in [
            "DELETE FROM build_meta",
            "DROP TABLE build_meta",
            "DELETE FROM build_meta WHERE key = 'label'",
            "DROP TABLE build_roots",
            "UPDATE build_meta SET value = x'00' WHERE key = 'label'",
        ] {
            sql(&world, place, damage);
            let again = world.build("o", &flags);
            assert_eq!(again["digest"], first["digest"], "{damage}");
        }
        for format in ["'9'", "'1'", "'later'", "2.5"] {
            let text = format!("UPDATE build_meta SET value = {format} WHERE key = 'format'");
            sql(&world, place, &text);
            refused(&world, &flags, 12, &[place, "another version", "--rebuild"]);
            let rebuilt = world.build("o", &["--mode", mode, "--rebuild"]);
            assert_eq!(rebuilt["digest"], first["digest"], "{format}");
        }
        // A database that only looks a little like ours stays, also where one of ours was.
        fs::remove_file(world.path(place)).expect("removed");
        sql(
            &world,
            place,
            "CREATE TABLE build_meta (key, value); INSERT INTO build_meta VALUES ('format', 'pdf')",
        );
        refused(&world, &flags, 2, &[place, "another program's database"]);
    }
}

/// What a build would refuse is not a plan.
#[test]
fn a_plan_reports_refusals() {
    let world = World::corpus(2, 3);
    let plan = |profile: &str, out: &str, mode: &str| {
        world
            .helix()
            .arg("plan")
            .profile(profile)
            .out(out)
            .args(["--mode", mode])
            .json()
            .bare()
            .run()
    };
    let refused = |ran: Ran, code: i32, text: &str| {
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(text), "{ran:?}");
        assert_eq!(ran.last_line()["exit"], code);
    };
    world.write("n/p.db", "");
    sql(&world, "n/p.db", "CREATE TABLE customers (name)");
    refused(plan("p.toml", "n", "blob"), 2, "another program's database");
    world.write("d1/x.toml", "roots = ['../root0']\n");
    world.write("d2/x.toml", "roots = ['../root1']\n");
    assert_eq!(
        world
            .helix()
            .profile("d1/x.toml")
            .out("o")
            .bare()
            .run()
            .code,
        Some(0)
    );
    refused(plan("d2/x.toml", "o", "sharded"), 2, "--take-over");
    let shard = "o-sharded/x/shards/root0.genome.db";
    fs::remove_file(world.path(shard)).expect("removed");
    sql(&world, shard, "CREATE TABLE customers (name)");
    refused(plan("d1/x.toml", "o", "sharded"), 2, shard);
    world.write("m-sharded/manifest.json", "{\"name\": \"an app\"}");
    refused(plan("p.toml", "m", "sharded"), 2, "manifest.json");
    // Nothing was made.
    assert!(!world.path("m-sharded/p").exists());
}

/// Of these the lock is the worst: with another file in its place two builds would work on one output.
#[test]
fn metrics_never_overwrite_files_of_the_build() {
    let world = World::corpus(1, 2);
    world.build("o", &[]);
    let lock = fs::read(world.path("o-sharded/p/.build/lock")).expect("a lock");
    for name in [
        "o-sharded/p/.build/lock",
        "o-sharded/p/.build/figures.prom",
        "o-sharded/p/shards/figures.prom",
        "o-sharded/p/main.genome.db-wal",
        "o-sharded/.manifest.lock",
    ] {
        let ran = world
            .helix()
            .profile("p.toml")
            .out("o")
            .args(["--metrics-file", name])
            .bare()
            .run();
        assert_eq!(ran.code, Some(2), "{name}: {ran:?}");
        assert!(ran.stderr.contains("--metrics-file"), "{name}: {ran:?}");
    }
    assert_eq!(
        fs::read(world.path("o-sharded/p/.build/lock")).expect("a lock"),
        lock
    );
    world.build("o", &["--metrics-file", "o-sharded/p/figures.prom"]);
}

/// Who made an index is known from what lies beside it, and nowhere else.
#[test]
fn an_index_of_another_project_is_not_replaced_because_its_work_folder_is_gone() {
    for (mode, work, index) in [
        (
            "sharded",
            "o-sharded/p/.build",
            "o-sharded/p/shards/root0.genome.db",
        ),
        ("blob", "o/.p.build", "o/p.db"),
    ] {
        let world = World::corpus(1, 3);
        world.build("o", &["--mode", mode]);
        fs::remove_dir_all(world.path(work)).expect("removed");
        let before = fs::read(world.path(index)).expect("reads");
        world.write(
            "a/other/root0/x.md",
            "A text that is long enough to be indexed, of another project.\n",
        );
        world.write("a/p.toml", "roots = ['other/root0']\n");
        for profile in ["a/p.toml", "p.toml"] {
            for flags in [&[][..], &["--rebuild"], &["--dry-run"]] {
                let ran = world
                    .helix()
                    .profile(profile)
                    .out("o")
                    .args(["--mode", mode])
                    .bare()
                    .args(flags)
                    .run();
                assert_eq!(ran.code, Some(2), "{ran:?}");
                assert!(ran.stderr.contains("--take-over"), "{ran:?}");
            }
        }
        assert!(fs::read(world.path(index)).expect("reads") == before);
        world.build("o", &["--mode", mode, "--take-over"]);
        world.build("o", &["--mode", mode]);
    }
}

#[test]
fn a_shard_of_another_project_under_the_same_name_is_not_replaced() {
    for (mode, index, from) in [
        (
            "sharded",
            "o-sharded/p/shards/root0.genome.db",
            "n-sharded/p/shards/root0.genome.db",
        ),
        ("blob", "o/p.db", "n/p.db"),
    ] {
        let world = World::corpus(1, 3);
        world.write(
            "other/root0/x.md",
            "A text that is long enough to be indexed, of another project.\n",
        );
        world.write("other/p.toml", "roots = ['root0']\n");
        world.build("o", &["--mode", mode]);
        assert_eq!(
            world
                .helix()
                .profile("other/p.toml")
                .out("n")
                .args(["--mode", mode])
                .bare()
                .run()
                .code,
            Some(0)
        );
        copy(&world, from, index);
        let before = fs::read(world.path(index)).expect("reads");
        for flags in [&["--mode", mode][..], &["--mode", mode, "--rebuild"]] {
            refused(&world, flags, 2, &["another profile", "--take-over"]);
        }
        assert!(fs::read(world.path(index)).expect("reads") == before);
        world.build("o", &["--mode", mode, "--take-over"]);
        world.build("o", &["--mode", mode]);
    }
}

/// Under names of ours in the work folder, and where the routing database will be.
#[test]
fn foreign_files_with_reserved_names_are_refused() {
    for name in [
        "p/.build/lock",
        "p/.build/output.json",
        "p/.build/rebuild",
        "p/.build/change-times",
        "p/.build/.output.json.tmp",
        "p/.build/.rebuild.tmp",
        "p/.build/.change-times.tmp",
        "p/.build/segments/root0-1.seg",
        ".manifest.json.tmp",
        "p/main.genome.db",
    ] {
        let name = format!("o-sharded/{name}");
        let world = World::corpus(1, 3);
        for text in [
            "my only copy\n",
            "{\"tool\": \"other\"}",
            "process of elimination",
        ] {
            world.write(&name, text);
            for flags in [&[][..], &["--rebuild"], &["--dry-run"]] {
                let file = name.rsplit('/').next().expect("a name");
                refused(&world, flags, 2, &[file, "move it away"]);
            }
            assert_eq!(fs::read_to_string(world.path(&name)).expect("reads"), text);
        }
        fs::remove_file(world.path(&name)).expect("removed");
        // What a power cut leaves is nobody's.
        world.write(&name, "");
        world.build("o", &[]);
    }
    if cfg!(unix) {
        for (text, code) in [
            ("my only copy", 2),
            ("", 2),
            ("process 1 on a snapshot\n", 0),
        ] {
            let world = World::corpus(1, 3);
            world.write("theirs", text);
            let lock = world.path("o-sharded/p/.build/lock");
            fs::create_dir_all(lock.parent().expect("below")).expect("made");
            fs::hard_link(world.path("theirs"), &lock).expect("linked");
            assert_eq!(run(&world, &[]).code, Some(code), "{text}");
            let kept = fs::read_to_string(world.path("theirs")).expect("reads");
            assert!(kept == text || code == 0, "{kept}");
        }
    }
}

/// Texts under names that SQLite gives to its files: of an attempt, and beside a shard.
#[test]
fn texts_with_names_of_databases_in_use_stay() {
    let text = "my only copy, under a name that I should not have taken\n";
    for (name, flags) in [
        ("shards/root0.genome.db.tmp-1-1", &[][..]),
        ("shards/root0.genome.db.tmp-1-1-wal", &[]),
        ("shards/root0.genome.db.tmp-1-1-journal", &["--rebuild"]),
        ("shards/x.genome.db.tmp-7-0", &["--rebuild"]),
    ] {
        let world = World::corpus(1, 3);
        world.build("o", &[]);
        let name = format!("o-sharded/p/{name}");
        world.write(&name, text);
        world.build("o", flags);
        assert_eq!(fs::read_to_string(world.path(&name)).expect("kept"), text);
    }
    for suffix in ["-wal", "-shm", "-journal"] {
        let world = World::corpus(2, 3);
        world.build("o", &[]);
        let name = format!("o-sharded/p/shards/root0.genome.db{suffix}");
        world.write(&name, text);
        refused(&world, &["--rebuild"], 2, &[&name, "move it away"]);
        assert_eq!(fs::read_to_string(world.path(&name)).expect("kept"), text);
        // A shard that leaves the plan goes without it.
        world.profile(&["root1"]);
        world.build("o", &[]);
        assert_eq!(fs::read_to_string(world.path(&name)).expect("kept"), text);
        assert!(!world.path("o-sharded/p/shards/root0.genome.db").exists());
    }
    // What a killed build left of its own goes.
    let world = World::corpus(1, 3);
    let left = "o-sharded/p/shards/root0.genome.db.tmp-1-1";
    world.write(left, b"SQLite format 3\0 and so on");
    world.write(&format!("{left}-wal"), [0x37, 0x7f, 0x06, 0x82, 0, 0]);
    world.build("o", &[]);
    assert!(!world.path(left).exists() && !world.path(&format!("{left}-wal")).exists());
}
