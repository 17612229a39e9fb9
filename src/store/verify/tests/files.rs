//! Whole files: missing, left over beside the index, or changed while they are read.

use super::*;

#[test]
fn what_is_missing_or_left_over_beside_the_index_is_told() {
    let fixture = Fixture::new();
    let beside = |name: &str| fixture.folder.path().join(name);
    for name in [
        "a.genome.db.tmp-12-0",
        "a.genome.db-journal",
        "b.genome.db-shm",
        "b.genome.db-wal",
    ] {
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
