//! The watchdog of a build: its knobs, its devices, and the probes of their memory.
//!
//! Puts together what `watchdog` decides with and the supervisor feeds; decides nothing.

use super::settings::{Origin, Setting, Settings};
use crate::cli::BuildFlags;
use crate::encode::Hardware;
use crate::exit_code::{Exit, ExitCode};
use crate::gpu;
use crate::gpu::probe::{Channel, Probe, Reading, Timing};
use crate::plan::Plan;
use crate::profile::encoders::{Device, ModelSource};
use crate::supervisor::state::Watch;
use crate::watchdog::knobs::{KnobFlags, KnobOrigin, Knobs, ResolvedKnobs};
use crate::watchdog::{DeviceId, Encoder, Lanes, Watchdog};
use anyhow::Context as _;
use crossbeam_channel::Receiver;
use std::io;

/// What flags and environment say. A flag without sense is a usage error, a variable a warning.
pub fn knobs(flags: &BuildFlags) -> anyhow::Result<ResolvedKnobs> {
    let typed = KnobFlags {
        factor: flags.crawl_factor.as_deref(),
        window: flags.crawl_window.as_deref(),
        action: flags.crawl_action.as_deref(),
    };
    let resolved = Knobs::resolve(typed, &|name| std::env::var(name).ok())
        .map_err(|error| Exit::error(ExitCode::Usage, error.to_string()))?;
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    Ok(resolved)
}

/// For `plan`.
pub fn listed(resolved: &ResolvedKnobs) -> [Setting; 3] {
    let [factor, window, action] = &resolved.origins;
    let knobs = &resolved.knobs;
    let setting = |name, value, origin: &KnobOrigin| Setting {
        name,
        value,
        origin: match origin {
            KnobOrigin::Flag | KnobOrigin::Environment(_) => Origin::Given,
            KnobOrigin::Default => Origin::Default,
        },
    };
    [
        setting("crawl-factor", knobs.factor.to_string(), factor),
        setting("crawl-window", knobs.window.to_string(), window),
        setting("crawl-action", knobs.action.to_string(), action),
    ]
}

/// What the watchdog calls the CPU that plays a device.
const PLAYED: &str = "cpu (played card)";

/// What is watched: where each encoder runs that is on a device, or the CPU if it plays one.
fn lanes(settings: &Settings) -> Lanes {
    if settings.plays_card() {
        return Lanes::both(&DeviceId(PLAYED.to_owned()));
    }
    let choice = &settings.encoders;
    let kinds = [
        (Encoder::Sparse, &choice.sparse, choice.sparse_device),
        (Encoder::Dense, &choice.dense, choice.dense_device),
    ];
    let on_device = kinds
        .into_iter()
        .filter(|(_, source, device)| **source != ModelSource::None && !device.is_cpu());
    on_device
        .map(|(encoder, _, device)| (encoder, DeviceId(device.to_string())))
        .collect()
}

/// The watchdog, where there is a device to watch.
pub fn watch(settings: &Settings, plan: &Plan) -> Option<Watch> {
    let lanes = lanes(settings);
    if lanes.is_empty() {
        return None;
    }
    let labels = plan
        .shards
        .iter()
        .map(|shard| (shard.id, shard.label.clone()));
    // Silence of any kind ends a worker after the whole of it.
    let ceiling = settings.stall_timeout / 2;
    let watchdog = Watchdog::new(settings.crawl, ceiling, labels);
    Some(Watch::new(watchdog, lanes))
}

/// Readings of those devices' memory, for as long as this is kept.
pub struct MemoryReadings {
    channel: Channel,
    _probes: Vec<Probe>,
}

impl MemoryReadings {
    /// By the command that was given, else by NVML.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        let channel = Channel::new();
        let mut probes = Vec::new();
        for id in lanes(settings).devices() {
            let probe = probe(settings, id, &channel);
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
fn probe(settings: &Settings, id: &DeviceId, to: &Channel) -> io::Result<Option<Probe>> {
    let timing = Timing::default();
    let id = id.clone();
    if let Some(command) = &settings.vram_probe {
        return Probe::command(id, timing, to, command).map(Some);
    }
    if Hardware::of_this_process() == Hardware::Pretended {
        return Ok(None);
    }
    let devices = settings.encoders.devices().into_iter();
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
