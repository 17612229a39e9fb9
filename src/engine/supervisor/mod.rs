//! The process the user starts: hands segments to workers and watches over them.
//!
//! [`state`] decides, [`child`] holds processes, this module turns decisions into deeds. It never
//! opens a database and never encodes: finished segments are announced to the publisher, which is
//! somebody else's.

mod child;
pub mod state;

use crate::engine::control::BuildControl;
use crate::engine::request::ProcessCommand;
use crate::failpoint;
use crate::failure::{Failure, FailureKind};
use crate::gpu::probe::Reading;
use crate::ids::{SegmentId, ShardId, WorkerId};
use crate::protocol::{FromWorker, SegmentTask, ToWorker, WorkerSetup};
use crate::report::{BuildEvent, Ending, FinishedSegment, PublishOutcome};
use child::Worker;
use crossbeam_channel::{Receiver, Sender, select, tick, unbounded};
use state::{Effect, EncoderTarget, Event, Limits, State, Watch};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often silence and interrupts are looked for.
const TICK: Duration = Duration::from_millis(100);

/// What is to be built.
pub struct Job {
    /// Starts a worker.
    pub worker: ProcessCommand,
    /// What each worker is told at its start; the worker's number is filled in.
    pub setup: WorkerSetup,
    pub workers: u32,
    /// In the order in which they should be done.
    pub tasks: Vec<SegmentTask>,
    /// All shards that will be published, including those without a segment to do.
    pub shards: Vec<ShardId>,
    pub limits: Limits,
    /// The devices that are watched; `None`: everything is on the CPU.
    pub watch: Option<Watch>,
}

/// The supervisor's ends of what it shares with the rest of the program.
pub struct Channels {
    /// Segments that can be loaded.
    pub ready: Sender<FinishedSegment>,
    pub published: Receiver<PublishOutcome>,
    /// Readings of the watched devices' memory; never any without one.
    pub memory: Receiver<Reading>,
    /// Asks for a stop, and hears of every turn of the loop, at least once a tick.
    pub control: BuildControl,
}

/// What the workers' part of a build came to.
#[derive(Debug)]
pub struct Outcome {
    pub ending: Ending,
    /// CPU time of workers that ended in order.
    pub workers_cpu: Duration,
    /// From the first worker ready to the last segment done.
    pub encoding: Duration,
}

/// Runs the build to its end. Blocks; every wait inside has a deadline. `emit` is called with each
/// event in order, from this thread.
pub fn run(job: Job, channels: &Channels, emit: &mut dyn FnMut(BuildEvent)) -> Outcome {
    Running::new(job).run(channels, emit)
}

/// Time in which this process ran. A machine that was suspended, or a group of processes that was
/// stopped, has not waited for anybody.
struct Clock {
    now: Duration,
    looked: Instant,
}

/// Longest step of the [`Clock`]: ten ticks, which a loaded machine may delay.
const LONGEST_STEP: Duration = Duration::from_secs(1);

impl Clock {
    fn new() -> Self {
        Self {
            now: Duration::ZERO,
            looked: Instant::now(),
        }
    }

    /// Looks, and returns what it left out since it last looked.
    fn look(&mut self) -> Duration {
        let looked = Instant::now();
        let step = looked - self.looked;
        self.now += step.min(LONGEST_STEP);
        self.looked = looked;
        step.saturating_sub(LONGEST_STEP)
    }
}

fn memory(Reading { device, answer }: Reading) -> Event {
    if let Err(why) = &answer {
        tracing::debug!("memory of {device}: {why}");
    }
    Event::Memory { device, answer }
}

struct Running {
    job: Job,
    /// Segments in the order in which they should be done.
    order: Vec<SegmentId>,
    tasks: BTreeMap<SegmentId, SegmentTask>,
    /// The files of the segments that are being worked on.
    files: BTreeMap<SegmentId, PathBuf>,
    workers: BTreeMap<WorkerId, Worker>,
    inbox: Receiver<Event>,
    /// Kept so that the channel stays open with no worker alive.
    sender: Sender<Event>,
    outcome: Outcome,
    first_ready: Option<Instant>,
}

