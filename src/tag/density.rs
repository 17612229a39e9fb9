//! Whether a chunk stays in the hot tier (`genes.chromatin`).
//!
//! Files that are generated or vendored are demoted by their path. The Python builder also demotes
//! chunks with few tags per character; that costs it more than a quarter of plain headers, so it is
//! only done when a recipe asks for it.

use super::Tags;
use crate::file::RelPath;
use crate::profile::recipe::DensityGate;

const OPEN: u8 = 0;
const EUCHROMATIN: u8 = 1;
const HETEROCHROMATIN: u8 = 2;

const FOLDERS: [&str; 5] = [".next", "node_modules", "__pycache__", "dist", "build"];

const FILE_NAMES: [&str; 7] = [
    "package-lock.json",
    "yarn.lock",
    "cargo.lock",
    "uv.lock",
    "poetry.lock",
    "pipfile.lock",
    "composer.lock",
];

const ENDINGS: [&str; 22] = [
    ".min.js",
    ".min.css",
    ".min.mjs",
    ".map",
    "app-paths-manifest.json",
    "app-build-manifest.json",
    "_buildmanifest.js",
    "_ssgmanifest.js",
    "client-reference-manifest.js",
    "client-reference-manifest.json",
    "server-reference-manifest.js",
    "server-reference-manifest.json",
    ".pyc",
    ".pyo",
    ".so",
    ".dll",
    ".dylib",
    ".exe",
    ".wasm",
    ".bin",
    ".pack",
    ".idx",
];

/// 0 open, 1 euchromatin, 2 heterochromatin; readers search only what is below 2.
///
/// `path` is the path below the root: where the tree lies decides nothing. `n_chars` is the length
/// of the chunk's text in Unicode scalar values.
pub fn chromatin(path: &RelPath, gate: DensityGate, tags: &Tags, n_chars: usize) -> u8 {
    if is_denied(path) {
        return HETEROCHROMATIN;
    }
    match gate {
        DensityGate::DenyList => OPEN,
        DensityGate::Compat => by_score(tags, n_chars),
    }
}

/// The Python builder's score for a chunk that was never accessed.
fn by_score(tags: &Tags, n_chars: usize) -> u8 {
    let kilochars = n_chars.max(100) as f64 / 1000.0;
    let n_tags = (tags.domains.len() + tags.entities.len()) as f64;
    let n_key_values = tags.key_values.len() as f64;
    let summarised = if tags.complement.chars().nth(50).is_some() {
        0.1
    } else {
        0.0
    };
    let score = 0.4 * n_tags / kilochars + 0.3 * n_key_values / kilochars + summarised;
    if score < 0.5 {
        HETEROCHROMATIN
    } else if score < 1.0 {
        EUCHROMATIN
    } else {
        OPEN
    }
}

fn is_denied(path: &RelPath) -> bool {
    let path = path.spelling().to_ascii_lowercase();
    let names: Vec<&str> = path.split('/').collect();
    let (file, folders) = names.split_last().expect("split yields at least one part");
    folders.iter().any(|name| FOLDERS.contains(name))
        || folders
            .windows(2)
            .any(|pair| is_denied_pair(pair[0], pair[1]))
        || FILE_NAMES.contains(file)
        || ENDINGS.iter().any(|ending| file.ends_with(ending))
}

/// Build output of Cargo, and translations into other languages than English.
fn is_denied_pair(parent: &str, child: &str) -> bool {
    let is_language =
        (2..=3).contains(&child.len()) && child.bytes().all(|b| b.is_ascii_lowercase());
    match parent {
        "target" => matches!(child, "debug" | "release"),
        "locale" => is_language && child != "en",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gate(path: &str, gate: DensityGate, tags: &Tags, n_chars: usize) -> u8 {
        let path = RelPath::from_spelling(path).expect("a relative path");
        chromatin(&path, gate, tags, n_chars)
    }

    #[test]
    fn generated_and_vendored_files_are_demoted() {
        for path in [
            "node_modules/x.js",
            "a/DIST/x.js",
            "build/x.c",
            "target/debug/x.rs",
            "Cargo.lock",
            "a/b.min.js",
            "a/b.css.map",
            "po/locale/de/x.po",
            "a/_buildManifest.js",
            "x.PYC",
            "q/locale/fil/x.txt",
        ] {
            assert_eq!(
                gate(path, DensityGate::DenyList, &Tags::default(), 10),
                2,
                "{path}"
            );
        }
        for path in [
            "src/x.js",
            "build.rs",
            "dist",
            "target/x.rs",
            "locale/en/x.po",
            "locale/de_AT/x.po",
            "my_node_modules/x.js",
            "a.mapper",
            "locale/de",
            "mycargo.lock",
        ] {
            assert_eq!(
                gate(path, DensityGate::DenyList, &Tags::default(), 10),
                0,
                "{path}"
            );
        }
    }

    #[test]
    fn the_score_counts_tags_per_thousand_characters() {
        let tags = |n: usize| Tags {
            domains: vec!["d".to_owned(); n],
            ..Tags::default()
        };
        let at = |n, n_chars| gate("a.py", DensityGate::Compat, &tags(n), n_chars);
        // 0.4 * n at one thousand characters: 0.4, 0.8, 1.2.
        assert_eq!((at(1, 1000), at(2, 1000), at(3, 1000)), (2, 1, 0));
        // Short texts count as one hundred characters.
        assert_eq!((at(0, 1), at(1, 1)), (2, 0));
        let summarised = Tags {
            complement: "x".repeat(51),
            ..tags(1)
        };
        assert_eq!(gate("a.py", DensityGate::Compat, &summarised, 1000), 1);
    }

    proptest! {
        #[test]
        fn any_path_has_a_tier(name in "[a-zA-Z./_-]{1,40}", n_chars in 0usize..10_000) {
            if let Some(path) = RelPath::from_spelling(&name) {
                prop_assert!(chromatin(&path, DensityGate::Compat, &Tags::default(), n_chars) <= 2);
            }
        }
    }
}
