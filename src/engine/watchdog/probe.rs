//! Whether a device's memory can be read, and what is told when it cannot.
//!
//! While it cannot, no batch counts as slow for want of memory: crawls go unnoticed. So silence is told, once, and so
//! is its end. Pure, like the watchdog whose part it is.

use super::{Action, Watchdog};
use crate::device::{DeviceId, DeviceMemory};
use crate::report::{StreamFigures, WatchdogEvent, WatchdogEventKind, WatchdogResponse};
use std::time::Duration;

/// Readings without an answer, in a row, that are told of. One may be a driver that was busy; with three, a second
/// apart, nobody answers. Doubled, a short build would not hear of it before its end.
const SILENT_READINGS: u32 = 3;

/// Whether a device's memory can be read.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Readings in a row without an answer.
    silent: u32,
    has_answered: bool,
    /// Its silence was told.
    told: bool,
    /// Why the last one had none.
    reason: String,
}

/// What there is to tell of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeNews {
    Silent { reason: String },
    Back,
}

impl Probe {
    /// A reading was made: why it has no answer, or `None` for one that has.
    pub fn hear(&mut self, silence: Option<String>) -> Option<ProbeNews> {
        match silence {
            None => {
                self.silent = 0;
                self.has_answered = true;
                std::mem::take(&mut self.told).then_some(ProbeNews::Back)
            }
            Some(reason) => {
                self.silent += 1;
                self.reason = reason;
                (self.silent >= SILENT_READINGS).then(|| self.tell_silence())?
            }
        }
    }

    /// At the end of a build: a probe that never answered, in a build too short for it to be told.
    fn last_news(&mut self) -> Option<ProbeNews> {
        let never_answered = self.silent > 0 && !self.has_answered;
        never_answered.then(|| self.tell_silence())?
    }

    fn tell_silence(&mut self) -> Option<ProbeNews> {
        let reason = self.reason.clone();
        let was_told = std::mem::replace(&mut self.told, true);
        (!was_told).then_some(ProbeNews::Silent { reason })
    }
}

impl Watchdog {
    pub(super) fn memory_read(
        &mut self,
        now: Duration,
        id: DeviceId,
        answer: Result<DeviceMemory, String>,
        actions: &mut Vec<Action>,
    ) {
        if let Ok(memory) = answer {
            for watch in self.workers.values_mut().filter(|w| w.devices.uses(&id)) {
                let peak = watch.peaks.entry(id.clone()).or_insert(memory);
                if memory.share() > peak.share() {
                    *peak = memory;
                }
            }
        }
        let device = self.devices.entry(id.clone()).or_default();
        if let Some(news) = device.read(now, answer) {
            self.tell_probe(now, id, news, actions);
        }
    }

    fn tell_probe(
        &mut self,
        now: Duration,
        id: DeviceId,
        news: ProbeNews,
        actions: &mut Vec<Action>,
    ) {
        let memory = self.devices.get(&id).and_then(|device| device.memory(now));
        let (kind, reason) = match news {
            ProbeNews::Silent { reason } => (WatchdogEventKind::ProbeSilent, Some(reason)),
            ProbeNews::Back => (WatchdogEventKind::ProbeBack, None),
        };
        let event = WatchdogEvent {
            at_s: now.as_secs_f64(),
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
        self.report(event, actions);
    }

    /// What is left to tell when the build ends.
    pub(super) fn ending(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let devices = self.devices.iter_mut();
        let news: Vec<_> = devices
            .filter_map(|(id, device)| Some((id.clone(), device.probe.last_news()?)))
            .collect();
        for (id, news) in news {
            self.tell_probe(now, id, news, actions);
        }
    }
}
