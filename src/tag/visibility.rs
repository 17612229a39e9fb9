//! Decides whether searches see a chunk.
//!
//! Under the standard rules they see every chunk: what should not be found is not indexed. The compat rules hide chunks of
//! generated or vendored files, by their path. The Python builder also hides or demotes chunks with few tags per
//! character. That hides more than a quarter of plain C headers, so we do it only when the recipe asks for it.

use super::Tags;
use crate::file::RelPath;
use crate::profile::recipe::{DensityGate, Recipe, RuleSet};

/// Who sees a chunk. The format keeps it as a number; readers search what is below 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    #[default]
    Open,
    /// In the second tier; still searched.
    Demoted,
    /// Not searched.
    Hidden,
}

impl Visibility {
    pub const ALL: [Self; 3] = [Self::Open, Self::Demoted, Self::Hidden];
}

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

/// Decide for a chunk of the file at `path` below its root, with `text` and `tags`.
pub fn visibility(path: &RelPath, recipe: &Recipe, tags: &Tags, text: &str) -> Visibility {
    if recipe.rules == RuleSet::Compat && is_denied(path) {
        return Visibility::Hidden;
    }
    match recipe.density_gate {
        DensityGate::DenyList => Visibility::Open,
        DensityGate::Compat => by_score(tags, text.chars().count()),
    }
}

/// The Python builder's score for a chunk that was never accessed. `n_chars` counts Unicode scalar values.
fn by_score(tags: &Tags, n_chars: usize) -> Visibility {
    let kilochars = n_chars.max(100) as f64 / 1000.0;
    let n_tags = (tags.domains.len() + tags.entities.len()) as f64;
    let n_key_values = tags.key_values.len() as f64;
    let summarised = if tags.extract.chars().nth(50).is_some() {
        0.1
    } else {
        0.0
    };
    let score = 0.4 * n_tags / kilochars + 0.3 * n_key_values / kilochars + summarised;
    if score < 0.5 {
        Visibility::Hidden
    } else if score < 1.0 {
        Visibility::Demoted
    } else {
        Visibility::Open
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

    fn recipe(rules: RuleSet, density_gate: DensityGate) -> Recipe {
        Recipe {
            rules,
            density_gate,
            ..Recipe::default()
        }
    }

    #[test]
    fn the_standard_rules_hide_nothing_by_its_path() {
        let recipe = recipe(RuleSet::Standard, DensityGate::DenyList);
        for path in ["lib/std/Build/Step.zig", "src/dist/x.js", "build/x.c"] {
            let path = RelPath::from_spelling(path).expect("a relative path");
            let found = visibility(&path, &recipe, &Tags::default(), "some text");
            assert_eq!(found, Visibility::Open, "{path}");
        }
    }

    fn by_path(path: &str) -> Visibility {
        let path = RelPath::from_spelling(path).expect("a relative path");
        let recipe = recipe(RuleSet::Compat, DensityGate::DenyList);
        visibility(&path, &recipe, &Tags::default(), "some text")
    }

    #[test]
    fn generated_and_vendored_files_are_hidden() {
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
            assert_eq!(by_path(path), Visibility::Hidden, "{path}");
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
            assert_eq!(by_path(path), Visibility::Open, "{path}");
        }
    }

    #[test]
    fn the_score_counts_tags_per_thousand_characters() {
        use Visibility::{Demoted, Hidden, Open};
        let path = RelPath::from_spelling("a.py").expect("a relative path");
        let score = |tags: &Tags, n_chars: usize| {
            let recipe = recipe(RuleSet::Standard, DensityGate::Compat);
            visibility(&path, &recipe, tags, &"\u{e9}".repeat(n_chars))
        };
        let tags = |n: usize| Tags {
            domains: vec!["d".to_owned(); n],
            ..Tags::default()
        };
        // 0.4 * n at one thousand characters: 0.4, 0.8, 1.2.
        assert_eq!(score(&tags(1), 1000), Hidden);
        assert_eq!(score(&tags(2), 1000), Demoted);
        assert_eq!(score(&tags(3), 1000), Open);
        // Short texts count as one hundred characters.
        assert_eq!(score(&tags(0), 1), Hidden);
        assert_eq!(score(&tags(1), 1), Open);
        let summarised = Tags {
            extract: "x".repeat(51),
            ..tags(1)
        };
        assert_eq!(score(&summarised, 1000), Demoted);
    }
}
