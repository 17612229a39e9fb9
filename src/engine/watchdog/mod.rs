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
//! memory  -> full? --------------+-> ladder: release memory -> respawn -> CPU -> actions
//! ticks   -> stall: hung? -------+
//! ```

pub mod config;
mod detector;
mod device;
mod input;
mod ladder;
mod probe;
mod response;
mod stall;

pub use input::{Action, EncoderDevices, Input};
pub use ladder::{Anomaly, Rung};

use crate::batch::{Batch, EncoderKind};
use crate::device::{DeviceFailure, DeviceId, DeviceMemory};
use crate::ids::{ShardId, WorkerId};
use crate::report::{WatchdogCounts, WatchdogEventKind, WatchdogResponse};
use config::{CrawlAction, CrawlConfig};
use detector::{BatchSpeed, Stream};
use device::DeviceWatch;
use ladder::rearm_after;
use response::Detection;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A device lost this often with no batch in between is not asked again.
const LOSSES_TO_GIVE_UP: u32 = 2;

/// The same where processes ended. Each may have been ended by somebody else, or by the batch rather than the
/// device: two take one shard to the CPU, so the device is left with the second shard.
const CRASHES_TO_GIVE_UP: u32 = 4;

/// The watchdog of one build.
#[derive(Debug)]
pub struct Watchdog {
    config: CrawlConfig,
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
    counts: WatchdogCounts,
}

/// A worker's process on its devices.
#[derive(Debug)]
struct WorkerWatch {
    devices: EncoderDevices,
    streams: BTreeMap<EncoderKind, Stream>,
    /// The shard of its last batch.
    shard: Option<ShardId>,
    in_hand: Option<InHand>,
    /// The fullest that each device's memory was since its last batch there.
    peaks: BTreeMap<DeviceId, DeviceMemory>,
    /// When its last batch ended.
    last_batch: Option<Duration>,
}

/// A run that has begun.
#[derive(Clone, Copy, Debug)]
struct InHand {
    since: Duration,
    encoder: EncoderKind,
    n_slots: u64,
}

impl Watchdog {
    /// `stall_ceiling`: no batch may take longer. `labels`: what shards are called.
    pub fn new(
        config: CrawlConfig,
        stall_ceiling: Duration,
        labels: impl IntoIterator<Item = (ShardId, String)>,
    ) -> Self {
        Self {
            config,
            stall_ceiling,
            labels: labels.into_iter().collect(),
            devices: BTreeMap::new(),
            workers: BTreeMap::new(),
            demoted: BTreeSet::new(),
            paused: Duration::ZERO,
            pause_end: None,
            counts: WatchdogCounts::default(),
        }
    }

    pub fn counts(&self) -> WatchdogCounts {
        self.counts
    }

    /// Takes what was seen and says what to do, in order. `now`: the supervisor's clock.
    pub fn step(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::WorkerStarted { worker, devices } => {
                self.started(now, worker, devices, &mut actions);
            }
            Input::WorkerEnded { worker } => {
                if self.workers.remove(&worker).is_some() {
                    let rolls = self.devices.values_mut().filter_map(|d| d.roll.as_mut());
                    for roll in rolls {
                        roll.drop_worker(worker);
                    }
                }
            }
            Input::BatchStarted {
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
            Input::BatchFinished {
                worker,
                shard,
                batch,
            } => {
                self.batch_done(now, worker, (shard, batch), &mut actions);
            }
            Input::DeviceFailed { worker, failure } => {
                self.device_failed(now, worker, failure, &mut actions);
            }
            Input::MemoryRead { device, answer } => {
                self.memory_read(now, device, answer, &mut actions);
            }
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
            Input::Tick => self.tick(now, &mut actions),
            Input::Ending => self.ending(now, &mut actions),
        }
        actions
    }

    /// Whether the worker is known to be in the middle of a batch.
    pub fn is_in_batch(&self, worker: WorkerId) -> bool {
        let watch = self.workers.get(&worker);
        watch.is_some_and(|watch| watch.in_hand.is_some())
    }

