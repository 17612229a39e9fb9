//! Checks before any work: makes the plan, computes the fingerprint and finds what is built already.
//!
//! Reads the corpus, the models and the output, and refuses to replace foreign files. In the output it changes only
//! leftovers of killed builds, the provenance file and, with `--rebuild`, the segments.

use crate::encode;
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::output::change_times::ChangeTimes;
use crate::engine::output::layout::Layout;
use crate::engine::output::provenance::{Provenance, remembered};
use crate::engine::output::rebuild::Rebuild;
use crate::engine::output::{draft, list_databases, obstacles, remove_stale_attempts};
use crate::engine::request::BuildRequest;
use crate::engine::survey::{self, Survey};
use crate::engine::unchanged::{self, Comparison, Expected};
use crate::failpoint::failpoint;
use crate::ids::{Digest, FileHash, ShardId};
use crate::plan::{Mode, Plan};
use crate::profile::recipe::encoder_fingerprint;
use crate::store::hash_file;
use crate::store::ledger::ShardLedger;
use crate::store::ownership::{self, Records};
use crate::store::registered::RegisteredShard;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

/// What a build knows before it starts to work.
pub struct Prepared {
    pub survey: Survey,
    pub layout: Layout,
    pub fingerprint: Digest,
    pub encoders: encode::EncoderInfo,
    /// Seconds since 1970, for every time column.
    pub epoch: f64,
    /// Whether the request fixes `epoch`.
    pub reproducible: bool,
    /// Ledgers of the shards that are complete already.
    pub unchanged: BTreeMap<ShardId, ShardLedger>,
    /// Hash of the routing database as it was found. `None` if there is none, or if an earlier build was interrupted, so
    /// that the manifest describes an earlier state.
    pub routing_before: Option<FileHash>,
    /// Whether no earlier build was interrupted, so that the manifest describes the state found.
    pub is_finished: bool,
    /// All databases found in the output: sources of vectors to reuse.
    pub earlier_databases: Vec<PathBuf>,
    /// `None`: the record was written when the plan was made.
    pub change_times: Option<ChangeTimes>,
    /// Where databases are made, if not beside their place.
    pub scratch: Option<PathBuf>,
    /// With `--rebuild`.
    pub rebuild: Option<Rebuild>,
    /// What the output recorded about its files when the run began.
    pub records: Records,
    /// The provenance to write at the end.
    pub provenance: Provenance,
}

/// Describe the encoders of a request and compute the fingerprint of its build.
///
/// # Errors
/// `Unavailable` if an encoder cannot be used.
pub(super) fn identify(request: &BuildRequest) -> Result<(encode::EncoderInfo, Digest)> {
    let encoders = encode::describe(&request.encoders)?;
    let fingerprint = request.profile.recipe.fingerprint(encoders.hashes());
    Ok((encoders, fingerprint))
}

/// Return the ledgers of the planned shards that are complete already.
///
/// # Errors
/// `FingerprintMismatch` for a shard that was built with other models or settings.
pub(super) fn find_unchanged(
    request: &BuildRequest,
    plan: &Plan,
    expected: &Expected<'_>,
    rebuild: Option<&Rebuild>,
) -> Result<BTreeMap<ShardId, ShardLedger>> {
    let mut found = BTreeMap::new();
    let layout = request.layout();
    for shard in &plan.shards {
        // A rebuild only trusts the shards that it has built itself.
        let may_be_kept = match rebuild {
            Some(rebuild) => rebuild.is_done(&shard.label),
            None => !request.rebuild,
        };
        if !may_be_kept {
            continue;
        }
        let path = layout.shard(&shard.label);
        if let Some(ledger) = unchanged::read_if_unchanged(&path, plan, shard, expected)? {
            found.insert(shard.id, ledger);
        }
    }
    Ok(found)
}

/// Return the ledgers of the planned shards that are complete already. Only reads.
pub fn already_built(
    request: &BuildRequest,
    plan: &Plan,
) -> Result<BTreeMap<ShardId, ShardLedger>> {
    let (encoders, fingerprint) = identify(request)?;
    let change_times = ChangeTimes::look(&request.layout().change_times(), plan);
    let expected = expected(request, (&encoders, fingerprint), &change_times);
    find_unchanged(request, plan, &expected, None)
}

fn expected<'a>(
    request: &'a BuildRequest,
    (encoders, fingerprint): (&'a encode::EncoderInfo, Digest),
    change_times: &'a ChangeTimes,
) -> Expected<'a> {
    Expected {
        profile: &request.profile,
        files: Comparison {
            limits: &request.profile.rules.limits,
            change_times,
        },
        encoders,
        fingerprint,
    }
}

