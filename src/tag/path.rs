//! What the format derives from a file's path alone: its file stem and its path tokens.
//!
//! Only the root's label and the path below the root count, so that an index does not depend on
//! where the tree lies.

use crate::file::RelPath;
use std::collections::BTreeSet;

/// Stems that name too many files to find one by (`filename_index`).
const NOISE_STEMS: [&str; 18] = [
    "__init__", "__main__", "config", "helper", "helpers", "index", "lib", "license", "main",
    "mod", "notice", "package", "readme", "setup", "test", "tests", "util", "utils",
];

/// Path parts that occur nearly everywhere (`path_key_index`). Sorted.
const NOISE_TOKENS: [&str; 66] = [
    "app",
    "apps",
    "arm64",
    "assets",
    "bat",
    "bin",
    "build",
    "cache",
    "cfg",
    "common",
    "config",
    "configs",
    "copy",
    "core",
    "cpp",
    "css",
    "data",
    "debug",
    "dist",
    "doc",
    "docs",
    "file",
    "files",
    "go",
    "hpp",
    "html",
    "include",
    "includes",
    "index",
    "ini",
    "init",
    "java",
    "js",
    "json",
    "jsx",
    "lib",
    "license",
    "log",
    "main",
    "master",
    "md",
    "new",
    "obj",
    "old",
    "private",
    "project",
    "projects",
    "ps1",
    "public",
    "py",
    "readme",
    "release",
    "resources",
    "rs",
    "scripts",
    "scss",
    "sh",
    "shared",
    "src",
    "temp",
    "test",
    "tests",
    "tmp",
    "toml",
    "ts",
    "tsx",
];
/// The rest of the same list. Sorted.
const MORE_NOISE_TOKENS: [&str; 8] = ["txt", "util", "utils", "x64", "x86", "xml", "yaml", "yml"];

/// The value of `filename_index` for `path`: the lower-case file name up to its first dot. `None`
/// unless the name consists of `[A-Za-z0-9_.-]`, ends in an extension of 1 to 6 letters or digits,
/// and has a stem of at least 2 characters that is not a name every project has.
pub fn filename_stem(path: &RelPath) -> Option<String> {
    let name = path.file_name();
    let name = name.rsplit(|b| *b == b'\\').next().unwrap_or(name);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_.-".contains(b);
    if !name.iter().all(plain) {
        return None;
    }
    let dot = name.iter().rposition(|b| *b == b'.').filter(|at| *at > 0)?;
    let extension = &name[dot + 1..];
    if !(1..=6).contains(&extension.len()) || !extension.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let first_dot = name.iter().position(|b| *b == b'.')?;
    let stem = std::str::from_utf8(&name[..first_dot]).ok()?;
    let stem = stem.to_ascii_lowercase();
    (stem.len() >= 2 && !NOISE_STEMS.contains(&stem.as_str())).then_some(stem)
}

/// The path tokens of `path_key_index`: parts of the root's label and of the path between
/// `\ / - _ . :` and white space, lower case, without parts of one character and without those
/// that say nothing. Distinct and sorted.
pub fn path_tokens(root_label: &str, path: &RelPath) -> Vec<String> {
    let spelling = path.spelling();
    let mut tokens = BTreeSet::new();
    for part in [root_label, &spelling]
        .into_iter()
        .flat_map(|text| text.split(is_separator))
    {
        let token = part.to_lowercase();
        if token.chars().nth(1).is_some() && !is_noise(&token) {
            tokens.insert(token);
        }
    }
    tokens.into_iter().collect()
}

fn is_separator(c: char) -> bool {
    matches!(c, '\\' | '/' | '-' | '_' | '.' | ':') || c.is_whitespace() || c.is_control()
}

fn is_noise(token: &str) -> bool {
    NOISE_TOKENS.binary_search(&token).is_ok() || MORE_NOISE_TOKENS.contains(&token)
}

/// Whether `stem` (lower case) names too many files to say what this one is about.
pub(super) fn is_noise_stem(stem: &str) -> bool {
    NOISE_STEMS.contains(&stem)
}

/// Whether `token` (lower case) occurs in nearly every tree.
pub(super) fn is_noise_token(token: &str) -> bool {
    is_noise(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RelPath {
        RelPath::from_spelling(text).expect("a relative path")
    }

    #[test]
    fn the_noise_list_is_sorted() {
        assert!(NOISE_TOKENS.is_sorted());
    }

    #[test]
    fn stems_follow_the_rule_of_the_format() {
        let stem = |text| filename_stem(&path(text));
        assert_eq!(stem("src/components/Hero.tsx").as_deref(), Some("hero"));
        assert_eq!(
            stem("a/gear-launcher.py.bak").as_deref(),
            Some("gear-launcher")
        );
        assert_eq!(
            stem("Knowledge_Store.py").as_deref(),
            Some("knowledge_store")
        );
        for none in [
            "README.md",
            "docs/overview",
            ".bashrc",
            ".env.local",
            "x.py",
            "a b.py",
            "caf\u{e9}.py",
            "app.properties",
            "name.",
            "name.t-x",
            "src/mod.rs",
        ] {
            assert_eq!(stem(none), None, "{none}");
        }
    }

    #[test]
    fn tokens_are_split_at_dashes_and_underscores_and_leave_noise_out() {
        assert_eq!(
            path_tokens("my-tree", &path("src/Knowledge_Store/wal.check:point.py")),
            ["check", "knowledge", "my", "point", "store", "tree", "wal"]
        );
        assert_eq!(path_tokens("src", &path("a/b.rs")), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn tokens_are_sorted_distinct_and_whole(label in ".{0,20}", name in ".{1,60}") {
            if let Some(path) = RelPath::from_spelling(&name) {
                let tokens = path_tokens(&label, &path);
                prop_assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(tokens.iter().all(|t| !t.contains(is_separator)));
                prop_assert!(filename_stem(&path).is_none_or(|stem| stem.len() >= 2));
            }
        }
    }
}
