//! The watchdog of a build: its config, its devices, and the probes of their memory.
//!
//! Puts together what `watchdog` decides with and the supervisor feeds; decides nothing.

use super::error::{Context as _, Result};
use super::request::BuildRequest;
use crate::batch::EncoderKind;
use crate::device::DeviceId;
use crate::encode::Hardware;
use crate::engine::supervisor::Watch;
use crate::engine::watchdog::{EncoderDevices, Watchdog};
use crate::gpu;
use crate::gpu::probe::{Channel, Probe, Reading, Timing};
use crate::plan::Plan;
use crate::profile::encoders::{Device, ModelSource};
use crossbeam_channel::Receiver;
use std::io;

/// What the watchdog calls the CPU that plays a device.
const PLAYED: &str = "cpu (played card)";

/// What is watched: where each encoder runs that is on a device, or the CPU if it plays one.
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

/// The watchdog, where there is a device to watch.
pub fn watch(request: &BuildRequest, plan: &Plan) -> Option<Watch> {
    let devices = encoder_devices(request);
    if devices.is_empty() {
        return None;
    }
    let labels = plan
        .shards
        .iter()
        .map(|shard| (shard.id, shard.label.clone()));
    // Silence of any kind ends a worker after the whole of it.
    let ceiling = request.stall_timeout / 2;
    let watchdog = Watchdog::new(request.crawl, ceiling, labels);
    Some(Watch::new(watchdog, devices))
}

/// Readings of those devices' memory, for as long as this is kept.
pub struct MemoryReadings {
    channel: Channel,
    _probes: Vec<Probe>,
}

impl MemoryReadings {
    /// By the command that was given, else by NVML.
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

    pub fn receiver(&self) -> Receiver<Reading> {
        self.channel.readings().clone()
    }
}

/// The probe of one device. `None`: a test pretends that there is one.
fn probe(request: &BuildRequest, id: &DeviceId, to: &Channel) -> io::Result<Option<Probe>> {
    let timing = Timing::default();
    let id = id.clone();
    if let Some(command) = &request.vram_probe {
        return Probe::command(id, timing, to, command).map(Some);
    }
    if Hardware::of_this_process() == Hardware::Pretended {
        return Ok(None);
    }
    let devices = request.encoders.devices().into_iter();
    let index = devices.into_iter().find_map(|device| match device {
        Device::Cuda(index) if device.to_string() == id.0 => Some(index),
        _ => None,
    });
    let gpu = index.ok_or_else(String::new).and_then(gpu::cuda_device);
    match gpu {
        Ok(gpu) => Probe::nvml(id, timing, to, gpu.index),
        // Told by the watchdog, as any probe that gives no answer.
        Err(why) => Probe::start(id, timing, to, move || Err(why.clone())),
    }
    .map(Some)
}
