//! Rules of `.gitignore` files, checked against git itself.

use super::*;
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
