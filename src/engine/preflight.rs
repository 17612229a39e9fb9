//! What is known before any work is done: the plan, the fingerprint, and what is built already.
//!
//! Looks at the corpus, the models and the output, and refuses what is not ours to replace. Of the output it changes
//! only what killed builds left behind, what the output remembers, and with `--rebuild` the segments.

use crate::encode;
use crate::engine::error::Context as _;
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::engine::failures::Failures;
use crate::engine::output::kept;
use crate::engine::output::layout::Layout;
use crate::engine::output::obstacles;
use crate::engine::output::provenance::{Provenance, remembered};
use crate::engine::output::rebuild::{self, Rebuild};
use crate::engine::publish::registry;
use crate::engine::request::BuildRequest;
use crate::engine::survey::{self, Survey};
use crate::engine::unchanged::{self, Wanted};
use crate::failpoint::failpoint;
use crate::ids::{Digest, FileHash, ShardId};
use crate::plan::{Mode, Plan};
use crate::profile::recipe::encoder_fingerprint;
use crate::report::marks;
use crate::store::hash_file;
use crate::store::ledger::{ShardLedger, read_ledger};
use crate::store::ownership::{self, Records, Stale};
use crate::store::registered::RegisteredShard;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

/// What is known before any work is done.
pub struct Prepared {
    pub survey: Survey,
    pub layout: Layout,
    pub fingerprint: Digest,
    pub encoders: encode::EncoderInfo,
    /// Seconds since 1970, for every time column.
    pub epoch: f64,
    /// Whether `SOURCE_DATE_EPOCH` fixes it.
    pub reproducible: bool,
    /// Complete already, with what they say of themselves.
    pub unchanged: BTreeMap<ShardId, ShardLedger>,
    /// Of the routing database as it was found; `None` when there is none, or when an earlier build did not
    /// come to its end: what the manifest says is of an earlier state then.
    pub routing_before: Option<FileHash>,
    /// No earlier run was stopped on its way: what the manifest says is of this state.
    pub is_finished: bool,
    /// Databases that lay in the output when the run began, whatever they are: sources of vectors.
    pub earlier: Vec<PathBuf>,
    /// With `--rebuild`.
    pub rebuild: Option<Rebuild>,
    /// What the output said of its files when the run began.
    pub records: Records,
    /// What the output shall remember in the end.
    pub provenance: Provenance,
}

/// The encoders of these request and the fingerprint of their build. Unusable ones are exit code 13.
fn identify(request: &BuildRequest) -> Result<(encode::EncoderInfo, Digest)> {
    let encoders = encode::describe(&request.encoders)?;
    let fingerprint = request.profile.recipe.fingerprint(encoders.hashes());
    Ok((encoders, fingerprint))
}

/// The shards of a plan that are complete already, with what they say of themselves. A shard of another
/// fingerprint is exit code 12.
fn find_unchanged(
    request: &BuildRequest,
    layout: &Layout,
    plan: &Plan,
    (encoders, fingerprint): (&encode::EncoderInfo, Digest),
    rebuild: Option<&Rebuild>,
) -> Result<BTreeMap<ShardId, ShardLedger>> {
    let mut found = BTreeMap::new();
    let wanted = Wanted {
        profile: &request.profile,
        encoders,
        fingerprint,
    };
    for shard in &plan.shards {
        // A rebuild knows its own shards alone.
        let counts = match rebuild {
            Some(rebuild) => rebuild.is_done(&shard.label),
            None => !request.rebuild,
        };
        if !counts {
            continue;
        }
        let path = layout.shard(&shard.label);
        if let Some(ledger) = unchanged::unchanged(&path, plan, shard, &wanted)? {
            found.insert(shard.id, ledger);
        }
    }
    Ok(found)
}

/// What a build would find and do.
pub struct Foreseen {
    /// Complete already, with what they say of themselves.
    pub built: BTreeMap<ShardId, ShardLedger>,
    /// Labels of the shards that it would delete.
    pub deleted: Vec<String>,
    /// Files that it would list: those of the walk, and of shards that stay as they are.
    pub failures: Failures,
    /// Whether every input would be in the index, as far as can be foreseen.
    pub is_whole: bool,
}

