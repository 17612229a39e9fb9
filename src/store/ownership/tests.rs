//! Only what carries a mark is replaced or deleted.

use super::*;
use crate::store::connect::sidecar;
use crate::store::digest::ContentDigest;
use crate::store::registered::BuildRecord;
use rusqlite::Connection;
use std::fs;

fn row(name: &str, ours: bool) -> RegisteredShard {
    let digest = Digest([1; 32]);
    RegisteredShard {
        name: name.to_owned(),
        category: "reference".to_owned(),
        path: format!("/o/shards/{name}.genome.db").into(),
        recorded_path: format!("/o/shards/{name}.genome.db").into(),
        health: "ok".to_owned(),
        chunks: 1,
        bytes: 1,
        metadata: None,
        build: ours.then_some(BuildRecord {
            fingerprint: digest,
            digest,
            content: ContentDigest::from_digest(digest),
            file_hash: None,
        }),
    }
}

fn path_of(label: &str) -> PathBuf {
    format!("/o/shards/{label}.genome.db").into()
}

fn ours(label: &str, root: &str) -> Holding {
    Holding::Ours(Mark {
        label: label.to_owned(),
        roots: vec![Root {
            label: "r".to_owned(),
            path: root.to_owned(),
        }],
        encoders: None,
        digest: Some(Digest([2; 32])),
    })
}

/// Of roots that nobody knows, with this digest.
fn recorded(label: &str, digest: u8) -> Holding {
    match ours(label, "/elsewhere") {
        Holding::Ours(mark) => Holding::Ours(Mark {
            digest: Some(Digest([digest; 32])),
            ..mark
        }),
        other => other,
    }
}

fn other_format(format: i64) -> Holding {
    Holding::OtherFormat {
        format: format.to_string(),
        by: String::new(),
    }
}

fn records() -> Records {
    Records {
        registered: vec![row("a", true), row("theirs", false)],
        listed: BTreeMap::from([(path_of("listed"), Digest([3; 32]).to_string())]),
        roots: BTreeSet::from(["/r".to_owned()]),
        taken_over: false,
    }
}

#[test]
fn only_what_carries_the_mark_is_replaced() {
    let may = |label: &str, holding: &Holding| {
        records().may_replace(&path_of(label), holding, label, OtherFormats::Keep)
    };
    for (label, holding) in [
        ("new", Holding::Nothing),
        ("a", ours("a", "/r")),
        ("a", recorded("a", 1)),
        ("listed", recorded("listed", 3)),
        ("a", Holding::Unreadable),
        ("listed", Holding::Unreadable),
    ] {
        assert_eq!(may(label, &holding), Ok(()), "{label} {holding:?}");
    }
    for (label, holding) in [
        ("a", Holding::Foreign("a folder")),
        ("a", ours("a", "/elsewhere")),
        ("listed", ours("listed", "/elsewhere")),
        ("a", recorded("a", 3)),
        ("b", ours("a", "/r")),
        ("b", Holding::Unreadable),
        ("theirs", Holding::Unreadable),
        ("a", other_format(7)),
    ] {
        assert!(may(label, &holding).is_err(), "{label} {holding:?}");
    }
    let taken_over = Records {
        taken_over: true,
        ..records()
    };
    let (path, other) = (path_of("a"), ours("a", "/elsewhere"));
    let replaced = taken_over.may_replace(&path, &other, "a", OtherFormats::Keep);
    assert_eq!(replaced, Ok(()));
    let other = other_format(7);
    let replaced = records().may_replace(&path_of("a"), &other, "a", OtherFormats::Replace);
    assert_eq!(replaced, Ok(()));
}

#[test]
fn only_what_this_output_made_is_deleted() {
    let may =
        |label: &str, holding: &Holding| records().may_delete(&path_of(label), holding, path_of);
    assert!(may("a", &ours("a", "/elsewhere")));
    assert!(may("a", &Holding::Unreadable));
    // A build that was killed before it could register it.
    assert!(may("b", &ours("b", "/r")));
    for (label, holding) in [
        ("b", ours("b", "/elsewhere")),
        ("backup", ours("a", "/r")),
        ("theirs", ours("theirs", "/r")),
        ("b", Holding::Unreadable),
        ("a", Holding::Foreign("another program's database")),
        ("a", other_format(7)),
    ] {
        assert!(!may(label, &holding), "{label} {holding:?}");
    }
}

#[test]
fn databases_are_told_by_their_rows() {
    let dir = crate::test_folder::create();
    let at = |name: &str| dir.path().join(name);
    let make = |name: &str, sql: &str| {
        let conn = Connection::open(at(name)).expect("opened");
        conn.execute_batch(sql).expect("made");
    };
    make("theirs.db", "CREATE TABLE customers (name)");
    make("meta.db", "CREATE TABLE build_meta (key, value)");
    make(
        "later.db",
        "CREATE TABLE build_meta (key, value); INSERT INTO build_meta VALUES ('format', 99)",
    );
    fs::write(at("text"), "no database at all, but a text").expect("written");
    fs::write(at("empty"), "").expect("written");
    fs::create_dir(at("folder")).expect("made");
    let look = |name: &str| look(&at(name)).expect("looked at");
    assert_eq!(look("none"), Holding::Nothing);
    assert_eq!(
        look("theirs.db"),
        Holding::Foreign("another program's database")
    );
    assert_eq!(
        look("meta.db"),
        Holding::Foreign("another program's database")
    );
    assert_eq!(look("later.db"), other_format(99));
    assert_eq!(look("text"), Holding::Unreadable);
    assert_eq!(look("empty"), Holding::Unreadable);
    assert_eq!(look("folder"), Holding::Foreign("a folder"));
    for (name, expected) in [
        ("none", Ok(())),
        ("empty", Ok(())),
        ("theirs.db", Err("another program's database")),
        ("text", Err("a file that is not a database")),
        ("folder", Err("a folder")),
    ] {
        assert_eq!(
            is_routing(&at(name)).expect("looked at"),
            expected,
            "{name}"
        );
    }
}

