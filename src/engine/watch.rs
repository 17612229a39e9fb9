//! Sets up the watchdog of a build: its configuration, its devices, and the probes of their memory.
//!
//! Decides nothing: the supervisor feeds the watchdog, and `watchdog` decides.

use super::driver::Driver;
use super::error::{Context as _, Result};
use super::request::BuildRequest;
use crate::batch::EncoderKind;
use crate::device::DeviceId;
use crate::engine::supervisor::Watch;
use crate::engine::watchdog::{EncoderDevices, Watchdog};
use crate::gpu::probe::{Channel, Probe, ProbeError, Reading, Timing};
use crate::plan::Plan;
use crate::profile::encoders::{Device, ModelSource};
use crossbeam_channel::Receiver;
use std::io;

/// The name of the CPU as a device in rehearsals.
const PLAYED: &str = "cpu (played card)";

/// Return the device of each encoder that is watched: those on a device, or the CPU if it plays one.
fn encoder_devices(request: &BuildRequest) -> EncoderDevices {
    if request.plays_device {
        return EncoderDevices::both(&DeviceId(PLAYED.to_owned()));
    }
    let choice = &request.encoders;
    let kinds = [
        (EncoderKind::Sparse, &choice.sparse, choice.sparse_device),
        (EncoderKind::Dense, &choice.dense, choice.dense_device),
    ];
    let on_device = kinds
        .into_iter()
        .filter(|(_, source, device)| **source != ModelSource::None && !device.is_cpu());
    on_device
        .map(|(encoder, _, device)| (encoder, DeviceId(device.to_string())))
        .collect()
}

/// Build the watchdog; `None` without a device to watch.
pub fn watch(request: &BuildRequest, plan: &Plan) -> Option<Watch> {
    let devices = encoder_devices(request);
    if devices.is_empty() {
        return None;
    }
    let labels = plan
        .shards
        .iter()
        .map(|shard| (shard.id, shard.label.clone()));
    // A worker that is silent for the whole timeout is killed anyway.
    let ceiling = request.stall_timeout / 2;
    let watchdog = Watchdog::new(request.crawl, ceiling, labels);
    Some(Watch::new(watchdog, devices))
}

/// Probes of the devices' memory, which run until this is dropped.
pub struct MemoryReadings {
    channel: Channel,
    _probes: Vec<Probe>,
}

impl MemoryReadings {
    /// Start the probes: the given command, or NVML.
    pub fn start(request: &BuildRequest) -> Result<Self> {
        let channel = Channel::new();
        let mut probes = Vec::new();
        for id in encoder_devices(request).distinct() {
            let probe = probe(request, id, &channel);
            probes.extend(probe.context("starting the probe of device memory")?);
        }
        Ok(Self {
            channel,
            _probes: probes,
        })
    }

    /// Return the channel of all readings.
    pub fn receiver(&self) -> Receiver<Reading> {
        self.channel.readings().clone()
    }
}

/// Start the probe of one device. `None` if no driver knows it: tests simulate it.
fn probe(request: &BuildRequest, id: &DeviceId, to: &Channel) -> io::Result<Option<Probe>> {
    let timing = Timing::default();
    let id = id.clone();
    if let Some(command) = &request.vram_probe {
        return Probe::command(id, timing, to, command).map(Some);
    }
    let Some(driver) = Driver::of(&request.encoders) else {
        return Ok(None);
    };
    let devices = request.encoders.devices().into_iter();
    let index = devices.into_iter().find_map(|device| match device {
        Device::Cuda(index) if device.to_string() == id.0 => Some(index),
        _ => None,
    });
    let gpu = match index.map(|index| driver.device(index)) {
        Some(Ok(gpu)) => Ok(gpu),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(format!("{} is not a CUDA device", id.0)),
    };
    match gpu {
        Ok(gpu) => Probe::nvml(id, timing, to, gpu.index),
        // The watchdog reports it as a probe without an answer.
        Err(why) => Probe::start(id, timing, to, move || Err(ProbeError::Driver(why.clone()))),
    }
    .map(Some)
}
