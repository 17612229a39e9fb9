//! A build over many machines: the plan is a file, and each task does some of its segments.
//!
//! ```text
//! begin (plan --out)   one machine       preflight of a build -> plan file; marks the plan as begun in the output
//! task  (worker)       any, in any order a job of some segments in scratch -> copied to the output's segments
//! shard (publish)      any, optional     all segments of a shard -> database in scratch -> copied to its place
//! commit               one machine       publishes what is left, registers, concludes like any build
//! ```
//! Planning, workers, publishing and the conclusion are those of a build on one machine: this module only replaces the walk
//! by the plan file, and the supervisor's memory by files in the output. It schedules nothing: array tasks of Slurm, or of
//! anything with an index, do.
//!
//! Whatever state the folder is in, it is found by looking: a segment counts as done if a complete file of the planned files
//! lies in its place. Tasks may be killed, repeated, or run twice at once. They write under temporary names and rename.

mod commit;
mod notes;
mod numbers;
mod plan_file;
mod relocation;
mod scratch;
mod shard;
mod state;
mod task;

pub use commit::{CommitOutcome, commit};
pub use notes::TaskState;
pub use numbers::Numbers;
pub use plan_file::{FrozenPlan, Preference};
pub use relocation::{Mapping, Relocation};
pub use scratch::Scratch;
pub use shard::{ShardOutcome, Trust, publish_shard};
pub use state::{ClusterState, Missing, Part, cluster_state};
pub use task::{Node, TaskOutcome, run_task};

use super::error::{BuildError, Context as _, ErrorKind, Result};
use super::output::draft;
use super::output::layout::Layout;
use super::output::lock::BuildLock;
use super::output::rebuild::Rebuild;
use super::request::BuildRequest;
use super::{check, preflight};
use crate::named_file;
use crate::platform;
use crate::report::marks::{self, PLAN_BEGUN};
use crate::store::ledger;
use std::io;
use std::path::Path;

/// Plan a build of `request`, write the plan to `file`, and mark it as begun in the output. An earlier plan of the same
/// output ends: its tasks refuse to go on.
///
/// `preferences` are the devices that tasks choose from, for the sparse and the dense encoder.
///
/// # Errors
/// Those of [`build`](super::build) before it starts to work; `InvalidRequest` if another file is in the plan's place.
pub fn begin(request: &BuildRequest, preferences: [Preference; 2], file: &Path) -> Result<Begun> {
    refuse_other_file(file)?;
    let mut request = request.clone();
    request.recall_roots();
    check(&request)?;
    let layout = request.layout();
    let _lock = BuildLock::take(&layout.lock())?;
    let prepared = preflight::prepare(&request, layout)?;
    let plan = FrozenPlan::write(file, &request, &prepared, preferences)?;
    let layout = &prepared.layout;
    platform::create_folders(&layout.tasks())
        .with_context(|| format!("creating {}", layout.tasks().display()))?;
    write_mark(&layout.plan_mark(), &begun_mark(&plan))?;
    state::note_complete(&plan, layout)?;
    let rebuild = prepared.rebuild.as_ref().and_then(Rebuild::notice);
    let warnings = prepared.survey.warnings.iter().cloned();
    Ok(Begun {
        plan,
        warnings: warnings.chain(rebuild).collect(),
        is_incomplete: prepared.survey.is_incomplete(&request),
    })
}

/// A plan whose tasks can begin.
#[derive(Debug)]
pub struct Begun {
    pub plan: FrozenPlan,
    /// For people.
    pub warnings: Vec<String>,
    /// Whether a root, folder or file cannot be read, so that the build will end as incomplete.
    pub is_incomplete: bool,
}

/// Refuse to replace anything but a plan.
fn refuse_other_file(file: &Path) -> Result<()> {
    let is_free = match named_file::head(file, marks::HEAD_BYTES) {
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        Ok(head) => marks::is_blank(&head) || marks::is_plan(&head),
    };
    if is_free {
        return Ok(());
    }
    Err(BuildError::new(
        ErrorKind::InvalidRequest,
        format!(
            "--out {}: not a plan, so it is not replaced: choose another name",
            file.display()
        ),
    ))
}

/// Note that the plan is committed, and the digest of each of its shards, for a commit that a scheduler repeats.
fn note_committed(plan: &FrozenPlan, layout: &Layout) -> Result<()> {
    let mut text = begun_mark(plan);
    for (_, label) in plan.all_shards() {
        text += &format!("{}\n", ledger::read_head(&layout.shard(label))?.digest);
    }
    write_mark(&layout.committed(), &text)
}

/// Return the digests of the plan's shards in their order, if it was committed and no build of the output has begun since.
fn committed(plan: &FrozenPlan, layout: &Layout) -> Option<Vec<String>> {
    // The tasks' folder may be there: a commit that was killed while it cleaned up has lost the mark in it first.
    if layout.plan_mark().exists() {
        return None;
    }
    let text = named_file::read_text(&layout.committed(), named_file::MOST_TEXT_BYTES).ok()?;
    let digests = text.strip_prefix(&begun_mark(plan))?;
    Some(digests.lines().map(str::to_owned).collect())
}

fn begun_mark(plan: &FrozenPlan) -> String {
    format!("{PLAN_BEGUN}{}\n", plan.hash())
}

fn write_mark(mark: &Path, text: &str) -> Result<()> {
    draft::replace(mark, text.as_bytes()).with_context(|| format!("writing {}", mark.display()))
}

/// Refuse to work on a plan that is not being built in this output.
fn refuse_ended(plan: &FrozenPlan, layout: &Layout) -> Result<()> {
    let why = match named_file::read_text(&layout.plan_mark(), named_file::MOST_TEXT_BYTES) {
        Ok(text) if text == begun_mark(plan) => return Ok(()),
        Ok(_) => "another plan is being built there",
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "it was committed, or its output is elsewhere (--map OLD=NEW)"
        }
        Err(_) => "its mark cannot be read",
    };
    Err(BuildError::new(
        ErrorKind::NotFound,
        format!(
            "{}: no build of this plan is in progress in {}: {why}",
            plan.file().display(),
            layout.work.display()
        ),
    ))
}
