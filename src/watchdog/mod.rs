//! Finds encoders that crawl or hang on a device, and says what to do about it.
//!
//! Device memory that is full spills: the driver moves part of a context to main memory, and the encoder
//! goes on at a fraction of its pace, for days. Two published incidents: 15.3 down to 2.3 chunks a second
//! with 11.85 of 12 GB in use; 64 chunks in 47 minutes although the cache was emptied again and
//! again. What helped was a fresh context, then the CPU.
//!
//! Pure: [`Watchdog::step`] takes what the supervisor saw, with the supervisor's clock, which stands
//! still while the machine is suspended, and returns what is to be done. It starts and kills nothing,
//! reads no clock and no memory. Time alone never trips it but for a single batch that does not end.
//!
//! ```text
//! batches -> detector: slow? ----+
//! memory  -> full? --------------+-> ladder: release memory -> respawn -> CPU -> verdicts
//! ticks   -> stall: hung? -------+
//! ```

mod detector;
mod device;
mod event;
pub mod knobs;
mod ladder;
mod stall;

pub use detector::{Batch, Encoder, Figures};
pub use event::{Counts, LOG_PREFIX, Noticed, Response, WatchdogEvent};
pub use ladder::{Rung, Trouble};

use crate::ids::{ShardId, WorkerId};
use detector::{Judgement, Stream};
use device::DeviceWatch;
use knobs::{Action, Knobs};
use ladder::{Roll, rearm_after};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Share of device memory beyond which it counts as full. Both incidents stood at 0.99; a card whose
/// batches fit uses less, and half of the rest is the driver's own.
const FULL: f64 = 0.92;

/// A device lost this often with no batch in between is not asked again.
const LOSSES_TO_GIVE_UP: u32 = 2;

/// A device, by the name that people see: `cuda:0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub String);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reading of a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub used_bytes: u64,
    pub total_bytes: u64,
}

impl Memory {
    /// `None` for what no device can have: that is no reading.
    pub fn new(used_bytes: u64, total_bytes: u64) -> Option<Self> {
        (total_bytes > 0 && used_bytes <= total_bytes).then_some(Self {
            used_bytes,
            total_bytes,
        })
    }

    /// Used of total, 0 to 1.
    pub fn share(self) -> f64 {
        self.used_bytes as f64 / self.total_bytes as f64
    }

    fn is_full(self) -> bool {
        self.share() > FULL
    }
}

/// What the supervisor saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A worker is ready. `device`: where its encoders run, if that is one to watch; on the CPU, `None`.
    WorkerStarted {
        worker: WorkerId,
        device: Option<DeviceId>,
    },
    /// Its process is gone, for whatever reason.
    WorkerEnded {
        worker: WorkerId,
    },
    /// A run began. `n_slots` as in [`Batch`].
    BatchBegun {
        worker: WorkerId,
        shard: ShardId,
        encoder: Encoder,
        n_slots: u64,
    },
    /// The run is over.
    BatchDone {
        worker: WorkerId,
        batch: Batch,
    },
    /// The worker says that the device failed it, and ends.
    DeviceFailed {
        worker: WorkerId,
        failure: DeviceFailure,
    },
    /// `None`: it could not be read.
    MemoryRead {
        device: DeviceId,
        memory: Option<Memory>,
    },
    ShardFinished {
        shard: ShardId,
    },
    /// The supervisor's clock has just left out so much time, in which nobody ran.
    Paused {
        lasted: Duration,
    },
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFailure {
    OutOfMemory,
    DeviceLost,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The worker shall give unused device memory back with its next run.
    ReleaseMemory {
        worker: WorkerId,
    },
    /// The worker's process shall be replaced by a fresh one, which goes on behind the last committed file.
    Respawn {
        worker: WorkerId,
    },
    /// What is left of the shard is encoded on the CPU; segments not finished are done again from their
    /// start, so that none mixes devices. Workers that are on it leave the device.
    Demote {
        shard: ShardId,
    },
    /// Nothing more runs on this device.
    GiveUp {
        device: DeviceId,
    },
    Report(Box<WatchdogEvent>),
}