    fn started(
        &mut self,
        now: Duration,
        worker: WorkerId,
        devices: EncoderDevices,
        actions: &mut Vec<Action>,
    ) {
        self.workers.remove(&worker);
        for id in devices.distinct() {
            self.devices.entry(id.clone()).or_default();
        }
        if !devices.is_empty() {
            let watch = WorkerWatch {
                devices,
                streams: BTreeMap::new(),
                shard: None,
                in_hand: None,
                peaks: BTreeMap::new(),
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
            self.advance_roll(now, &id, actions);
        }
    }

    /// The device that a worker's encoder runs on; its first one where it is not one encoder's matter.
    fn device_of(&self, worker: WorkerId, encoder: Option<EncoderKind>) -> Option<DeviceId> {
        let devices = &self.workers.get(&worker)?.devices;
        match encoder {
            Some(encoder) => devices.get(encoder).cloned(),
            None => devices.distinct().first().map(|id| (*id).clone()),
        }
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
        (shard, batch): (ShardId, Batch),
        actions: &mut Vec<Action>,
    ) {
        let covers_pause = self.covers_pause(now, &batch);
        let Some(watch) = self.workers.get_mut(&worker) else {
            return;
        };
        watch.in_hand = None;
        watch.shard = Some(shard);
        watch.last_batch = Some(now);
        let Some(id) = watch.devices.get(batch.encoder).cloned() else {
            return;
        };
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        device.losses = 0;
        // While workers are replaced one by one, the pace of the others is no measure.
        let is_disarmed = device.is_given_up || device.roll.is_some();
        if is_disarmed || self.demoted.contains(&shard) || covers_pause {
            return;
        }
        let Some(rate) = batch.rate() else {
            return;
        };
        device.ladder(shard);

        let stream = watch.streams.entry(batch.encoder).or_default();
        let learned = stream.learn(now, shard, rate, self.config.window);
        if let Some(learned) = learned {
            let of_device = self.workers.values().filter(|w| w.devices.uses(&id));
            let at_work = of_device.filter(|w| w.last_batch >= Some(learned.since));
            let baseline = device.baselines.entry(batch.encoder).or_default();
            baseline.raise(at_work.count() as u32, learned.rate);
        }
        let expected = self.expected(&id, batch.encoder);

        let (Some(watch), Some(device)) =
            (self.workers.get_mut(&worker), self.devices.get_mut(&id))
        else {
            return;
        };
        let stream = watch.streams.entry(batch.encoder).or_default();
        let speed = stream.judge(&batch, expected, &self.config);
        let readings = [watch.peaks.remove(&id), device.memory(now)];
        let memory = readings
            .into_iter()
            .flatten()
            .max_by(|a, b| a.share().total_cmp(&b.share()));
        match speed {
            BatchSpeed::Unknown => {}
            BatchSpeed::Slowing => device.healthy_run = 0,
            BatchSpeed::Healthy => {
                stream.told = false;
                device.healthy_run += 1;
                if device.healthy_run == self.config.window && device.episode.take().is_some() {
                    let event = self.event(
                        now,
                        worker,
                        WatchdogEventKind::Recovered,
                        Some(batch.encoder),
                        memory,
                    );
                    self.report(event, actions);
                } else if device.healthy_run >= rearm_after(&self.config) {
                    device.rearm_all();
                }
            }
            BatchSpeed::Slow => {
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
                if slow >= self.config.window && !stream.told {
                    let detection = Detection {
                        anomaly: Anomaly::Crawl,
                        encoder: Some(batch.encoder),
                        memory,
                        wait: None,
                    };
                    self.respond(now, worker, &detection, actions);
                }
            }
        }
    }

    fn device_failed(
        &mut self,
        now: Duration,
        worker: WorkerId,
        failure: DeviceFailure,
        actions: &mut Vec<Action>,
    ) {
        let Some(watch) = self.workers.get_mut(&worker) else {
            return;
        };
        let encoder = watch.in_hand.take().map(|in_hand| in_hand.encoder);
        let Some(id) = self.device_of(worker, encoder) else {
            return;
        };
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        if device.is_given_up {
            return;
        }
        let (anomaly, limit) = match failure {
            DeviceFailure::OutOfMemory => (Anomaly::OutOfMemory, None),
            DeviceFailure::Lost => (Anomaly::DeviceLost, Some(LOSSES_TO_GIVE_UP)),
            DeviceFailure::Crash => (Anomaly::Crash, Some(CRASHES_TO_GIVE_UP)),
        };
        device.losses += u32::from(limit.is_some());
        let memory = device.memory(now);
        let is_beyond = limit.is_some_and(|limit| device.losses >= limit);
        if is_beyond && self.config.action != CrawlAction::Off {
            device.is_given_up = true;
            device.roll = None;
            let mut event = self.event(now, worker, anomaly.into(), encoder, memory);
            event.action = WatchdogResponse::GiveUpDevice;
            self.report(event, actions);
            actions.push(Action::GiveUp { device: id });
            return;
        }
        let detection = Detection {
            anomaly,
            encoder,
            memory,
            wait: None,
        };
        self.respond(now, worker, &detection, actions);
    }
}

#[cfg(test)]
mod incident;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
