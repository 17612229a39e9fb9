//! The lists of names of both rule sets: extensions, skipped folders, skipped files.
//!
//! Those of the compat rules are the Python builder's, so that the same tree gives the same files, without five folders that only
//! its own project has (`benchmarks`, `training`, `logs`, `cwola_export`, `Cymatix-backup blobs`): in other trees they contain
//! sources.

use super::recipe::RuleSet;

/// Extensions that the compat rules index, unless the profile lists others: code, then text.
pub const COMPAT_EXTENSIONS: &[&str] = &[
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

/// Folders that the compat rules skip, unless the profile lists others: version control, dependencies, build output and caches,
/// state of editors and agents, then folders of Windows and Steam.
const COMPAT_SKIP_DIRS: &[&str] = &[
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

/// Folders that the standard rules skip, unless the profile lists others. Only names under which people keep no sources:
/// version control, installed packages, caches and output of tools, state of editors and systems. Git's rules and the
/// [marks in folders](crate::scan) cover `target`, `build`, `dist` and the like.
const STANDARD_SKIP_DIRS: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    ".jj",
    ".bzr",
    "CVS",
    "_darcs", //
    "node_modules",
    "bower_components",
    "jspm_packages",
    ".yarn",
    ".pnpm-store",
    ".venv",
    ".virtualenv",
    "__pypackages__",
    ".eggs",
    ".bundle",
    ".pub-cache",
    ".dart_tool",
    "elm-stuff",
    ".stack-work",
    "dist-newstyle", //
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".pytype",
    ".hypothesis",
    ".ipynb_checkpoints",
    ".tox",
    ".nox",
    "htmlcov",
    ".nyc_output",
    ".cache",
    ".ccache",
    ".sass-cache",
    ".parcel-cache",
    ".turbo",
    ".vite",
    ".angular",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".astro",
    ".docusaurus",
    ".jekyll-cache",
    ".gradle",
    ".terraform",
    ".terragrunt-cache",
    ".serverless",
    ".aws-sam",
    ".vagrant",
    ".zig-cache",
    "zig-cache",
    "zig-out",
    ".metals",
    ".bloop",
    "DerivedData", //
    ".idea",
    ".vs",
    ".Trash",
    "$RECYCLE.BIN",
    "System Volume Information",
];

/// Patterns of lock files, with the reason `lock_file`. Programs write them, and they list what the manifest beside them asks for.
pub const LOCK_FILES: &[&str] = &[
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "packages.lock.json",
    "project.assets.json",
    "yarn.lock",
    "bun.lock",
    "deno.lock",
    "Cargo.lock",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pixi.lock",
    "pylock.toml",
    "conda-lock.yml",
    "Pipfile.lock",
    "composer.lock",
    "symfony.lock",
    "Gemfile.lock",
    "gems.locked",
    "flake.lock",
    "devbox.lock",
    "go.sum",
    "go.work.sum",
    "Gopkg.lock",
    "glide.lock",
    "mix.lock",
    "rebar.lock",
    "pubspec.lock",
    "Podfile.lock",
    "Package.resolved",
    "Cartfile.resolved",
    "gradle.lockfile",
    "buildscript-gradle.lockfile",
    "paket.lock",
    "conan.lock",
    "cabal.project.freeze",
    "stack.yaml.lock",
    "shard.lock",
    "Chart.lock",
    "renv.lock",
    "MODULE.bazel.lock",
    "spack.lock",
    "esy.lock",
    ".terraform.lock.hcl",
    "mise.lock",
];

/// Patterns of minified scripts and style sheets, with the reason `minified`.
pub const MINIFIED: &[&str] = &["*.min.js", "*.min.mjs", "*.min.cjs", "*.min.css"];

/// Patterns of source maps, with the reason `source_map`.
pub const SOURCE_MAPS: &[&str] = &[
    "*.js.map",
    "*.mjs.map",
    "*.cjs.map",
    "*.css.map",
    "*.ts.map",
];

/// Other files that no one searches: what points from a worktree to its repository, and state of systems.
const STATE_FILES: &[&str] = &[".git", ".DS_Store", "Thumbs.db"];

/// Names of files that the compat rules skip, unless the profile lists others: lock files, minified and generated scripts. They
/// are large, and nobody searches them.
const COMPAT_SKIP_NAMES: &[&str] = &[
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

/// Return the folders that a rule set skips.
pub fn skip_dirs(set: RuleSet) -> Vec<&'static str> {
    match set {
        RuleSet::Standard => STANDARD_SKIP_DIRS.to_vec(),
        RuleSet::Compat => COMPAT_SKIP_DIRS.to_vec(),
    }
}

/// Return the patterns of file names that a rule set skips.
pub fn skip_names(set: RuleSet) -> Vec<&'static str> {
    match set {
        RuleSet::Standard => [LOCK_FILES, MINIFIED, SOURCE_MAPS, STATE_FILES].concat(),
        RuleSet::Compat => COMPAT_SKIP_NAMES.to_vec(),
    }
}
