//! The engine: a build as a function, from a request to an index.
//!
//! ```text
//! BuildRequest -> check -> survey (walk, plan) -> preflight (what is there already)
//!              -> work: supervisor hands segments to workers, finished ones to the publisher
//!              -> conclude: manifest, clean up -> BuildOutcome
//! ```
//! [`build`] emits [`BuildEvent`]s while it runs and can be stopped through a [`BuildControl`]. It reads no
//! environment variables and draws nothing; what it is asked is in the [`BuildRequest`] alone. [`preview`] says what
//! a build would do.

mod control;
mod error;
mod request;

pub mod devices;
mod differences;
mod failures;
mod output;
mod preflight;
mod survey;
mod unchanged;

mod job;
#[doc(hidden)]
pub mod publish;
mod supervisor;
mod watch;
pub mod watchdog;
mod work;
pub mod worker;

mod conclude;
pub mod device_probe;
mod driver;
mod space;

pub use crate::report::{BuildEvent, Summary};
pub use control::{BuildControl, Stage};
pub use error::{BuildError, ErrorKind, Result};
pub use failures::Failures;
pub use output::flag_files::refuse as refuse_flag_file;
pub use output::layout::Layout;
pub use output::obstacles::refuse_metrics;
pub use request::{BuildRequest, ProcessCommand, STALL_TIMEOUT};
pub use survey::{Survey, survey};

use crate::encode;
use crate::ids::ShardId;
use crate::plan::Plan;
#[doc(inline)]
pub use crate::plan::sizing::Vram;
use crate::plan::sizing::{
    DeviceCapacity, Sizing, SizingInput, ram_per_worker, size_workers, vram_per_worker,
};
#[doc(inline)]
pub use crate::plan::{Mode, Pace, PlanOptions, ShardOrder};
use crate::platform;
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crate::report::RunSummary;
use crate::store::ledger::ShardLedger;
#[doc(inline)]
pub use crate::store::routing::ShardCategory;
use output::lock::BuildLock;
use output::rebuild::Rebuild;
use output::{obstacles, provenance};
use preflight::prepare;
use std::collections::BTreeMap;
use std::time::Instant;
use work::Site;

/// How a build ended that did not fail.
#[derive(Clone, Debug)]
pub enum BuildOutcome {
    /// The index has every input.
    Complete(Box<Summary>),
    /// The index is sound, but inputs are missing from it: roots that are away, files that cannot be read or that
    /// crashed their worker. The summary lists them.
    Incomplete(Box<Summary>),
    /// Stopped by [`BuildControl::stop`]. What was committed is kept; the same request resumes.
    Paused,
}

