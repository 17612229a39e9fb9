#![cfg(unix)]

use super::*;
use crate::profile::{Limits, Patterns, Root, Rules, Secrets};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// With the system's own command, since the call is not to be had safely on all of them.
pub fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.expect("runs").success());
}

struct Tree {
    dir: TempDir,
    root: Root,
    rules: Rules,
}

impl Tree {
    /// A root with these files, of 60 bytes each.
    fn new(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let root = dir.path().canonicalize().expect("exists").join("root");
        fs::create_dir(&root).expect("folder");
        let tree = Self {
            dir,
            root: Root::new("root", root),
            rules: Rules::default(),
        };
        for file in files {
            tree.write(file, &[b'x'; 60]);
        }
        tree
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.path.join(below)
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folder");
        fs::write(path, bytes).expect(file);
    }

    fn scan(&self) -> RootScan {
        scan(&self.root, &self.rules).expect("the root exists")
    }

    fn files(&self) -> Vec<String> {
        spelled(&self.scan())
    }

    fn why(&self, path: &str) -> Why {
        why(&self.root, &self.rules, &rel(path))
    }

    fn skipped(&self, path: &str) -> (String, SkipReason, String) {
        match self.why(path) {
            Why::Skipped { at, reason, rule } => (at.spelling().into_owned(), reason, rule),
            other => panic!("{path}: {other:?}"),
        }
    }
}

fn rel(spelling: &str) -> RelPath {
    RelPath::from_spelling(spelling).expect(spelling)
}

fn spelled(scan: &RootScan) -> Vec<String> {
    scan.files
        .iter()
        .map(|file| file.path.spelling().into_owned())
        .collect()
}

fn patterns(list: &[&str]) -> Patterns {
    Patterns::compile(list.iter().copied()).expect("compiles")
}

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
            "`.env` is a name for secrets",
        ),
        (
            ".ssh/notes.md",
            ".ssh",
            SkipReason::Secret,
            "`.ssh/` is a name for secrets",
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
fn canonical_order_is_that_of_bytes() {
    let tree = Tree::new(&[
        "a/x.rs", "a-b/x.rs", "a.rs", "A.rs", "ä.rs", "b/a/x.rs", "b.rs",
    ]);
    assert_eq!(
        tree.files(),
        [
            "A.rs", "a-b/x.rs", "a.rs", "a/x.rs", "b.rs", "b/a/x.rs", "ä.rs"
        ]
    );
}

#[test]
fn include_narrows_and_exclude_wins() {
    let mut tree = Tree::new(&[
        "src/a.rs",
        "src/deep/b.rs",
        "src/old/c.rs",
        "docs/d.md",
        "e.rs",
    ]);
    tree.root.include = patterns(&["src/", "*.md"]);
    tree.root.exclude = patterns(&["old"]);
    assert_eq!(tree.files(), ["docs/d.md", "src/a.rs", "src/deep/b.rs"]);
    assert_eq!(tree.skipped("e.rs").2, "nothing in include matches");
    assert_eq!(
        tree.skipped("src/old/c.rs"),
        (
            "src/old".into(),
            SkipReason::Excluded,
            "`old` in exclude".into()
        )
    );
}

#[test]
fn the_inner_root_owns_its_files() {
    let mut tree = Tree::new(&["a/x.rs", "a/inner/y.rs"]);
    tree.root.inner = vec![rel("a/inner")];
    let scan = tree.scan();
    assert_eq!(spelled(&scan), ["a/x.rs"]);
    assert_eq!(scan.skipped, [(SkipReason::OtherRoot, 1)].into());
    assert_eq!(tree.skipped("a/inner/y.rs").1, SkipReason::OtherRoot);
}

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
            "`.env` is a name for secrets",
        ),
        ("notes", SkipReason::Secret, "`.ssh/` is a name for secrets"),
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

/// Rules of `.gitignore` files, checked against git itself.
mod gitignore {
    use super::*;

    fn git(root: &Path, arguments: &[&str]) -> std::process::Output {
        Command::new("git")
            .args(["-c", "core.excludesFile=/dev/null"])
            .arg("-C")
            .arg(root)
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git runs")
    }

