//! Devices that fail their workers.

use super::config::CrawlAction;
use super::fleet::{Fleet, Subject};
use super::input::{Action, Step};
use super::ladder::Anomaly;
use super::response::Detection;
use crate::device::DeviceFailure;
use crate::ids::WorkerId;
use crate::report::WatchdogResponse;

/// Give up a device that was lost this often with no batch in between.
const LOSSES_TO_GIVE_UP: u32 = 2;

/// The same for crashed processes. Someone else may have killed each, or the batch rather than the device may have
/// crashed it. Two crashes move one shard to the CPU, so the device is given up with the second shard.
const CRASHES_TO_GIVE_UP: u32 = 4;

impl Fleet {
    /// A worker ends because its device failed it.
    pub fn device_failed(&mut self, step: &mut Step, worker: WorkerId, failure: DeviceFailure) {
        let Some(state) = self.workers.get_mut(&worker) else {
            return;
        };
        let encoder = state.running.take().map(|batch| batch.encoder);
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
        device.failures += u32::from(limit.is_some());
        let subject = Subject {
            worker,
            encoder,
            memory: device.memory(step.now),
        };
        let is_over_limit = limit.is_some_and(|limit| device.failures >= limit);
        if is_over_limit && self.config.action != CrawlAction::Off {
            device.is_given_up = true;
            device.restart = None;
            let mut event = self.event(step.now, &subject, anomaly.into());
            event.action = WatchdogResponse::GiveUpDevice;
            step.report(event);
            return step.push(Action::GiveUp { device: id });
        }
        let detection = Detection {
            subject,
            anomaly,
            wait: None,
        };
        self.respond(step, &detection);
    }
}
