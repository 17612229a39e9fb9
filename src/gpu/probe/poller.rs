//! Polls a device: requests readings at an interval, each with a timeout.

use super::error::ProbeError;
use super::reading::{Answer, Reading, Timing};
use crate::device::DeviceId;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

/// Requests readings from another thread and keeps their timeout.
pub(super) struct Poller {
    pub timing: Timing,
    pub requests: Sender<()>,
    pub answers: Receiver<Answer>,
    /// A request has timed out, and its answer has not come yet.
    pub is_overdue: bool,
}

impl Poller {
    /// Send readings until `stop` closes or the other thread has ended.
    pub fn run(mut self, device: &DeviceId, readings: &Sender<Reading>, stop: &Receiver<()>) {
        loop {
            let Some(answer) = self.read() else {
                return;
            };
            let device = device.clone();
            // If the channel is full, drop this reading: the next one is newer.
            let _ = readings.try_send(Reading { device, answer });
            match stop.recv_timeout(self.timing.interval) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    /// Request one reading; `None` if the other thread has ended.
    fn read(&mut self) -> Option<Answer> {
        if self.is_overdue {
            // An answer that is too late is outdated, but the thread can be asked again.
            match self.answers.try_recv() {
                Ok(_) => self.is_overdue = false,
                Err(crossbeam_channel::TryRecvError::Empty) => return Some(Err(self.timed_out())),
                Err(crossbeam_channel::TryRecvError::Disconnected) => return None,
            }
        }
        self.requests.send(()).ok()?;
        match self.answers.recv_timeout(self.timing.timeout) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => {
                self.is_overdue = true;
                Some(Err(self.timed_out()))
            }
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn timed_out(&self) -> ProbeError {
        ProbeError::Timeout(self.timing.timeout)
    }
}
