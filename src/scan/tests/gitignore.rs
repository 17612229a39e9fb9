//! Rules of git, checked against git itself. Without git on this machine these tests say so and pass.

use super::*;
use crate::profile::FileNames;
use proptest::prelude::*;

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

/// Whether git can be asked.
fn has_git() -> bool {
    let runs = Command::new("git").arg("--version").output().is_ok();
    if !runs {
        println!("skipped: git is not installed");
    }
    runs
}

/// The files that git tracks or would offer to add.
fn by_git(root: &Path) -> BTreeSet<String> {
    git(root, &["init", "-q"]);
    let output = git(
        root,
        &[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    );
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
    tree.rules.names.all = true;
    tree.rules.skip_names = patterns(&[".git"]);
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
    if !has_git() {
        return;
    }
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
    git(&tree.root.path, &["init", "-q"]);
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
    if !has_git() {
        return;
    }
    let tree = tree(&[
        "a.txt",
        "b.md",
        "inner/a.txt",
        "inner/b.md",
        "inner/deep/b.md",
    ]);
    tree.write(".gitignore", b"*.txt\n");
    tree.write("inner/.gitignore", b"b.md\n");
    git(&tree.path("inner"), &["init", "-q"]);
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
    tree.rules.names = FileNames::of(RuleSet::Compat);
    assert_eq!(tree.files(), ["a/x.rs", "b/x.rs"]);
    tree.rules.gitignore = false;
    assert_eq!(tree.files(), ["a/x.rs", "b/x.rs"]);
}

#[test]
fn classes_and_braces_are_those_of_git() {
    if !has_git() {
        return;
    }
    let tree = tree(&[
        "a1.md", "ab.md", "{a,b}.md", "a.md", "b.md", "A.md", "x y.md", "a[.md",
    ]);
    tree.write(
        ".gitignore",
        b"a[[:digit:]].md\n{a,b}.md\n[[:upper:]].md\nx[[:space:]]y.md\na[[].md\n",
    );
    assert_same(&tree);
    assert_eq!(tree.skipped("a1.md").1, SkipReason::Gitignore);
}

#[test]
fn tracked_files_stay_whatever_a_rule_says() {
    if !has_git() {
        return;
    }
    for settings in [
        &["config", "a.b", "c"][..],
        &["update-index", "--index-version", "4"],
        &["update-index", "--split-index"],
    ] {
        let tree = tree(&[
            "keep.log",
            "other.log",
            "out/a/keep.md",
            "out/a/other.md",
            "out/b/other.md",
            "src/a.md",
        ]);
        tree.write(".gitignore", b"*.log\nout/\n");
        git(&tree.root.path, &["init", "-q"]);
        git(&tree.root.path, &["add", "-f", "keep.log", "out/a/keep.md"]);
        git(&tree.root.path, settings);
        assert_same(&tree);
        assert_eq!(
            tree.files(),
            [".gitignore", "keep.log", "out/a/keep.md", "src/a.md"],
            "{settings:?}"
        );
        assert_eq!(tree.skipped("out/b/other.md").1, SkipReason::Gitignore);
    }
}

#[test]
fn names_are_compared_as_the_repository_is_set_up() {
    if !has_git() {
        return;
    }
    let tree = tree(&["A.log", "b.md", "OUT/x.md"]);
    tree.write(".gitignore", b"*.LOG\nout/\n");
    git(&tree.root.path, &["init", "-q"]);
    git(&tree.root.path, &["config", "core.ignorecase", "true"]);
    assert_same(&tree);
    assert_eq!(tree.files(), [".gitignore", "b.md"]);
}

#[test]
fn a_root_inside_a_repository_obeys_the_rules_above_it() {
    if !has_git() {
        return;
    }
    let mut tree = tree(&[
        "app/src/a.md",
        "app/src/a.log",
        "app/src/gen/b.md",
        "app/src/c.md",
    ]);
    tree.write(".gitignore", b"*.log\n/app/src/gen/\n/src/a.md\n");
    tree.write("app/.gitignore", b"/src/c.md\n");
    git(&tree.root.path, &["init", "-q"]);
    git(&tree.root.path, &["add", "-f", "app/src/c.md"]);
    tree.root.path.push("app/src");
    assert_eq!(tree.files(), ["a.md", "c.md"]);
    let (_, reason, rule) = tree.skipped("gen/b.md");
    assert_eq!(reason, SkipReason::Gitignore);
    assert!(rule.starts_with("`/app/src/gen/` in "), "{rule}");
}

/// A commit is needed for worktrees.
fn commit(root: &Path) {
    git(root, &["init", "-q"]);
    git(root, &["add", "-A"]);
    let who = ["-c", "user.name=a", "-c", "user.email=a@b.c"];
    git(root, &[&who[..], &["commit", "-qm", "a"]].concat());
}

#[test]
fn worktrees_share_excludes_and_only_one_is_indexed() {
    if !has_git() {
        return;
    }
    let mut tree = tree(&["main/a.md"]);
    tree.rules.set = RuleSet::Standard;
    let main = tree.path("main");
    commit(&main);
    git(&main, &["worktree", "add", "-q", "../tree", "-b", "b"]);
    git(&main, &["worktree", "add", "-q", "inside/tree", "-b", "c"]);
    tree.write("main/.git/info/exclude", b"scratch/\n");
    tree.write("main/scratch/s.md", &[b'x'; 60]);
    tree.write("tree/scratch/s.md", &[b'x'; 60]);
    assert_eq!(tree.files(), ["main/a.md"]);
    for path in ["tree/a.md", "main/inside/tree/a.md"] {
        assert_eq!(tree.skipped(path).1, SkipReason::Worktree, "{path}");
    }
    // As roots of their own.
    tree.root.path.push("tree");
    assert_eq!(tree.files(), ["a.md"]);
    assert_eq!(tree.skipped("scratch/s.md").1, SkipReason::Gitignore);
    // Of a bare repository, the first.
    let mut tree = self::tree(&["x/a.md"]);
    tree.rules.set = RuleSet::Standard;
    commit(&tree.path("x"));
    git(
        &tree.root.path,
        &["clone", "-q", "--bare", "x", "../bare.git"],
    );
    let bare = tree.dir.path().join("bare.git");
    let (two, one) = (tree.path("two"), tree.path("one"));
    for (path, branch) in [(&two, "e"), (&one, "f")] {
        let path = path.to_str().expect("Unicode");
        git(&bare, &["worktree", "add", "-q", path, "-b", branch]);
    }
    fs::remove_dir_all(tree.path("x")).expect("removed");
    assert_eq!(tree.files(), ["one/a.md"]);
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    if !has_git() {
        return;
    }
    let tree = tree(&[
        "a.log",
        "lib/sub/b.log",
        "lib/sub/c.md",
        "lib/sub/d.tmp",
        "lib/e.log",
    ]);
    tree.write(".gitignore", b"*.log\nlib/\n");
    tree.write("lib/sub/.gitignore", b"*.tmp\n");
    commit(&tree.path("lib/sub"));
    git(&tree.root.path, &["init", "-q"]);
    git(&tree.root.path, &["add", "-f", "lib/sub"]);
    git(&tree.root.path, &["submodule", "absorbgitdirs"]);
    assert_eq!(
        tree.files(),
        [
            ".gitignore",
            "lib/sub/.gitignore",
            "lib/sub/b.log",
            "lib/sub/c.md"
        ]
    );
}

#[test]
fn our_own_rules_are_the_strongest() {
    let tree = tree(&["a.md", "b.log", "c.md", "deep/a.md", "deep/c.md"]);
    tree.write(".gitignore", b"*.log\n");
    tree.write(".helixignore", b"!b.log\nc.md\n.*ignore\n");
    tree.write("deep/.helixignore", b"!c.md\n");
    assert_eq!(tree.files(), ["a.md", "b.log", "deep/a.md", "deep/c.md"]);
    let (_, reason, rule) = tree.skipped("c.md");
    assert_eq!(reason, SkipReason::HelixIgnore);
    assert!(rule.starts_with("`c.md` in ") && rule.ends_with(".helixignore"));
}

#[test]
fn attributes_for_linguist_decide() {
    let mut tree = tree(&[
        "api/a.rs",
        "api/keep.rs",
        "third/b.rs",
        "vendor/modules.txt",
        "vendor/own/c.rs",
        "Cargo.lock",
        "yarn.lock",
        "d.rs",
        "e.rs",
    ]);
    tree.rules = Rules::default();
    tree.write(
        ".gitattributes",
        b"[attr]theirs linguist-vendored\napi/** linguist-generated\nthird/** theirs\nvendor/** -linguist-vendored\n\
          Cargo.lock linguist-generated=false\ne.rs linguist-generated=true\n",
    );
    tree.write("api/.gitattributes", b"keep.rs !linguist-generated\n");
    let files = tree.files();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(
        files,
        [
            ".gitattributes",
            "Cargo.lock",
            "api/keep.rs",
            "d.rs",
            "vendor/modules.txt",
            "vendor/own/c.rs"
        ]
    );
    assert_eq!(tree.skipped("api/a.rs").1, SkipReason::Generated);
    assert_eq!(tree.skipped("third/b.rs").1, SkipReason::Vendored);
    assert_eq!(tree.skipped("yarn.lock").1, SkipReason::LockFile);
    let authored = &tree.scan().authored;
    assert_eq!(authored.iter().collect::<Vec<_>>(), [&rel("Cargo.lock")]);
}

#[test]
fn a_rule_file_of_any_length_is_obeyed() {
    let tree = tree(&["a.md", "b.md"]);
    let mut rules: String = (0..40_000).map(|n| format!("*x{n}*y/\n")).collect();
    rules += "a*.md\n";
    tree.write(".gitignore", rules.as_bytes());
    // The rules themselves are too large for the compat rules.
    assert_eq!(tree.files(), ["b.md"]);
}

proptest! {
    #[test]
    fn git_agrees(
        files in proptest::collection::btree_set("([abc]/){0,3}[abc]\\.(md|rs)", 1..25),
        top in proptest::collection::vec(pattern(), 0..6),
        inner in proptest::collection::vec(pattern(), 0..4),
        exclude in proptest::collection::vec(pattern(), 0..3),
        (tracked, folds) in (proptest::collection::vec(any::<prop::sample::Index>(), 0..4), any::<bool>()),
    ) {
        if !has_git() {
            return Ok(());
        }
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let tree = tree(&files);
        tree.write(".gitignore", top.join("\n").as_bytes());
        tree.write("a/.gitignore", inner.join("\n").as_bytes());
        git(&tree.root.path, &["init", "-q"]);
        tree.write(".git/info/exclude", exclude.join("\n").as_bytes());
        git(&tree.root.path, &["config", "core.ignorecase", if folds { "true" } else { "false" }]);
        for index in tracked {
            git(&tree.root.path, &["add", "-f", *index.get(&files)]);
        }
        assert_same(&tree);
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let class = "\\[\\[:(alpha|digit|lower|upper):\\]\\]|\\[!a\\]|\\[\\^b\\]|\\[a-b\\]|\\[ab\\]";
    let first = format!(
        "([abcA*?]|\\*\\*|[abc*]\\.(md|rs)|\\*\\.(md|rs)|{class}|\\{{a,b\\}}|\\\\a|a\\\\\\*|[ab]*)"
    );
    let more = "(/([abc*]|\\*\\*|\\*\\.md|[abc]\\.(md|rs))){0,2}";
    let middle = proptest::string::string_regex(&format!("{first}{more}"));
    let middle = middle.expect("a regular expression");
    ("!?", "/?", middle, "/?", " {0,2}")
        .prop_map(|(not, start, middle, end, space)| format!("{not}{start}{middle}{end}{space}"))
}
