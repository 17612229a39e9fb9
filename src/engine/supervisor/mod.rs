//! Runs the workers of a build: assigns segments, watches over the processes and replaces those that die.
//!
//! [`state`] decides, [`child`] holds processes, this module acts on the decisions. It never opens a database and never
//! encodes. Finished segments go to the publisher.

mod child;
mod clock;
mod state;

pub(crate) use state::{Limits, Watch};

use crate::engine::control::BuildControl;
use crate::engine::request::ProcessCommand;
use crate::failpoint::failpoint;
use crate::failure::{Failure, FailureKind};
use crate::gpu::probe::Reading;
use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::protocol::{FromWorker, SegmentTask, ToWorker, Work, WorkerSetup};
use crate::report::{BuildEvent, Ending, FinishedSegment, PublishOutcome, Totals};
use child::Worker;
use clock::Clock;
use crossbeam_channel::{Receiver, Sender, never, select, tick, unbounded};
use state::{Effect, EncoderTarget, Event, Handling, State};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often timeouts and requests to stop are checked.
const TICK: Duration = Duration::from_millis(100);

/// What to build.
pub(crate) struct Job {
    /// Starts a worker.
    pub worker: ProcessCommand,
    /// Sent to each worker at its start, with the worker's number filled in.
    pub setup: WorkerSetup,
    pub workers: u32,
    /// In the order in which they should be done.
    pub tasks: Vec<SegmentTask>,
    /// Segments that workers get only once they are checked: an earlier run may have completed them.
    pub unchecked: BTreeSet<SegmentId>,
    /// All shards that will be published, including those without a segment to do.
    pub shards: Vec<ShardId>,
    pub limits: Limits,
    /// The devices to watch; `None`: everything runs on the CPU.
    pub watch: Option<Watch>,
}

/// The supervisor's connections to the rest of the program.
pub(crate) struct Channels {
    /// Segments that can be loaded.
    pub ready: Sender<FinishedSegment>,
    pub published: Receiver<PublishOutcome>,
    /// The checked segments; closed after the last.
    pub checked: Receiver<CheckedSegment>,
    /// Memory readings of the watched devices; silent if there are none.
    pub memory: Receiver<Reading>,
    /// Says when to stop, and is notified of every turn of the loop, at least once a tick.
    pub control: BuildControl,
}

/// A segment file of an earlier run, and what it holds if it is complete.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CheckedSegment {
    pub segment: SegmentId,
    pub complete: Option<Work>,
}

/// How the workers' part of a build went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub ending: Ending,
    pub totals: Totals,
    /// CPU time of the workers that ended in order.
    pub workers_cpu: Duration,
    /// From the first worker ready to the last segment done.
    pub encoding: Duration,
    /// When the supervisor noticed the request to stop.
    pub interrupted: Option<Instant>,
}

/// Run the build to its end. Blocks; every wait inside has a deadline. Calls `emit` with each event in order, from
/// this thread.
pub(crate) fn run(job: Job, channels: &Channels, emit: &mut dyn FnMut(BuildEvent)) -> Outcome {
    Running::new(job, channels, emit).run()
}

fn memory_event(Reading { device, answer }: Reading) -> Event {
    let answer = answer.map_err(|error| error.to_string());
    if let Err(why) = &answer {
        tracing::debug!("memory of {device}: {why}");
    }
    Event::Memory { device, answer }
}

struct Running<'a> {
    job: Job,
    channels: &'a Channels,
    emit: &'a mut dyn FnMut(BuildEvent),
    /// Segments in the order in which they should be done.
    order: Vec<SegmentId>,
    tasks: BTreeMap<SegmentId, SegmentTask>,
    /// The segment files in work.
    files: BTreeMap<SegmentId, PathBuf>,
    workers: BTreeMap<WorkerId, Worker>,
    inbox: Receiver<Event>,
    /// Keeps the channel open while no worker is alive.
    sender: Sender<Event>,
    outcome: Outcome,
    first_ready: Option<Instant>,
}

impl<'a> Running<'a> {
    fn new(mut job: Job, channels: &'a Channels, emit: &'a mut dyn FnMut(BuildEvent)) -> Self {
        let tasks = std::mem::take(&mut job.tasks);
        let order = tasks.iter().map(|task| task.id).collect();
        let tasks = tasks.into_iter().map(|task| (task.id, task)).collect();
        // Unbounded, since readers must not block while the supervisor emits events. The workers bound the rate, and
        // messages are small.
        let (sender, inbox) = unbounded();
        Self {
            job,
            channels,
            emit,
            order,
            tasks,
            files: BTreeMap::new(),
            workers: BTreeMap::new(),
            inbox,
            sender,
            outcome: Outcome {
                ending: Ending::Paused,
                totals: Totals::default(),
                workers_cpu: Duration::ZERO,
                encoding: Duration::ZERO,
                interrupted: None,
            },
            first_ready: None,
        }
    }

