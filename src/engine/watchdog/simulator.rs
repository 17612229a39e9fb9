//! A simulated card with its contexts and a supervisor: what the watchdog's actions lead to.
//!
//! For tests only. A context grows with its batches. When memory is full it spills, and a spilled context stays slow until
//! it is replaced, whatever memory it releases. Time is stepped, never waited for. [`super::incident`] reads scenarios from
//! files.

use super::incident::{Scenario, ScriptEvent};
use super::*;
use crate::device::{DeviceId, DeviceMemory};
use crate::report::{WatchdogCounts, WatchdogEvent};
use process::{Activity, Process, Segment};
use std::collections::{BTreeMap, VecDeque};

mod batches;
mod process;

pub use process::Target;

/// How often memory is read and deadlines are checked.
const TICK: Duration = Duration::from_secs(1);

/// The supervisor's own timeout for a worker without progress.
const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// A simulated build that takes longer does not end.
const MAX_DURATION: Duration = Duration::from_secs(3600 * 400);

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The outcome of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Events, each with the number of batches that had finished by then.
    pub events: Vec<(u64, WatchdogEvent)>,
    /// Where each segment was encoded.
    pub targets: BTreeMap<ShardId, Vec<Target>>,
    pub took: Duration,
    pub batches: u64,
    pub counts: WatchdogCounts,
    pub respawns: u64,
}

pub struct Simulator<'a> {
    scenario: &'a Scenario,
    watchdog: Watchdog,
    now: Duration,
    next_tick: Duration,
    batches: u64,
    /// Position in the script.
    scripted: usize,
    queue: VecDeque<Segment>,
    processes: BTreeMap<WorkerId, Process>,
    is_probe_silent: bool,
    others_gib: f64,
    slowdown: f64,
    disk: Duration,
    length: f64,
    fill: f64,
    /// How the next batch ends.
    next_end: Option<ScriptEvent>,
    /// To happen during the next batch.
    pause: Option<Duration>,
    is_card_given_up: bool,
    outcome: Outcome,
}

fn card() -> DeviceId {
    DeviceId("card".to_owned())
}

impl<'a> Simulator<'a> {
    pub fn new(scenario: &'a Scenario) -> Self {
        let mut queue = VecDeque::new();
        for (n, chunks) in scenario.shards.iter().enumerate() {
            let mut left = *chunks;
            while left > 0 {
                let chunks = left.min(scenario.segment_chunks);
                left -= chunks;
                queue.push_back(Segment {
                    shard: ShardId(n as u32),
                    chunks,
                    done: 0,
                    target: Target::Card,
                });
            }
        }
        let start = |worker| {
            (
                WorkerId(worker),
                Process::starting(Duration::ZERO, Target::Card),
            )
        };
        Self {
            scenario,
            watchdog: Watchdog::new(scenario.config(), STALL_TIMEOUT / 2, []),
            now: Duration::ZERO,
            next_tick: TICK,
            batches: 0,
            scripted: 0,
            queue,
            processes: (0..scenario.workers).map(start).collect(),
            is_probe_silent: false,
            others_gib: scenario.card.others_gib,
            slowdown: 1.0,
            disk: Duration::ZERO,
            length: 1.0,
            fill: 1.0,
            next_end: None,
            pause: None,
            is_card_given_up: false,
            outcome: Outcome {
                events: Vec::new(),
                targets: BTreeMap::new(),
                took: Duration::ZERO,
                batches: 0,
                counts: WatchdogCounts::default(),
                respawns: 0,
            },
        }
    }

