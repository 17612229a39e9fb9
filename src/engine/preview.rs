//! A dry run: what a build would find and do. Reads the roots and the output, changes nothing.

use crate::engine::check;
use crate::engine::disk_need::DiskNeed;
use crate::engine::error::Result;
use crate::engine::failures::Failures;
use crate::engine::output::obstacles;
use crate::engine::output::provenance::remembered;
use crate::engine::preflight::{already_built, identify, refuse_foreign, refuse_mixture};
use crate::engine::publish::reconcile::find_obsolete_shards;
use crate::engine::request::BuildRequest;
use crate::engine::sizing::size;
use crate::engine::survey::{Survey, survey};
use crate::ids::ShardId;
use crate::plan::sizing::Sizing;
use crate::profile::recipe::encoder_fingerprint;
use crate::report::marks;
use crate::store::ledger::{ShardLedger, read_ledger};
use std::collections::BTreeMap;

/// What a build would find and do.
pub struct Preview {
    pub survey: Survey,
    pub sizing: Sizing,
    /// Ledgers of the shards that are complete already.
    pub built: BTreeMap<ShardId, ShardLedger>,
    /// The space that the build takes.
    pub disk: DiskNeed,
    /// Labels of the shards that the build would delete.
    pub deleted: Vec<String>,
    /// Files that the build would list as failed: those the walk could not read, and those of unchanged shards.
    pub failures: Failures,
    /// Whether the build is expected to end as [`BuildOutcome::Complete`](super::BuildOutcome::Complete).
    pub is_complete: bool,
}

/// Report what [`build`](super::build) would do, without changing anything.
///
/// # Errors
/// Those that [`build`](super::build) would fail with before it starts to work.
pub fn preview(request: &BuildRequest) -> Result<Preview> {
    let mut request = request.clone();
    request.recall_roots();
    check(&request)?;
    let survey = survey(&request)?;
    let layout = request.layout();
    obstacles::refuse_manifest(&layout.manifest)?;
    obstacles::refuse_foreign_file(&layout.lock(), marks::is_lock)?;
    let (encoders, _) = identify(&request)?;
    let (_, records) = remembered(&request, &layout);
    refuse_foreign(&request, &layout, &survey, &records)?;
    refuse_mixture(&survey, encoder_fingerprint(encoders.hashes()))?;
    let obsolete = find_obsolete_shards(&request, &survey, &records)?;
    let built = already_built(&request, &survey.plan)?;
    let failures = expected_failures(&survey, &built);
    let has_failures = !failures.quarantined.is_empty() || !failures.unreadable.is_empty();
    Ok(Preview {
        disk: DiskNeed::look(&request, &survey.plan, |shard| built.contains_key(&shard)),
        sizing: size(&request, &survey.plan, &built),
        deleted: obsolete.into_iter().map(|shard| shard.label).collect(),
        is_complete: !has_failures && !survey.is_incomplete(&request),
        survey,
        built,
        failures,
    })
}

/// Collect the failures of the walk and those that complete and retained shards list.
fn expected_failures(survey: &Survey, built: &BTreeMap<ShardId, ShardLedger>) -> Failures {
    let mut failures = Failures {
        unreadable: survey.unreadable.clone(),
        ..Failures::default()
    };
    let retained = survey.retained.shards.values();
    let retained = retained.filter_map(|shard| read_ledger(&shard.path).ok());
    let of_retained = retained.map(|ledger| Failures::of(&ledger));
    for of_shard in built.values().map(Failures::of).chain(of_retained) {
        failures.quarantined.extend(of_shard.quarantined);
        failures.unreadable.extend(of_shard.unreadable);
    }
    failures
}