    /// The files that git would offer to add.
    fn by_git(root: &Path) -> BTreeSet<String> {
        git(root, &["init", "-q"]);
        let output = git(root, &["ls-files", "-z", "--others", "--exclude-standard"]);
        assert!(output.status.success(), "{output:?}");
        let names = output
            .stdout
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Everything is eligible but for `.gitignore`.
    fn tree(files: &[&str]) -> Tree {
        let mut tree = Tree::new(files);
        tree.rules.gitignore = true;
        tree.rules.extensions.insert(String::new());
        tree.rules.limits.min_file_bytes = 0;
        tree.rules.skip_dirs = [".git".to_string()].into();
        tree
    }

    fn assert_same(tree: &Tree) {
        let by_git = by_git(&tree.root.path);
        let ours: BTreeSet<String> = tree.files().into_iter().collect();
        assert_eq!(ours, by_git);
        for file in &by_git {
            assert!(matches!(tree.why(file), Why::Eligible(_)), "{file}");
        }
    }

    #[test]
    fn nested_files_and_negations() {
        let tree = tree(&[
            "a.txt",
            "keep.txt",
            "x/a.txt",
            "x/keep.txt",
            "x/y/a.txt",
            "x/y/b.md",
            "out/a.md",
            "x/out/b.md",
            "build/keep.md",
            "deep/a/b/c.md",
            "deep/a/c.md",
            "sp ace.md",
            "#h.md",
            "!b.md",
            "logs/l.md",
            "logs/keep/l.md",
            "foo/bar/q.md",
            "foo/bar2/q.md",
        ]);
        tree.write(
            ".gitignore",
            b"\xef\xbb\xbf*.txt\n!keep.txt\n/out/\nbuild\n!build/keep.md\ndeep/**/c.md\n\\#h.md\n\\!b.md\n# no rule\n\nlogs/*\n!logs/keep\nsp\\ ace.md\nfoo/bar\n",
        );
        tree.write("x/.gitignore", b"!a.txt\n/keep.txt\ny/*.md\r\n");
        tree.write("x/y/.gitignore", b"a.txt\n!b.md   \n");
        fs::create_dir_all(tree.path(".git/info")).expect("folder");
        tree.write(".git/info/exclude", b"sp*\nx/out\n!a.txt\n");
        assert_same(&tree);
        let (at, reason, rule) = tree.skipped("x/keep.txt");
        assert_eq!((at.as_str(), reason), ("x/keep.txt", SkipReason::Gitignore));
        assert!(
            rule.starts_with("`/keep.txt` in ") && rule.ends_with("x/.gitignore"),
            "{rule}"
        );
        let (at, reason, rule) = tree.skipped("x/out/b.md");
        assert_eq!((at.as_str(), reason), ("x/out", SkipReason::Gitignore));
        assert!(
            rule.starts_with("`x/out` in ") && rule.ends_with(".git/info/exclude"),
            "{rule}"
        );
    }

    #[test]
    fn a_repository_inside_starts_afresh() {
        let tree = tree(&[
            "a.txt",
            "b.md",
            "inner/a.txt",
            "inner/b.md",
            "inner/deep/b.md",
        ]);
        tree.write(".gitignore", b"*.txt\n");
        tree.write("inner/.gitignore", b"b.md\n");
        fs::create_dir(tree.path("inner/.git")).expect("folder");
        assert_eq!(
            tree.files(),
            [".gitignore", "b.md", "inner/.gitignore", "inner/a.txt"]
        );
    }

    #[test]
    fn rule_files_that_are_none_are_left_alone() {
        let mut tree = tree(&["a/x.rs", "b/x.rs", "rules"]);
        tree.write("rules", b"*.rs\n");
        symlink("../rules", tree.path("a/.gitignore")).expect("link");
        make_fifo(&tree.path("b/.gitignore"));
        tree.rules.extensions.remove("");
        assert_eq!(tree.files(), ["a/x.rs", "b/x.rs"]);
        tree.rules.gitignore = false;
        assert_eq!(tree.files(), ["a/x.rs", "b/x.rs"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn git_agrees(
            files in proptest::collection::btree_set("([abc]/){0,3}[abc]\\.(md|rs)", 1..25),
            top in proptest::collection::vec(pattern(), 0..6),
            inner in proptest::collection::vec(pattern(), 0..4),
            exclude in proptest::collection::vec(pattern(), 0..3),
        ) {
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let tree = tree(&files);
            tree.write(".gitignore", top.join("\n").as_bytes());
            tree.write("a/.gitignore", inner.join("\n").as_bytes());
            tree.write(".git/info/exclude", exclude.join("\n").as_bytes());
            assert_same(&tree);
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        let middle = "([abc*?]|\\*\\*|[abc*]\\.(md|rs)|\\*\\.(md|rs)|\\[ab\\]|\\[!a\\])(/([abc*]|\\*\\*|\\*\\.md|[abc]\\.(md|rs))){0,2}";
        ("!?", "/?", middle, "/?")
            .prop_map(|(not, start, middle, end)| format!("{not}{start}{middle}{end}"))
    }
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
