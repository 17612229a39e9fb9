//! Links: followed where the rules say so, never out of the root or in a circle.

use super::*;

#[test]
fn links_are_followed_within_bounds() {
    let mut tree = Tree::new(&[
        "real/x.rs",
        "real/deep/y.rs",
        ".env",
        ".ssh/k.md",
        "inner/z.rs",
    ]);
    tree.root.inner = vec![rel("inner")];
    let outside = tree.dir.path().join("outside");
    fs::create_dir(&outside).expect("folder");
    fs::write(outside.join("o.rs"), [b'x'; 60]).expect("file");
    for (target, link) in [
        ("real", "linked"),
        ("real/x.rs", "file.rs"),
        ("../outside", "out"),
        ("../outside/o.rs", "out.rs"),
        ("none", "dangling.rs"),
        ("circle.rs", "circle.rs"),
        (".", "self"),
        ("../..", "real/deep/up"),
        ("deep", "real/again"),
        (".env", "env.txt"),
        (".ssh", "notes"),
        ("inner/z.rs", "z.rs"),
        ("/dev/zero", "zero.rs"),
    ] {
        symlink(target, tree.path(link)).expect(link);
    }
    let n_links = 13;
    let scan = tree.scan();
    assert_eq!(scan.skipped[&SkipReason::Link], n_links);
    assert_eq!(spelled(&scan), ["real/deep/y.rs", "real/x.rs"]);

    tree.rules.limits.follow_links = true;
    let scan = tree.scan();
    let expected = [
        "file.rs",
        "linked/deep/y.rs",
        "linked/x.rs",
        "real/again/y.rs",
        "real/deep/y.rs",
        "real/x.rs",
    ];
    assert_eq!(spelled(&scan), expected);
    assert_eq!(scan.files[0].size, 60, "that of the target");
    // Below `linked`: `again` and `deep/up`; below `real/again`: `up`; `real/deep/up` itself.
    assert_eq!(scan.skipped[&SkipReason::LinkRefused], 10);
    for (link, reason, rule) in [
        ("out/o.rs", SkipReason::LinkRefused, "leads out of the root"),
        ("zero.rs", SkipReason::LinkRefused, "leads out of the root"),
        ("self", SkipReason::LinkRefused, "runs in a circle"),
        ("real/deep/up", SkipReason::LinkRefused, "runs in a circle"),
        (
            "linked/again/y.rs",
            SkipReason::LinkRefused,
            "a link below a linked folder",
        ),
        (
            "env.txt",
            SkipReason::Secret,
            "`.env` is on the list of secret file names",
        ),
        (
            "notes",
            SkipReason::Secret,
            "`.ssh/` is on the list of secret file names",
        ),
        (
            "z.rs",
            SkipReason::OtherRoot,
            "belongs to another root of the profile",
        ),
    ] {
        let (_, found, why) = tree.skipped(link);
        assert_eq!((found, why.as_str()), (reason, rule), "{link}");
    }
    for file in &scan.files {
        assert_eq!(
            why(&tree.root, &tree.rules, &file.path),
            Why::Eligible(file.clone())
        );
        assert!(
            read_file(&tree.root.path, file, &tree.rules.limits).is_ok(),
            "{:?}",
            file.path
        );
    }
}

#[test]
fn links_at_each_others_folders_do_not_multiply() {
    let mut tree = Tree::new(&[]);
    for level in 0..30 {
        fs::create_dir(tree.path(&format!("d{level}"))).expect("folder");
        for name in ["a", "b"] {
            let target = format!("../d{}", level + 1);
            symlink(target, tree.path(&format!("d{level}/{name}"))).expect("link");
        }
    }
    tree.write("d30/x.rs", &[b'x'; 60]);
    tree.rules.limits.follow_links = true;
    assert_eq!(tree.files(), ["d29/a/x.rs", "d29/b/x.rs", "d30/x.rs"]);
}
