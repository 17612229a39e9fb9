//! Verification of small indexes built through the write side: sound ones here, damaged ones by what
//! is damaged.

use super::*;
use crate::file::RelPath;
use crate::store::digest::digest_shard;
use crate::store::routing::RoutingDb;
use crate::store::segment::SegmentReader;
use crate::store::shard::{ShardLoader, seal};
use crate::store::tests::sample::{self, Entry, corpus, indexed, shard_header};
use rusqlite::Connection;
use std::collections::BTreeMap;

mod bits;
mod files;
mod routing;
mod server;
mod shard;

const EPOCH: f64 = sample::EPOCH;

/// A sharded index of two shards in its own folder; `a` holds the sample, `b` two files more.
struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = crate::test_folder::create();
        let fixture = Self { folder };
        let more = [
            indexed("b/one.rs", &["fn One Config Parser", "plain words"]),
            indexed("b/two.rs", &["Config parser shared by all: port=80 Host=h"]),
        ];
        build(&fixture.shard("a"), "a", &corpus());
        build(&fixture.shard("b"), "b", &more);
        fixture.register();
        fixture
    }

    fn shard(&self, label: &str) -> PathBuf {
        self.folder.path().join(format!("{label}.genome.db"))
    }

    fn routing(&self) -> PathBuf {
        self.folder.path().join(ROUTING_NAME)
    }

    fn register(&self) {
        let mut routing = RoutingDb::open_or_create(&self.routing(), EPOCH).expect("opened");
        for label in ["a", "b"] {
            routing
                .register(&self.shard(label), None)
                .expect("registered");
        }
        routing.finish().expect("closed");
    }

    /// Notes the hash of each shard's file, as publishing does.
    fn note_bytes(&self) {
        for label in ["a", "b"] {
            let hash = blake3::hash(&std::fs::read(self.shard(label)).expect("read"));
            let sql = format!(
                "UPDATE shards SET metadata = json_set(metadata, '$.build.file_blake3', '{}')
                 WHERE shard_name = '{label}'",
                hash.to_hex()
            );
            change(&self.routing(), &sql);
        }
    }

    fn verify(&self, level: Level) -> Report {
        verify(self.folder.path(), level).expect("an index")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("listed");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

fn build(path: &Path, label: &str, files: &[Entry]) {
    let segment = path.with_extension("segment");
    sample::write_segment(&segment, files);
    let root = format!("/srv/{label}");
    let header = shard_header(label, &[(label, root.as_str())]);
    let mut loader = ShardLoader::create(path, header, std::sync::Arc::default()).expect("created");
    let paths: Vec<RelPath> = files.iter().map(|(f, _)| f.entry.path.clone()).collect();
    let reader = SegmentReader::open(&segment).expect("a segment");
    loader.load_segment(&reader, 0, &paths).expect("loaded");
    drop(reader);
    let loaded = loader.finish().expect("finished");
    seal(path, loaded, &std::sync::Arc::default()).expect("sealed");
    std::fs::remove_file(segment).expect("removed");
}

/// Runs SQL as another program would, and leaves nothing beside the file.
fn change(path: &Path, sql: &str) {
    let connection = Connection::open(path).expect("opened");
    connection
        .execute_batch("PRAGMA foreign_keys = OFF")
        .expect("a pragma");
    connection.execute_batch(sql).expect(sql);
    connection.close().expect("closed");
}

fn listed(report: &Report) -> Vec<String> {
    let listed = report.faults.listed();
    listed
        .map(|f| format!("{} {:?} {} {}: {}", f.shard, f.kind, f.table, f.row, f.what))
        .collect()
}

fn has(report: &Report, shard: &str, kind: FaultKind, table: &str) -> bool {
    let mut listed = report.faults.listed();
    listed.any(|f| f.shard == shard && f.kind == kind && f.table == table)
}

/// Every fault says where and what to do. Those of single rows name the row; others at least the
/// table, or the file.
fn names_its_place(fault: &Fault) {
    use FaultKind::*;
    assert!(!fault.shard.is_empty() && !fault.what.is_empty() && !fault.advice.is_empty());
    assert!(
        !fault.table.is_empty() || !fault.row.is_empty(),
        "{fault:?}"
    );
    let of_a_row = [
        ChunkId,
        Column,
        Orphan,
        DenseVector,
        Ledger,
        Routing,
        Digest,
        Replaced,
    ];
    if of_a_row.contains(&fault.kind) {
        assert!(!fault.row.is_empty(), "{fault:?}");
    }
}

#[test]
fn a_fresh_index_is_sound_and_is_left_as_it_was() {
    let fixture = Fixture::new();
    fixture.note_bytes();
    let before: BTreeMap<String, Vec<u8>> = fixture
        .names()
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                std::fs::read(fixture.folder.path().join(name)).expect("read"),
            )
        })
        .collect();
    for level in [Level::Quick, Level::Full] {
        let report = fixture.verify(level);
        assert!(report.is_sound(), "{level:?}: {:#?}", listed(&report));
        assert_eq!(report.digest().is_some(), level == Level::Full);
        assert_eq!(report.shards.len(), 2);
        assert_eq!((report.shards[0].files, report.shards[1].chunks), (6, 3));
    }
    let report = fixture.verify(Level::Full);
    let a = digest_shard(&fixture.shard("a")).expect("digested");
    assert_eq!(report.shards[0].digest, Some(a.digest));
    assert_eq!(report.shards[0].dense_dims, [4].into());
    assert!(report.shards[0].text_bytes > 100);
    let names: Vec<String> = before.keys().cloned().collect();
    assert_eq!(fixture.names(), names);
    for (name, bytes) in before {
        assert_eq!(
            std::fs::read(fixture.folder.path().join(name)).expect("read"),
            bytes
        );
    }
}

#[test]
fn a_single_database_is_checked_by_itself() {
    let fixture = Fixture::new();
    let report = verify(&fixture.shard("a"), Level::Full).expect("an index");
    assert!(report.is_sound(), "{:#?}", listed(&report));
    assert_eq!(report.shards[0].label, "a");
    assert!(verify(&fixture.folder.path().join("nothing"), Level::Quick).is_err());
}