#[test]
fn attempts_are_removed_and_nothing_else() {
    let folder = crate::test_folder::create();
    let own = format!("b.genome.db.tmp-{}-0", std::process::id());
    let kept = ["a.genome.db", "a.genome.db.tmp-x-1", "notes.tmp-1-1"];
    let gone = ["a.genome.db.tmp-0-1", "a.genome.db.tmp-0-1-wal", &own];
    let write = |names: &[&str]| {
        for name in names {
            let head: &[u8] = match name.ends_with("-wal") {
                true => &[0x37, 0x7f, 0x06, 0x82],
                false => b"SQLite format 3\0",
            };
            fs::write(folder.path().join(name), head).expect("written");
        }
    };
    let exists = |name: &str| folder.path().join(name).exists();
    write(&kept);
    write(&gone);
    // A folder is none of ours.
    fs::create_dir(folder.path().join("c.genome.db.tmp-1-1")).expect("made");
    remove_stale_attempts(folder.path(), Stale::All).expect("removed");
    assert!(exists("c.genome.db.tmp-1-1"));
    assert!(kept.iter().all(|name| exists(name)));
    assert!(!gone.iter().any(|name| exists(name)));
    remove_stale_attempts(&folder.path().join("missing"), Stale::All).expect("nothing to do");
    write(&gone);
    let database = folder.path().join("a.genome.db");
    remove_stale_attempts(folder.path(), Stale::Of(&database)).expect("removed");
    assert!(exists(&own) && !exists(gone[0]) && !exists(gone[1]));
}

#[test]
fn what_is_no_segment_stays() {
    let dir = crate::test_folder::create();
    let segments = dir.path().join("segments");
    assert_eq!(foreign_in_segments(&segments).expect("none"), None);
    fs::create_dir(&segments).expect("made");
    for name in ["a-1.seg", "a-1.seg-wal", "a-1.seg.lock"] {
        let text = if name == "a-1.seg" {
            "SQLite format 3\0"
        } else {
            "x"
        };
        fs::write(segments.join(name), text).expect("written");
    }
    assert_eq!(foreign_in_segments(&segments).expect("listed"), None);
    for name in ["b-1.seg", "b-1.seg.2"] {
        fs::write(segments.join(name), "my only copy").expect("written");
        let foreign = foreign_in_segments(&segments).expect("listed");
        assert_eq!(foreign, Some(segments.join(name)));
        // As a power cut leaves it.
        fs::write(segments.join(name), [0; 99]).expect("written");
        assert_eq!(foreign_in_segments(&segments).expect("listed"), None);
    }
    // Damaged from its first byte on.
    for name in ["src-d85b2477152c89d7.seg", "a-b-00000000000000ff.part.seg"] {
        fs::write(segments.join(name), "jelix").expect("written");
        assert_eq!(foreign_in_segments(&segments).expect("listed"), None);
    }
    fs::write(segments.join("notes.txt"), "x").expect("written");
    let foreign = foreign_in_segments(&segments).expect("listed");
    assert_eq!(foreign, Some(segments.join("notes.txt")));
    assert!(remove_segments(&segments).is_err());
    assert!(segments.join("notes.txt").exists() && !segments.join("a-1.seg").exists());
    fs::remove_file(segments.join("notes.txt")).expect("removed");
    remove_segments(&segments).expect("removed");
    assert!(!segments.exists());
    remove_segments(&segments).expect("nothing to do");
}

#[test]
fn a_journal_that_a_kill_left_before_it_was_on_the_disk_is_of_a_database() {
    let dir = crate::test_folder::create();
    let path = dir.path().join("main.genome.db");
    let journal = sidecar(&path, "-journal");
    let connection = Connection::open(&path).expect("opens");
    connection
        .execute_batch("CREATE TABLE t (x); BEGIN; INSERT INTO t VALUES (1);")
        .expect("sound SQL");
    let head = std::fs::read(&journal).expect("a journal");
    assert!(
        head.starts_with(&[0; 8]) && head.iter().any(|byte| *byte != 0),
        "the mark is written later: {head:?}"
    );
    assert_eq!(foreign_beside(&path), None);
    drop(connection);

    // Somebody's own file, also one that begins with zeros.
    for (at, value) in [(0, b't'), (20, 3), (24, 3)] {
        let mut changed = head.clone();
        changed[at] = value;
        std::fs::write(&journal, changed).expect("written");
        assert_eq!(foreign_beside(&path), Some(journal.clone()), "byte {at}");
    }
}
