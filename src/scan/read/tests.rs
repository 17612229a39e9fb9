use super::*;
use crate::profile::recipe::RuleSet;
use crate::scan::tests::make_fifo;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use tempfile::TempDir;

const TEXT: &[u8] = b"some text";

/// A root with the file `a/b/f.txt`, beside a folder outside it with the same names.
fn setup() -> (TempDir, PathBuf, FileEntry) {
    let dir = crate::test_folder::create();
    let base = dir.path().canonicalize().expect("exists");
    for (top, text) in [("root", TEXT), ("outside", b"not yours")] {
        fs::create_dir_all(base.join(top).join("a/b")).expect("folder");
        fs::write(base.join(top).join("a/b/f.txt"), text).expect("file");
    }
    let entry = FileEntry {
        path: RelPath::from_spelling("a/b/f.txt").expect("a path"),
        size: TEXT.len() as u64,
        mtime_ns: 0,
    };
    (dir, base.join("root"), entry)
}

fn reason(root: &Path, entry: &FileEntry) -> SkipReason {
    let failure = read_file(root, entry, &Limits::default()).expect_err("no file");
    assert!(!failure.detail.is_empty());
    failure.reason
}

#[test]
fn a_file_is_read_with_its_identity() {
    let (_dir, root, mut entry) = setup();
    let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::from_nanos(5);
    let file = File::options()
        .write(true)
        .open(root.join("a/b/f.txt"))
        .expect("file");
    file.set_modified(before_1970).expect("set");
    entry.size = 3;
    let read = read_file(&root, &entry, &Limits::default()).expect("reads");
    assert_eq!((read.bytes.as_slice(), read.entry.size), (TEXT, 9));
    assert_eq!(read.entry.mtime_ns, -5);
    assert_eq!(read.hash, FileHash::of(TEXT));
}

#[test]
fn what_is_gone_or_changed_its_kind_has_vanished() {
    let (_dir, root, entry) = setup();
    let file = root.join("a/b/f.txt");
    fs::remove_file(&file).expect("removed");
    assert_eq!(reason(&root, &entry), SkipReason::Vanished, "gone");
    symlink(root.join("../outside/a/b/f.txt"), &file).expect("link");
    assert_eq!(reason(&root, &entry), SkipReason::Vanished, "link");
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("folder");
    assert_eq!(reason(&root, &entry), SkipReason::Vanished, "folder");
    fs::remove_dir(&file).expect("removed");
    make_fifo(&file);
    assert_eq!(reason(&root, &entry), SkipReason::Vanished, "fifo");
    fs::remove_file(&file).expect("removed");
    let _socket = std::os::unix::net::UnixListener::bind(&file).expect("socket");
    assert_eq!(reason(&root, &entry), SkipReason::Vanished, "socket");
}

#[test]
fn a_folder_swapped_for_a_link_does_not_lead_outside() {
    let (_dir, root, entry) = setup();
    for swapped in ["a/b", "a"] {
        let folder = root.join(swapped);
        fs::rename(&folder, root.join("aside")).expect("renamed");
        symlink(root.join("../outside").join(swapped), &folder).expect("link");
        assert_eq!(
            fs::read(root.join("a/b/f.txt")).expect("by the link"),
            b"not yours"
        );
        assert_eq!(reason(&root, &entry), SkipReason::Vanished, "{swapped}");
        let followed = Limits {
            follow_links: true,
            ..Limits::default()
        };
        let failure = read_file(&root, &entry, &followed).expect_err("outside");
        assert_eq!(failure.reason, SkipReason::LinkRefused, "{swapped}");
        fs::remove_file(&folder).expect("removed");
        fs::rename(root.join("aside"), &folder).expect("renamed");
    }
    assert!(read_file(&root, &entry, &Limits::default()).is_ok());
}

#[test]
fn without_its_root_no_file_has_vanished() {
    let (_dir, root, entry) = setup();
    fs::rename(&root, root.with_file_name("aside")).expect("renamed");
    assert_eq!(reason(&root, &entry), SkipReason::Unreadable, "gone");
    symlink("outside", &root).expect("link");
    assert!(root.join("a/b/f.txt").is_file());
    assert_eq!(reason(&root, &entry), SkipReason::Unreadable, "a link");
}

#[test]
fn links_inside_the_root_are_followed_when_asked_for() {
    let (_dir, root, mut entry) = setup();
    symlink("a/b", root.join("link")).expect("link");
    entry.path = RelPath::from_spelling("link/f.txt").expect("a path");
    assert_eq!(reason(&root, &entry), SkipReason::Vanished);
    let followed = Limits {
        follow_links: true,
        ..Limits::default()
    };
    let read = read_file(&root, &entry, &followed).expect("reads");
    assert_eq!((read.bytes.as_slice(), read.entry.path), (TEXT, entry.path));
}

#[test]
fn the_upper_limit_holds_for_the_bytes_read() {
    let (_dir, root, entry) = setup();
    let most = |max_file_bytes| Limits {
        max_file_bytes,
        large_files: LargeFiles::Skip,
        ..Limits::default()
    };
    assert!(read_file(&root, &entry, &most(9)).is_ok());
    let failure = read_file(&root, &entry, &most(8)).expect_err("too large");
    assert_eq!(failure.reason, SkipReason::TooLarge);
    // A file without a size of its own that never ends.
    let mut endless = File::open("/dev/zero").expect("opens");
    let metadata = File::open(root.join("a/b/f.txt"))
        .and_then(|file| file.metadata())
        .expect("file");
    let failure = read_within(&mut endless, &metadata, 1000, &mut || {}).expect_err("too large");
    assert_eq!(failure.reason, SkipReason::TooLarge);
}

