//! Whole files: missing, left over beside the index, or changed while they are read.

use super::*;
use crate::store::schema;

#[test]
fn what_is_missing_or_left_over_beside_the_index_is_told() {
    let fixture = Fixture::new();
    let beside = |name: &str| fixture.folder.path().join(name);
    for name in ["a.genome.db.tmp-12-0", "a.genome.db-journal"] {
        std::fs::write(beside(name), "").expect("written");
        let report = fixture.verify(Level::Quick);
        let mut left = report.faults.listed();
        assert!(
            left.any(|f| f.kind == FaultKind::LeftBeside && f.row == name),
            "{name}"
        );
        std::fs::remove_file(beside(name)).expect("removed");
    }
    std::fs::rename(fixture.shard("b"), beside("moved")).expect("renamed");
    let report = fixture.verify(Level::Full);
    assert!(has(&report, "b", FaultKind::Missing, ""));
    assert!(report.digest().is_none());
    assert!(!fixture.shard("b").exists());
    std::fs::write(fixture.shard("b"), "not a database").expect("written");
    let report = fixture.verify(Level::Full);
    assert!(
        has(&report, "b", FaultKind::Unreadable, ""),
        "{:#?}",
        listed(&report)
    );
}

#[test]
fn a_file_that_changes_while_it_is_read_is_told() {
    let fixture = Fixture::new();
    let path = fixture.shard("a");
    let stamp = file::Stamp::of(&path).expect("a file");
    let mut faults = Faults::default();
    let mut finder = Finder {
        shard: "a",
        faults: &mut faults,
    };
    stamp.check_unchanged(&path, &mut finder);
    assert!(finder.faults.is_empty());
    change(
        &path,
        "INSERT INTO health_log (query) VALUES (hex(zeroblob(9000)))",
    );
    stamp.check_unchanged(&path, &mut finder);
    assert_eq!(faults.counts().get(&FaultKind::Changed), Some(&1));
}

/// The lock of the fixture's index, taken as a build takes it.
fn lock(fixture: &Fixture) -> std::fs::File {
    let work = fixture.folder.path().join(".build");
    std::fs::create_dir_all(&work).expect("a folder");
    let lock = std::fs::File::create(work.join("lock")).expect("created");
    lock.lock().expect("locked");
    lock
}

#[test]
fn what_a_build_at_work_may_explain_is_no_fault() {
    let fixture = Fixture::new();
    let check = || {
        let report = verify_within(Duration::ZERO, fixture.folder.path(), Level::Full);
        report.expect("an index")
    };
    change(&fixture.routing(), "UPDATE shards SET gene_count = 99");
    let report = check();
    assert!(!report.faults.is_empty() && !report.being_rebuilt);
    let held = lock(&fixture);
    let report = check();
    assert!(report.faults.is_empty() && report.being_rebuilt && report.unconfirmed > 0);
    assert!(!report.is_sound());
    change(
        &fixture.routing(),
        "UPDATE shards SET gene_count = 3 WHERE shard_name = 'b'",
    );
    drop(held);
    let report = check();
    assert!(!report.faults.is_empty() && report.unconfirmed == 0);
}

#[test]
fn a_build_that_came_and_went_is_noticed() {
    let fixture = Fixture::new();
    let watch = BuildWatch::start(fixture.folder.path());
    assert!(!watch.is_disturbed());
    drop(lock(&fixture));
    assert!(watch.is_disturbed());
    let watch = BuildWatch::start(fixture.folder.path());
    std::fs::create_dir(fixture.folder.path().join(".build/segments")).expect("a folder");
    assert!(watch.is_disturbed());
}

#[test]
fn a_database_of_another_program_is_no_index() {
    let folder = crate::test_folder::create();
    for name in ["notes.db", ROUTING_NAME] {
        let path = folder.path().join(name);
        change(&path, "CREATE TABLE notes (text)");
        for named in [path.as_path(), folder.path()] {
            let found = verify(named, Level::Quick);
            assert!(
                matches!(found, Err(LocateError::Foreign { .. })),
                "{found:?}"
            );
        }
        std::fs::remove_file(path).expect("removed");
    }
    let path = folder.path().join("server.db");
    change(&path, schema::COMMON_TABLES);
    change(&path, schema::SHARD_TABLES);
    let found = verify(&path, Level::Quick);
    assert!(
        matches!(found, Err(LocateError::OfAnotherBuilder { .. })),
        "{found:?}"
    );
}

#[test]
fn a_shard_that_another_builder_registered_is_left_alone() {
    let fixture = Fixture::new();
    change(&fixture.shard("theirs"), schema::COMMON_TABLES);
    change(&fixture.shard("theirs"), schema::SHARD_TABLES);
    let register = format!(
        "INSERT INTO shards (shard_name, category, path, created_at, updated_at)
         VALUES ('theirs', 'agent', '{}', 1.0, 1.0)",
        fixture.shard("theirs").display()
    );
    change(&fixture.routing(), &register);
    let report = fixture.verify(Level::Full);
    assert!(report.is_sound(), "{:#?}", listed(&report));
    assert_eq!(report.foreign_shards, ["theirs"]);
    assert_eq!(report.shards.len(), 2);
}
