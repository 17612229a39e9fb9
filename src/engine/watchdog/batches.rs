//! Finished batches: what they teach about a device, and whether it crawls.

use super::detector::BatchSpeed;
use super::fleet::{Fleet, Subject};
use super::input::Step;
use super::ladder::{Anomaly, rearm_after};
use super::response::Detection;
use crate::batch::Batch;
use crate::device::{DeviceId, DeviceMemory};
use crate::ids::{ShardId, WorkerId};
use crate::report::WatchdogEventKind;

impl Fleet {
    pub fn batch_finished(
        &mut self,
        step: &mut Step,
        worker: WorkerId,
        shard: ShardId,
        batch: &Batch,
    ) {
        let covers_pause = self.pauses.are_in(step.now, batch);
        let Some(state) = self.workers.get_mut(&worker) else {
            return;
        };
        state.finish_batch(step.now, shard);
        let Some(id) = state.devices.get(batch.encoder).cloned() else {
            return;
        };
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        device.failures = 0;
        if device.is_disarmed() || self.demoted.contains(&shard) || covers_pause {
            return;
        }
        let Some(rate) = batch.rate() else {
            return;
        };
        device.ladder(shard);
        let stream = state.streams.entry(batch.encoder).or_default();
        if let Some(learned) = stream.learn(step.now, shard, rate, self.config.window) {
            let at_work = self
                .workers_on(&id)
                .filter(|(_, worker)| worker.last_batch >= Some(learned.since))
                .count();
            if let Some(device) = self.devices.get_mut(&id) {
                let baseline = device.baselines.entry(batch.encoder).or_default();
                baseline.raise(at_work as u32, learned.rate);
            }
        }
        self.judge(step, worker, &id, batch);
    }

    /// Compare a batch with the baseline, and respond to a crawl.
    fn judge(&mut self, step: &mut Step, worker: WorkerId, id: &DeviceId, batch: &Batch) {
        let expected = self.expected(id, batch.encoder);
        let (Some(state), Some(device)) = (self.workers.get_mut(&worker), self.devices.get_mut(id))
        else {
            return;
        };
        let stream = state.streams.entry(batch.encoder).or_default();
        let speed = stream.judge(batch, expected, &self.config);
        let memory = fullest([state.peaks.remove(id), device.memory(step.now)]);
        let subject = Subject {
            worker,
            encoder: Some(batch.encoder),
            memory,
        };
        match speed {
            BatchSpeed::Unknown => {}
            BatchSpeed::Slowing => device.healthy_batches = 0,
            BatchSpeed::Healthy => {
                stream.is_reported = false;
                device.healthy_batches += 1;
                if device.healthy_batches == self.config.window && device.incident.take().is_some()
                {
                    let event = self.event(step.now, &subject, WatchdogEventKind::Recovered);
                    step.report(event);
                } else if device.healthy_batches >= rearm_after(&self.config) {
                    device.rearm();
                }
            }
            BatchSpeed::Slow => {
                device.healthy_batches = 0;
                let slow_batches = match memory {
                    _ if device.incident.is_some() => stream.count_slow(),
                    Some(memory) if memory.is_full() => stream.count_slow(),
                    // It is slow for another reason.
                    Some(_) => {
                        stream.forget_slow();
                        0
                    }
                    // The reason is unknown: this batch neither counts nor clears anything.
                    None => 0,
                };
                if slow_batches >= self.config.window && !stream.is_reported {
                    let detection = Detection {
                        subject,
                        anomaly: Anomaly::Crawl,
                        wait: None,
                    };
                    self.respond(step, &detection);
                }
            }
        }
    }
}

fn fullest(readings: [Option<DeviceMemory>; 2]) -> Option<DeviceMemory> {
    let readings = readings.into_iter().flatten();
    readings.max_by(|a, b| a.share().total_cmp(&b.share()))
}
