//! Whether a device's memory can be read.
//!
//! While it cannot be read, no batch counts as slow because of full memory, so crawls are not found. The watchdog
//! reports this once, and reports once when readings are back.

/// Failed readings in a row before they are reported. A busy driver may miss one; after three, a second apart, nothing
/// answers. Doubled, a short build would end before the report.
const SILENT_READINGS: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Probe {
    /// Failed readings in a row.
    failed: u32,
    has_answered: bool,
    is_reported: bool,
    /// Why the last reading failed.
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeChange {
    Silent { reason: String },
    Back,
}

impl Probe {
    /// Record a reading: why it failed, or `None` if it succeeded.
    pub fn record(&mut self, error: Option<String>) -> Option<ProbeChange> {
        match error {
            None => {
                self.failed = 0;
                self.has_answered = true;
                std::mem::take(&mut self.is_reported).then_some(ProbeChange::Back)
            }
            Some(reason) => {
                self.failed += 1;
                self.reason = reason;
                (self.failed >= SILENT_READINGS).then(|| self.silence())?
            }
        }
    }

    /// At the end of a build that was too short for a report: whether the probe never answered.
    pub fn finish(&mut self) -> Option<ProbeChange> {
        let never_answered = self.failed > 0 && !self.has_answered;
        never_answered.then(|| self.silence())?
    }

    fn silence(&mut self) -> Option<ProbeChange> {
        let reason = self.reason.clone();
        let was_reported = std::mem::replace(&mut self.is_reported, true);
        (!was_reported).then_some(ProbeChange::Silent { reason })
    }
}
