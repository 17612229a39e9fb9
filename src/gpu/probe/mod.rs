//! Probes of device memory, which run beside the build.
//!
//! A driver in trouble answers late or never. So one thread reads, and another keeps the timeout: after it, the reading is
//! unknown, and the thread that hangs gets no request until it has answered. Creates no context on the device, and does not
//! interpret readings.
//!
//! Imports, from the bottom: `error`, `reading`, then `parse`, `command` and `poller`, this file.

mod command;
mod error;
mod parse;
mod poller;
mod reading;

pub use command::end_commands;
pub use error::ProbeError;
pub use reading::{Answer, Channel, Reading, Timing};

use crate::device::{DeviceId, DeviceMemory};
use command::{CommandReader, REAP_TIMEOUT, RunningCommand};
use crossbeam_channel::{Sender, bounded};
use nvml_wrapper::Nvml;
use poller::Poller;
use std::io;
use std::thread;

/// Reads one device until it is dropped. Dropping does not wait.
#[derive(Debug)]
pub struct Probe {
    /// Closes on drop, which stops the poller.
    _running: Sender<()>,
    /// The command that reads, if one does.
    command: Option<RunningCommand>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(command) = &self.command {
            command.end();
        }
    }
}

impl Probe {
    /// Read by calling `read`, which may block.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(
        device: DeviceId,
        timing: Timing,
        to: &Channel,
        mut read: impl FnMut() -> Answer + Send + 'static,
    ) -> io::Result<Self> {
        let (requests, requested) = bounded::<()>(1);
        let (answer, answers) = bounded::<Answer>(1);
        thread::Builder::new()
            .name("vram-read".to_owned())
            .spawn(move || {
                for () in requested {
                    if answer.send(read()).is_err() {
                        return;
                    }
                }
            })?;
        let sender = to.sender.clone();
        let (running, stop) = bounded::<()>(0);
        let poller = Poller {
            timing,
            requests,
            answers,
            is_overdue: false,
        };
        thread::Builder::new()
            .name("vram".to_owned())
            .spawn(move || poller.run(&device, &sender, &stop))?;
        Ok(Self {
            _running: running,
            command: None,
        })
    }

    /// Read from NVML the device that it lists at `index`, which is not CUDA's index if the environment hides or reorders
    /// devices. The reading thread loads the library, since loading may hang as well.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn nvml(device: DeviceId, timing: Timing, to: &Channel, index: u32) -> io::Result<Self> {
        let mut loaded = None;
        Self::start(device, timing, to, move || {
            let nvml = match loaded.take() {
                Some(nvml) => nvml,
                None => Nvml::init().map_err(|error| ProbeError::Driver(error.to_string()))?,
            };
            let memory = nvml.device_by_index(index).and_then(|d| d.memory_info());
            // After a failure, load it again: a replaced driver answers only new sessions.
            let memory = memory.map_err(|error| ProbeError::Driver(error.to_string()))?;
            loaded = Some(nvml);
            let (used_bytes, total_bytes) = (memory.used, memory.total);
            DeviceMemory::new(used_bytes, total_bytes).ok_or(ProbeError::Impossible {
                used_bytes,
                total_bytes,
            })
        })
    }

    /// Read by running a command in the system's shell, which prints used and total memory: see [`parse`](parse::parse). Kill
    /// a command that exceeds the timeout, with all that it has started, and one that runs when the probe is dropped. The
    /// variable [`command::DEVICE`] in its environment is the number of the device.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn command(
        device: DeviceId,
        timing: Timing,
        to: &Channel,
        command: &str,
    ) -> io::Result<Self> {
        let number = device.0.rsplit_once(':').map(|(_, number)| number);
        let running = RunningCommand::default();
        running.register();
        let mut reader = CommandReader {
            running: running.clone(),
            command: command.to_owned(),
            number: number.map(str::to_owned),
            timeout: timing.timeout,
            reader: None,
        };
        // Longer than the command's own timeout, whose error says more.
        let timing = Timing {
            timeout: timing.timeout + REAP_TIMEOUT,
            ..timing
        };
        let mut probe = Self::start(device, timing, to, move || reader.read())?;
        probe.command = Some(running);
        Ok(probe)
    }
}

#[cfg(test)]
mod tests;