/// The watchdog of one build.
#[derive(Debug)]
pub struct Watchdog {
    knobs: Knobs,
    /// Longest time a batch may take, whatever the baseline.
    stall_ceiling: Duration,
    /// What shards are called.
    labels: BTreeMap<ShardId, String>,
    devices: BTreeMap<DeviceId, DeviceWatch>,
    workers: BTreeMap<WorkerId, WorkerWatch>,
    /// Shards that are done on the CPU.
    demoted: BTreeSet<ShardId>,
    /// All the time that the clock has left out.
    paused: Duration,
    /// When the last pause ended, pauses included.
    pause_end: Option<Duration>,
    counts: Counts,
}

/// A worker's process on a device.
#[derive(Debug)]
struct WorkerWatch {
    device: DeviceId,
    streams: BTreeMap<Encoder, Stream>,
    /// The shard of its last batch.
    shard: Option<ShardId>,
    in_hand: Option<InHand>,
    /// The fullest that memory was since its last batch.
    peak: Option<Memory>,
    /// When its last batch ended.
    last_batch: Option<Duration>,
}

/// A run that has begun.
#[derive(Clone, Copy, Debug)]
struct InHand {
    since: Duration,
    encoder: Encoder,
    n_slots: u64,
}

/// What an event needs beside the worker.
struct Occasion {
    trouble: Trouble,
    encoder: Option<Encoder>,
    memory: Option<Memory>,
    /// Of a stall: waited, allowed.
    wait: Option<(Duration, Duration)>,
}