#[test]
fn of_a_large_file_the_head_is_read_up_to_the_end_of_a_line() {
    let (_dir, root, mut entry) = setup();
    let limits = |max_file_bytes| Limits {
        max_file_bytes,
        ..Limits::default()
    };
    let utf16: Vec<u8> = "\u{feff}a\nb\u{a0a}\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let table: [(&[u8], u64, usize); 8] = [
        (b"one\ntwo\nthree\n", 14, 14),
        (b"one\ntwo\nthree\n", 13, 8),
        (b"one\ntwo\nthree\n", 4, 4),
        (b"one\ntwo\nthree\n", 3, 3),
        ("a\u{20ac}\u{20ac}".as_bytes(), 6, 4),
        ("a\u{20ac}\u{20ac}".as_bytes(), 7, 7),
        (&utf16, 9, 6),
        (&utf16, 4, 4),
    ];
    for (bytes, most, length) in table {
        std::fs::write(root.join("a/b/f.txt"), bytes).expect("written");
        entry.size = bytes.len() as u64;
        let read = read_file(&root, &entry, &limits(most)).expect("reads");
        assert_eq!(read.bytes, bytes[..length], "{most} of {bytes:?}");
        assert_eq!(read.entry.size, bytes.len() as u64);
        assert_eq!(read.is_head(), length < bytes.len());
    }
    // Of files of records less is read.
    let records = "a,b\n".repeat(100_000);
    std::fs::write(root.join("a/b/f.csv"), records).expect("written");
    entry.path = RelPath::from_spelling("a/b/f.csv").expect("a path");
    let read = read_file(&root, &entry, &Limits::default()).expect("reads");
    assert_eq!((read.bytes.len(), read.is_head()), (64 * 1024, true));
    let compat = Limits {
        max_file_bytes: 1_000_000,
        ..Limits::of(RuleSet::Compat)
    };
    let read = read_file(&root, &entry, &compat).expect("reads");
    assert_eq!((read.bytes.len(), read.is_head()), (400_000, false));
}

#[test]
fn a_file_that_changes_meanwhile_is_read_again_but_not_forever() {
    let (_dir, root, entry) = setup();
    for changes in [0, 1, ATTEMPTS - 1, ATTEMPTS, 99] {
        let mut n_reads = 0;
        let read = first_at_rest(|| {
            let attempt = read_once(&root, &entry.path, &Limits::default())?;
            n_reads += 1;
            Ok(Attempt {
                unrest: (n_reads <= changes).then_some(Duration::from_millis(1)),
                ..attempt
            })
        });
        assert_eq!(n_reads, (changes + 1).min(ATTEMPTS));
        match read {
            Ok(read) => assert_eq!((read.bytes.as_slice(), changes < ATTEMPTS), (TEXT, true)),
            Err(failure) => {
                assert!(changes >= ATTEMPTS, "{failure:?}");
                assert_eq!(failure.reason, SkipReason::Unreadable);
            }
        }
    }
}

#[test]
fn a_change_that_keeps_size_and_time_is_seen_by_the_change_time() {
    let (_dir, root, _) = setup();
    let path = root.join("a/b/f.txt");
    let before = fs::metadata(&path).expect("file");
    // The clock of files may stand still for some milliseconds.
    let changed = (0..1000).any(|_| {
        fs::write(&path, b"text some").expect("written");
        let file = File::options().write(true).open(&path).expect("file");
        file.set_modified(before.modified().expect("time"))
            .expect("set");
        let after = fs::metadata(&path).expect("file");
        assert_eq!(mtime_ns(&after), mtime_ns(&before));
        thread::sleep(Duration::from_millis(1));
        stamp(&after) != stamp(&before)
    });
    assert!(changed, "1,000 changes left no trace");
}

#[test]
fn a_file_of_this_very_moment_is_fresh() {
    let (_dir, root, _) = setup();
    let path = root.join("a/b/f.txt");
    let with_time = |seconds: u64, nanos: u32| {
        let time = std::time::UNIX_EPOCH + Duration::new(seconds, nanos);
        let file = File::options().write(true).open(&path).expect("file");
        file.set_modified(time).expect("set");
        (file.metadata().expect("file"), time)
    };
    let ms = Duration::from_millis;
    let (fine, time) = with_time(1_000_000_000, 500);
    assert_eq!(fresh_for(&fine, time + ms(5)), Some(ms(15)));
    assert_eq!(fresh_for(&fine, time + ms(20)), None);
    assert_eq!(fresh_for(&fine, time - ms(1)), None, "the future");
    let (coarse, time) = with_time(1_000_000_000, 0);
    assert_eq!(fresh_for(&coarse, time + ms(500)), Some(ms(1500)));
    assert_eq!(fresh_for(&coarse, time + ms(2000)), None);
}

#[test]
fn a_file_that_may_not_be_read_is_unreadable() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, root, entry) = setup();
    let file = root.join("a/b/f.txt");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("set");
    if File::open(&file).is_ok() {
        return println!("skipped: this user may read anything");
    }
    assert_eq!(reason(&root, &entry), SkipReason::Unreadable);
}
