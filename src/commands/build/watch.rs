//! The watchdog of a build: its knobs, its device, and the probe of that device's memory.
//!
//! Puts together what `watchdog` decides with and the supervisor feeds; decides nothing.

use super::settings::{Origin, Setting, Settings};
use crate::cli::BuildFlags;
use crate::encode::Hardware;
use crate::exit_code::{Exit, ExitCode};
use crate::gpu;
use crate::gpu::probe::{Probe, Reading, Timing};
use crate::plan::Plan;
use crate::profile::encoders::Device;
use crate::supervisor::state::Watch;
use crate::watchdog::knobs::{KnobFlags, KnobOrigin, Knobs, ResolvedKnobs};
use crate::watchdog::{DeviceId, Watchdog};
use anyhow::Context as _;
use crossbeam_channel::{Receiver, never};

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

/// What is watched: the device that most is put on, or the CPU if it plays one.
fn device(settings: &Settings) -> Option<DeviceId> {
    let real = settings.encoders.device().map(|device| device.to_string());
    let played = || settings.plays_card().then(|| PLAYED.to_owned());
    real.or_else(played).map(DeviceId)
}

/// The watchdog, where there is a device to watch.
pub fn watch(settings: &Settings, plan: &Plan) -> Option<Watch> {
    let device = device(settings)?;
    let labels = plan
        .shards
        .iter()
        .map(|shard| (shard.id, shard.label.clone()));
    // Silence of any kind ends a worker after the whole of it.
    let ceiling = settings.stall_timeout / 2;
    let watchdog = Watchdog::new(settings.crawl, ceiling, labels);
    Some(Watch::new(watchdog, device))
}

/// Readings of that device's memory, for as long as this is kept.
pub struct MemoryReadings {
    probe: Option<Probe>,
}

impl MemoryReadings {
    /// By the command that was given, else by NVML.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        let Some(id) = device(settings) else {
            return Ok(Self { probe: None });
        };
        let timing = Timing::default();
        let started = match (&settings.vram_probe, settings.encoders.device()) {
            (Some(command), _) => Probe::command(id, timing, command),
            (None, Some(Device::Cuda(index))) if Hardware::of_this_process() == Hardware::Real => {
                match gpu::cuda_device(index) {
                    Ok(gpu) => Probe::nvml(id, timing, gpu.index),
                    Err(why) => {
                        tracing::warn!(
                            "memory of {id} cannot be read ({why}): a crawl is not found, a hang is"
                        );
                        return Ok(Self { probe: None });
                    }
                }
            }
            (None, _) => return Ok(Self { probe: None }),
        };
        let probe = Some(started.context("starting the probe of device memory")?);
        Ok(Self { probe })
    }

    pub fn receiver(&self) -> Receiver<Reading> {
        match &self.probe {
            Some(probe) => probe.readings().clone(),
            None => never(),
        }
    }
}
