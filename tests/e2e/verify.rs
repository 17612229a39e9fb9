//! `verify`: no damage stays unseen, every fault says where and what to do, and vectors are those of
//! the encoders.

use crate::world::{Ran, World, count, files_below};
use helix_build::store::verify::{Level, verify};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Numbers that follow from a seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    /// From `HELIX_TEST_SEED`, else always the same.
    fn seeded() -> (u64, Self) {
        let given = std::env::var("HELIX_TEST_SEED").ok();
        let seed = given.and_then(|text| text.parse().ok()).unwrap_or(1);
        (seed, Self(seed))
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A small index of two shards with vectors of the embedded models.
fn small_index() -> World {
    let world = World::corpus(2, 4);
    let ran = world.run(&["--profile", "p.toml", "--out-dir", "o", "--json"]);
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
    let (seed, mut numbers) = Numbers::seeded();
    let mut unseen = Vec::new();
    for round in 0..rounds {
        let path = &parts[round as usize % parts.len()];
        let bit = numbers.below(fs::metadata(path).expect("a file").len() * 8);
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
    flips(&world.path("o-sharded/p"), &parts, count(40, 1_000));
}

#[test]
fn every_flipped_bit_in_a_blob_is_found() {
    let world = World::corpus(2, 4);
    world.build("o", &["--mode", "blob"]);
    let parts = parts(&world, "o");
    assert_eq!(parts.len(), 2, "{parts:?}");
    flips(&world.path("o/p.db"), &parts, count(12, 300));
}

/// Values that a server may write are where damage could hide behind it: bits of the pages that hold
/// rows, in the columns beside the vectors.
#[test]
fn every_flipped_bit_beside_what_servers_write_is_found() {
    let world = World::corpus(1, 3);
    world.build("o", &[]);
    let shard = world.path("o-sharded/p/shards/root0.genome.db");
    let bytes = fs::read(&shard).expect("a shard");
    let marks: [&[u8]; 3] = [b"access_count", b"seeded", b"Local Org"];
    let near = |at: &usize| marks.iter().any(|mark| bytes[*at..].starts_with(mark));
    let places: Vec<u64> = (0..bytes.len()).filter(near).map(|at| at as u64).collect();
    assert!(!places.is_empty());
    let (seed, mut numbers) = Numbers::seeded();
    let rounds = count(30, 1_000);
    for _ in 0..rounds {
        let place = places[numbers.below(places.len() as u64) as usize];
        let from = place.saturating_sub(60) * 8;
        let bit = (from + numbers.below(200 * 8)).min(bytes.len() as u64 * 8 - 1);
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
    let (seed, mut numbers) = Numbers::seeded();
    for path in parts(&world, "o-sharded") {
        let bits = fs::metadata(&path).expect("a file").len() * 8;
        for bit in [3, 18 * 8, 800, numbers.below(bits)] {
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
fn an_interrupted_build_over_an_index_is_no_damage() {
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