/// What a build would make of a survey, for `plan`; reads only.
///
/// # Errors
/// Those with which the build would be refused, under the same exit codes.
pub fn foresee(request: &BuildRequest, survey: &Survey) -> Result<Foreseen> {
    let layout = request.layout();
    obstacles::refuse_manifest(&layout.manifest)?;
    obstacles::refuse_stranger(&layout.lock(), marks::is_lock)?;
    let (encoders, fingerprint) = identify(request)?;
    let (_, records) = remembered(request, &layout);
    refuse_foreign(request, &layout, survey, &records)?;
    refuse_mixture(survey, encoder_fingerprint(encoders.hashes()))?;
    let leftovers = registry::leftovers(request, survey, &records)?;
    let encoders = (&encoders, fingerprint);
    let built = find_unchanged(request, &layout, &survey.plan, encoders, None)?;
    let mut failures = Failures {
        unreadable: survey.unreadable.clone(),
        ..Failures::default()
    };
    let kept = survey.kept.shards.values();
    let kept = kept.filter_map(|shard| read_ledger(&shard.path).ok());
    for of_shard in built
        .values()
        .map(Failures::of)
        .chain(kept.map(|it| Failures::of(&it)))
    {
        failures.quarantined.extend(of_shard.quarantined);
        failures.unreadable.extend(of_shard.unreadable);
    }
    let failed = !failures.quarantined.is_empty() || !failures.unreadable.is_empty();
    Ok(Foreseen {
        built,
        deleted: leftovers.into_iter().map(|shard| shard.label).collect(),
        failures,
        is_whole: !failed && !survey.is_incomplete(request),
    })
}

/// What of a plan is built already; reads only.
pub fn already_built(
    request: &BuildRequest,
    plan: &Plan,
) -> Result<BTreeMap<ShardId, ShardLedger>> {
    let (encoders, fingerprint) = identify(request)?;
    let layout = request.layout();
    find_unchanged(request, &layout, plan, (&encoders, fingerprint), None)
}

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
    let stale = match layout.mode {
        Mode::Sharded => Stale::All,
        Mode::Blob => Stale::Of(&layout.database),
    };
    ownership::remove_stale_attempts(&layout.shards, stale)?;
    remembered.write(&layout)?;
    let earlier = kept::databases(&layout)?;
    let segments = layout.segments();
    let is_finished = !segments.exists();
    let rebuild = match request.rebuild {
        true => Some(Rebuild::begin(&layout.rebuild(), fingerprint, || {
            Ok(ownership::remove_segments(&segments)?)
        })?),
        false => None,
    };
    std::fs::create_dir_all(&segments)
        .with_context(|| format!("creating {}", segments.display()))?;
    let unchanged = find_unchanged(
        request,
        &layout,
        &survey.plan,
        (&encoders, fingerprint),
        rebuild.as_ref(),
    )?;
    if rebuild.is_none() {
        rebuild::forget(&layout.rebuild())?;
    }
    let (epoch, reproducible) = epoch(request);
    let routing_before = match layout.mode {
        // Under a fixed date no hash is noted.
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
        earlier,
        rebuild,
        records,
        provenance,
    })
}

/// Refuses a plan that would replace what is not ours: a file where a shard will be, or the registration of another
/// tool's shard of the same name.
fn refuse_foreign(
    request: &BuildRequest,
    layout: &Layout,
    survey: &Survey,
    records: &Records,
) -> Result<()> {
    for shard in &survey.plan.shards {
        let path = layout.shard(&shard.label);
        obstacles::refuse_beside(&path)?;
        let holding = ownership::look(&path)?;
        records
            .may_replace(
                &path,
                &holding,
                &shard.label,
                obstacles::other_formats(request),
            )
            .map_err(obstacles::not_ours)?;
        let rival = |row: &RegisteredShard| row.name == shard.label && row.build.is_none();
        if records.registered.iter().any(rival) {
            let text = format!(
                "{} has a shard {} that another program registered: give the root another label in the profile, or choose another --out-dir",
                layout.database.display(),
                shard.label
            );
            return Err(BuildError::new(ErrorKind::InvalidRequest, text));
        }
        if survey.kept.shards.contains_key(&shard.label) {
            let text = format!(
                "the shard {} is that of a root that is away: bring it back, give the other root a label in the profile, or delete it with --prune",
                shard.label
            );
            return Err(BuildError::new(ErrorKind::InvalidRequest, text));
        }
    }
    Ok(())
}

/// Refuses to leave a shard of other encoders beside new ones: their vectors cannot be compared.
fn refuse_mixture(survey: &Survey, encoders: Digest) -> Result<()> {
    let others = survey.kept.shards.iter();
    let mut others = others.filter(|(_, shard)| shard.encoders != Some(encoders));
    match others.next() {
        Some((label, _)) if !survey.plan.shards.is_empty() => {
            let text = format!(
                "the shard {label} was built with other models, and its root is away: bring it back, or delete the shard with --prune"
            );
            Err(BuildError::new(ErrorKind::FingerprintMismatch, text))
        }
        _ => Ok(()),
    }
}

/// The time to write everywhere, and whether the request fixes it.
fn epoch(request: &BuildRequest) -> (f64, bool) {
    match request.source_date_epoch {
        Some(seconds) => (seconds.into(), true),
        None => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            // A clock before 1970 is a broken clock, not a reason to stop.
            (now.map_or(0.0, |now| now.as_secs_f64()), false)
        }
    }
}
