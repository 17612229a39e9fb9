//! Recognises folders of caches, dependencies and build output by what lies in them, for the standard rules.
//!
//! Names such as `target`, `vendor` and `venv` also stand for folders of sources, so they decide only together with what a tool
//! has left there. Looks at names; the one file it opens is `CACHEDIR.TAG`.

use super::read;
use crate::file::{RelPath, SkipReason};
use crate::profile::{Limits, Root};
use std::path::Path;

/// The first bytes of a `CACHEDIR.TAG` (<https://bford.info/cachedir/>).
const CACHE_MARK: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// A kind of folder, told by names in it or beside it.
struct Mark {
    /// Names of the folder; none: any.
    folders: &'static [&'static str],
    /// In the folder, at least one of them.
    inside: &'static [&'static str],
    /// Or else beside the folder.
    beside: &'static [&'static str],
    reason: SkipReason,
    what: &'static str,
}

const MARKS: [Mark; 8] = [
    Mark {
        folders: &[],
        inside: &["pyvenv.cfg", "conda-meta"],
        beside: &[],
        reason: SkipReason::SkippedDir,
        what: "a Python environment",
    },
    Mark {
        folders: &["target"],
        inside: &["debug", "release", "classes", "maven-status", "scala-2.13"],
        beside: &["Cargo.toml", "pom.xml", "build.sbt"],
        reason: SkipReason::SkippedDir,
        what: "the output of a build",
    },
    Mark {
        folders: &["_build"],
        inside: &["dev", "prod", "test", "default", "html", "doctrees"],
        beside: &["mix.exs", "rebar.config", "dune-project"],
        reason: SkipReason::SkippedDir,
        what: "the output of a build",
    },
    Mark {
        folders: &[],
        inside: &["CMakeCache.txt"],
        beside: &[],
        reason: SkipReason::SkippedDir,
        what: "the output of CMake",
    },
    Mark {
        folders: &["deps"],
        inside: &[],
        beside: &["mix.exs"],
        reason: SkipReason::Vendored,
        what: "dependencies of Elixir",
    },
    Mark {
        folders: &["vendor"],
        inside: &["modules.txt", "autoload.php", "bundle"],
        beside: &[],
        reason: SkipReason::Vendored,
        what: "dependencies that Go, Composer or Bundler has put there",
    },
    Mark {
        folders: &["Pods", "Carthage"],
        inside: &["Manifest.lock", "Build", "Checkouts"],
        beside: &["Podfile", "Cartfile"],
        reason: SkipReason::Vendored,
        what: "dependencies that CocoaPods or Carthage has put there",
    },
    Mark {
        folders: &["site-packages", "dist-packages"],
        inside: &["pip", "setuptools", "distutils-precedence.pth"],
        beside: &[],
        reason: SkipReason::Vendored,
        what: "installed packages of Python",
    },
];

/// Return what the folder at `rel` (absolute: `path`) is, if a tool keeps its files there.
pub fn folder(
    root: &Root,
    rel: &RelPath,
    path: &Path,
    limits: &Limits,
) -> Option<(SkipReason, &'static str)> {
    let name = rel.file_name();
    let is_there = |folder: Option<&Path>, names: &[&str]| {
        let lies = |folder: &Path, name: &str| folder.join(name).symlink_metadata().is_ok();
        folder.is_some_and(|folder| names.iter().any(|name| lies(folder, name)))
    };
    let is_marked = |mark: &&Mark| {
        let is_named =
            mark.folders.is_empty() || mark.folders.iter().any(|folder| folder.as_bytes() == name);
        is_named && (is_there(Some(path), mark.inside) || is_there(path.parent(), mark.beside))
    };
    if let Some(mark) = MARKS.iter().find(is_marked) {
        return Some((mark.reason, mark.what));
    }
    is_cache(root, rel, path, limits).then_some((SkipReason::SkippedDir, "a cache"))
}

fn is_cache(root: &Root, rel: &RelPath, path: &Path, limits: &Limits) -> bool {
    if path.join("CACHEDIR.TAG").symlink_metadata().is_err() {
        return false;
    }
    let tag = RelPath::try_from([rel.as_bytes(), b"/CACHEDIR.TAG"].concat());
    let head = tag.ok().and_then(|tag| {
        let most = CACHE_MARK.len() as u64;
        read::head(&root.path, &tag, limits, most).ok()
    });
    head.is_some_and(|head| head == CACHE_MARK)
}
