//! Names and parts of paths that are too common to tell files apart.
//!
//! These are the format's lists. `store` leaves such names out of its path tables, the tagger out of
//! domains.

/// Stems of too many files to find one by (`filename_index`).
const NOISE_STEMS: [&str; 18] = [
    "__init__", "__main__", "config", "helper", "helpers", "index", "lib", "license", "main",
    "mod", "notice", "package", "readme", "setup", "test", "tests", "util", "utils",
];

/// Parts of nearly all paths (`path_key_index`). Sorted.
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

/// Whether `stem` (lower case) names too many files to find one by.
pub fn is_noise_stem(stem: &str) -> bool {
    NOISE_STEMS.contains(&stem)
}

/// Whether `token` (lower case) occurs in nearly every tree.
pub fn is_noise_token(token: &str) -> bool {
    NOISE_TOKENS.binary_search(&token).is_ok() || MORE_NOISE_TOKENS.contains(&token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_list_is_sorted() {
        assert!(NOISE_TOKENS.is_sorted());
        assert!(is_noise_token("src") && is_noise_token("yaml") && !is_noise_token("parser"));
    }
}
