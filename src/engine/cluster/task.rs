//! The task of one machine: does some segments in its scratch folder and copies them to the output.
//!
//! Runs the supervisor of a build on a plan that has these segments only and no shard to publish. Files that are not as they
//! were planned are skipped as changed.

mod delivery;

use super::notes::{Note, TaskState};
use super::plan_file::{FrozenPlan, PlanPart};
use super::relocation::Relocation;
use super::shard::Trust;
use super::{refuse_ended, state};
use crate::engine::control::BuildControl;
use crate::engine::error::{BuildError, Context as _, ErrorKind, Result};
use crate::engine::job::job;
use crate::engine::output::change_times::ChangeTimes;
use crate::engine::output::layout::Layout;
use crate::engine::preflight::{self, Prepared};
use crate::engine::request::BuildRequest;
use crate::engine::supervisor::{self, Channels, Job};
use crate::engine::watch::MemoryReadings;
use crate::engine::{resume, run, sizing};
use crate::failure::{Failure, FailureKind};
use crate::plan::{Plan, PlannedFile};
use crate::report::{BuildEvent, Ending, SkippedFile};
use crate::store::ownership::Records;
use crossbeam_channel::unbounded;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// How a task ended that did not fail.
#[derive(Clone, Debug)]
pub enum TaskOutcome {
    /// All its segments are complete and in their place; `failures` are the files that they could not index.
    Done { failures: Vec<SkippedFile> },
    /// Stopped by [`BuildControl::stop`]. What it has done is kept where another machine finds it.
    Paused,
}

/// A machine's part in a build.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    pub plan: &'a FrozenPlan,
    /// The plan's request, with the devices and workers of this machine.
    pub request: &'a BuildRequest,
    pub relocation: &'a Relocation,
    /// An empty folder of this process, on a disk of this machine. The caller removes it.
    pub scratch: &'a Path,
}

impl Node<'_> {
    /// Prepare a build of a part of the plan, whose databases are made in the scratch folder.
    pub(super) fn prepared(&self, layout: Layout, part: Arc<Plan>) -> Prepared {
        let plan = self.plan;
        Prepared {
            survey: plan.survey(part, self.relocation),
            fingerprint: plan.fingerprint(),
            encoders: plan.encoder_info().clone(),
            epoch: plan.epoch(),
            reproducible: plan.is_reproducible(),
            unchanged: BTreeMap::new(),
            routing_before: None,
            is_finished: false,
            earlier_databases: Vec::new(),
            change_times: None,
            scratch: Some(self.scratch.to_path_buf()),
            rebuild: None,
            records: Records::default(),
            provenance: plan.provenance().clone(),
            layout,
        }
    }
}

/// Do the segments `numbers` of a plan. Those that are complete are left alone.
///
/// # Errors
/// `Poisoned` for a segment that fails wherever it is tried; the others are done. `NotFound` if no build of the plan is in
/// progress. After any other error another try may succeed, perhaps on another machine.
pub fn run_task(
    node: Node<'_>,
    numbers: &BTreeSet<u32>,
    control: &BuildControl,
    observe: &mut dyn FnMut(&BuildEvent),
) -> Result<TaskOutcome> {
    let layout = node.plan.layout(node.relocation);
    refuse_ended(node.plan, &layout)?;
    let mut task = Task {
        node,
        layout,
        control,
        open: BTreeSet::new(),
        poisoned: Vec::new(),
    };
    for number in numbers {
        // Read the file: a damaged one would be missing for the commit, for ever.
        if task.failures_of(*number, Trust::Hash)?.is_none() {
            task.open.insert(*number);
        }
    }
    if !task.open.is_empty() {
        task.check_machine()?;
        let ending = task.run_all(observe);
        if let Err(error) = &ending {
            task.note_open(TaskState::Failed, &error.to_string());
            // The folder of segments may be gone because of a commit.
            refuse_ended(node.plan, &task.layout)?;
        }
        if ending? == Ended::Paused {
            return Ok(TaskOutcome::Paused);
        }
    }
    if let Some((number, why)) = task.poisoned.first() {
        let text = format!("segment {number} fails wherever it is tried: {why}");
        return Err(BuildError::new(ErrorKind::Poisoned, text));
    }
    let mut failures = Vec::new();
    for number in numbers {
        failures.extend(task.failures_of(*number, Trust::Size)?.unwrap_or_default());
    }
    Ok(TaskOutcome::Done { failures })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Complete,
    Paused,
}

