//! The engine: a build as a function, from a request to an index.
//!
//! ```text
//! BuildRequest -> check -> survey (walk, plan) -> preflight (find what is built already)
//!              -> run: the supervisor hands segments to workers and finished ones to the publisher
//!              -> conclude: manifest, cleanup -> BuildOutcome
//! ```
//! [`build`] emits [`BuildEvent`]s and stops when a [`BuildControl`] asks it to. It reads no environment variables and
//! prints nothing: everything it needs is in the [`BuildRequest`]. [`preview()`] reports what a build would do.

mod control;
mod error;
mod request;

pub mod devices;
mod differences;
mod failures;
mod output;
mod preflight;
mod preview;
mod sizing;
mod survey;
mod unchanged;

mod job;
#[doc(hidden)]
pub mod publish;
mod resume;
mod run;
mod supervisor;
mod watch;
pub mod watchdog;
pub mod worker;

pub mod cluster;
mod conclude;
pub mod device_probe;
mod disk_full;
mod disk_need;
mod driver;
pub mod relocate;

pub use crate::encode::use_key as use_encoder_key;
pub use crate::report::{BuildEvent, Summary};
pub use control::{BuildControl, Stage};
pub use disk_need::DiskNeed;
pub use error::{BuildError, ErrorKind, Result};
pub use failures::Failures;
pub use output::flag_files::{refuse as refuse_flag_file, refuse_metrics};
pub use output::layout::Layout;
pub use preview::{Preview, preview};
pub use request::{BuildRequest, ProcessCommand, STALL_TIMEOUT};
pub use sizing::pace;
pub use survey::{Survey, survey};

#[doc(inline)]
pub use crate::plan::sizing::Vram;
#[doc(inline)]
pub use crate::plan::{Mode, Pace, PlanOptions, ShardOrder};
#[doc(inline)]
pub use crate::store::routing::ShardCategory;

use crate::report::RunSummary;
use output::lock::BuildLock;
use output::rebuild::Rebuild;
use output::{obstacles, provenance};
use run::BuildRun;
use std::time::Instant;

/// How a build ended that did not fail.
#[derive(Clone, Debug)]
pub enum BuildOutcome {
    /// The index contains every input.
    Complete(Box<Summary>),
    /// The index is sound but lacks some inputs: unavailable roots, unreadable files, or files that crashed their
    /// worker. The summary lists them.
    Incomplete(Box<Summary>),
    /// Stopped by [`BuildControl::stop`]. Committed work is kept; the same request resumes the build.
    Paused,
}

/// Build one profile. Blocks until the index is complete, the build fails or it is stopped.
///
/// Calls `observe` with every event, in order, on this thread. It should return quickly: worker messages wait
/// meanwhile.
///
/// # Errors
/// See [`ErrorKind`]. Any error leaves the earlier index intact, and the next build of the same request resumes from
/// the committed work.
pub fn build(
    request: &BuildRequest,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<BuildOutcome> {
    let mut request = request.clone();
    request.recall_roots();
    check(&request)?;
    build_checked(&request, control, observe).map_err(|error| disk_full::explain(error, &request))
}

fn build_checked(
    request: &BuildRequest,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<BuildOutcome> {
    let began = Instant::now();
    let layout = request.layout();
    let _lock = BuildLock::take(&layout.lock())?;
    let prepared = preflight::prepare(request, layout)?;
    let rebuild = prepared.rebuild.as_ref().and_then(Rebuild::notice);
    for text in prepared.survey.warnings.iter().chain(&rebuild) {
        observe(&BuildEvent::Warning { text: text.clone() });
    }
    let plan = &prepared.survey.plan;
    let need = DiskNeed::look(request, plan, |shard| {
        prepared.unchanged.contains_key(&shard)
    });
    need.refuse_hopeless(&prepared.layout.work)?;
    if let Some(text) = need.warning() {
        observe(&BuildEvent::Warning { text });
    }
    let sizing = sizing::size(request, plan, &prepared.unchanged);
    let build_run = BuildRun {
        request,
        prepared: &prepared,
        control,
    };
    let Some((published, run)) = build_run.execute(&sizing, observe)? else {
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

/// Refuse a request whose output would overwrite foreign files, or that no server could open. Only reads.
///
/// [`build`] runs the same check first. Before building several requests, check all of them.
///
/// # Errors
/// `InvalidRequest`, or `FingerprintMismatch` if another version's format is in the way.
pub fn check(request: &BuildRequest) -> Result<()> {
    let layout = request.layout();
    if request.mode() == Mode::Sharded && layout.database.to_str().is_none() {
        return Err(BuildError::new(
            ErrorKind::InvalidRequest,
            format!(
                "{}: servers cannot open shards below this path, which is not valid Unicode; choose another --out-dir, \
                 or use --mode blob",
                layout.database.display()
            ),
        ));
    }
    obstacles::refuse(request)?;
    match request.take_over {
        true => Ok(()),
        false => provenance::refuse_other_profile(&request.profile, &layout),
    }
}
