//! Which files of a root are eligible, and their defaults.
//!
//! The extension lists and size limits are those of the Python builder, so that the same tree gives the same files. So is the
//! list of skipped folders, without five names that only its own project has (`benchmarks`, `training`, `logs`,
//! `cwola_export`, `Cymatix-backup blobs`): in other trees they contain sources.

use super::patterns::Patterns;
use super::recipe::RuleSet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Extensions of indexed files, unless the profile lists others: code, then text.
pub const DEFAULT_EXTENSIONS: &[&str] = &[
    "lua",
    "py",
    "cs",
    "js",
    "json",
    "yaml",
    "yml",
    "toml",
    "bat",
    "sh",
    "html",
    "rs",
    "go",
    "java",
    "c",
    "cpp",
    "h",
    "rb",
    "ts",
    "tsx",
    "jsx",
    "sql",
    "r",
    "ps1", //
    "txt",
    "md",
    "cfg",
    "ini",
    "conf",
    "properties",
    "vdf",
    "acf",
];

/// Skipped folders, unless the profile lists others: version control, dependencies, build output and caches, state of editors
/// and agents, then folders of Windows and Steam.
pub const DEFAULT_SKIP_DIRS: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    ".venv",
    "venv",
    "__pycache__",
    "dist",
    "build",
    "target",
    ".next",
    ".nuxt",
    ".turbo",
    ".cache",
    ".parcel-cache",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".gradle",
    ".terraform",
    ".claude",
    ".serena",
    ".idea",
    ".vs", //
    "$RECYCLE.BIN",
    "System Volume Information",
    "WpSystem",
    "WUDownloadCache",
    "WindowsApps",
    "shadercache",
    "temp",
    "downloading",
    "depotcache",
    "Mono",
    "MonoBleedingEdge",
    "D3D12",
];

/// Names of skipped files, unless the profile lists others: lock files, minified and generated scripts. They are large, and
/// nobody searches them.
pub const DEFAULT_SKIP_NAMES: &[&str] = &[
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "packages.lock.json",
    "yarn.lock",
    "Cargo.lock",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "composer.lock",
    "Gemfile.lock",
    "bun.lock",
    "deno.lock",
    "flake.lock",
    "go.sum",
    "*.min.js",
    "*.min.mjs",
    "*.min.css",
    "*.js.map",
    "*.css.map",
];

/// Bytes. The Python builder's limits.
pub const MAX_FILE_BYTES: u64 = 200_000;
pub const MIN_FILE_BYTES: u64 = 50;

/// Whether files named like keys and credentials are indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secrets {
    #[default]
    Skip,
    Allow,
}

/// Limits on files, enforced by the walk and again when a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub min_file_bytes: u64,
    pub max_file_bytes: u64,
    /// Follow links that stay inside the root.
    pub follow_links: bool,
}

/// Which files are eligible, for all roots of a profile.
#[derive(Clone, Debug)]
pub struct Rules {
    pub set: RuleSet,
    /// Lower case, without the dot.
    pub extensions: BTreeSet<String>,
    /// Exact names of skipped folders.
    pub skip_dirs: BTreeSet<String>,
    /// Names of skipped files.
    pub skip_names: Patterns,
    pub secrets: Secrets,
    /// Apply `.gitignore` files inside the root.
    pub gitignore: bool,
    pub limits: Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_file_bytes: MIN_FILE_BYTES,
            max_file_bytes: MAX_FILE_BYTES,
            follow_links: false,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            set: RuleSet::default(),
            extensions: owned(DEFAULT_EXTENSIONS),
            skip_dirs: owned(DEFAULT_SKIP_DIRS),
            skip_names: Patterns::compile(DEFAULT_SKIP_NAMES.iter().copied())
                .expect("the default patterns compile"),
            secrets: Secrets::default(),
            gitignore: false,
            limits: Limits::default(),
        }
    }
}
