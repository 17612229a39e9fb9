//! A card, its contexts and a supervisor, simulated: what the watchdog's actions lead to.
//!
//! For tests alone. A context grows with its batches; where memory is full it spills, and a spilled
//! context stays slow until it is replaced, whatever memory it gives back. Time is stepped, never
//! waited for. [`super::incident`] reads scenarios from files.

use super::incident::{Scenario, What};
use super::*;
use crate::device::{DeviceId, DeviceMemory};
use crate::report::{WatchdogCounts, WatchdogEvent};
use process::{Doing, Process, Segment};
use std::collections::VecDeque;

mod batches;
mod process;

pub use process::Place;

/// How often memory is read and deadlines are looked at.
const TICK: Duration = Duration::from_secs(1);

/// What a supervisor does on its own when nothing comes.
const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// No simulated build takes longer: it would be one that does not end.
const FOR_EVER: Duration = Duration::from_secs(3600 * 400);

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What came of a scenario.
#[derive(Debug)]
pub struct Course {
    /// Events, each with the number of batches that were over at the time.
    pub events: Vec<(u64, WatchdogEvent)>,
    /// Where each segment was encoded.
    pub places: BTreeMap<ShardId, Vec<Place>>,
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
    slowness: f64,
    disk: Duration,
    length: f64,
    fill: f64,
    fate: Option<What>,
    /// To happen during the next batch.
    pause: Option<Duration>,
    is_card_given_up: bool,
    course: Course,
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
                    place: Place::Card,
                });
            }
        }
        let start = |worker| {
            (
                WorkerId(worker),
                Process::starting(Duration::ZERO, Place::Card),
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
            slowness: 1.0,
            disk: Duration::ZERO,
            length: 1.0,
            fill: 1.0,
            fate: None,
            pause: None,
            is_card_given_up: false,
            course: Course {
                events: Vec::new(),
                places: BTreeMap::new(),
                took: Duration::ZERO,
                batches: 0,
                counts: WatchdogCounts::default(),
                respawns: 0,
            },
        }
    }

    /// Runs the build to its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn run(mut self) -> Result<Course, String> {
        while !self.is_over() {
            let next = self.processes.values().filter_map(Process::next);
            let next = next
                .chain([self.next_tick])
                .min()
                .expect("the tick at least");
            self.now = self.now.max(next);
            if self.now > FOR_EVER {
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
        self.course.took = self.now;
        self.course.batches = self.batches;
        self.course.counts = self.watchdog.counts();
        Ok(self.course)
    }

    fn is_over(&self) -> bool {
        self.queue.is_empty() && self.processes.values().all(|p| p.segment.is_none())
    }

    fn feed(&mut self, input: Input) {
        for action in self.watchdog.step(self.now, input) {
            match action {
                Action::Report(event) => self.course.events.push((self.batches, *event)),
                Action::ReleaseMemory { worker } => {
                    self.process(worker).shall_release = true;
                }
                Action::Respawn { worker } => {
                    self.course.respawns += 1;
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

    /// Replaces a process; what its segment has committed stays.
    fn end(&mut self, worker: WorkerId) {
        let until = self.now + Duration::from_secs_f64(self.scenario.start_s);
        let process = self.process(worker);
        let segment = process.segment.take();
        *process = Process::starting(until, process.place);
        process.segment = segment;
        self.feed(Input::WorkerEnded { worker });
    }

    fn demote(&mut self, shard: ShardId) {
        for segment in &mut self.queue {
            if segment.shard == shard {
                segment.place = Place::Cpu;
            }
        }
        let workers: Vec<_> = self.processes.keys().copied().collect();
        for worker in workers {
            let process = self.process(worker);
            let is_on_it = |s: &Segment| s.shard == shard && s.place == Place::Card;
            if process.segment.as_ref().is_some_and(is_on_it) {
                let segment = process.segment.take().expect("just seen");
                // Done again from its start: no segment mixes devices.
                self.queue.push_front(Segment {
                    done: 0,
                    place: Place::Cpu,
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
        // The supervisor's own patience.
        let workers: Vec<_> = self.processes.keys().copied().collect();
        for worker in workers {
            if let Doing::Encoding { since, .. } = self.process(worker).doing
                && self.now - since > STALL_TIMEOUT
            {
                self.end(worker);
            }
        }
    }

    /// Lets a worker do what it is due to do.
    fn proceed(&mut self, worker: WorkerId) {
        let now = self.now;
        match self.process(worker).doing {
            Doing::Starting { until } if until <= now => {
                self.process(worker).doing = Doing::Nothing;
                let place = self.process(worker).place;
                let devices = match place {
                    Place::Card => EncoderDevices::both(&card()),
                    Place::Cpu => EncoderDevices::default(),
                };
                self.feed(Input::WorkerStarted { worker, devices });
            }
            Doing::Waiting { until } if until <= now => self.begin_batch(worker),
            Doing::Encoding {
                until: Some(until),
                batch,
                fate,
                ..
            } if until <= now => self.end_batch(worker, batch, fate),
            _ => {}
        }
        if matches!(self.process(worker).doing, Doing::Nothing) {
            self.take_work(worker);
        }
    }

    fn take_work(&mut self, worker: WorkerId) {
        if self.process(worker).segment.is_none() {
            let Some(mut segment) = self.queue.pop_front() else {
                return;
            };
            if self.is_card_given_up {
                segment.place = Place::Cpu;
            }
            self.process(worker).segment = Some(segment);
        }
        let until = self.now + Duration::from_secs_f64(self.scenario.start_s);
        let disk = self.now + self.disk;
        let process = self.process(worker);
        let place = process.segment.as_ref().map_or(process.place, |s| s.place);
        if place == process.place {
            process.doing = Doing::Waiting { until: disk };
        } else {
            let segment = process.segment.take();
            *process = Process::starting(until, place);
            process.segment = segment;
            self.feed(Input::WorkerEnded { worker });
        }
    }
}