/// Builds one profile. Blocks until the index is complete, the build fails or is stopped.
///
/// `observe` is called with every event, in order, on this thread; it should return soon, since the workers' messages
/// wait meanwhile.
///
/// # Errors
/// See [`ErrorKind`]. After any of them the earlier index is intact, and what was committed is resumed by the next
/// build of the same request.
pub fn build(
    request: &BuildRequest,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<BuildOutcome> {
    let mut request = request.clone();
    request.recall_roots();
    check(&request)?;
    run(&request, control, observe).map_err(|error| space::explain(error, &request))
}

fn run(
    request: &BuildRequest,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<BuildOutcome> {
    let began = Instant::now();
    let layout = request.layout();
    let _lock = BuildLock::take(&layout.lock())?;
    let prepared = prepare(request, layout)?;
    let rebuild = prepared.rebuild.as_ref().and_then(Rebuild::notice);
    for text in prepared.survey.warnings.iter().chain(&rebuild) {
        observe(&BuildEvent::Warning { text: text.clone() });
    }
    let sizing = size(request, &prepared.survey.plan, &prepared.unchanged);
    let site = Site {
        request,
        prepared: &prepared,
        control,
    };
    let Some((published, run)) = site.work(&sizing, observe)? else {
        return Ok(BuildOutcome::Paused);
    };
    let run = RunSummary {
        elapsed_s: began.elapsed().as_secs_f64(),
        ..run
    };
    let summary = conclude::conclude(request, &prepared, &published, run, observe)?;
    let index = &summary.index;
    let failed = !index.quarantined.is_empty() || !index.unreadable.is_empty();
    Ok(match failed || prepared.survey.is_incomplete(request) {
        true => BuildOutcome::Incomplete(Box::new(summary)),
        false => BuildOutcome::Complete(Box::new(summary)),
    })
}

/// Refuses a request whose output would replace what is not ours, or could not be opened by a server. Reads only;
/// [`build`] does the same first. Call it for all requests before building any.
///
/// # Errors
/// `InvalidRequest`, or `FingerprintMismatch` for an output of another version's format.
pub fn check(request: &BuildRequest) -> Result<()> {
    let layout = request.layout();
    if request.mode() == Mode::Sharded && layout.database.to_str().is_none() {
        return Err(BuildError::new(
            ErrorKind::InvalidRequest,
            format!(
                "{}: the routing database would name shards that no server can open, since this path is \
                 not Unicode; give another with --out-dir, or use --mode blob",
                layout.database.display()
            ),
        ));
    }
    obstacles::refuse(request)?;
    match request.take_over {
        true => Ok(()),
        false => provenance::refuse_another(&request.profile, &layout),
    }
}

/// What a build would find and do.
pub struct Preview {
    pub survey: Survey,
    pub sizing: Sizing,
    /// Shards that are complete already, with what they say of themselves.
    pub built: BTreeMap<ShardId, ShardLedger>,
    /// Labels of the shards that it would delete.
    pub deleted: Vec<String>,
    /// Files that it would list: those of the walk, and of shards that stay as they are.
    pub failures: Failures,
    /// Whether it would end as [`BuildOutcome::Complete`], as far as can be foreseen.
    pub is_whole: bool,
}

/// Says what [`build`] would do. Reads the roots and the output, changes nothing.
///
/// # Errors
/// Those with which the build would be refused.
pub fn preview(request: &BuildRequest) -> Result<Preview> {
    let mut request = request.clone();
    request.recall_roots();
    check(&request)?;
    let survey = survey(&request)?;
    let foreseen = preflight::foresee(&request, &survey)?;
    let preflight::Foreseen {
        built,
        deleted,
        failures,
        is_whole,
    } = foreseen;
    let sizing = size(&request, &survey.plan, &built);
    Ok(Preview {
        survey,
        sizing,
        built,
        deleted,
        failures,
        is_whole,
    })
}

/// How many workers a build gets.
fn size(request: &BuildRequest, plan: &Plan, unchanged: &BTreeMap<ShardId, ShardLedger>) -> Sizing {
    let todo = plan
        .shards
        .iter()
        .filter(|s| !unchanged.contains_key(&s.id));
    let models = model_sizes(request);
    size_workers(&SizingInput {
        cpus: cores(),
        ram_bytes: platform::available_memory_bytes(),
        devices: rooms(request, models),
        workers: request.workers as usize,
        file_workers: request.file_workers as usize,
        n_segments: todo.map(|s| s.segments.len()).sum(),
        ram_per_worker_bytes: ram_per_worker(models.all()),
    })
}

/// The devices of the encoders, and what each worker needs of them.
fn rooms(request: &BuildRequest, models: encode::ModelBytes) -> Vec<DeviceCapacity> {
    let known = request.device_memory.iter();
    known
        .map(|(device, vram)| DeviceCapacity {
            vram: *vram,
            per_worker_bytes: vram_per_worker(models.on(*device, &request.encoders)),
        })
        .collect()
}

/// Zeros when a model cannot be looked at: whoever opens it says why.
fn model_sizes(request: &BuildRequest) -> encode::ModelBytes {
    encode::model_bytes(&request.encoders).unwrap_or_default()
}

/// Cores that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How fast these encoders are, as far as segments are concerned: only a user's model is slow enough for short
/// segments to pay.
pub fn pace(encoders: &EncoderChoice) -> Pace {
    let own = |source: &ModelSource| matches!(source, ModelSource::Directory(_));
    match own(&encoders.sparse) || own(&encoders.dense) {
        true => Pace::Slow,
        false => Pace::Quick,
    }
}
