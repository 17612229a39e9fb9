//! From an anomaly to actions and an event.
//!
//! Takes the rung that the shard's ladder allows, for the device or for the shard, and continues rolling restarts.

use super::fleet::{Fleet, Subject};
use super::input::{Action, EncoderDevices, Step};
use super::ladder::{Anomaly, Rung};
use super::restart::RollingRestart;
use super::worker::WorkerState;
use crate::device::DeviceId;
use crate::ids::{ShardId, WorkerId};
use std::time::Duration;

/// An anomaly of one worker.
pub(super) struct Detection {
    pub subject: Subject,
    pub anomaly: Anomaly,
    /// Of a stall.
    pub wait: Option<Wait>,
}

/// How long a batch has taken, and how long it may take.
pub(super) struct Wait {
    pub waited: Duration,
    pub allowed: Duration,
}

/// A rung to take.
struct Escalation {
    rung: Rung,
    device: DeviceId,
    worker: WorkerId,
    shard: ShardId,
}

impl Fleet {
    /// Take the next rung for the worker's shard.
    pub fn respond(&mut self, step: &mut Step, detection: &Detection) {
        let Detection {
            subject,
            anomaly,
            wait,
        } = detection;
        let Subject {
            worker, encoder, ..
        } = *subject;
        let mut event = self.event(step.now, subject, (*anomaly).into());
        event.waited_s = wait.as_ref().map(|wait| wait.waited.as_secs_f64());
        event.deadline_s = wait.as_ref().map(|wait| wait.allowed.as_secs_f64());

        let Some(id) = self.device_of(worker, encoder) else {
            return;
        };
        let (Some(state), Some(device)) =
            (self.workers.get_mut(&worker), self.devices.get_mut(&id))
        else {
            return;
        };
        // A worker that dies during a rolling restart gets its fresh process early.
        let restart = device.restart.as_mut();
        if restart.is_some_and(|restart| restart.remove(worker)) {
            event.action = Rung::Respawn.into();
            step.report(event);
            return step.push(Action::Respawn { worker });
        }
        let shard = state.shard.filter(|shard| !self.demoted.contains(shard));
        let next = shard.and_then(|shard| {
            let rung = device.ladder(shard).next(*anomaly, self.config.action)?;
            Some((shard, rung))
        });
        let Some((shard, rung)) = next else {
            // Report it once, until the stream is healthy again.
            if let Some(encoder) = encoder {
                state.streams.entry(encoder).or_default().is_reported = true;
            }
            return step.report(event);
        };
        event.action = rung.into();
        step.report(event);
        let escalation = Escalation {
            rung,
            device: id,
            worker,
            shard,
        };
        self.escalate(step, &escalation);
    }

    fn escalate(&mut self, step: &mut Step, escalation: &Escalation) {
        let Escalation {
            rung,
            device: ref id,
            worker,
            shard,
        } = *escalation;
        let workers: Vec<_> = self.workers_on(id).map(|(worker, _)| worker).collect();
        let Some(device) = self.devices.get_mut(id) else {
            return;
        };
        device.healthy_batches = 0;
        match rung {
            Rung::ReleaseMemory => {
                device.climb(rung);
                for worker in workers {
                    step.push(Action::ReleaseMemory { worker });
                }
            }
            Rung::Respawn => {
                device.climb(rung);
                device.restart = Some(RollingRestart::new(step.now, worker, workers));
                step.push(Action::Respawn { worker });
            }
            Rung::Cpu => {
                device.incident = None;
                // Both encoders move to the CPU, so no other device has the shard either.
                for device in self.devices.values_mut() {
                    device.forget(shard);
                }
                self.demoted.insert(shard);
                step.push(Action::Demote { shard });
            }
        }
        self.restart_streams(id);
    }

    pub fn worker_started(&mut self, step: &mut Step, worker: WorkerId, devices: EncoderDevices) {
        self.workers.remove(&worker);
        for id in devices.distinct() {
            self.devices.entry(id.clone()).or_default();
        }
        if !devices.is_empty() {
            self.workers.insert(worker, WorkerState::new(devices));
        }
        // A worker that runs on the CPU from now on completes its turn as well.
        self.continue_restarts(step, |restart| restart.is_at(worker));
    }

    pub fn worker_ended(&mut self, worker: WorkerId) {
        if self.workers.remove(&worker).is_some() {
            let devices = self.devices.values_mut();
            for restart in devices.filter_map(|device| device.restart.as_mut()) {
                restart.remove(worker);
            }
        }
    }

    /// Continue the rolling restarts whose current worker takes too long.
    pub fn continue_late_restarts(&mut self, step: &mut Step) {
        let now = step.now;
        self.continue_restarts(step, |restart| restart.is_late(now));
    }

    /// Restart the next worker of the devices whose restart `is_due`. After the last one all workers are judged again.
    fn continue_restarts(&mut self, step: &mut Step, is_due: impl Fn(&RollingRestart) -> bool) {
        let mut completed = Vec::new();
        for (id, device) in &mut self.devices {
            let Some(restart) = device.restart.as_mut().filter(|restart| is_due(restart)) else {
                continue;
            };
            match restart.advance(step.now) {
                Some(worker) => step.push(Action::Respawn { worker }),
                None => {
                    device.restart = None;
                    completed.push(id.clone());
                }
            }
        }
        for id in completed {
            self.restart_streams(&id);
        }
    }

    fn restart_streams(&mut self, id: &DeviceId) {
        for worker in self.workers.values_mut() {
            worker.restart_streams(id);
        }
    }
}