    /// Run the build to its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn run(mut self) -> Result<Outcome, String> {
        while !self.is_over() {
            let next = self.processes.values().filter_map(Process::next);
            let next = next
                .chain([self.next_tick])
                .min()
                .expect("the tick at least");
            self.now = self.now.max(next);
            if self.now > MAX_DURATION {
                return Err(format!("no end after {} batches", self.batches));
            }
            if self.next_tick <= self.now {
                self.next_tick = self.now + TICK;
                self.tick();
            }
            let workers: Vec<_> = self.processes.keys().copied().collect();
            for worker in workers {
                self.proceed(worker);
            }
        }
        self.outcome.took = self.now;
        self.outcome.batches = self.batches;
        for (_, event) in &self.outcome.events {
            self.outcome.counts.add(event);
        }
        Ok(self.outcome)
    }

    fn is_over(&self) -> bool {
        self.queue.is_empty() && self.processes.values().all(|p| p.segment.is_none())
    }

    fn feed(&mut self, input: Input) {
        for action in self.watchdog.step(self.now, input) {
            match action {
                Action::Report(event) => self.outcome.events.push((self.batches, *event)),
                Action::ReleaseMemory { worker } => {
                    self.process(worker).must_release = true;
                }
                Action::Respawn { worker } => {
                    self.outcome.respawns += 1;
                    self.end(worker);
                }
                Action::Demote { shard } => self.demote(shard),
                Action::GiveUp { .. } => {
                    self.is_card_given_up = true;
                    let shards = 0..self.scenario.shards.len() as u32;
                    shards.for_each(|shard| self.demote(ShardId(shard)));
                }
            }
        }
    }

    fn process(&mut self, worker: WorkerId) -> &mut Process {
        self.processes
            .get_mut(&worker)
            .expect("a worker of the scenario")
    }

    /// Replace a process; what its segment has committed stays.
    fn end(&mut self, worker: WorkerId) {
        let until = self.now + Duration::from_secs_f64(self.scenario.start_s);
        let process = self.process(worker);
        let segment = process.segment.take();
        *process = Process::starting(until, process.target);
        process.segment = segment;
        self.feed(Input::WorkerEnded { worker });
    }

    fn demote(&mut self, shard: ShardId) {
        for segment in &mut self.queue {
            if segment.shard == shard {
                segment.target = Target::Cpu;
            }
        }
        let workers: Vec<_> = self.processes.keys().copied().collect();
        for worker in workers {
            let process = self.process(worker);
            let is_on_it = |s: &Segment| s.shard == shard && s.target == Target::Card;
            if process.segment.as_ref().is_some_and(is_on_it) {
                let segment = process.segment.take().expect("just seen");
                // It starts over, since no segment mixes devices.
                self.queue.push_front(Segment {
                    done: 0,
                    target: Target::Cpu,
                    ..segment
                });
                self.end(worker);
            }
        }
    }

    fn tick(&mut self) {
        let memory = (!self.is_probe_silent)
            .then(|| {
                let bytes = |gib: f64| (gib * GIB) as u64;
                DeviceMemory::new(bytes(self.used_gib()), bytes(self.scenario.card.total_gib))
            })
            .flatten();
        self.feed(Input::MemoryRead {
            device: card(),
            answer: memory.ok_or("no answer".to_owned()),
        });
        self.feed(Input::Tick);
        // The supervisor's own timeout.
        let workers: Vec<_> = self.processes.keys().copied().collect();
        for worker in workers {
            if let Activity::Encoding { since, .. } = self.process(worker).activity
                && self.now - since > STALL_TIMEOUT
            {
                self.end(worker);
            }
        }
    }

    /// Let a worker do what is due.
    fn proceed(&mut self, worker: WorkerId) {
        let now = self.now;
        match self.process(worker).activity {
            Activity::Starting { until } if until <= now => {
                self.process(worker).activity = Activity::Nothing;
                let target = self.process(worker).target;
                let devices = match target {
                    Target::Card => EncoderDevices::both(&card()),
                    Target::Cpu => EncoderDevices::default(),
                };
                self.feed(Input::WorkerStarted { worker, devices });
            }
            Activity::Waiting { until } if until <= now => self.begin_batch(worker),
            Activity::Encoding {
                until: Some(until),
                batch,
                end,
                ..
            } if until <= now => self.end_batch(worker, batch, end),
            _ => {}
        }
        if matches!(self.process(worker).activity, Activity::Nothing) {
            self.take_work(worker);
        }
    }

    fn take_work(&mut self, worker: WorkerId) {
        if self.process(worker).segment.is_none() {
            let Some(mut segment) = self.queue.pop_front() else {
                return;
            };
            if self.is_card_given_up {
                segment.target = Target::Cpu;
            }
            self.process(worker).segment = Some(segment);
        }
        let until = self.now + Duration::from_secs_f64(self.scenario.start_s);
        let disk = self.now + self.disk;
        let process = self.process(worker);
        let target = process
            .segment
            .as_ref()
            .map_or(process.target, |s| s.target);
        if target == process.target {
            process.activity = Activity::Waiting { until: disk };
        } else {
            let segment = process.segment.take();
            *process = Process::starting(until, target);
            process.segment = segment;
            self.feed(Input::WorkerEnded { worker });
        }
    }
}
