//! Readings of device memory: the peaks that batches are judged by, and probes that stop answering.

use super::fleet::Fleet;
use super::input::Step;
use super::probe::ProbeChange;
use crate::device::{DeviceId, DeviceMemory};
use crate::report::{StreamFigures, WatchdogEvent, WatchdogEventKind, WatchdogResponse};

impl Fleet {
    pub fn memory_read(
        &mut self,
        step: &mut Step,
        id: DeviceId,
        answer: Result<DeviceMemory, String>,
    ) {
        if let Ok(memory) = answer {
            for worker in self.workers.values_mut() {
                worker.memory_read(&id, memory);
            }
        }
        let device = self.devices.entry(id.clone()).or_default();
        if let Some(change) = device.memory_read(step.now, answer) {
            self.report_probe(step, id, change);
        }
    }

    /// At the end of a build: report probes that never answered.
    pub fn report_unread_memory(&mut self, step: &mut Step) {
        let devices = self.devices.iter_mut();
        let changes: Vec<_> = devices
            .filter_map(|(id, device)| Some((id.clone(), device.probe.finish()?)))
            .collect();
        for (id, change) in changes {
            self.report_probe(step, id, change);
        }
    }

    fn report_probe(&mut self, step: &mut Step, id: DeviceId, change: ProbeChange) {
        let device = self.devices.get(&id);
        let memory = device.and_then(|device| device.memory(step.now));
        let (kind, reason) = match change {
            ProbeChange::Silent { reason } => (WatchdogEventKind::ProbeSilent, Some(reason)),
            ProbeChange::Back => (WatchdogEventKind::ProbeBack, None),
        };
        let event = WatchdogEvent {
            at_s: step.now.as_secs_f64(),
            kind,
            action: WatchdogResponse::None,
            shard: None,
            worker: None,
            device: id,
            encoder: None,
            figures: StreamFigures::default(),
            memory,
            waited_s: None,
            deadline_s: None,
            reason,
        };
        step.report(event);
    }
}
