//! What is known before any work is done: the plan, the fingerprint, and what is built already.
//!
//! Looks at the corpus, the models and the output; of the output it changes only what killed builds left
//! behind, and with `--rebuild` the segments.

use super::layout::Layout;
use super::settings::Settings;
use super::survey::{self, Survey};
use super::unchanged::{self, Wanted};
use crate::encode;
use crate::exit_code::{Exit, ExitCode};
use crate::failpoint;
use crate::ids::{Digest, FileHash, ShardId};
use crate::plan::{Mode, Plan};
use crate::publish::{self, Stale};
use crate::store::hash_file;
use crate::store::ledger::ShardLedger;
use anyhow::Context as _;
use std::collections::BTreeMap;
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
}

/// The encoders of these settings and the fingerprint of their build. Unusable ones are exit code 13.
fn identify(settings: &Settings) -> anyhow::Result<(encode::EncoderInfo, Digest)> {
    let encoders = encode::describe(&settings.encoders).map_err(|error| {
        Exit::error(
            ExitCode::Unavailable,
            format!("{:#}", anyhow::Error::new(error)),
        )
    })?;
    let fingerprint = settings.profile.recipe.fingerprint(encoders.hashes());
    Ok((encoders, fingerprint))
}

/// The shards of a plan that are complete already, with what they say of themselves. A shard of another
/// fingerprint is exit code 12.
fn find_unchanged(
    settings: &Settings,
    layout: &Layout,
    plan: &Plan,
    (encoders, fingerprint): (&encode::EncoderInfo, Digest),
) -> anyhow::Result<BTreeMap<ShardId, ShardLedger>> {
    let mut found = BTreeMap::new();
    if settings.rebuild {
        return Ok(found);
    }
    let wanted = Wanted {
        profile: &settings.profile,
        encoders,
        fingerprint,
    };
    for shard in &plan.shards {
        let path = layout.shard(&shard.label);
        if let Some(ledger) = unchanged::unchanged(&path, plan, shard, &wanted)? {
            found.insert(shard.id, ledger);
        }
    }
    Ok(found)
}

/// What of a plan is built already, for `plan`; reads only.
pub fn already_built(
    settings: &Settings,
    plan: &Plan,
) -> anyhow::Result<BTreeMap<ShardId, ShardLedger>> {
    let layout = Layout::new(&settings.out_dir, &settings.profile.name, settings.mode);
    let (encoders, fingerprint) = identify(settings)?;
    find_unchanged(settings, &layout, plan, (&encoders, fingerprint))
}

pub fn prepare(settings: &Settings, layout: Layout) -> anyhow::Result<Prepared> {
    let (encoders, fingerprint) = identify(settings)?;
    failpoint::at("build::scan", &settings.profile.name);
    let survey = survey::survey(settings)?;
    failpoint::at("build::planned", &settings.profile.name);
    let stale = match layout.mode {
        Mode::Sharded => Stale::All,
        Mode::Blob => Stale::Of(&layout.database),
    };
    publish::remove_stale_attempts(&layout.shards, stale)?;
    let is_finished = !layout.segments().exists();
    std::fs::create_dir_all(layout.segments())
        .with_context(|| format!("creating {}", layout.segments().display()))?;
    if settings.rebuild {
        let segments = layout.segments();
        std::fs::remove_dir_all(&segments)
            .and_then(|()| std::fs::create_dir_all(&segments))
            .with_context(|| format!("emptying {}", segments.display()))?;
    }
    let unchanged = find_unchanged(settings, &layout, &survey.plan, (&encoders, fingerprint))?;
    let (epoch, reproducible) = epoch()?;
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
    })
}

/// The time to write everywhere: `SOURCE_DATE_EPOCH` when set, else now.
fn epoch() -> anyhow::Result<(f64, bool)> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => {
            let seconds: u32 = text.trim().parse().map_err(|_| {
                Exit::error(
                    ExitCode::Usage,
                    format!("SOURCE_DATE_EPOCH={text} is not a number of seconds since 1970"),
                )
            })?;
            Ok((seconds.into(), true))
        }
        Err(_) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            // A clock before 1970 is a broken clock, not a reason to stop.
            Ok((now.map_or(0.0, |now| now.as_secs_f64()), false))
        }
    }
}