    fn run(mut self) -> Outcome {
        let channels = self.channels;
        let mut clock = Clock::new();
        let mut state = State::new(
            self.job.workers,
            std::mem::take(&mut self.order),
            self.job.shards.iter().copied(),
            self.job.limits.clone(),
        )
        .with_watch(self.job.watch.take())
        .with_unchecked(std::mem::take(&mut self.job.unchecked));
        let mut checked = channels.checked.clone();
        let ticks = tick(TICK);
        let mut event = Event::Tick;
        loop {
            channels.control.turn();
            self.record(&event);
            let lasted = clock.advance();
            if lasted > Duration::ZERO {
                for effect in state.step(clock.now, Event::Paused { lasted }) {
                    self.perform(effect);
                }
            }
            for effect in state.step(clock.now, event) {
                if let Effect::Finish(ending) = effect {
                    self.outcome.ending = ending;
                    return self.outcome;
                }
                self.perform(effect);
            }
            if channels.control.is_stopped() && self.outcome.interrupted.is_none() {
                self.outcome.interrupted = Some(Instant::now());
                event = Event::Interrupt;
                continue;
            }
            event = select! {
                recv(self.inbox) -> event => event.unwrap_or(Event::Tick),
                recv(checked) -> outcome => match outcome {
                    Ok(CheckedSegment { segment, complete }) => Event::Checked { segment, complete },
                    Err(_) => {
                        checked = never();
                        Event::ChecksEnded
                    }
                },
                recv(channels.memory) -> reading => reading.map_or(Event::Tick, memory_event),
                recv(channels.published) -> outcome => outcome.map_or(Event::Tick, Event::Publisher),
                recv(ticks) -> _ => Event::Tick,
            };
        }
    }

    /// Record the figures of the summary.
    fn record(&mut self, event: &Event) {
        let Event::Message { message, .. } = event else {
            return;
        };
        match message {
            FromWorker::Stopped { cpu_us } => {
                self.outcome.workers_cpu += Duration::from_micros(*cpu_us);
            }
            FromWorker::Ready { .. } => {
                self.first_ready.get_or_insert_with(Instant::now);
            }
            FromWorker::SegmentDone { .. } => {
                if let Some(first) = self.first_ready {
                    self.outcome.encoding = first.elapsed();
                }
            }
            _ => {}
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn {
                worker,
                generation,
                target,
            } => self.spawn(worker, generation, target),
            Effect::Assign {
                worker,
                segment,
                handling,
            } => self.assign(worker, segment, handling),
            Effect::ReleaseMemory { worker } => self.send(worker, ToWorker::ReleaseMemory),
            Effect::Stop { worker } => self.send(worker, ToWorker::Stop),
            Effect::Kill { worker } => {
                if let Some(child) = self.workers.get(&worker)
                    && !failpoint!("supervisor::kill", worker)
                {
                    child.kill();
                }
            }
            Effect::Load(id) => {
                let path = match self.files.remove(&id) {
                    Some(path) => path,
                    // No worker opened it: an earlier run completed it.
                    None => self
                        .tasks
                        .get(&id)
                        .map_or_else(PathBuf::new, |task| task.path.clone()),
                };
                // A publisher that ended has sent the reason on the other channel.
                let _ = self.channels.ready.send(FinishedSegment { id, path });
            }
            Effect::Quarantine {
                segment,
                file,
                reason,
            } => {
                let files = self.tasks.get(&segment).map(|task| &task.files);
                let entry = files.and_then(|files| files.get(file as usize));
                let event = BuildEvent::Quarantined {
                    segment,
                    path: entry.map_or(String::new(), |entry| entry.path.to_string()),
                    reason,
                };
                self.emit(event);
            }
            Effect::Undo(segment) => {
                let work = self.outcome.totals.open_segment(segment);
                self.emit(BuildEvent::SegmentUndone { segment, work });
            }
            Effect::Emit(event) => self.emit(event),
            // The loop handles it.
            Effect::Finish(_) => {}
        }
    }

    fn send(&self, worker: WorkerId, message: ToWorker) {
        if let Some(child) = self.workers.get(&worker) {
            child.send(message);
        }
    }

    fn assign(&mut self, worker: WorkerId, segment: SegmentId, handling: Handling) {
        let Some(task) = self.tasks.get(&segment) else {
            return;
        };
        let path = attempt_path(task, handling.attempt);
        let task = SegmentTask {
            path: path.clone(),
            careful: handling.careful,
            quarantined: handling.quarantined,
            ..task.clone()
        };
        self.send(worker, ToWorker::Assign(Box::new(task)));
        self.files.insert(segment, path);
    }

    fn emit(&mut self, event: BuildEvent) {
        self.outcome.totals.add(&event);
        (self.emit)(event);
    }

    fn spawn(&mut self, worker: WorkerId, generation: u32, target: EncoderTarget) {
        let spawned = Worker::spawn(
            self.job.worker.command(),
            worker,
            generation,
            self.sender.clone(),
        );
        match spawned {
            Ok(child) => {
                let encoders = match target {
                    EncoderTarget::Configured => self.job.setup.encoders.clone(),
                    EncoderTarget::Cpu => self.job.setup.encoders.on_cpu(),
                };
                let setup = WorkerSetup {
                    worker,
                    encoders,
                    ..self.job.setup.clone()
                };
                child.send(ToWorker::Setup(Box::new(setup)));
                self.workers.insert(worker, child);
            }
            Err(error) => {
                let failure = Failure {
                    kind: FailureKind::Internal,
                    text: format!(
                        "starting a worker ({}): {error}",
                        self.job.worker.program.display()
                    ),
                };
                for event in [
                    Event::Message {
                        worker,
                        generation,
                        message: FromWorker::Failed(failure),
                    },
                    Event::Exited {
                        worker,
                        generation,
                        status: String::new(),
                    },
                ] {
                    let _ = self.sender.send(event);
                }
            }
        }
    }
}

/// The segment file of this attempt. A later run resumes only the first.
fn attempt_path(task: &SegmentTask, attempt: u32) -> PathBuf {
    match attempt {
        0 => task.path.clone(),
        n => task.path.with_added_extension(n.to_string()),
    }
}
