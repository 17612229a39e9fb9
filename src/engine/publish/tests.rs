//! Publication on real files in temporary folders.

use super::{PublishedShard, ShardPublisher, delete_segments, register};
use crate::file::RelPath;
use crate::store::StoreError;
use crate::store::digest::digest_shard;
use crate::store::routing::RoutingDb;
use crate::store::tests::sample::{EPOCH, Entry, corpus, shard_header, write_segment};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn paths(files: &[Entry]) -> Vec<RelPath> {
    files.iter().map(|(f, _)| f.entry.path.clone()).collect()
}

fn segment(folder: &Path, name: &str, files: &[Entry]) -> PathBuf {
    let path = folder.join(name);
    write_segment(&path, files);
    path
}

fn begin(target: &Path) -> ShardPublisher {
    ShardPublisher::begin(
        target,
        shard_header("s", &[("r", "/r")]),
        std::sync::Arc::default(),
    )
    .expect("begun")
}

#[test]
fn a_stop_ends_what_is_not_yet_on_its_way_into_place() {
    let folder = crate::test_folder::create();
    let target = folder.path().join("s/s.genome.db");
    let files = corpus();
    let segment = segment(folder.path(), "0.segment", &files);
    for stopped_after in 0..2 {
        let stop = Arc::new(AtomicBool::new(false));
        let header = shard_header("s", &[("r", "/r")]);
        let mut publisher =
            ShardPublisher::begin(&target, header, Arc::clone(&stop)).expect("begun");
        let mut ended = Ok(());
        for round in 0..200 {
            // The same files again and again: what counts is that SQLite has work to do.
            stop.store(stopped_after == 0 && round > 0, Ordering::Relaxed);
            ended = publisher.load(&segment, 0, &paths(&files[..1]));
            if ended.is_err() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let ended = ended.and_then(|()| publisher.finish().map(drop));
        assert!(
            matches!(ended, Err(StoreError::Interrupted { .. })),
            "{ended:?}"
        );
        assert_eq!(names(&folder.path().join("s")), [""; 0]);
    }
}

fn publish(target: &Path, segment: &Path, files: &[Entry]) -> PublishedShard {
    let mut publisher = begin(target);
    publisher.load(segment, 0, &paths(files)).expect("loaded");
    publisher.finish().expect("published")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("listed");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        // Goes with its segment.
        .filter(|name| name != "0.segment.lock")
        .collect();
    names.sort();
    names
}

#[test]
fn a_published_shard_is_one_sealed_file() {
    let folder = crate::test_folder::create();
    let target = folder.path().join("a/b/s.genome.db");
    let segment = segment(folder.path(), "0.segment", &corpus());
    let shard = publish(&target, &segment, &corpus());
    assert_eq!(names(&folder.path().join("a/b")), ["s.genome.db"]);
    let bytes = fs::read(&target).expect("read");
    assert_eq!(bytes[18..20], [2, 2]);
    assert_eq!(shard.bytes, bytes.len() as u64);
    let digest = digest_shard(&target).expect("a digest");
    assert_eq!(
        (shard.digest, shard.content),
        (digest.digest, digest.content)
    );
    assert_eq!((shard.files, shard.chunks), (digest.files, digest.chunks));

    let main = folder.path().join("main.genome.db");
    let mut routing = RoutingDb::open_or_create(&main, EPOCH).expect("created");
    register(&mut routing, &shard).expect("registered");
    assert_eq!(routing.shards().expect("listed")[0].path, target);
    delete_segments([segment.as_path()]).expect("deleted");
    delete_segments([segment.as_path()]).expect("already gone");
    assert!(!segment.exists());
}

#[test]
fn two_publications_of_the_same_rows_are_the_same_bytes() {
    let folder = crate::test_folder::create();
    let segment = segment(folder.path(), "0.segment", &corpus());
    let bytes = ["x.genome.db", "y.genome.db"].map(|name| {
        let target = folder.path().join(name);
        publish(&target, &segment, &corpus());
        fs::read(target).expect("read")
    });
    assert!(bytes[0] == bytes[1]);
}

#[test]
fn a_new_shard_does_not_inherit_the_log_of_the_old_one() {
    let folder = crate::test_folder::create();
    let target = folder.path().join("s.genome.db");
    let segment = segment(folder.path(), "0.segment", &corpus());
    let first = publish(&target, &segment, &corpus());
    // A server that was killed: its last writes lie in the log.
    let server = crate::store::tests::sample::open(&target);
    server.execute_batch("DELETE FROM genes").expect("written");
    let log = fs::read(folder.path().join("s.genome.db-wal")).expect("a log");
    drop(server);
    fs::write(folder.path().join("s.genome.db-wal"), log).expect("written");
    let second = publish(&target, &segment, &corpus());
    assert_eq!(second, first);
    assert_eq!(
        digest_shard(&target).expect("a digest").digest,
        first.digest
    );
    assert_eq!(names(folder.path()), ["0.segment", "s.genome.db"]);
}

#[test]
fn a_failed_attempt_leaves_the_old_shard_and_nothing_else() {
    let folder = crate::test_folder::create();
    let target = folder.path().join("s.genome.db");
    let segment = segment(folder.path(), "0.segment", &corpus()[..2]);
    let first = publish(&target, &segment, &corpus()[..2]);
    let before = fs::read(&target).expect("read");
    let mut publisher = begin(&target);
    let refused = publisher.load(&segment, 0, &paths(&corpus()));
    assert!(
        matches!(refused, Err(StoreError::MissingFile { .. })),
        "{refused:?}"
    );
    assert_eq!(names(folder.path()).len(), 3);
    drop(publisher);
    assert_eq!(names(folder.path()), ["0.segment", "s.genome.db"]);
    assert!(fs::read(&first.path).expect("read") == before);
}

#[test]
fn errors_name_the_file() {
    let folder = crate::test_folder::create();
    let target = folder.path().join("s.genome.db");
    let missing = folder.path().join("missing.segment");
    let error = begin(&target)
        .load(&missing, 0, &[])
        .expect_err("not there");
    assert!(error.to_string().contains("missing.segment"), "{error}");
    fs::write(&missing, "rubbish".repeat(1000)).expect("written");
    let error = begin(&target)
        .load(&missing, 0, &[])
        .expect_err("no database");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    // A folder stands where the shard shall be: the rename fails, the attempt is cleared away.
    fs::create_dir(&target).expect("created");
    let error = begin(&target).finish().expect_err("in the way");
    assert!(error.to_string().contains("s.genome.db"), "{error}");
    assert_eq!(names(folder.path()), ["missing.segment", "s.genome.db"]);
}