/// Check the request against the corpus, the models and the output. The caller holds the build lock.
pub fn prepare(request: &BuildRequest, layout: Layout) -> Result<Prepared> {
    obstacles::refuse_manifest(&layout.manifest)?;
    let (encoders, fingerprint) = identify(request)?;
    failpoint!("build::scan", request.profile.name);
    let survey = survey::survey(request)?;
    failpoint!("build::planned", request.profile.name);
    let provenance = Provenance::of(&request.profile, &layout);
    let (remembered, records) = remembered(request, &layout);
    refuse_foreign(request, &layout, &survey, &records)?;
    refuse_mixture(&survey, encoder_fingerprint(encoders.hashes()))?;
    remove_stale_attempts(&layout)?;
    remembered.write(&layout)?;
    let earlier_databases = list_databases(&layout)?;
    let segments = layout.segments();
    let is_finished = !segments.exists();
    let rebuild = match request.rebuild {
        true => Some(Rebuild::begin(&layout.rebuild(), fingerprint, || {
            Ok(ownership::remove_segments(&segments)?)
        })?),
        false => None,
    };
    let change_times = ChangeTimes::look(&layout.change_times(), &survey.plan);
    let expected = expected(request, (&encoders, fingerprint), &change_times);
    let unchanged = find_unchanged(request, &survey.plan, &expected, rebuild.as_ref())?;
    // Last: while this folder exists, the index counts as unfinished.
    std::fs::create_dir_all(&segments)
        .with_context(|| format!("creating {}", segments.display()))?;
    change_times.begin()?;
    if rebuild.is_none() {
        draft::remove(&layout.rebuild())?;
    }
    draft::remove(&layout.committed())?;
    let (epoch, reproducible) = epoch(request);
    let routing_before = match layout.mode {
        // A reproducible build records no hash.
        Mode::Sharded if is_finished && !reproducible => hash_file(&layout.database).ok(),
        Mode::Sharded | Mode::Blob => None,
    };
    Ok(Prepared {
        routing_before,
        survey,
        layout,
        fingerprint,
        encoders,
        epoch,
        reproducible,
        unchanged,
        is_finished,
        earlier_databases,
        change_times: Some(change_times),
        scratch: None,
        rebuild,
        records,
        provenance,
    })
}

/// Refuse a plan that would overwrite a foreign file, the registration of another program's shard, or the retained shard
/// of an unavailable root.
pub(super) fn refuse_foreign(
    request: &BuildRequest,
    layout: &Layout,
    survey: &Survey,
    records: &Records,
) -> Result<()> {
    for shard in &survey.plan.shards {
        let path = layout.shard(&shard.label);
        obstacles::refuse_irregular_files(&path)?;
        let holding = ownership::look(&path)?;
        records
            .may_replace(
                &path,
                &holding,
                &shard.label,
                obstacles::other_formats(request),
            )
            .map_err(obstacles::not_ours)?;
        let is_foreign = |row: &RegisteredShard| row.name == shard.label && row.build.is_none();
        if records.registered.iter().any(is_foreign) {
            let text = format!(
                "{}: another program registered a shard named {}: give the root another label in the profile, or choose another --out-dir",
                layout.database.display(),
                shard.label
            );
            return Err(BuildError::new(ErrorKind::InvalidRequest, text));
        }
        if survey.retained.shards.contains_key(&shard.label) {
            let text = format!(
                "shard {} belongs to an unavailable root: restore that root, give the other root a label in the profile, or delete the shard with --prune",
                shard.label
            );
            return Err(BuildError::new(ErrorKind::InvalidRequest, text));
        }
    }
    Ok(())
}

/// Refuse to keep a shard of other encoders beside new ones: their vectors are not comparable.
pub(super) fn refuse_mixture(survey: &Survey, encoders: Digest) -> Result<()> {
    let others = survey.retained.shards.iter();
    let mut others = others.filter(|(_, shard)| shard.encoders != Some(encoders));
    match others.next() {
        Some((label, _)) if !survey.plan.shards.is_empty() => {
            let text = format!(
                "shard {label} was built with other models, and its root is unavailable: restore the root, or delete the shard with --prune"
            );
            Err(BuildError::new(ErrorKind::FingerprintMismatch, text))
        }
        _ => Ok(()),
    }
}

/// Return the time to write into the index, in whole seconds since 1970, and whether the request fixes it. A fraction would take 12
/// bytes a chunk in the JSON of `epigenetics`.
fn epoch(request: &BuildRequest) -> (f64, bool) {
    match request.source_date_epoch {
        Some(seconds) => (seconds.into(), true),
        None => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            // A clock before 1970 is wrong, but no reason to fail.
            (now.map_or(0.0, |now| now.as_secs() as f64), false)
        }
    }
}
