//! The end of a sharded build: makes the routing database match the plan, then deletes obsolete shards.

use crate::engine::error::Result;
use crate::engine::output::list_databases;
use crate::engine::output::unavailable_roots::RetainedShard;
use crate::engine::preflight::Prepared;
use crate::engine::request::BuildRequest;
use crate::engine::survey::Survey;
use crate::failpoint::failpoint;
use crate::ids::FileHash;
use crate::named_file;
use crate::plan::{Mode, Plan};
use crate::report::Manifest;
use crate::store::hash_file;
use crate::store::index::label_of;
use crate::store::ownership::{self, Holding, Records};
use crate::store::registered::RegisteredShard;
use crate::store::routing::RoutingDb;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Make the routing database list exactly the shards of the plan, the retained shards of unavailable roots and the
/// shards of other programs. Then delete the files of obsolete shards and return their labels.
///
/// Also registers unchanged shards whose entry is missing or out of date: an earlier run may have been stopped before
/// it registered them, or the output was moved.
pub fn reconcile_routing(
    mut routing: RoutingDb,
    request: &BuildRequest,
    prepared: &Prepared,
) -> Result<Vec<String>> {
    failpoint!("build::deliver", request.profile.name);
    let registered = routing.shards()?;
    register_unchanged(&mut routing, &registered, request, prepared)?;
    let plan = &prepared.survey.plan;
    let retained = &prepared.survey.retained.shards;
    for (label, RetainedShard { path, .. }) in retained {
        let is_known =
            |known: &RegisteredShard| known.name == *label && known.recorded_path == *path;
        if !registered.iter().any(is_known) {
            routing.register(path, Some(hash_file(path)?))?;
        }
    }
    let is_wanted = |name: &str| {
        retained.contains_key(name) || plan.shards.iter().any(|shard| shard.label == name)
    };
    // Another program's entry stays, even if it copied our build record from another shard.
    let is_foreign = |shard: &RegisteredShard| {
        shard.build.is_none()
            || matches!(ownership::look(&shard.recorded_path), Ok(Holding::Ours(mark)) if mark.label != shard.name)
    };
    let may_be_retained = |shard: &RegisteredShard| {
        has_unavailable_root(request, plan)
            && matches!(
                ownership::look(&shard.recorded_path),
                Ok(Holding::Unreadable)
            )
    };
    routing.unregister(|shard| {
        is_wanted(&shard.name) || is_foreign(shard) || may_be_retained(shard)
    })?;
    failpoint!("build::delivered", request.profile.name);
    routing.finish()?;
    let mut deleted = Vec::new();
    let obsolete = find_obsolete_shards(request, &prepared.survey, &prepared.records)?;
    for ObsoleteShard { label, path } in obsolete {
        ownership::remove_shard(&path)?;
        tracing::info!("deleted shard {label}: {}", path.display());
        deleted.push(label);
    }
    Ok(deleted)
}

fn register_unchanged(
    routing: &mut RoutingDb,
    registered: &[RegisteredShard],
    request: &BuildRequest,
    prepared: &Prepared,
) -> Result<()> {
    let text = named_file::read_text(&prepared.layout.manifest, named_file::MOST_MANIFEST_BYTES);
    let manifest = text.ok().and_then(|text| Manifest::parse(&text));
    for shard in &prepared.survey.plan.shards {
        let Some(ledger) = prepared.unchanged.get(&shard.id) else {
            continue;
        };
        let path = prepared.layout.shard(&shard.label);
        let known = registered.iter().find(|known| known.name == shard.label);
        let recorded = known
            .and_then(|known| known.build)
            .filter(|build| build.digest == ledger.digest);
        let is_current = recorded.is_some()
            && known.is_some_and(|known| {
                known.recorded_path == path && known.category == request.category.as_str()
            });
        if is_current {
            continue;
        }
        // Keep a recorded hash: a new one would hide damage, and a server may have written to the file since. Without
        // its routing database the index has the manifest's, unless a later run was stopped.
        let in_manifest = || {
            let manifest = manifest.as_ref().filter(|_| prepared.is_finished)?;
            FileHash::parse(&manifest.file_hash(&path, &ledger.digest)?)
        };
        let file_hash = match recorded.and_then(|build| build.file_hash) {
            Some(recorded) => recorded,
            None => match in_manifest() {
                Some(recorded) => recorded,
                None => hash_file(&path)?,
            },
        };
        routing.register(&path, Some(file_hash))?;
    }
    Ok(())
}

/// Return whether a root is missing or has no files, unless `--prune` gives it up.
fn has_unavailable_root(request: &BuildRequest, plan: &Plan) -> bool {
    let is_empty = || plan.roots.iter().any(|root| root.n_files == 0);
    !request.prune && (!request.profile.missing.is_empty() || is_empty())
}

/// A shard in the output that neither the plan nor an unavailable root needs.
pub struct ObsoleteShard {
    pub label: String,
    pub path: PathBuf,
}

/// Find the shards that a build deletes at its end, sorted by path. Only reads.
///
/// A blob is never obsolete. A damaged shard does not tell which root it is of, so it stays while any root is
/// unavailable.
pub fn find_obsolete_shards(
    request: &BuildRequest,
    survey: &Survey,
    records: &Records,
) -> Result<Vec<ObsoleteShard>> {
    let layout = &request.layout();
    if layout.mode == Mode::Blob {
        return Ok(Vec::new());
    }
    let path_of = |label: &str| layout.shard(label);
    let plan = &survey.plan;
    let planned = plan.shards.iter().map(|shard| path_of(&shard.label));
    let retained = survey.retained.shards.values();
    let retained = retained.map(|shard| shard.path.clone());
    let needed: BTreeSet<PathBuf> = planned.chain(retained).collect();
    let mut found = Vec::new();
    for path in list_databases(layout)? {
        if needed.contains(&path) {
            continue;
        }
        let holding = ownership::look(&path)?;
        if !records.may_delete(&path, &holding, path_of) {
            tracing::info!("keeping {}: not a shard of this build", path.display());
            continue;
        }
        let label = match holding {
            Holding::Ours(mark) => mark.label,
            _ if has_unavailable_root(request, plan) => {
                tracing::warn!(
                    "{} is damaged and may be the shard of an unavailable root: keeping it; --prune deletes it",
                    path.display()
                );
                continue;
            }
            _ => label_of(&path),
        };
        found.push(ObsoleteShard { label, path });
    }
    Ok(found)
}
