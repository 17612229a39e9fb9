//! Names, paths, permissions and sizes at the edge of what a system allows.

use super::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn strange_names_are_found_and_read() {
    let tree = Tree::new(&[]);
    let long = format!("{}.rs", "l".repeat(252));
    let names: [&[u8]; 7] = [
        b"not-utf8-\xff\xfe.rs",
        b"new\nline.rs",
        "right-\u{202e}-left.rs".as_bytes(),
        b"-rf.rs",
        b"back\\slash \\xFF.rs",
        long.as_bytes(),
        b"  .rs",
    ];
    for name in names {
        fs::write(tree.root.path.join(OsStr::from_bytes(name)), [b'x'; 60]).expect("file");
    }
    let scan = tree.scan();
    let found: BTreeSet<&[u8]> = scan.files.iter().map(|file| file.path.as_bytes()).collect();
    assert_eq!(found, names.into());
    for file in &scan.files {
        let read = read_file(&tree.root.path, file, &Limits::default()).expect("reads");
        assert_eq!(&read.entry, file);
        assert_eq!(
            why(&tree.root, &tree.rules, &file.path),
            Why::Eligible(file.clone())
        );
    }
}

#[test]
fn a_path_too_long_for_the_system_is_listed() {
    use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
    let tree = Tree::new(&["ok.rs"]);
    let folder = OFlags::RDONLY | OFlags::DIRECTORY;
    let name = "d".repeat(250);
    let mut here = open(&tree.root.path, folder, Mode::empty()).expect("root");
    for _ in 0..20 {
        mkdirat(&here, name.as_str(), Mode::RWXU).expect("folder");
        here = openat(&here, name.as_str(), folder, Mode::empty()).expect("folder");
    }
    let scan = tree.scan();
    assert_eq!(spelled(&scan), ["ok.rs"]);
    assert_eq!(scan.skipped, [(SkipReason::Unreadable, 1)].into());
    assert_eq!(scan.failures.len(), 1);
    // The temporary folder cannot be removed by its path either.
    let status = Command::new("rm").arg("-rf").arg(tree.path(&name)).status();
    assert!(status.expect("rm runs").success());
}

#[test]
fn what_may_not_be_looked_at_is_listed() {
    let tree = Tree::new(&["ok.rs", "locked/x.rs"]);
    let locked = tree.path("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).expect("set");
    let readable = fs::read_dir(&locked).is_ok();
    let scan = tree.scan();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).expect("set");
    if readable {
        return println!("skipped: this user may read anything");
    }
    assert_eq!(spelled(&scan), ["ok.rs"]);
    assert_eq!(scan.skipped, [(SkipReason::Unreadable, 1)].into());
    assert_eq!(
        (&scan.failures[0].path, scan.failures.len()),
        (&rel("locked"), 1)
    );
    assert!(scan.failures[0].reason.is_failure());
}

#[test]
fn a_missing_root_is_an_error_with_its_path() {
    let mut tree = Tree::new(&[]);
    tree.root.path.push("gone");
    let error = scan(&tree.root, &tree.rules).expect_err("gone");
    assert!(error.to_string().ends_with("gone"), "{error}");
}

#[test]
fn a_sparse_giant_is_too_large_and_costs_nothing() {
    let tree = Tree::new(&[]);
    let file = fs::File::create(tree.path("giant.json")).expect("file");
    if let Err(error) = file.set_len(1 << 40) {
        return println!("skipped: no sparse file of 1 TiB here: {error}");
    }
    let scan = tree.scan();
    assert_eq!(scan.skipped, [(SkipReason::TooLarge, 1)].into());
}
