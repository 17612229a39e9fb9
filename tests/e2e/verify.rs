//! `verify` finds all damage, every fault names its place and the advice, and vectors are those of the encoders.

use crate::world::{Dice, Ran, World, count, files_below, finish};
use helix_build::verify::{Level, verify};
use rusqlite::Connection;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A small index of two shards with vectors of the embedded models.
fn small_index() -> World {
    let world = World::corpus(2, 4);
    let ran = world.encoded_build("o").run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    world
}

fn flip(path: &Path, bit: u64) {
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("opens");
    let mut byte = [0];
    file.seek(SeekFrom::Start(bit / 8)).expect("seeks");
    file.read_exact(&mut byte).expect("reads");
    byte[0] ^= 1 << (bit % 8);
    file.seek(SeekFrom::Start(bit / 8)).expect("seeks");
    file.write_all(&byte).expect("writes");
}

/// The files of an index that a flipped bit may hit.
fn parts(world: &World, out: &str) -> Vec<PathBuf> {
    let folder = world.path(out);
    let files = files_below(&folder).into_iter();
    files
        .filter(|name| name.ends_with(".db") || name.ends_with("manifest.json"))
        .map(|name| folder.join(name))
        .collect()
}

/// Flips one bit at a time, in each file as often as in the others, and restores it.
fn flips(index: &Path, parts: &[PathBuf], rounds: u32) {
    let sound = verify(index, Level::Full).expect("an index");
    assert!(sound.is_sound(), "{:#?}", sound.faults);
    let (mut numbers, seed) = Dice::seeded(1);
    let mut unseen = Vec::new();
    for round in 0..rounds {
        let path = &parts[round as usize % parts.len()];
        let bit = numbers.roll(fs::metadata(path).expect("a file").len() * 8);
        flip(path, bit);
        let found = verify(index, Level::Full).map(|report| report.is_sound());
        if !matches!(found, Ok(false)) {
            unseen.push(format!(
                "{} byte {} bit {}: {found:?}",
                path.display(),
                bit / 8,
                bit % 8
            ));
        }
        flip(path, bit);
    }
    println!("seed {seed}: {rounds} flips, {} unseen", unseen.len());
    assert!(
        unseen.is_empty(),
        "seed {seed}, {} of {rounds}: {unseen:#?}",
        unseen.len()
    );
    let sound = verify(index, Level::Full).expect("an index");
    assert!(
        sound.is_sound(),
        "after all was restored: {:#?}",
        sound.faults
    );
}

#[test]
fn every_flipped_bit_in_a_sharded_index_is_found() {
    let world = small_index();
    let parts = parts(&world, "o-sharded");
    assert_eq!(parts.len(), 4, "{parts:?}");
    flips(&world.path("o-sharded/p"), &parts, count(20, 1_000));
}

#[test]
fn every_flipped_bit_in_a_blob_is_found() {
    let world = World::corpus(2, 4);
    world.build("o", &["--mode", "blob"]);
    let parts = parts(&world, "o");
    assert_eq!(parts.len(), 2, "{parts:?}");
    flips(&world.path("o/p.db"), &parts, count(8, 300));
}

/// Values that a server may write are where damage could hide behind it: bits of the pages that hold
/// rows, in the columns beside the vectors.
#[test]
fn every_flipped_bit_beside_what_servers_write_is_found() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    let shard = world.path("o-sharded/p/shards/root0.genome.db");
    let bytes = fs::read(&shard).expect("a shard");
    let marks: [&[u8]; 3] = [b"last_accessed", b"seeded", b"Local Org"];
    let near = |at: &usize| marks.iter().any(|mark| bytes[*at..].starts_with(mark));
    let places: Vec<u64> = (0..bytes.len()).filter(near).map(|at| at as u64).collect();
    assert!(!places.is_empty());
    let (mut numbers, seed) = Dice::seeded(1);
    let rounds = count(16, 1_000);
    for _ in 0..rounds {
        let place = places[numbers.roll(places.len() as u64) as usize];
        let from = place.saturating_sub(60) * 8;
        let bit = (from + numbers.roll(200 * 8)).min(bytes.len() as u64 * 8 - 1);
        flip(&shard, bit);
        let report = verify(&world.path("o-sharded/p"), Level::Full).expect("an index");
        assert!(
            !report.is_sound(),
            "seed {seed}: byte {} bit {}",
            bit / 8,
            bit % 8
        );
        flip(&shard, bit);
    }
}

/// As [`flips`], with a process for each: exit code 14, whatever is hit. The first bits of a database
/// say that it is one.
#[test]
fn the_program_ends_with_14_whatever_is_damaged() {
    let world = small_index();
    let (mut numbers, seed) = Dice::seeded(1);
    for path in parts(&world, "o-sharded") {
        let bits = fs::metadata(&path).expect("a file").len() * 8;
        for bit in [3, 18 * 8, 800, numbers.roll(bits)] {
            flip(&path, bit);
            let ran = world.run(&["verify", "o-sharded/p", "--json"]);
            assert_eq!(
                ran.code,
                Some(14),
                "seed {seed}: {} bit {bit}: {ran:?}",
                path.display()
            );
            assert_faults_say_all(&ran);
            flip(&path, bit);
        }
    }
    let routing = world.path("o-sharded/p/main.genome.db");
    flip(&routing, 3);
    let named = ["verify", "o-sharded/p/main.genome.db"];
    assert_eq!(world.run(&named).code, Some(14), "named by its file");
    flip(&routing, 3);
    fs::write(&routing, "").expect("emptied");
    assert_eq!(world.run(&named).code, Some(14), "empty");
}

