//! Finds unavailable roots and the shards that are retained for them.
//!
//! A root that is missing or has lost all its files is more often an unmounted disk or a moved folder than an unwanted
//! one. Its shards and its label are retained until the profile drops the root or `--prune` is given. A blob cannot be
//! built without one of its roots, so it stays unchanged. Reads the output, changes nothing.

use crate::engine::error::Result;
use crate::engine::output::list_databases;
use crate::engine::request::BuildRequest;
use crate::file;
use crate::ids::Digest;
use crate::plan::{Mode, Plan};
use crate::report::UnavailableRoot;
use crate::store::ownership::{self, Holding, Mark};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The shards that are retained for unavailable roots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RetainedShards {
    /// Unavailable roots with a shard in the output, in the order of the profile.
    pub roots: Vec<UnavailableRoot>,
    /// Retained shards by label.
    pub shards: BTreeMap<String, RetainedShard>,
}

/// A database that is retained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetainedShard {
    #[serde(with = "crate::platform::wire_path")]
    pub path: PathBuf,
    /// Fingerprint of the encoders that the shard was built with.
    pub encoders: Option<Digest>,
}

impl RetainedShards {
    /// Return a warning for each root.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.roots.iter().map(|root| {
            format!(
                "root {} is unavailable ({}): keeping its index ({}); --prune deletes it",
                root.path,
                root.detail,
                root.shards.join(", ")
            )
        })
    }
}

/// Find the shards of unavailable roots, which are not in `plan`; none with `--prune`. `unlisted` maps the label of each
/// root that could not be listed to the reason.
pub fn find_retained(
    request: &BuildRequest,
    plan: &Plan,
    unlisted: &BTreeMap<String, String>,
) -> Result<RetainedShards> {
    let mut retained = RetainedShards::default();
    if request.prune {
        return Ok(retained);
    }
    let layout = request.layout();
    let mut unavailable = unavailable_roots(request, plan, unlisted);
    if unavailable.is_empty() {
        return Ok(retained);
    }
    for path in list_databases(&layout)? {
        let Holding::Ours(mark) = ownership::look(&path)? else {
            continue;
        };
        if layout.shard(&mark.label) != path {
            continue;
        }
        let its_roots: Vec<usize> = (0..unavailable.len())
            .filter(|n| has_root(&mark, &unavailable[*n].0))
            .collect();
        let is_retained = match layout.mode {
            Mode::Blob => !its_roots.is_empty(),
            Mode::Sharded => !its_roots.is_empty() && its_roots.len() == mark.roots.len(),
        };
        if is_retained {
            for n in its_roots {
                unavailable[n].1.shards.push(mark.label.clone());
            }
            let encoders = mark.encoders;
            retained
                .shards
                .insert(mark.label, RetainedShard { path, encoders });
        }
    }
    retained.roots = unavailable.into_iter().map(|(_, root)| root).collect();
    retained.roots.retain(|root| !root.shards.is_empty());
    Ok(retained)
}

/// What identifies an unavailable root among the roots of a database.
struct RootIdentity {
    /// The path in the form of [`file::root_spelling`].
    path: String,
    /// The label, for an empty folder: if it is a link, it may now lead to another folder than the one that was indexed.
    label: Option<String>,
}

/// List the roots that are missing, empty or cannot be listed.
fn unavailable_roots(
    request: &BuildRequest,
    plan: &Plan,
    unlisted: &BTreeMap<String, String>,
) -> Vec<(RootIdentity, UnavailableRoot)> {
    let entry = |path: &Path, root: &str, label: Option<&str>, detail: &str| {
        let spelled = file::root_spelling(path).into_owned();
        let root = UnavailableRoot {
            root: root.to_owned(),
            path: spelled.clone(),
            detail: detail.to_owned(),
            shards: Vec::new(),
        };
        let label = label.map(str::to_owned);
        let path = spelled;
        (RootIdentity { path, label }, root)
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
                .map_or("it has no file to index any more", String::as_str),
        )
    });
    missing.chain(emptied).collect()
}

fn has_root(mark: &Mark, wanted: &RootIdentity) -> bool {
    let mut roots = mark.roots.iter();
    roots.any(|root| root.path == wanted.path || wanted.label.as_ref() == Some(&root.label))
}
