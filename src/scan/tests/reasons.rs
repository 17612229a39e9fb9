//! Why a file is skipped: one reason and one rule, and `why` says what the walk did.

use super::*;
use proptest::prelude::*;

#[test]
fn each_skip_has_one_reason_and_a_rule() {
    let mut tree = Tree::new(&[
        "ok.rs",
        "a/ok.MD",
        "a/x.exe",
        "Makefile",
        "package-lock.json",
        "a/app.min.js",
        ".env",
        "secrets.yml",
        ".ssh/notes.md",
        "node_modules/deep/x.js",
        "out/gen/x.rs",
        "a/skip.rs",
    ]);
    tree.write("tiny.rs", &[b'x'; 49]);
    tree.write("huge.rs", &[b'x'; 200_001]);
    tree.root.exclude = patterns(&["/out/", "skip.*"]);
    make_fifo(&tree.path("fifo.rs"));
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("s.rs")).expect("socket");
    symlink("/dev/zero", tree.path("zero.rs")).expect("link");

    let scan = tree.scan();
    assert_eq!(spelled(&scan), ["a/ok.MD", "ok.rs"]);
    assert_eq!(scan.bytes, 120);
    let expected = [
        (SkipReason::Extension, 2),
        (SkipReason::TooSmall, 1),
        (SkipReason::TooLarge, 1),
        (SkipReason::SkippedDir, 1),
        (SkipReason::SkippedName, 2),
        (SkipReason::Secret, 3),
        (SkipReason::Excluded, 2),
        (SkipReason::Link, 1),
        (SkipReason::Special, 2),
    ];
    assert_eq!(scan.skipped, expected.into());
    assert!(scan.failures.is_empty());

    for (path, at, reason, rule) in [
        (
            "a/x.exe",
            "a/x.exe",
            SkipReason::Extension,
            "`exe` is not in extensions",
        ),
        (
            "Makefile",
            "Makefile",
            SkipReason::Extension,
            "has no extension",
        ),
        (
            "tiny.rs",
            "tiny.rs",
            SkipReason::TooSmall,
            "49 bytes, min_file_bytes is 50",
        ),
        (
            "huge.rs",
            "huge.rs",
            SkipReason::TooLarge,
            "200001 bytes, max_file_bytes is 200000",
        ),
        (
            "node_modules/deep/x.js",
            "node_modules",
            SkipReason::SkippedDir,
            "`node_modules` in skip_dirs",
        ),
        (
            "a/app.min.js",
            "a/app.min.js",
            SkipReason::SkippedName,
            "`*.min.js` in skip_names",
        ),
        (
            ".env",
            ".env",
            SkipReason::Secret,
            "`.env` is on the list of secret file names",
        ),
        (
            ".ssh/notes.md",
            ".ssh",
            SkipReason::Secret,
            "`.ssh/` is on the list of secret file names",
        ),
        (
            "out/gen/x.rs",
            "out",
            SkipReason::Excluded,
            "`/out/` in exclude",
        ),
        (
            "a/skip.rs",
            "a/skip.rs",
            SkipReason::Excluded,
            "`skip.*` in exclude",
        ),
        (
            "fifo.rs",
            "fifo.rs",
            SkipReason::Special,
            "neither a file nor a folder",
        ),
        (
            "zero.rs",
            "zero.rs",
            SkipReason::Link,
            "follow_links is off",
        ),
        (
            "ok.rs/below",
            "ok.rs",
            SkipReason::Vanished,
            "a file, with nothing below it",
        ),
    ] {
        assert_eq!(
            tree.skipped(path),
            (at.into(), reason, rule.into()),
            "{path}"
        );
    }
    assert_eq!(tree.skipped("gone.rs").1, SkipReason::Vanished);
    assert_eq!(tree.why("a"), Why::Entered);
    assert!(matches!(tree.why("a/ok.MD"), Why::Eligible(file) if file.size == 60));

    tree.rules.secrets = Secrets::Allow;
    assert_eq!(
        tree.files(),
        [".ssh/notes.md", "a/ok.MD", "ok.rs", "secrets.yml"]
    );
}

#[test]
fn skips_are_told_in_order() {
    let tree = Tree::new(&["b.exe", "a/z.exe", "a/b.rs", "c.exe"]);
    let mut heard = Vec::new();
    scan_with(&tree.root, &tree.rules, &mut |path, reason, rule| {
        heard.push(format!("{path} {reason}: {rule}"));
    })
    .expect("the root exists");
    let expected = ["a/z.exe", "b.exe", "c.exe"];
    assert_eq!(
        heard,
        expected.map(|path| format!("{path} extension: `exe` is not in extensions"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// `why` says of every path what the walk did with it.
    #[test]
    fn why_agrees_with_the_walk(
        files in proptest::collection::btree_set(
            "((a|b|dist|node_modules|\\.ssh|c-d)/){0,3}(x|\\.env|secrets|yarn|z\\.min)(\\.(rs|js|yml|lock|exe))?", 1..30),
        exclude in proptest::option::of("[ab*]/?x?(\\.rs)?"),
        include in proptest::option::of("(\\*\\.rs|a|b/\\*\\*)"),
        ignore in "!?[abx*]/?\n[*]\\.yml",
        (gitignore, links) in (any::<bool>(), any::<bool>()),
        link in "(a|b|c-d)?",
    ) {
        let mut tree = Tree::new(&[]);
        for file in &files {
            let path = tree.path(file);
            if fs::create_dir_all(path.parent().expect("below")).is_ok() && !path.is_dir() {
                fs::write(path, [b'x'; 60]).expect("file");
            }
        }
        tree.write(".gitignore", ignore.as_bytes());
        symlink(format!("./{link}"), tree.path("link")).expect("link");
        tree.rules.gitignore = gitignore;
        tree.rules.limits.follow_links = links;
        tree.root.exclude = patterns(&exclude.iter().map(String::as_str).collect::<Vec<_>>());
        tree.root.include = patterns(&include.iter().map(String::as_str).collect::<Vec<_>>());

        let mut skipped = Vec::new();
        let found = scan_with(&tree.root, &tree.rules, &mut |path, reason, rule| {
            skipped.push((path.clone(), reason, rule.to_string()));
        }).expect("the root exists");
        prop_assert_eq!(found.skipped.values().sum::<u64>(), skipped.len() as u64);
        for (path, reason, rule) in skipped {
            let said = why(&tree.root, &tree.rules, &path);
            prop_assert_eq!(said, Why::Skipped { at: path, reason, rule });
        }
        let eligible: BTreeSet<&RelPath> = found.files.iter().map(|file| &file.path).collect();
        for file in &found.files {
            prop_assert_eq!(why(&tree.root, &tree.rules, &file.path), Why::Eligible(file.clone()));
        }
        for file in files.iter().map(|file| rel(file)) {
            let said = why(&tree.root, &tree.rules, &file);
            prop_assert_eq!(matches!(said, Why::Eligible(_)), eligible.contains(&file), "{:?}", said);
        }
    }
}