fn assert_faults_say_all(ran: &Ran) {
    let lines = ran.lines();
    let faults: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "fault")
        .collect();
    assert!(!faults.is_empty(), "{ran:?}");
    for fault in faults {
        let text = |key: &str| fault[key].as_str().unwrap_or_default();
        for key in ["shard", "kind", "what", "advice"] {
            assert!(!text(key).is_empty(), "{key} of {fault}");
        }
        assert!(
            !text("table").is_empty() || !text("row").is_empty(),
            "{fault}"
        );
    }
}

#[test]
fn an_interrupted_build_over_an_index_is_not_damage() {
    let world = World::corpus(1, 4);
    world.build("o", &[]);
    let manifest = world.path("o-sharded/manifest.json");
    let before = fs::read(&manifest).expect("a manifest");
    world.build("o", &["--shard-category", "org"]);
    // As a build leaves it that is killed before it writes the manifest.
    fs::write(&manifest, before).expect("written");
    assert_eq!(world.run(&["verify", "o-sharded/p"]).code, Some(14));
    fs::create_dir(world.path("o-sharded/p/.build/segments")).expect("a folder");
    world.verified("o-sharded/p");
}

#[test]
fn a_killed_first_build_is_unfinished_and_not_damaged() {
    let world = World::corpus(3, 4);
    let mut command = world
        .bare_build("o")
        .args(["--shard-workers", "1"])
        .command();
    // The third shard of three: two are registered, and a temporary file is left.
    command.env("FAILPOINTS", "publish::seal=2*off->return(abort)");
    let ran = crate::world::finish(command.spawn().expect("starts"));
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!(world.verified("o-sharded/p")["unfinished"], true);
    for level in ["--quick", "--full"] {
        let ran = world.run(&["verify", "o-sharded/p", level]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("run the build again"), "{ran:?}");
        let last = ran.stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with("sound so far, and unfinished"), "{ran:?}");
    }
    let query = ["query", "o-sharded/p", "gadget", "--mode", "lexical"];
    let ran = world.run(&query);
    assert!(
        ran.stderr.contains("running or was stopped") && ran.stderr.contains("run the build again"),
        "{ran:?}"
    );
    let ran = world.run(&[&query[..], &["--json"]].concat());
    assert_eq!(ran.lines()[0]["type"], "unfinished", "{ran:?}");
    world.build("o", &[]);
    assert_eq!(world.verified("o-sharded/p")["unfinished"], false);
    assert_eq!(world.run(&query).stderr, "");
}

/// A build that was killed before its first shard was in place.
#[test]
fn an_index_without_shards_is_said_to_be_unfinished_and_no_more() {
    let world = World::corpus(1, 3);
    let arguments = [
        &["--profile", "p.toml", "--out-dir", "o"],
        &crate::world::BARE[..],
    ]
    .concat();
    let mut command = world.command(&arguments);
    command.env("FAILPOINTS", "publish::load=return(abort)");
    let ran = crate::world::finish(command.spawn().expect("starts"));
    assert_ne!(ran.code, Some(0), "{ran:?}");
    for (flags, last) in [
        (&[][..], "sound so far, and unfinished"),
        (&["--full"], "sound so far, and unfinished"),
        (
            &["--quick"],
            "sound so far, and unfinished; --full also checks every row",
        ),
    ] {
        let ran = world.run(&[&["verify", "o-sharded/p"], flags].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.stdout.lines().last(), Some(last), "{ran:?}");
    }
}

/// A build that waits in the middle of its changes: of a shard, of the routing database, of the manifest.
#[test]
fn a_check_beside_a_build_finds_no_damage() {
    let world = World::corpus(2, 4);
    world.build("o", &[]);
    let points = [
        ("build::planned", "p"),
        ("publish::seal", "root0"),
        ("publish::renamed", "root0"),
        ("publish::registered", "root0"),
        ("build::delivered", "p"),
        ("manifest::renamed", "manifest"),
        ("build::cleaned", "p"),
    ];
    for (n, (point, part)) in points.into_iter().enumerate() {
        let text = format!("pub fn change_{n}(input: u64) -> u64 {{ input * {n} }}\n");
        world.write("root0/dir0/changing.rs", text.repeat(1 + n));
        let gate = world.path("gate");
        let mut build = world.bare_build("o").command();
        build.env(
            "FAILPOINTS",
            format!("{point}=return(wait={}@{part})", gate.display()),
        );
        let mut build = build.spawn().expect("starts");
        while !gate.exists() {
            assert!(build.try_wait().expect("a child").is_none(), "{point}");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let ran = world.run(&["verify", "o-sharded/p", "--json"]);
        assert_eq!(ran.code, Some(0), "{point}: {ran:?}");
        assert_eq!(ran.last_line()["being_rebuilt"], true, "{point}: {ran:?}");
        fs::remove_file(&gate).expect("removed");
        crate::world::finish(build).summary();
        assert_eq!(world.verified("o-sharded/p")["being_rebuilt"], false);
    }
}

#[test]
fn an_emptied_manifest_is_a_fault() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    let manifest = world.path("o-sharded/manifest.json");
    let before = fs::read(&manifest).expect("a manifest");
    for (emptied, code) in [("", 14), ("{}", 14), ("[]", 14), ("{\"name\": 1}", 0)] {
        fs::write(&manifest, emptied).expect("written");
        let ran = world.run(&["verify", "o-sharded/p", "--json"]);
        assert_eq!(ran.code, Some(code), "{emptied:?}: {ran:?}");
        assert!(
            code == 0 || ran.stdout.contains("\"kind\":\"manifest\""),
            "{ran:?}"
        );
    }
    fs::write(&manifest, before).expect("restored");
    world.verified("o-sharded/p");
}

