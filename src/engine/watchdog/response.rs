//! From something noticed to actions and an event.
//!
//! Takes the rung that the shard's ladder allows, on the device or for the shard, and sees a respawn of
//! several workers through.

use super::detector::Stream;
use super::ladder::{Anomaly, RollingRestart, Rung};
use super::{Action, Watchdog};
use crate::batch::EncoderKind;
use crate::device::{DeviceId, DeviceMemory};
use crate::ids::{ShardId, WorkerId};
use crate::report::{WatchdogEvent, WatchdogEventKind, WatchdogResponse};
use std::time::Duration;

/// What an event needs beside the worker.
pub(super) struct Detection {
    pub anomaly: Anomaly,
    pub encoder: Option<EncoderKind>,
    pub memory: Option<DeviceMemory>,
    /// Of a stall: waited, allowed.
    pub wait: Option<(Duration, Duration)>,
}

impl Watchdog {
    /// Takes the next rung for the worker's shard.
    pub(super) fn respond(
        &mut self,
        now: Duration,
        worker: WorkerId,
        detection: &Detection,
        actions: &mut Vec<Action>,
    ) {
        let kind = detection.anomaly.into();
        let mut event = self.event(now, worker, kind, detection.encoder, detection.memory);
        event.waited_s = detection.wait.map(|(waited, _)| waited.as_secs_f64());
        event.deadline_s = detection.wait.map(|(_, allowed)| allowed.as_secs_f64());

        let Some(id) = self.device_of(worker, detection.encoder) else {
            return;
        };
        let (Some(watch), Some(device)) =
            (self.workers.get_mut(&worker), self.devices.get_mut(&id))
        else {
            return;
        };
        // One that dies while the workers are being replaced has its fresh process early.
        let is_in_turn = device.roll.as_mut().is_some_and(|r| r.drop_worker(worker));
        let shard = watch.shard.filter(|shard| !self.demoted.contains(shard));
        let rung = match shard {
            _ if is_in_turn => Some(Rung::Respawn),
            Some(shard) => device
                .ladder(shard)
                .next(detection.anomaly, self.config.action),
            None => None,
        };
        let Some(rung) = rung else {
            // Once is enough, until it is well again.
            if let Some(encoder) = detection.encoder {
                watch.streams.entry(encoder).or_default().told = true;
            }
            return self.report(event, actions);
        };
        event.action = rung.into();
        self.report(event, actions);
        if is_in_turn {
            return actions.push(Action::Respawn { worker });
        }
        self.perform(now, worker, &id, (rung, shard), actions);
    }

    fn perform(
        &mut self,
        now: Duration,
        worker: WorkerId,
        id: &DeviceId,
        (rung, shard): (Rung, Option<ShardId>),
        actions: &mut Vec<Action>,
    ) {
        let of_device = self.workers.iter().filter(|(_, w)| w.devices.uses(id));
        let workers: Vec<_> = of_device.map(|(worker, _)| *worker).collect();
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        device.healthy_run = 0;
        match (rung, shard) {
            (Rung::ReleaseMemory, _) => {
                device.climb_all(rung);
                let all = workers.into_iter();
                actions.extend(all.map(|worker| Action::ReleaseMemory { worker }));
            }
            (Rung::Respawn, _) => {
                device.climb_all(rung);
                device.roll = Some(RollingRestart::new(now, worker, workers));
                actions.push(Action::Respawn { worker });
            }
            (Rung::Cpu, Some(shard)) => {
                device.episode = None;
                // Both kinds go: the shard is no other device's matter either.
                for device in self.devices.values_mut() {
                    device.forget(shard);
                }
                self.demoted.insert(shard);
                actions.push(Action::Demote { shard });
            }
            (Rung::Cpu, None) => {}
        }
        self.restart_streams(id);
    }

    /// The next worker of a respawn gets its turn; after the last, all are judged again.
    pub(super) fn advance_roll(&mut self, now: Duration, id: &DeviceId, actions: &mut Vec<Action>) {
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        match device.roll.as_mut().and_then(|roll| roll.advance(now)) {
            Some(worker) => actions.push(Action::Respawn { worker }),
            None => {
                device.roll = None;
                self.restart_streams(id);
            }
        }
    }

    /// What the workers of a device did before must not count against what they do from now on.
    fn restart_streams(&mut self, id: &DeviceId) {
        for watch in self.workers.values_mut() {
            let streams = watch.streams.iter_mut();
            streams
                .filter(|(encoder, _)| watch.devices.get(**encoder) == Some(id))
                .for_each(|(_, stream)| stream.restart());
        }
    }

    pub(super) fn event(
        &self,
        now: Duration,
        worker: WorkerId,
        kind: WatchdogEventKind,
        encoder: Option<EncoderKind>,
        memory: Option<DeviceMemory>,
    ) -> WatchdogEvent {
        let watch = self.workers.get(&worker);
        let shard = watch.and_then(|w| w.shard);
        let label = |shard| match self.labels.get(&shard) {
            Some(label) => label.clone(),
            None => shard.to_string(),
        };
        let stream = watch.and_then(|w| w.streams.get(&encoder?));
        let mut figures = stream.map(Stream::figures).unwrap_or_default();
        // One that has just begun has no figures of its own; what it should reach is known.
        if figures.baseline.is_none()
            && let (Some(id), Some(encoder)) = (self.device_of(worker, encoder), encoder)
        {
            figures.baseline = self.expected(&id, encoder);
            figures.threshold = figures.baseline.map(|rate| rate / self.config.factor);
        }
        WatchdogEvent {
            at_s: now.as_secs_f64(),
            kind,
            action: WatchdogResponse::None,
            shard: shard.map(label),
            worker: Some(worker),
            device: self
                .device_of(worker, encoder)
                .unwrap_or_else(|| DeviceId(String::new())),
            encoder,
            figures,
            memory,
            waited_s: None,
            deadline_s: None,
            reason: None,
        }
    }

    /// The rate that each worker of the device should reach at least; `None`: not known yet.
    pub(super) fn expected(&self, id: &DeviceId, encoder: EncoderKind) -> Option<f64> {
        let sharers = self.workers.values().filter(|w| w.devices.uses(id)).count();
        let baseline = self.devices.get(id)?.baselines.get(&encoder)?;
        baseline.expected(sharers as u32)
    }

    pub(super) fn report(&mut self, event: WatchdogEvent, actions: &mut Vec<Action>) {
        self.counts.add(&event);
        actions.push(Action::Report(Box::new(event)));
    }
}
