//! Which files of a root are eligible, and their defaults.
//!
//! The extension lists and size limits are those of the Python builder, so that the same tree gives
//! the same files. Its skip list of folders is kept except for five names that only its own project
//! has (`benchmarks`, `training`, `logs`, `cwola_export`, `Cymatix-backup blobs`): in any other tree
//! they hold sources.

use super::patterns::Patterns;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Extensions indexed unless the profile has its own list: code, then text.
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

/// Folders never entered unless the profile has its own list: version control, dependencies, build
/// output and caches, editors' and agents' state, then Windows' and Steam's own.
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

/// File names never indexed unless the profile has its own list: lock files, minified and generated
/// scripts. They are large, and nobody searches them.
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

/// What the reader of a file enforces, in the walk and again when the bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub min_file_bytes: u64,
    pub max_file_bytes: u64,
    /// Whether links that stay inside the root are followed.
    pub follow_links: bool,
}

/// Which files are eligible, the same for all roots of a profile.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Lower case, without the dot.
    pub extensions: BTreeSet<String>,
    /// Exact names of folders that are not entered.
    pub skip_dirs: BTreeSet<String>,
    /// Names of files that are left out.
    pub skip_names: Patterns,
    pub secrets: Secrets,
    /// Whether `.gitignore` files inside the root are obeyed.
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
            extensions: owned(DEFAULT_EXTENSIONS),
            skip_dirs: owned(DEFAULT_SKIP_DIRS),
            skip_names: Patterns::compile(DEFAULT_SKIP_NAMES.iter().copied())
                .expect("the default patterns compile, which a test holds"),
            secrets: Secrets::default(),
            gitignore: false,
            limits: Limits::default(),
        }
    }
}
