//! The standard rules: text by content, whatever its name, without what tools keep for themselves.

use super::*;
use crate::profile::FileNames;

fn standard(files: &[&str]) -> Tree {
    let mut tree = Tree::new(files);
    tree.rules = Rules::default();
    tree
}

#[test]
fn any_name_is_taken_and_binary_files_are_not() {
    let tree = standard(&[
        "a.kt",
        "Dockerfile",
        "tool",
        ".github/workflows/ci.yml",
        ".editorconfig",
        "lib/std/Build/Step.zig",
        "src/dist/x.js",
        "src/target/mod.rs",
        "vendor/notes.md",
        "data.bin",
    ]);
    tree.write("tiny", b"1");
    tree.write("empty", b"");
    tree.write("image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    tree.write(
        "wide.txt",
        "\u{4e00}\n"
            .repeat(30)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>()
            .as_slice(),
    );
    let scan = tree.scan();
    assert_eq!(
        spelled(&scan),
        [
            ".editorconfig",
            ".github/workflows/ci.yml",
            "Dockerfile",
            "a.kt",
            "data.bin",
            "lib/std/Build/Step.zig",
            "src/dist/x.js",
            "src/target/mod.rs",
            "tiny",
            "tool",
            "vendor/notes.md",
            "wide.txt",
        ]
    );
    assert_eq!(tree.skipped("image.png").1, SkipReason::Binary);
    assert_eq!(tree.skipped("empty").1, SkipReason::TooSmall);
}

#[test]
fn a_list_of_extensions_and_names_restricts() {
    let mut tree = standard(&["a.kt", "Dockerfile", "x/Dockerfile", "tool"]);
    let entries = ["Dockerfile".to_owned()];
    tree.rules.names = FileNames::typed(&entries, "...", RuleSet::Standard);
    assert_eq!(tree.files(), ["Dockerfile", "x/Dockerfile"]);
}

#[test]
fn what_tools_write_has_its_own_reason() {
    let tree = standard(&[
        "Cargo.lock",
        "web/package-lock.json",
        "web/app.min.js",
        "web/app.js.map",
        "web/node_modules/a/index.js",
        "go/vendor/modules.txt",
        "py/env/pyvenv.cfg",
        "rust/Cargo.toml",
        "rust/target/debug/x.d",
        "java/target/classes/a.xml",
        "ci/out/CACHEDIR.TAG",
        "ios/Pods/Manifest.lock",
        "c/out/CMakeCache.txt",
    ]);
    tree.write(
        "ci/cache/CACHEDIR.TAG",
        b"Signature: 8a477f597d28d172789f06886806bc55\n",
    );
    tree.write("icon.svg", &[b'x'; 9_000]);
    let is = |path: &str, reason| assert_eq!(tree.skipped(path).1, reason, "{path}");
    is("Cargo.lock", SkipReason::LockFile);
    is("web/package-lock.json", SkipReason::LockFile);
    is("web/app.min.js", SkipReason::Minified);
    is("web/app.js.map", SkipReason::SourceMap);
    is("web/node_modules", SkipReason::SkippedDir);
    is("go/vendor", SkipReason::Vendored);
    is("py/env", SkipReason::SkippedDir);
    is("rust/target", SkipReason::SkippedDir);
    is("java/target", SkipReason::SkippedDir);
    is("ci/cache", SkipReason::SkippedDir);
    is("ios/Pods", SkipReason::Vendored);
    is("c/out", SkipReason::SkippedDir);
    is("icon.svg", SkipReason::Image);
    assert_eq!(tree.files(), ["ci/out/CACHEDIR.TAG", "rust/Cargo.toml"]);
    let mut all = tree;
    all.rules.skip_names = patterns(&[]);
    assert!(all.files().contains(&"Cargo.lock".to_owned()));
}

#[test]
fn a_large_file_is_eligible() {
    let tree = standard(&[]);
    tree.write("large.txt", &[b'x'; 2_000_001]);
    assert_eq!(tree.files(), ["large.txt"]);
}
