//! The end of a sharded build: the routing database lists what there is, and what is not wanted any more goes.

use crate::engine::error::Result;
use crate::engine::output::kept::{self, KeptShard};
use crate::engine::preflight::Prepared;
use crate::engine::request::BuildRequest;
use crate::engine::survey::Survey;
use crate::failpoint::failpoint;
use crate::plan::{Mode, Plan};
use crate::store::hash_file;
use crate::store::index::label_of;
use crate::store::ownership::{self, Holding, Records};
use crate::store::registered::RegisteredShard;
use crate::store::routing::RoutingDb;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Makes the routing database list exactly the plan's shards and those of roots that are away, beside what others
/// registered, and leaves it as one file. Returns the labels of the shards whose files it has deleted. A shard that was in its place before this run is registered when
/// it is not, or not as it is now: an earlier run may have been stopped between the two, or the output moved. Shards
/// that the plan no longer has go, with their files.
pub fn deliver(
    mut routing: RoutingDb,
    request: &BuildRequest,
    prepared: &Prepared,
) -> Result<Vec<String>> {
    failpoint!("build::deliver", request.profile.name);
    let registered = routing.shards()?;
    for shard in &prepared.survey.plan.shards {
        let Some(ledger) = prepared.unchanged.get(&shard.id) else {
            continue;
        };
        let path = prepared.layout.shard(&shard.label);
        let known = registered.iter().find(|known| known.name == shard.label);
        let as_it_is = known.is_some_and(|known| {
            known.recorded_path == path
                && known.category == request.category.as_str()
                && known
                    .build
                    .is_some_and(|build| build.digest == ledger.digest)
        });
        if !as_it_is {
            // The hash of the file is kept when it was noted: a server may have written since.
            let noted = known
                .and_then(|known| known.build)
                .filter(|b| b.digest == ledger.digest);
            let file_hash = match noted.and_then(|build| build.file_hash) {
                Some(noted) => noted,
                None => hash_file(&path)?,
            };
            routing.register(&path, Some(file_hash))?;
        }
    }
    let plan = &prepared.survey.plan;
    let kept = &prepared.survey.kept.shards;
    for (label, KeptShard { path, .. }) in kept {
        let is_known =
            |known: &RegisteredShard| known.name == *label && known.recorded_path == *path;
        if !registered.iter().any(is_known) {
            routing.register(path, Some(hash_file(path)?))?;
        }
    }
    let stays =
        |name: &str| kept.contains_key(name) || plan.shards.iter().any(|shard| shard.label == name);
    // Shards that another tool registered are its own business, also when it copied what we note of ours.
    let is_theirs = |shard: &RegisteredShard| {
        shard.build.is_none()
            || matches!(ownership::look(&shard.recorded_path), Ok(Holding::Ours(mark)) if mark.label != shard.name)
    };
    let is_waiting = |shard: &RegisteredShard| {
        some_root_is_away(request, plan)
            && matches!(
                ownership::look(&shard.recorded_path),
                Ok(Holding::Unreadable)
            )
    };
    routing.unregister(|shard| stays(&shard.name) || is_theirs(shard) || is_waiting(shard))?;
    failpoint!("build::delivered", request.profile.name);
    routing.finish()?;
    let mut deleted = Vec::new();
    for Leftover { label, path } in leftovers(request, &prepared.survey, &prepared.records)? {
        ownership::remove_shard(&path)?;
        tracing::info!("shard {label} is deleted: {}", path.display());
        deleted.push(label);
    }
    Ok(deleted)
}

/// Whether a root is missing or has no file, and was not given up with `--prune`.
fn some_root_is_away(request: &BuildRequest, plan: &Plan) -> bool {
    let is_empty = || plan.roots.iter().any(|root| root.n_files == 0);
    !request.prune && (!request.profile.missing.is_empty() || is_empty())
}

/// A shard in the output that is wanted no more.
pub struct Leftover {
    pub label: String,
    pub path: PathBuf,
}

/// The shards that a build deletes at its end, in the order of their paths: neither planned nor of a root that is away.
/// A blob is replaced or stays. A damaged one does not say whose it was: it stays while a root is away.
pub fn leftovers(
    request: &BuildRequest,
    survey: &Survey,
    records: &Records,
) -> Result<Vec<Leftover>> {
    let layout = &request.layout();
    if layout.mode == Mode::Blob {
        return Ok(Vec::new());
    }
    let name_of = |label: &str| layout.shard(label);
    let plan = &survey.plan;
    let kept = &survey.kept.shards;
    let planned = plan.shards.iter().map(|shard| name_of(&shard.label));
    let kept = kept.values().map(|shard| shard.path.clone());
    let stay: BTreeSet<PathBuf> = planned.chain(kept).collect();
    let mut found = Vec::new();
    for path in kept::databases(layout)? {
        if stay.contains(&path) {
            continue;
        }
        let holding = ownership::look(&path)?;
        if !records.may_delete(&path, &holding, name_of) {
            tracing::info!("{} is not this build's own: it stays", path.display());
            continue;
        }
        let label = match holding {
            Holding::Ours(mark) => mark.label,
            _ if some_root_is_away(request, plan) => {
                tracing::warn!(
                    "{} is damaged, and may be of a root that is away: it stays; --prune deletes it",
                    path.display()
                );
                continue;
            }
            _ => label_of(&path),
        };
        found.push(Leftover { label, path });
    }
    Ok(found)
}