#[test]
fn a_database_of_another_program_is_no_index_anywhere() {
    let world = World::new();
    for name in ["app.db", "main.genome.db"] {
        world.write(&format!("{name}/keep"), "");
        let database = format!("{name}/{name}");
        change(
            &world,
            &database,
            "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')",
        );
        let before = fs::read(world.path(&database)).expect("a database");
        for named in [database.as_str(), name] {
            for arguments in [
                vec!["verify", named],
                vec!["query", named, "mine", "--mode", "lexical"],
                vec!["inspect", named],
            ] {
                let ran = world.run(&arguments);
                assert_eq!(ran.code, Some(10), "{arguments:?}: {ran:?}");
                assert!(ran.stderr.contains("without an index's tables"), "{ran:?}");
            }
        }
        assert_eq!(fs::read(world.path(&database)).expect("a database"), before);
    }
}

#[test]
fn an_index_of_another_format_is_read_and_replaced_by_nobody() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    let shard = "o-sharded/p/shards/root0.genome.db";
    change(
        &world,
        shard,
        "UPDATE build_meta SET value = 7 WHERE key = 'format'; UPDATE build_meta SET value = '9.9.9' WHERE key = 'tool_version'",
    );
    let before = fs::read(world.path(shard)).expect("a shard");
    let mut build = vec!["--profile", "p.toml", "--out-dir", "o"];
    build.extend(crate::world::BARE);
    let mut plan = vec!["plan"];
    plan.extend(&build);
    for arguments in [
        &build[..],
        &plan[..],
        &["query", "o-sharded", "gadget", "--mode", "lexical"],
        &["inspect", "o-sharded"],
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(12), "{arguments:?}: {ran:?}");
        let says = |words: &str| ran.stderr.contains(words);
        assert!(
            says("format 7") && says("9.9.9") && says("--rebuild"),
            "{ran:?}"
        );
    }
    assert_eq!(fs::read(world.path(shard)).expect("a shard"), before);
    let ran = world.run(&["verify", "o-sharded", "--json"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    assert!(ran.stdout.contains("\"kind\":\"format\""), "{ran:?}");
    world.build("o", &["--rebuild"]);
    world.verified("o-sharded/p");
}

#[test]
fn a_manifest_of_another_format_is_replaced_by_nobody() {
    let world = World::corpus(1, 2);
    world.build("o", &[]);
    let path = world.path("o-sharded/manifest.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let mut manifest = helix_build::report::Manifest::parse(&text).expect("intact");
    manifest.format = 7;
    // Another version may have another shape, and note no hash, or another.
    for later in [
        manifest.to_text(),
        text.replacen("\"format\": 1", "\"format\": 7", 1),
        "{\"format\":7,\"tool\":\"helix-build 9.0.0\",\"indexes\":[]}".to_owned(),
    ] {
        fs::write(&path, &later).expect("written");
        for flags in [&[][..], &["--rebuild"], &["--dry-run"]] {
            let build = ["--profile", "p.toml", "--out-dir", "o"];
            let ran = world.run(&[&build[..], &crate::world::BARE, flags].concat());
            assert_eq!(ran.code, Some(12), "{ran:?}");
            assert!(ran.stderr.contains("format 7"), "{ran:?}");
            assert_eq!(fs::read_to_string(&path).expect("a manifest"), later);
        }
        let ran = world.run(&["verify", "o-sharded", "--json"]);
        assert_eq!(ran.code, Some(14), "{ran:?}");
        assert!(ran.stdout.contains("\"kind\":\"format\""), "{ran:?}");
    }
}

/// A trigger in the routing database must not undo what a build registers.
#[test]
fn a_planted_trigger_is_found_and_never_fires() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    change(
        &world,
        "o-sharded/p/main.genome.db",
        "CREATE TRIGGER t AFTER UPDATE ON shards BEGIN DELETE FROM fingerprint_index; END",
    );
    let faults = |ran: &Ran| -> Vec<String> {
        let lines = ran.lines();
        let faults = lines.iter().filter(|line| line["type"] == "fault");
        faults
            .map(|fault| fault["row"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    world.write(
        "root0/dir0/file0.rs",
        "pub fn another_text_altogether() -> u32 { 77 }\n",
    );
    world.build("o", &[]);
    let ran = world.run(&["verify", "o-sharded/p", "--json"]);
    assert_eq!(
        (ran.code, faults(&ran)),
        (Some(14), vec!["t".to_owned()]),
        "{ran:?}"
    );
}

#[test]
fn a_build_that_changes_nothing_does_not_vouch_for_a_damaged_index() {
    let world = World::corpus(1, 4);
    world.build("o", &[]);
    let routing = world.path("o-sharded/p/main.genome.db");
    // The end of the last page: no row lies there.
    let bits = fs::metadata(&routing).expect("a file").len() * 8;
    let unused = (0..bits / 8).rev().find(|at| {
        let bytes = fs::read(&routing).expect("reads");
        bytes[*at as usize - 64..*at as usize]
            .iter()
            .all(|byte| *byte == 0)
    });
    flip(&routing, unused.expect("unused bytes") * 8);
    assert_eq!(world.run(&["verify", "o-sharded/p"]).code, Some(14));
    assert_eq!(world.build("o", &[])["unchanged_shards"], 1);
    let ran = world.run(&["verify", "o-sharded/p"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    fs::remove_file(&routing).expect("removed");
    world.build("o", &[]);
    world.verified("o-sharded/p");
}

/// Runs SQL on a database of the world, as somebody would who breaks it.
fn change(world: &World, database: &str, sql: &str) {
    let opened = rusqlite::Connection::open(world.path(database)).expect("opens");
    opened.execute_batch(sql).expect(sql);
    opened.close().expect("closes");
}

#[test]
fn chunks_encoded_again_have_the_stored_vectors() {
    let world = small_index();
    let again = |flags: &[&str]| {
        let mut arguments = vec![
            "verify",
            "o-sharded/p",
            "--quick",
            "--json",
            "--reencode",
            "6",
        ];
        arguments.extend(flags);
        world.run(&arguments)
    };
    let ran = again(&["--seed", "7", "--exact"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = &ran.last_line()["reencoded"];
    let expected =
        serde_json::json!({"seed": 7, "chunks": 6, "exact": 6, "close": 0, "different": 0});
    assert_eq!(*found, expected);
    // Without a seed one is chosen and said, and it picks the same again.
    let first = again(&[]).last_line()["reencoded"].clone();
    let seed = first["seed"].to_string();
    assert_eq!(again(&["--seed", &seed]).last_line()["reencoded"], first);
    // One kind alone.
    let ran = again(&["--sparse-model", "none", "--exact"]);
    assert_eq!(ran.last_line()["reencoded"]["exact"], 6, "{ran:?}");
    // In full, for people.
    let ran = world.run(&["verify", "o-sharded/p", "--reencode", "5", "--seed", "3"]);
    assert!(
        ran.stdout
            .contains("encoded 5 chunks again (--seed 3): 5 bit for bit"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("sound; digest"), "{ran:?}");
}

#[test]
fn vectors_of_another_text_are_found_and_named() {
    let world = small_index();
    let shard = "o-sharded/p/shards/root0.genome.db";
    change(
        &world,
        shard,
        "UPDATE genes SET embedding_dense_v2 = (SELECT embedding_dense_v2 FROM genes WHERE rowid = 1) WHERE rowid = 2;
         UPDATE splade_terms SET weight = weight + 0.5 WHERE gene_id = (SELECT gene_id FROM genes WHERE rowid = 1)",
    );
    let ran = world.run(&[
        "verify",
        "o-sharded/p",
        "--quick",
        "--json",
        "--reencode",
        "1000",
    ]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    let again = &ran.last_line()["reencoded"];
    assert_eq!(again["different"], 2, "{ran:?}");
    assert_eq!(
        again["exact"].as_u64().map(|n| n + 2),
        again["chunks"].as_u64()
    );
    assert_faults_say_all(&ran);
    let lines = ran.lines();
    let tables: Vec<_> = lines
        .iter()
        .filter(|line| line["kind"] == "reencoded")
        .map(|line| (line["shard"].as_str(), line["table"].as_str()))
        .collect();
    assert_eq!(
        tables,
        [
            (Some("root0"), Some("genes")),
            (Some("root0"), Some("splade_terms"))
        ]
    );
}

#[test]
fn a_seed_picks_the_same_chunks_again() {
    let world = World::corpus(1, 12);
    let ran = world.encoded_build("o").run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let first = "UPDATE genes SET embedding_dense_v2 = (SELECT embedding_dense_v2 FROM genes WHERE rowid = 1)";
    change(&world, "o-sharded/p/shards/root0.genome.db", first);
    let picked = |seed: &str| {
        let ran = world.run(&[
            "verify",
            "o-sharded/p",
            "--quick",
            "--json",
            "--reencode",
            "3",
            "--seed",
            seed,
        ]);
        let lines = ran.lines();
        let faults = lines.iter().filter(|line| line["kind"] == "reencoded");
        faults
            .map(|line| line["row"].to_string())
            .collect::<Vec<_>>()
    };
    let picks: Vec<_> = ["1", "2", "3", "4"].map(picked).into();
    assert!(picks.iter().any(|other| *other != picks[0]), "{picks:?}");
    assert_eq!(picks, ["1", "2", "3", "4"].map(picked));
}

#[test]
fn a_last_bit_of_a_vector_passes_unless_it_shall_be_exact() {
    let world = small_index();
    let shard = world.path("o-sharded/p/shards/root0.genome.db");
    let opened = rusqlite::Connection::open(&shard).expect("opens");
    let sql = "SELECT embedding_dense_v2 FROM genes WHERE rowid = 1";
    let mut vector: Vec<u8> = opened
        .query_row(sql, [], |row| row.get(0))
        .expect("a vector");
    vector[0] ^= 1;
    let sql = "UPDATE genes SET embedding_dense_v2 = ?1 WHERE rowid = 1";
    opened.execute(sql, [vector]).expect("written");
    opened.close().expect("closes");
    let quick = [
        "verify",
        "o-sharded/p",
        "--quick",
        "--json",
        "--reencode",
        "1000",
    ];
    let ran = world.run(&quick);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.last_line()["reencoded"]["close"], 1, "{ran:?}");
    let exact: Vec<_> = quick.into_iter().chain(["--exact"]).collect();
    assert_eq!(world.run(&exact).code, Some(14));
    // The digests see it in any case.
    assert_eq!(world.run(&["verify", "o-sharded/p"]).code, Some(14));
}

#[test]
fn encoding_again_needs_the_encoders_of_the_index() {
    let world = small_index();
    let again = |flags: &[&str]| {
        let mut arguments = vec!["verify", "o-sharded/p", "--quick", "--reencode", "2"];
        arguments.extend(flags);
        world.run(&arguments)
    };
    let ran = again(&["--dense-model", "absent"]);
    assert_eq!(ran.code, Some(13), "{ran:?}");
    assert!(ran.stderr.contains("--dense-model"), "{ran:?}");
    assert_eq!(
        again(&["--sparse-model", "none", "--dense-model", "none"]).code,
        Some(2)
    );
    assert_eq!(again(&["--ort-lib", "absent.so"]).code, Some(13));
    // As if another model had been used: for one shard, then for both.
    for (shard, code) in [("root1", 14), ("root0", 12)] {
        let shard = format!("o-sharded/p/shards/{shard}.genome.db");
        let names = "SELECT value FROM build_meta WHERE key = 'encoder'";
        let opened = rusqlite::Connection::open(world.path(&shard)).expect("opens");
        let text: String = opened
            .query_row(names, [], |row| row.get(0))
            .expect("noted");
        let mut noted: Value = serde_json::from_str(&text).expect("JSON");
        noted["sparse"]["hash"] = "00".repeat(32).into();
        opened
            .execute(
                "UPDATE build_meta SET value = ?1 WHERE key = 'encoder'",
                [noted.to_string()],
            )
            .expect("written");
        opened.close().expect("closes");
        assert_eq!(again(&[]).code, Some(code), "{shard}");
    }
    let ran = again(&[]);
    assert!(ran.stderr.contains("--sparse-model"), "{ran:?}");
    for shard in ["root0", "root1"] {
        let shard = format!("o-sharded/p/shards/{shard}.genome.db");
        change(
            &world,
            &shard,
            "UPDATE build_meta SET value = '{' WHERE key = 'encoder'",
        );
    }
    assert_eq!(again(&[]).code, Some(12), "unreadable");
    // An index without vectors has nothing to compare.
    world.build("bare", &[]);
    let ran = world.run(&["verify", "bare-sharded/p", "--reencode", "2"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(
        world.run(&["verify", "o-sharded/p", "--seed", "2"]).code,
        Some(2)
    );
}

/// What servers write into the routing database: claims, people, chunks that they register.
#[test]
fn a_routing_database_that_a_server_has_used_is_sound() {
    let routing = "o-sharded/p/main.genome.db";
    for sql in [
        "INSERT INTO claims (claim_id, gene_id, shard_name, claim_type, claim_text, updated_at)
             SELECT 'c', gene_id, shard_name, 'path_value', 'text', 1.8e9 FROM fingerprint_index LIMIT 1",
        "INSERT INTO orgs VALUES ('o', 'O', 'local', 1.8e9, NULL); INSERT INTO parties VALUES ('p', 'P', 'local', 'o', NULL, 1.8e9, NULL)",
        "INSERT INTO cwola_log (ts) VALUES (1.8e9)",
        "INSERT INTO health_log (query) VALUES ('q'); DELETE FROM health_log",
        "CREATE TABLE IF NOT EXISTS sync_lock ( id INTEGER PRIMARY KEY CHECK (id = 1), holder TEXT NOT NULL, heartbeat_at REAL NOT NULL)",
    ] {
        let world = World::corpus(1, 4);
        world.build("o", &[]);
        change(&world, routing, sql);
        world.verified("o-sharded/p");
        // Damage to rows of ours is seen beside it.
        change(&world, routing, "UPDATE fingerprint_index SET entities = '[]' WHERE rowid = 1");
        assert_eq!(world.run(&["verify", "o-sharded/p"]).code, Some(14), "{sql}");
    }
}

/// A server that follows folders hides the chunks of a changed or deleted file.
#[test]
fn chunks_that_a_server_hides_are_told_from_damage() {
    let world = World::corpus(1, 4);
    world.build("o", &[]);
    let shard = "o-sharded/p/shards/root0.genome.db";
    let kinds = || {
        let ran = world.run(&["verify", "o-sharded/p", "--json"]);
        assert_eq!(ran.code, Some(14), "{ran:?}");
        let lines = ran.lines();
        let faults = lines.iter().filter(|line| line["type"] == "fault");
        faults
            .map(|fault| fault["kind"].to_string())
            .collect::<Vec<_>>()
    };
    let hide = "UPDATE genes SET chromatin = 2, compression_tier = 2 WHERE rowid < 3";
    change(&world, shard, hide);
    assert_eq!(kinds(), [r#""replaced""#, r#""replaced""#]);
    // Another column beside both, or one of both alone, is damage.
    change(
        &world,
        shard,
        "UPDATE genes SET complement = 'x' WHERE rowid = 1",
    );
    assert!(kinds().contains(&r#""digest""#.to_owned()));
}

#[test]
fn a_compacted_file_is_told_with_its_possible_cause() {
    let world = World::corpus(1, 4);
    world.build("o", &[]);
    for database in [
        "o-sharded/p/main.genome.db",
        "o-sharded/p/shards/root0.genome.db",
    ] {
        let before = fs::read(world.path(database)).expect("reads");
        change(&world, database, "VACUUM");
        let ran = world.run(&["verify", "o-sharded/p", "--json"]);
        assert_eq!(ran.code, Some(14), "{ran:?}");
        let lines = ran.lines();
        let faults: Vec<_> = lines
            .iter()
            .filter(|line| line["type"] == "fault")
            .collect();
        assert!(
            faults.iter().all(|fault| fault["kind"] == "bytes"),
            "{faults:?}"
        );
        let advice = faults[0]["advice"].as_str().unwrap_or_default();
        assert!(advice.contains("VACUUM"), "{advice}");
        fs::write(world.path(database), before).expect("restored");
    }
}

/// As where a limit on processes leaves no thread.
#[test]
fn without_threads_shards_are_checked_one_after_the_other() {
    let world = World::corpus(3, 4);
    world.build("o", &[]);
    let expected = world.verified("o");
    let mut command = world.command(&["verify", "o", "--json"]);
    command.env("FAILPOINTS", "verify::pool=return(skip)");
    let ran = finish(command.spawn().expect("starts"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.last_line(), expected);
}

/// What a program that has the index open does, and what it leaves when it is killed.
#[test]
fn an_index_that_is_open_elsewhere_is_sound() {
    let world = World::corpus(2, 4);
    world.build("o", &[]);
    let databases = [
        "o-sharded/p/shards/root0.genome.db",
        "o-sharded/p/main.genome.db",
    ];
    let beside = |database: &str, end: &str| world.path(&format!("{database}{end}"));
    for database in databases {
        let published = fs::read(world.path(database)).expect("reads");
        let table = if database.contains("root0") {
            "genes"
        } else {
            "shards"
        };
        for doing in [
            format!("SELECT count(*) FROM {table}"),
            format!("BEGIN; SELECT count(*) FROM {table}"),
            format!("BEGIN IMMEDIATE; UPDATE {table} SET rowid = rowid"),
            format!("UPDATE {table} SET rowid = rowid"),
            format!("UPDATE {table} SET rowid = rowid; PRAGMA wal_checkpoint"),
        ] {
            let open = Connection::open(world.path(database)).expect("opens");
            open.execute_batch(&doing).expect("runs");
            assert!(beside(database, "-shm").exists(), "{doing}");
            world.verified("o-sharded/p");
            let ran = world.run(&["query", "o-sharded/p", "gadget", "--mode", "lexical"]);
            assert_eq!(ran.code, Some(0), "{doing}: {ran:?}");
            let (wal, shm) = (beside(database, "-wal"), beside(database, "-shm"));
            let left = [&wal, &shm].map(|path| fs::read(path).expect("reads"));
            let file = fs::read(world.path(database)).expect("reads");
            drop(open);
            // As a killed server leaves them.
            fs::write(world.path(database), file).expect("writes");
            fs::write(wal, &left[0]).expect("writes");
            fs::write(shm, &left[1]).expect("writes");
            world.verified("o-sharded/p");
            for end in ["-wal", "-shm"] {
                fs::remove_file(beside(database, end)).expect("removes");
            }
            fs::write(world.path(database), &published).expect("writes");
        }
        for ends in [&["-shm"][..], &["-wal"], &["-wal", "-shm"]] {
            for end in ends {
                fs::write(beside(database, end), "").expect("writes");
            }
            world.verified("o-sharded/p");
            for end in ends {
                fs::remove_file(beside(database, end)).expect("removes");
            }
        }
    }
}

/// A log whose rows are not the builder's is judged by them.
#[test]
fn damage_in_a_log_is_found() {
    let world = World::corpus(1, 4);
    world.build("o", &[]);
    let shard = world.path("o-sharded/p/shards/root0.genome.db");
    let open = Connection::open(&shard).expect("opens");
    let damage = "UPDATE genes SET content = 'another text' WHERE rowid = 1";
    open.execute_batch(damage).expect("runs");
    let ran = world.run(&["verify", "o-sharded/p"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    assert!(ran.stdout.contains("FAULT root0 genes"), "{ran:?}");
}

/// What other programs register in the routing database is theirs: it is listed, and neither checked nor searched.
#[test]
fn registrations_of_other_programs_are_no_fault() {
    let world = World::corpus(2, 4);
    world.build("o", &[]);
    let routing = "o-sharded/p/main.genome.db";
    let theirs = world.path("customers.db");
    change(&world, "customers.db", "CREATE TABLE customers (name)");
    fs::write(world.path("empty.db"), "").expect("writes");
    let ours = world.path("o-sharded/p/shards/root1.genome.db");
    let paths = [
        ("gone", "/nowhere/gone.genome.db".to_owned()),
        // Of the name of a file of ours.
        ("namesake", "/nowhere/root0.genome.db".to_owned()),
        ("customers", theirs.display().to_string()),
        ("empty", world.path("empty.db").display().to_string()),
        ("mirror", ours.display().to_string()),
    ];
    let register = |(name, path): &(&str, String)| {
        let sql = format!(
            "INSERT INTO shards (shard_name, category, path, created_at, updated_at, gene_count)
             VALUES ('{name}', 'agent', '{path}', 1.0, 1.0, 3)"
        );
        change(&world, routing, &sql);
    };
    paths.iter().for_each(register);
    let odd = "INSERT INTO shards (shard_name, category, path, created_at, updated_at, gene_count, health)
               VALUES ('odd', 'agent', x'00ff', 1.0, 1.0, 'many', 'ok')";
    change(&world, routing, odd);
    // With a record copied from ours.
    let copied = "INSERT INTO shards SELECT 'copied', category, path, 1, 1, gene_count, byte_size, health, metadata
                  FROM shards WHERE shard_name = 'root0'";
    change(&world, routing, copied);
    let before = fs::read(&theirs).expect("reads");
    let labels = [
        "copied",
        "customers",
        "empty",
        "gone",
        "mirror",
        "namesake",
        "odd",
    ];
    for _ in 0..2 {
        let verdict = world.verified("o-sharded/p");
        assert_eq!(verdict["foreign_shards"], serde_json::json!(labels));
        let ran = world.run(&[
            "query",
            "o-sharded/p",
            "gadget",
            "--mode",
            "lexical",
            "--json",
        ]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!ran.lines().is_empty());
        assert_eq!(
            ran.stderr.matches("cannot be read as a shard").count(),
            1,
            "{ran:?}"
        );
        assert!(ran.stderr.contains(&labels.join(", ")), "{ran:?}");
        // They stay in builds.
        world.write(
            "root0/more.md",
            "More words about gadgets and frobnicators.\n",
        );
        world.build("o", &[]);
    }
    assert_eq!(fs::read(&theirs).expect("reads"), before);
    // A row of ours whose file is missing, or whose record is, stays a fault.
    let noted = "UPDATE shards SET metadata = NULL WHERE shard_name = 'root0'";
    change(&world, routing, noted);
    let ran = world.run(&["verify", "o-sharded/p"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    fs::remove_file(world.path(routing)).expect("removed");
    world.build("o", &[]);
    world.verified("o-sharded/p");
    fs::remove_file(&ours).expect("removed");
    let ran = world.run(&["verify", "o-sharded/p"]);
    assert_eq!(ran.code, Some(14), "{ran:?}");
    assert!(ran.stdout.contains("FAULT root1"), "{ran:?}");
}

/// The compat chunker gives numbers to blank chunks, which are not stored.
#[test]
fn an_index_without_its_blank_chunks_is_sound() {
    let world = World::new();
    let blank = "\n".repeat(9_000) + &"\u{c}".repeat(9_000);
    let text = format!("{blank}some text\n{blank}other text\n{blank}");
    world.write("r/blank.txt", &text);
    world.write("r/blank.py", &text);
    for rules in ["compat", "standard"] {
        world.write(
            "p.toml",
            format!("roots = ['r']\nrules = '{rules}'\nchunker = 'compat'\n"),
        );
        world.build(rules, &[]);
        world.verified(&format!("{rules}-sharded/p"));
    }
}

/// Words of libraries, which tell nobody what to do.
const RAW: [&str; 6] = [
    "Query returned",
    "Invalid column",
    "whole buffer",
    "Rusqlite",
    "expected a sequence",
    "no such table",
];

fn assert_no_raw_words(ran: &Ran) {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let raw = RAW.iter().find(|raw| said.contains(**raw));
    assert!(raw.is_none(), "{raw:?} in {ran:?}");
}

/// What a test does to a file.
enum Harm {
    Bytes(fn(Vec<u8>) -> Vec<u8>),
    Sql(&'static str),
}

fn garbage(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[..7].copy_from_slice(b"garbage");
    bytes
}

fn half(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

fn start(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(50);
    bytes
}

/// The file that is damaged is the one that is blamed, and the advice mends it.
#[test]
fn the_damaged_file_is_blamed_and_the_advice_mends_it() {
    const SHARD: &str = "o-sharded/p/shards/root0.genome.db";
    const MAIN: &str = "o-sharded/p/main.genome.db";
    let world = World::corpus(2, 4);
    world.build("o", &[]);
    let digest = world.verified("o-sharded/p")["digest"].clone();
    let on_genes = "CREATE TRIGGER t AFTER INSERT ON genes BEGIN SELECT 1; END";
    let on_shards = "CREATE TRIGGER t AFTER INSERT ON shards BEGIN SELECT 1; END";
    for (database, harm) in [
        (SHARD, Harm::Bytes(garbage)),
        (SHARD, Harm::Bytes(half)),
        (SHARD, Harm::Bytes(start)),
        (SHARD, Harm::Bytes(|_| Vec::new())),
        (SHARD, Harm::Sql(on_genes)),
        (
            SHARD,
            Harm::Sql("DELETE FROM build_meta WHERE key = 'fingerprint'"),
        ),
        (SHARD, Harm::Sql("UPDATE genes SET promoter = NULL")),
        (
            SHARD,
            Harm::Sql("UPDATE genes SET content = NULL, source_id = x'ff'"),
        ),
        (SHARD, Harm::Sql("DROP TABLE build_routes")),
        (MAIN, Harm::Bytes(garbage)),
        (MAIN, Harm::Bytes(half)),
        (MAIN, Harm::Bytes(start)),
        (MAIN, Harm::Bytes(|_| Vec::new())),
        (MAIN, Harm::Sql(on_shards)),
        (MAIN, Harm::Sql("DROP TABLE fingerprint_index")),
        (
            MAIN,
            Harm::Sql("UPDATE shards SET gene_count = x'00' WHERE shard_name = 'root0'"),
        ),
        (
            MAIN,
            Harm::Sql("UPDATE shards SET metadata = x'00' WHERE shard_name = 'root0'"),
        ),
    ] {
        let path = world.path(database);
        let what = match harm {
            Harm::Bytes(harm) => {
                let harmed = harm(fs::read(&path).expect("reads"));
                let what = format!("{database}: {} bytes", harmed.len());
                fs::write(&path, harmed).expect("writes");
                what
            }
            Harm::Sql(sql) => {
                change(&world, database, sql);
                format!("{database}: {sql}")
            }
        };
        let ran = world.run(&["verify", "o-sharded/p", "--json"]);
        assert_eq!(ran.code, Some(14), "{what}: {ran:?}");
        assert_no_raw_words(&ran);
        let faults: Vec<Value> = ran
            .lines()
            .into_iter()
            .filter(|l| l["type"] == "fault")
            .collect();
        for fault in &faults {
            let advice = fault["advice"].as_str().expect("advice");
            let blames_main = advice.contains("main.genome.db");
            assert_eq!(blames_main, database == MAIN, "{what}: {fault}");
            assert!(
                database == MAIN || fault["shard"] == "root0",
                "{what}: {fault}"
            );
        }
        let ran = world.run(&["query", "o-sharded/p", "gadget", "--mode", "lexical"]);
        assert_no_raw_words(&ran);
        assert!(
            ran.code == Some(0) || ran.stderr.contains("helix-build verify"),
            "{what}: {ran:?}"
        );
        if database == MAIN {
            let built = world.run(
                &[
                    &["--profile", "p.toml", "--out-dir", "o"],
                    &crate::world::BARE[..],
                ]
                .concat(),
            );
            assert_no_raw_words(&built);
            assert!(
                built.code == Some(0)
                    || ["move it away", "another program registered"]
                        .iter()
                        .any(|fix| built.stderr.contains(fix)),
                "{what}: {built:?}"
            );
        }
        fs::remove_file(&path).expect("removes");
        world.build("o", &[]);
        assert_eq!(world.verified("o-sharded/p")["digest"], digest, "{what}");
    }
}

/// What `verify` advises of a manifest, the build does.
#[test]
fn the_advice_for_a_manifest_works() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    let manifest = world.path("o-sharded/manifest.json");
    let written = fs::read_to_string(&manifest).expect("reads");
    let damaged = written.replacen("p-sharded", "q-sharded", 1);
    for text in [
        "x",
        "[]",
        "null",
        "{",
        "\u{1}\u{2}",
        "{\"a\":1}",
        "{\"format\":1}",
        "",
        "{}",
        damaged.as_str(),
    ] {
        fs::write(&manifest, text).expect("writes");
        let ran = world.run(&["verify", "o-sharded/p"]);
        assert_eq!(
            ran.code,
            Some(if text.contains("\"a\"") { 0 } else { 14 }),
            "{text:?}: {ran:?}"
        );
        let shall_move = ran.stdout.contains("move it away");
        let flags = [
            &["--profile", "p.toml", "--out-dir", "o"],
            &crate::world::BARE[..],
        ]
        .concat();
        let built = world.run(&flags);
        assert_eq!(
            built.code,
            Some(if shall_move { 2 } else { 0 }),
            "{text:?}: {built:?}"
        );
        if shall_move {
            assert_eq!(fs::read_to_string(&manifest).expect("reads"), text);
            fs::remove_file(&manifest).expect("removes");
            world.build("o", &[]);
        }
        world.verified("o-sharded/p");
    }
}

/// The hash of a shard's file outlives the routing database: registering a damaged shard again hides nothing.
#[test]
fn damage_is_still_found_after_the_routing_database_was_built_again() {
    let world = World::corpus(1, 4);
    world.build("o", &[]);
    let shard = world.path("o-sharded/p/shards/root0.genome.db");
    let mut bytes = fs::read(&shard).expect("the shard");
    // Reserved in SQLite's header: no row is there, and nobody reads it.
    bytes[80] ^= 1;
    fs::write(&shard, bytes).expect("written");
    let check = || world.run(&["verify", "o-sharded/p"]).code;
    let before = check();
    fs::remove_file(world.path("o-sharded/p/main.genome.db")).expect("removed");
    world.build("o", &[]);
    assert_eq!((before, check()), (Some(14), Some(14)));
}
