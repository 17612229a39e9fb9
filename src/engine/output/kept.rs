//! Roots that are away, and what of their index stays.
//!
//! A root that is missing, or that had files and has none now, is a disk that is not mounted or a folder that was
//! moved more often than one that nobody wants any more. So its shards stay, with their label, until the profile does
//! not name it any more or `--prune` says so. A blob cannot be built without one of its roots: it stays as it is.
//! Reads the output, changes nothing.

use crate::engine::error::Context as _;
use crate::engine::error::Result;
use crate::engine::output::layout::Layout;
use crate::engine::request::BuildRequest;
use crate::file;
use crate::ids::Digest;
use crate::plan::{Mode, Plan};
use crate::report::KeptRoot;
use crate::store::ownership::{self, Holding, Mark};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What stays although its root is away.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Roots that are away and have something in the output, in the order of the profile.
    pub roots: Vec<KeptRoot>,
    /// Databases that stay, by label.
    pub shards: BTreeMap<String, KeptShard>,
}

/// A database that stays.
#[derive(Clone, Debug)]
pub struct KeptShard {
    pub path: PathBuf,
    /// Fingerprint of the encoders that it was built with.
    pub encoders: Option<Digest>,
}

impl Kept {
    /// A line for each root, for people.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.roots.iter().map(|root| {
            format!(
                "root {} is away ({}): its index stays ({}); --prune deletes it",
                root.path,
                root.detail,
                root.shards.join(", ")
            )
        })
    }
}

/// Finds what stays of the output of a `plan`: nothing with `--prune`. `unlisted` says of roots, by label, why they
/// could not be listed.
pub fn find(
    request: &BuildRequest,
    plan: &Plan,
    unlisted: &BTreeMap<String, String>,
) -> Result<Kept> {
    let mut kept = Kept::default();
    if request.prune {
        return Ok(kept);
    }
    let layout = request.layout();
    let mut away = away(request, plan, unlisted);
    if away.is_empty() {
        return Ok(kept);
    }
    for path in databases(&layout)? {
        let Holding::Ours(mark) = ownership::look(&path)? else {
            continue;
        };
        if layout.shard(&mark.label) != path {
            continue;
        }
        let of_away: Vec<usize> = (0..away.len())
            .filter(|n| is_of(&mark, &away[*n].0))
            .collect();
        let stays = match layout.mode {
            Mode::Blob => !of_away.is_empty(),
            Mode::Sharded => !of_away.is_empty() && of_away.len() == mark.roots.len(),
        };
        if stays {
            for n in of_away {
                away[n].1.shards.push(mark.label.clone());
            }
            let encoders = mark.encoders;
            kept.shards.insert(mark.label, KeptShard { path, encoders });
        }
    }
    kept.roots = away.into_iter().map(|(_, root)| root).collect();
    kept.roots.retain(|root| !root.shards.is_empty());
    Ok(kept)
}

/// By what a database's roots are known.
struct Known {
    /// The spelled path.
    path: String,
    /// Of a folder that is there and empty: behind a link it may be another folder than the one that was indexed.
    label: Option<String>,
}

/// The roots that are away.
fn away(
    request: &BuildRequest,
    plan: &Plan,
    unlisted: &BTreeMap<String, String>,
) -> Vec<(Known, KeptRoot)> {
    let entry = |path: &Path, root: &str, label: Option<&str>, detail: &str| {
        let spelled = file::root_spelling(path).into_owned();
        let root = KeptRoot {
            root: root.to_owned(),
            path: spelled.clone(),
            detail: detail.to_owned(),
            shards: Vec::new(),
        };
        let label = label.map(str::to_owned);
        let path = spelled;
        (Known { path, label }, root)
    };
    let missing = request.profile.missing.iter().filter_map(|root| {
        let path = &root.expected.as_ref()?.path;
        Some(entry(path, &root.name(), None, &root.detail))
    });
    let emptied = plan.roots.iter().filter(|root| root.n_files == 0);
    let emptied = emptied.map(|root| {
        let label = Some(root.label.as_str());
        entry(
            &root.path,
            &root.label,
            label,
            unlisted
                .get(&root.label)
                .map_or("no file to index is left in it", String::as_str),
        )
    });
    missing.chain(emptied).collect()
}

fn is_of(mark: &Mark, known: &Known) -> bool {
    let mut roots = mark.roots.iter();
    roots.any(|root| root.path == known.path || known.label.as_ref() == Some(&root.label))
}

/// The databases that lie where this output's shards do; in blob mode the blob alone.
pub fn databases(layout: &Layout) -> Result<Vec<PathBuf>> {
    if layout.mode == Mode::Blob {
        let is_there = layout.database.is_file();
        return Ok(is_there
            .then(|| layout.database.clone())
            .into_iter()
            .collect());
    }
    let folder = &layout.shards;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing {}", folder.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("listing {}", folder.display()))?
            .path();
        let is_shard = path.to_string_lossy().ends_with(".genome.db");
        // Never by a link.
        if is_shard && fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