impl Running {
    fn new(mut job: Job) -> Self {
        let tasks = std::mem::take(&mut job.tasks);
        let order = tasks.iter().map(|task| task.id).collect();
        let tasks = tasks.into_iter().map(|task| (task.id, task)).collect();
        // Unbounded: readers must not block while the supervisor draws; the rate is bounded by the
        // workers, and one message is small.
        let (sender, inbox) = unbounded();
        Self {
            job,
            order,
            tasks,
            files: BTreeMap::new(),
            workers: BTreeMap::new(),
            inbox,
            sender,
            outcome: Outcome {
                ending: Ending::Paused,
                workers_cpu: Duration::ZERO,
                encoding: Duration::ZERO,
            },
            first_ready: None,
        }
    }

    fn run(mut self, channels: &Channels, emit: &mut dyn FnMut(BuildEvent)) -> Outcome {
        let mut clock = Clock::new();
        let mut state = State::new(
            self.job.workers,
            std::mem::take(&mut self.order),
            self.job.shards.iter().copied(),
            self.job.limits.clone(),
        )
        .with_watch(self.job.watch.take());
        let ticks = tick(TICK);
        let mut announced = false;
        let mut event = Event::Tick;
        loop {
            channels.control.turn();
            self.note(&event);
            let lasted = clock.look();
            if lasted > Duration::ZERO {
                for effect in state.step(clock.now, Event::Paused { lasted }) {
                    self.perform(effect, channels, emit);
                }
            }
            for effect in state.step(clock.now, event) {
                if let Effect::Finish(ending) = effect {
                    self.outcome.ending = ending;
                    return self.outcome;
                }
                self.perform(effect, channels, emit);
            }
            if channels.control.is_stopped() && !announced {
                announced = true;
                event = Event::Interrupt;
                continue;
            }
            event = select! {
                recv(self.inbox) -> event => event.unwrap_or(Event::Tick),
                recv(channels.memory) -> reading => reading.map_or(Event::Tick, memory),
                recv(channels.published) -> outcome => outcome.map_or(Event::Tick, Event::Publisher),
                recv(ticks) -> _ => Event::Tick,
            };
        }
    }

    /// Keeps the figures of the summary.
    fn note(&mut self, event: &Event) {
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

    fn perform(&mut self, effect: Effect, channels: &Channels, emit: &mut dyn FnMut(BuildEvent)) {
        match effect {
            Effect::Spawn {
                worker,
                generation,
                target,
            } => self.spawn(worker, generation, target),
            Effect::ReleaseMemory { worker } => {
                if let Some(child) = self.workers.get(&worker) {
                    child.send(ToWorker::ReleaseMemory);
                }
            }
            Effect::Assign {
                worker,
                segment,
                handling,
            } => {
                let path = self.path(segment, handling.attempt);
                if let (Some(child), Some(task)) =
                    (self.workers.get(&worker), self.tasks.get(&segment))
                {
                    let task = SegmentTask {
                        path: path.clone(),
                        careful: handling.careful,
                        quarantined: handling.quarantined,
                        ..task.clone()
                    };
                    child.send(ToWorker::Assign(Box::new(task)));
                    self.files.insert(segment, path);
                }
            }
            Effect::Stop { worker } => {
                if let Some(child) = self.workers.get(&worker) {
                    child.send(ToWorker::Stop);
                }
            }
            Effect::Kill { worker } => {
                if let Some(child) = self.workers.get(&worker)
                    && !failpoint::at("supervisor::kill", &worker.to_string())
                {
                    child.kill();
                }
            }
            Effect::Load(id) => {
                let path = self.files.remove(&id).unwrap_or_default();
                // A publisher that is gone has said why on the other channel.
                let _ = channels.ready.send(FinishedSegment { id, path });
            }
            Effect::Quarantine {
                segment,
                file,
                reason,
            } => {
                let files = self.tasks.get(&segment).map(|task| &task.files);
                let entry = files.and_then(|files| files.get(file as usize));
                emit(BuildEvent::Quarantined {
                    segment,
                    path: entry.map_or(String::new(), |entry| entry.path.to_string()),
                    reason,
                });
            }
            Effect::Emit(event) => emit(event),
            // Handled by the loop.
            Effect::Finish(_) => {}
        }
    }

    /// Where this attempt at a segment is written. Only the first is found again by a later run.
    fn path(&self, segment: SegmentId, attempt: u32) -> PathBuf {
        let Some(task) = self.tasks.get(&segment) else {
            return PathBuf::new();
        };
        match attempt {
            0 => task.path.clone(),
            n => task.path.with_added_extension(n.to_string()),
        }
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