impl Watchdog {
    /// Disarmed are only the CPU and shards that went there. `stall_ceiling`: no batch may take longer.
    pub fn new(
        knobs: Knobs,
        stall_ceiling: Duration,
        labels: impl IntoIterator<Item = (ShardId, String)>,
    ) -> Self {
        Self {
            knobs,
            stall_ceiling,
            labels: labels.into_iter().collect(),
            devices: BTreeMap::new(),
            workers: BTreeMap::new(),
            demoted: BTreeSet::new(),
            paused: Duration::ZERO,
            pause_end: None,
            counts: Counts::default(),
        }
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes what was seen and says what to do, in order. `now`: the supervisor's clock.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        match input {
            Input::WorkerStarted { worker, device } => {
                self.started(now, worker, device, &mut verdicts);
            }
            Input::WorkerEnded { worker } => {
                if let Some(gone) = self.workers.remove(&worker)
                    && let Some(device) = self.devices.get_mut(&gone.device)
                    && let Some(roll) = &mut device.roll
                {
                    roll.drop_worker(worker);
                }
            }
            Input::BatchBegun {
                worker,
                shard,
                encoder,
                n_slots,
            } => {
                if let Some(watch) = self.workers.get_mut(&worker) {
                    watch.shard = Some(shard);
                    watch.in_hand = Some(InHand {
                        since: now,
                        encoder,
                        n_slots,
                    });
                }
            }
            Input::BatchDone { worker, batch } => {
                self.batch_done(now, worker, batch, &mut verdicts);
            }
            Input::DeviceFailed { worker, failure } => {
                self.device_failed(now, worker, failure, &mut verdicts);
            }
            Input::MemoryRead { device, memory } => self.memory_read(now, device, memory),
            Input::ShardFinished { shard } => {
                for device in self.devices.values_mut() {
                    device.forget(shard);
                }
                self.demoted.remove(&shard);
            }
            Input::Paused { lasted } => {
                self.paused += lasted;
                self.pause_end = Some(now + self.paused);
            }
            Input::Tick => self.tick(now, &mut verdicts),
        }
        verdicts
    }

    fn started(
        &mut self,
        now: Duration,
        worker: WorkerId,
        device: Option<DeviceId>,
        verdicts: &mut Vec<Verdict>,
    ) {
        self.workers.remove(&worker);
        if let Some(id) = device {
            self.devices.entry(id.clone()).or_default();
            let watch = WorkerWatch {
                device: id,
                streams: BTreeMap::new(),
                shard: None,
                in_hand: None,
                peak: None,
                last_batch: None,
            };
            self.workers.insert(worker, watch);
        }
        // It may have left its device for the CPU meanwhile; its turn is over all the same.
        let turns: Vec<_> = self
            .devices
            .iter()
            .filter(|(_, device)| device.roll.as_ref().is_some_and(|roll| roll.is_at(worker)))
            .map(|(id, _)| id.clone())
            .collect();
        for id in turns {
            self.advance_roll(now, &id, verdicts);
        }
    }

    fn memory_read(&mut self, now: Duration, id: DeviceId, memory: Option<Memory>) {
        let Some(memory) = memory else {
            self.devices.entry(id).or_default().read(now, None);
            return;
        };
        for watch in self.workers.values_mut().filter(|w| w.device == id) {
            let fuller = watch.peak.is_none_or(|peak| memory.share() > peak.share());
            if fuller {
                watch.peak = Some(memory);
            }
        }
        self.devices.entry(id).or_default().read(now, Some(memory));
    }

    /// A run began before the clock's last pause ended: its duration, which the worker measured, says
    /// nothing.
    fn covers_pause(&self, now: Duration, batch: &Batch) -> bool {
        self.pause_end
            .is_some_and(|end| (now + self.paused).saturating_sub(batch.duration) < end)
    }

    fn batch_done(
        &mut self,
        now: Duration,
        worker: WorkerId,
        batch: Batch,
        verdicts: &mut Vec<Verdict>,
    ) {
        let covers_pause = self.covers_pause(now, &batch);
        let Some(watch) = self.workers.get_mut(&worker) else {
            return;
        };
        watch.in_hand = None;
        watch.shard = Some(batch.shard);
        watch.last_batch = Some(now);
        let id = watch.device.clone();
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        device.losses = 0;
        // While workers are replaced one by one, the pace of the others is no measure.
        let is_disarmed = device.is_given_up || device.roll.is_some();
        if is_disarmed || self.demoted.contains(&batch.shard) || covers_pause {
            return;
        }
        let Some(rate) = batch.rate() else {
            return;
        };
        device.ladder(batch.shard);

        let stream = watch.streams.entry(batch.encoder).or_default();
        let learned = stream.learn(now, batch.shard, rate, self.knobs.window);
        let of_device = || self.workers.values().filter(|w| w.device == id);
        let sharers = of_device().count() as u32;
        let baseline = device.baselines.entry(batch.encoder).or_default();
        if let Some(learned) = learned {
            let at_work = of_device().filter(|w| w.last_batch >= Some(learned.since));
            baseline.raise(at_work.count() as u32, learned.rate);
        }
        let expected = baseline.expected(sharers);

        let Some(watch) = self.workers.get_mut(&worker) else {
            return;
        };
        let stream = watch.streams.entry(batch.encoder).or_default();
        let judgement = stream.judge(&batch, expected, &self.knobs);
        let readings = [watch.peak.take(), device.memory(now)];
        let memory = readings
            .into_iter()
            .flatten()
            .max_by(|a, b| a.share().total_cmp(&b.share()));
        match judgement {
            Judgement::Unjudged | Judgement::Sinking => {}
            Judgement::Healthy => {
                stream.told = false;
                device.healthy_run += 1;
                if device.healthy_run == self.knobs.window && device.episode.take().is_some() {
                    let event =
                        self.event(now, worker, Noticed::Recovered, Some(batch.encoder), memory);
                    self.report(event, verdicts);
                } else if device.healthy_run >= rearm_after(&self.knobs) {
                    device.rearm_all();
                }
            }
            Judgement::Slow => {
                device.healthy_run = 0;
                let slow = match memory {
                    _ if device.episode.is_some() => stream.count_slow(),
                    Some(memory) if memory.is_full() => stream.count_slow(),
                    // Slow for another reason.
                    Some(_) => {
                        stream.forget_slow();
                        0
                    }
                    // Who knows: this batch neither counts nor clears anything.
                    None => 0,
                };
                if slow >= self.knobs.window && !stream.told {
                    let occasion = Occasion {
                        trouble: Trouble::Crawl,
                        encoder: Some(batch.encoder),
                        memory,
                        wait: None,
                    };
                    self.respond(now, worker, &occasion, verdicts);
                }
            }
        }
    }

    fn device_failed(
        &mut self,
        now: Duration,
        worker: WorkerId,
        failure: DeviceFailure,
        verdicts: &mut Vec<Verdict>,
    ) {
        let Some(watch) = self.workers.get_mut(&worker) else {
            return;
        };
        watch.in_hand = None;
        let id = watch.device.clone();
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        if device.is_given_up {
            return;
        }
        let trouble = match failure {
            DeviceFailure::OutOfMemory => Trouble::OutOfMemory,
            DeviceFailure::DeviceLost => {
                device.losses += 1;
                Trouble::DeviceLost
            }
        };
        let memory = device.memory(now);
        if device.losses >= LOSSES_TO_GIVE_UP && self.knobs.action != Action::Off {
            device.is_given_up = true;
            device.roll = None;
            let mut event = self.event(now, worker, trouble.into(), None, memory);
            event.action = Response::GiveUpDevice;
            self.report(event, verdicts);
            verdicts.push(Verdict::GiveUp { device: id });
            return;
        }
        let occasion = Occasion {
            trouble,
            encoder: None,
            memory,
            wait: None,
        };
        self.respond(now, worker, &occasion, verdicts);
    }

    fn tick(&mut self, now: Duration, verdicts: &mut Vec<Verdict>) {
        let late: Vec<_> = self
            .devices
            .iter()
            .filter(|(_, device)| device.roll.as_ref().is_some_and(|roll| roll.is_due(now)))
            .map(|(id, _)| id.clone())
            .collect();
        for id in late {
            self.advance_roll(now, &id, verdicts);
        }
        let workers: Vec<_> = self.workers.keys().copied().collect();
        for worker in workers {
            self.look_for_stall(now, worker, verdicts);
        }
    }

    fn look_for_stall(&mut self, now: Duration, worker: WorkerId, verdicts: &mut Vec<Verdict>) {
        let Some(watch) = self.workers.get(&worker) else {
            return;
        };
        let (Some(in_hand), Some(device)) = (watch.in_hand, self.devices.get(&watch.device)) else {
            return;
        };
        let is_demoted = watch.shard.is_some_and(|s| self.demoted.contains(&s));
        let is_told = watch.streams.get(&in_hand.encoder).is_some_and(|s| s.told);
        if device.is_given_up || device.roll.is_some() || is_demoted || is_told {
            return;
        }
        let sharers = self.workers.values().filter(|w| w.device == watch.device);
        let baseline = device.baselines.get(&in_hand.encoder);
        let Some(expected) = baseline.and_then(|b| b.expected(sharers.count() as u32)) else {
            return;
        };
        let allowed = stall::deadline(expected, in_hand.n_slots, &self.knobs, self.stall_ceiling);
        let waited = now.saturating_sub(in_hand.since);
        if waited <= allowed {
            return;
        }
        let occasion = Occasion {
            trouble: Trouble::Stall,
            encoder: Some(in_hand.encoder),
            memory: device.memory(now),
            wait: Some((waited, allowed)),
        };
        self.respond(now, worker, &occasion, verdicts);
    }

    /// Takes the next rung for the worker's shard.
    fn respond(
        &mut self,
        now: Duration,
        worker: WorkerId,
        occasion: &Occasion,
        verdicts: &mut Vec<Verdict>,
    ) {
        let noticed = occasion.trouble.into();
        let mut event = self.event(now, worker, noticed, occasion.encoder, occasion.memory);
        event.waited_s = occasion.wait.map(|(waited, _)| waited.as_secs_f64());
        event.deadline_s = occasion.wait.map(|(_, allowed)| allowed.as_secs_f64());

        let Some(watch) = self.workers.get_mut(&worker) else {
            return;
        };
        let id = watch.device.clone();
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        // One that dies while the workers are being replaced has its fresh process early.
        let is_in_turn = device.roll.as_mut().is_some_and(|r| r.drop_worker(worker));
        let shard = watch.shard.filter(|shard| !self.demoted.contains(shard));
        let rung = match shard {
            _ if is_in_turn => Some(Rung::Respawn),
            Some(shard) => device
                .ladder(shard)
                .next(occasion.trouble, self.knobs.action),
            None => None,
        };
        let Some(rung) = rung else {
            if let Some(encoder) = occasion.encoder {
                watch.streams.entry(encoder).or_default().told = true;
            }
            return self.report(event, verdicts);
        };
        event.action = rung.into();
        self.report(event, verdicts);
        if is_in_turn {
            return verdicts.push(Verdict::Respawn { worker });
        }
        self.perform(now, worker, rung, shard, verdicts);
    }

    fn perform(
        &mut self,
        now: Duration,
        worker: WorkerId,
        rung: Rung,
        shard: Option<ShardId>,
        verdicts: &mut Vec<Verdict>,
    ) {
        let Some(id) = self.workers.get(&worker).map(|w| w.device.clone()) else {
            return;
        };
        let of_device = self.workers.iter().filter(|(_, w)| w.device == id);
        let workers: Vec<_> = of_device.map(|(worker, _)| *worker).collect();
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        device.healthy_run = 0;
        match (rung, shard) {
            (Rung::ReleaseMemory, _) => {
                device.climb_all(rung);
                let all = workers.into_iter();
                verdicts.extend(all.map(|worker| Verdict::ReleaseMemory { worker }));
            }
            (Rung::Respawn, _) => {
                device.climb_all(rung);
                device.roll = Some(Roll::new(now, worker, workers));
                verdicts.push(Verdict::Respawn { worker });
            }
            (Rung::Cpu, Some(shard)) => {
                device.forget(shard);
                device.episode = None;
                self.demoted.insert(shard);
                verdicts.push(Verdict::Demote { shard });
            }
            (Rung::Cpu, None) => {}
        }
        self.restart_streams(&id);
    }

    /// The next worker of a respawn gets its turn; after the last, all are judged again.
    fn advance_roll(&mut self, now: Duration, id: &DeviceId, verdicts: &mut Vec<Verdict>) {
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        match device.roll.as_mut().and_then(|roll| roll.advance(now)) {
            Some(worker) => verdicts.push(Verdict::Respawn { worker }),
            None => {
                device.roll = None;
                self.restart_streams(id);
            }
        }
    }

    /// What the workers of a device did before must not count against what they do from now on.
    fn restart_streams(&mut self, id: &DeviceId) {
        for watch in self.workers.values_mut().filter(|w| w.device == *id) {
            watch.streams.values_mut().for_each(Stream::restart);
        }
    }

    fn event(
        &self,
        now: Duration,
        worker: WorkerId,
        noticed: Noticed,
        encoder: Option<Encoder>,
        memory: Option<Memory>,
    ) -> WatchdogEvent {
        let watch = self.workers.get(&worker);
        let shard = watch.and_then(|w| w.shard);
        let label = |shard| match self.labels.get(&shard) {
            Some(label) => label.clone(),
            None => shard.to_string(),
        };
        let stream = watch.and_then(|w| w.streams.get(&encoder?));
        WatchdogEvent {
            at_s: now.as_secs_f64(),
            noticed,
            action: Response::None,
            shard: shard.map(label),
            worker,
            device: watch.map_or_else(|| DeviceId(String::new()), |w| w.device.clone()),
            encoder,
            figures: stream.map(Stream::figures).unwrap_or_default(),
            memory,
            waited_s: None,
            deadline_s: None,
        }
    }

    fn report(&mut self, event: WatchdogEvent, verdicts: &mut Vec<Verdict>) {
        self.counts.add(&event);
        verdicts.push(Verdict::Report(Box::new(event)));
    }
}