struct Task<'a> {
    node: Node<'a>,
    /// Of the output.
    layout: Layout,
    control: &'a BuildControl,
    /// Segments that are neither complete nor poisoned.
    open: BTreeSet<u32>,
    poisoned: Vec<(u32, String)>,
}

impl Task<'_> {
    fn failures_of(&self, number: u32, trust: Trust) -> Result<Option<Vec<SkippedFile>>> {
        let note = state::done(self.node.plan, &self.layout, number, trust)?;
        Ok(note.map(|note| note.failures))
    }

    /// Refuse to work with other models than those of the plan, and without the folders of the segments: all their files
    /// would count as deleted.
    fn check_machine(&self) -> Result<()> {
        let (_, fingerprint) = preflight::identify(self.node.request)?;
        if fingerprint != self.node.plan.fingerprint() {
            return Err(BuildError::new(
                ErrorKind::FingerprintMismatch,
                "the models on this machine are not those of the plan: install the same ones, or map their folder (--map OLD=NEW)",
            ));
        }
        self.check_roots()
    }

    fn check_roots(&self) -> Result<()> {
        let labels = self.open.iter();
        let labels = labels.filter_map(|number| self.node.plan.segment_names(*number));
        let labels: BTreeSet<&str> = labels.map(|(_, _, root)| root).collect();
        for root in &self.node.request.profile.roots {
            if labels.contains(root.label.as_str()) && !root.path.is_dir() {
                return Err(BuildError::new(
                    ErrorKind::Failed,
                    format!(
                        "root {} of the plan is not a folder on this machine: mount it, or say where it is (--map OLD=NEW)",
                        root.path.display()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Do the open segments, together first. If their workers die so often that nothing goes on, one of them is to blame:
    /// then do them one by one.
    fn run_all(&mut self, observe: &mut dyn FnMut(&BuildEvent)) -> Result<Ended> {
        for number in self.open.clone() {
            match self.node.plan.files(number) {
                Err(error) if error.kind() == ErrorKind::Poisoned => {
                    self.poison(number, &error.to_string());
                }
                files => drop(files?),
            }
        }
        let all = self.open.clone();
        if let Err(failure) = self.run(&all, observe)? {
            let left = self.open.clone();
            for number in &left {
                let alone = match left.len() {
                    1 => Err(failure.clone()),
                    _ => self.run(&BTreeSet::from([*number]), observe)?,
                };
                match alone {
                    Ok(Ended::Paused) => break,
                    Ok(Ended::Complete) => {}
                    Err(failure) => self.poison(*number, &failure.text),
                }
            }
        }
        Ok(match self.open.is_empty() {
            true => Ended::Complete,
            false => Ended::Paused,
        })
    }

    fn poison(&mut self, number: u32, why: &str) {
        self.open.remove(&number);
        let note = Note {
            error: why.to_owned(),
            ..Note::new(self.node.plan, TaskState::Poisoned)
        };
        self.write_note(number, &note);
        self.poisoned.push((number, why.to_owned()));
    }

    /// Run a job of these segments. The inner error is a failure that another machine would meet too.
    fn run(
        &mut self,
        numbers: &BTreeSet<u32>,
        observe: &mut dyn FnMut(&BuildEvent),
    ) -> Result<Result<Ended, Failure>> {
        if numbers.is_empty() {
            return Ok(Ok(Ended::Complete));
        }
        let part = self.node.plan.part(numbers, self.node.relocation)?;
        let prepared = self.prepare(&part)?;
        for segment in part.plan.queue() {
            self.fetch(segment, &prepared.layout)?;
        }
        self.note_open(TaskState::Begun, "");
        let outcome = self.supervise(&part, &prepared, observe)?;
        // What is in place is done, whatever happened then.
        for number in numbers {
            if self.failures_of(*number, Trust::Size)?.is_some() {
                self.open.remove(number);
            }
        }
        match outcome {
            Ending::Complete => Ok(Ok(Ended::Complete)),
            Ending::Paused => {
                self.keep(&part, &prepared.layout)?;
                self.note_open(TaskState::Paused, "");
                Ok(Ok(Ended::Paused))
            }
            // Workers died until the supervisor gave up: it tries again on its own.
            Ending::Failed(failure) if failure.kind == FailureKind::Deaths => {
                // The folder may have gone meanwhile.
                self.check_roots()?;
                Ok(Err(failure))
            }
            Ending::Failed(failure) => Err(run::build_error(failure)),
        }
    }

    /// Prepare a build of these segments, whose work folder is the scratch folder.
    fn prepare(&self, part: &PlanPart) -> Result<Prepared> {
        let layout = Layout {
            work: self.node.scratch.to_path_buf(),
            ..self.layout.clone()
        };
        let segments = layout.segments();
        fs::create_dir_all(&segments)
            .with_context(|| format!("creating {}", segments.display()))?;
        let of_shards = part.plan.shards.iter();
        let of_shards = of_shards.map(|shard| self.layout.shard(&shard.label));
        let mut prepared = Prepared {
            earlier_databases: of_shards.filter(|path| path.exists()).collect(),
            change_times: Some(change_times(part)),
            ..self.node.prepared(layout, Arc::clone(&part.plan))
        };
        prepared.survey.authored.clone_from(&part.authored);
        Ok(prepared)
    }

    /// Run the supervisor, and copy each segment to the output when it is complete.
    fn supervise(
        &self,
        part: &PlanPart,
        prepared: &Prepared,
        observe: &mut dyn FnMut(&BuildEvent),
    ) -> Result<Ending> {
        let request = self.node.request;
        let plan = &part.plan;
        let sizing = sizing::size(request, plan, &prepared.unchanged);
        observe(&BuildEvent::Planned {
            profile: request.profile.name.clone(),
            shards: plan.shards.iter().map(run::planned).collect(),
            unchanged: 0,
            workers: sizing.workers as u32,
            file_workers: sizing.file_workers as u32,
            segments: plan.queue().count(),
        });
        let shards: Vec<_> = plan.shards.iter().collect();
        let mut job = Job {
            // Publishing is for another task.
            shards: Vec::new(),
            ..job(request, prepared, &sizing, &shards)?
        };
        for task in &mut job.tasks {
            let files = (0..).zip(&part.files[&task.id]);
            let known = files.filter_map(|(n, file)| Some((n, file.hash?)));
            task.planned = Some(known.collect());
        }
        let memory = MemoryReadings::start(request)?;
        // Unbounded, since the supervisor must not block: one small message a segment.
        let (ready, finished) = unbounded();
        let (outcomes, published) = unbounded();
        let channels = Channels {
            ready,
            published,
            checked: resume::check_segments(&job).context("starting the check of segments")?,
            memory: memory.receiver(),
            control: self.control.clone(),
        };
        let supervised = self.control.supervise();
        let ending = thread::scope(|scope| {
            let delivery = scope.spawn(|| self.deliver_all(part, &finished, &outcomes));
            let outcome = supervisor::run(job, &channels, &mut |event| observe(&event));
            supervised.publishing();
            // No more segments come, so the thread ends.
            drop(channels);
            let delivered = delivery.join().unwrap_or_else(|_| {
                Err(Failure {
                    kind: FailureKind::Output,
                    text: "the thread that copies segments panicked".to_owned(),
                })
            });
            match (outcome.ending, delivered) {
                // The supervisor may have ended before the last segment was copied.
                (Ending::Complete | Ending::Paused, Err(failure)) => Ending::Failed(failure),
                (ending, _) => ending,
            }
        });
        Ok(ending)
    }

    fn note_open(&self, state: TaskState, error: &str) {
        let note = Note {
            error: error.to_owned(),
            ..Note::new(self.node.plan, state)
        };
        for number in &self.open {
            self.write_note(*number, &note);
        }
    }

    /// A note that cannot be written is missed by people only.
    fn write_note(&self, number: u32, note: &Note) {
        if let Err(error) = note.write(&self.layout, number) {
            tracing::debug!("note on segment {number}: {error:#}");
        }
    }
}

/// Compare the change times of files with those in the plan.
fn change_times(part: &PlanPart) -> ChangeTimes {
    let mut noted = HashMap::new();
    for segment in part.plan.queue() {
        let Some(shard) = part.plan.shard(segment.id.shard) else {
            continue;
        };
        for (file, frozen) in shard
            .segment_files(segment)
            .iter()
            .zip(&part.files[&segment.id])
        {
            noted.insert((file.root, &file.entry.path), frozen.changed_ns);
        }
    }
    let noted = |file: &PlannedFile| noted.get(&(file.root, &file.entry.path)).copied().flatten();
    ChangeTimes::since(&part.plan, noted)
}
