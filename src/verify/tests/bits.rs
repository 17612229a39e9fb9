//! Flipped bits: seen where the hash of a file was noted, and without it no row has changed unseen.

use super::*;
use crate::random::SplitMix64;

fn flip(path: &Path, offset: usize, mask: u8) {
    let mut bytes = std::fs::read(path).expect("read");
    bytes[offset] ^= mask;
    std::fs::write(path, bytes).expect("written");
}

/// Flips of a test; more in the long form.
fn rounds() -> u64 {
    match std::env::var_os("HELIX_TEST_LONG") {
        Some(_) => 1_000,
        None => 40,
    }
}

#[test]
fn no_flipped_bit_stays_unseen_in_a_file_whose_hash_was_noted() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    let path = fixture.shard("a");
    let sound = std::fs::read(&path).expect("read");
    for seed in 0..rounds() {
        let mut numbers = SplitMix64::new(seed);
        let offset = numbers.below(sound.len() as u64) as usize;
        let bit = numbers.below(8);
        std::fs::write(&path, &sound).expect("written");
        flip(&path, offset, 1 << bit);
        let report = fixture.verify(Level::Full);
        assert!(
            !report.is_sound(),
            "seed {seed}: byte {offset} of {}",
            sound.len()
        );
    }
}

/// Every value of every table, or the error that reading it meets.
fn dump(path: &Path) -> Vec<String> {
    let connection = crate::store::open_read_only(path).expect("opened");
    let read = || -> Result<Vec<String>, rusqlite::Error> {
        let tables: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'genes_fts%' ORDER BY name")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut values = Vec::new();
        for table in tables {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
            let names: Vec<String> = statement.column_names().map(str::to_string).collect();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                for (column, name) in names.iter().enumerate() {
                    let name = format!("{table}.{name}");
                    if !UNCOVERED.contains(&name.as_str()) {
                        values.push(format!("{name} {:?}", row.get_ref(column)?));
                    }
                }
            }
        }
        Ok(values)
    };
    read().unwrap_or_else(|error| vec![error.to_string()])
}

/// Columns that a server rewrites, or that are for people only: nothing but the hash of the file
/// covers them.
const UNCOVERED: [&str; 15] = [
    "build_files.detail",
    "build_files.mtime_ns",
    "build_meta.value",
    "build_segments.device",
    "gene_relations.updated_at",
    "genes.epigenetics",
    "genes.last_seen",
    "genes.last_verified_at",
    "genes.live_truth_score",
    "harmonic_links.co_count",
    "harmonic_links.created_at",
    "harmonic_links.miss_count",
    "harmonic_links.updated_at",
    "harmonic_links.weight",
    "orgs.created_at",
];

#[test]
fn without_a_noted_hash_unseen_flips_change_no_row() {
    let fixture = Fixture::new();
    let path = fixture.shard("a");
    let sound = std::fs::read(&path).expect("read");
    let rows = dump(&path);
    for seed in 1000..1000 + rounds() {
        let mut numbers = SplitMix64::new(seed);
        let offset = numbers.below(sound.len() as u64) as usize;
        let bit = numbers.below(8);
        std::fs::write(&path, &sound).expect("written");
        flip(&path, offset, 1 << bit);
        if fixture.verify(Level::Full).is_sound() {
            assert_eq!(dump(&path), rows, "seed {seed}: byte {offset}");
        }
    }
}
