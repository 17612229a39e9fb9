//! Where the encoders run: what was asked for, what the machine has, and the decision.
//!
//! Asks NVML and, if `auto` has a choice, a child process that tries the device. The rules are
//! [`placement`]'s.

use super::device_probe;
use super::request::ProcessCommand;
use crate::encode::{self, Hardware};
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::gpu;
use crate::plan::placement::{self, Offer, Placement, Wish};
use crate::plan::sizing::Vram;
use crate::profile::DeviceSetting;
use crate::profile::encoders::{Device, EncoderChoice, ModelSource};

/// The device that `auto` takes: the first that `CUDA_VISIBLE_DEVICES` leaves.
const AUTO: Device = Device::Cuda(0);

/// Where the encoders of a build run.
#[derive(Debug)]
pub struct Devices {
    /// Memory of each device that encoders are on, of those that say.
    pub memory: Vec<(Device, Vram)>,
    /// For `plan`: where the devices come from.
    pub reasons: Vec<String>,
    /// For a build, which says them once: why a kind is not where one might expect it.
    pub notices: Vec<String>,
}

/// What was asked for, for one kind of encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceWish {
    pub setting: DeviceSetting,
    /// This kind was named, not both together.
    pub own: bool,
}

/// Decides, and puts the devices and the runtime for them into `encoders`. `probe` starts a process that tries a
/// device: see [`device_probe`].
///
/// # Errors
/// `Unavailable` for a device that was asked for and cannot be used; `InvalidRequest` for a precision without a model
/// that it would apply to.
pub fn settle(
    sparse: DeviceWish,
    dense: DeviceWish,
    encoders: &mut EncoderChoice,
    probe: &ProcessCommand,
) -> Result<Devices> {
    // Whoever opens a model that cannot be looked at says why.
    let quantized = encode::quantized(encoders).unwrap_or_default();
    let wish = |wish: DeviceWish, source: &ModelSource, quantized| Wish {
        source: source.clone(),
        setting: wish.setting,
        own: wish.own,
        quantized,
    };
    let sparse = wish(sparse, &encoders.sparse, quantized.sparse);
    let dense = wish(dense, &encoders.dense, quantized.dense);
    let offer = match placement::needs_offer(&sparse, &dense) {
        true => offer(encoders, probe),
        // Nothing depends on it.
        false => Offer::NoDevice(String::new()),
    };
    let Placement {
        sparse,
        dense,
        mut reasons,
    } = placement::place(&sparse, &dense, &offer, memory);
    // Most machines have no GPU: `plan` and `doctor` say so.
    let notices = match offer {
        Offer::NoDevice(_) => Vec::new(),
        Offer::Device(_) | Offer::Unusable(_) => reasons.clone(),
    };
    (encoders.sparse_device, encoders.dense_device) = (sparse, dense);
    check_precision(encoders, &reasons)?;
    let device = encoders.device();
    if let (Some(device), Hardware::Real) = (device, Hardware::of_this_process()) {
        for device in encoders.devices() {
            check_index(device)?;
        }
        let runtime = encode::cuda_runtime(encoders).map_err(|reason| {
            let text = format!("device {device} cannot be used: {reason}; or use --device cpu");
            BuildError::new(ErrorKind::Unavailable, text)
        })?;
        reasons.push(format!("runtime for {device}: {}", runtime.display()));
        encoders.ort_lib = Some(runtime);
    }
    let mut known = Vec::new();
    for device in encoders.devices() {
        match memory(device) {
            Some(memory) => known.push((device, memory)),
            None if device.is_cpu() => {}
            None => reasons.push(format!(
                "{device}: its memory is not known, so it does not limit the workers"
            )),
        }
    }
    Ok(Devices {
        memory: known,
        reasons,
        notices,
    })
}

/// Refuses a number beyond the cards at once, before the runtime stumbles over it.
fn check_index(device: Device) -> Result<()> {
    let Device::Cuda(index) = device else {
        return Ok(());
    };
    gpu::why_absent(index).map_or(Ok(()), |why| {
        let text = format!("device {device} cannot be used: {why}; or use --device cpu");
        Err(BuildError::new(ErrorKind::Unavailable, text))
    })
}

/// The CPU computes in 32 bits, and the built-in models have one form: a reduced precision without a model of the user's on a
/// device would change the fingerprint and nothing else.
fn check_precision(encoders: &EncoderChoice, reasons: &[String]) -> Result<()> {
    let lanes = [
        (&encoders.sparse, encoders.sparse_device),
        (&encoders.dense, encoders.dense_device),
    ];
    let is_own = |source: &ModelSource| matches!(source, ModelSource::Directory(_));
    let uses = |(source, device): &(&ModelSource, Device)| is_own(source) && !device.is_cpu();
    if encoders.precision.is_fp32() || lanes.iter().any(uses) {
        return Ok(());
    }
    let precision = encoders.precision;
    if !is_own(&encoders.sparse) && !is_own(&encoders.dense) {
        let text = format!(
            "--precision {precision} is for models of your own: name one with --sparse-model or --dense-model, or leave it out"
        );
        return Err(BuildError::new(ErrorKind::InvalidRequest, text));
    }
    let text = format!(
        "--precision {precision} needs an NVIDIA GPU, and no model of yours runs on one ({}); leave it out, or pass --device cuda to see what is missing",
        reasons.join("; ")
    );
    Err(BuildError::new(ErrorKind::Unavailable, text))
}

/// What `auto` may use with these encoders.
fn offer(encoders: &EncoderChoice, command: &ProcessCommand) -> Offer {
    if Hardware::of_this_process() == Hardware::Pretended {
        return Offer::Device(AUTO);
    }
    let found = gpu::list().and_then(|gpus| match gpus.is_empty() {
        true => Err("NVML knows no device".to_owned()),
        false => gpu::cuda_device(0),
    });
    let gpu = match found {
        Ok(gpu) => gpu,
        Err(why) => return Offer::NoDevice(format!("no GPU: {why}")),
    };
    let unused = |why: String| Offer::Unusable(format!("{} is there, but {why}", gpu.name));
    let runtime = match encode::cuda_runtime(encoders) {
        Ok(runtime) => runtime,
        Err(why) => return unused(why),
    };
    // Each kind alone would fit where both do not, but then nothing is gained by trying both.
    let on_device = |source: &ModelSource| match source {
        ModelSource::Directory(_) => AUTO,
        ModelSource::Embedded | ModelSource::None => Device::Cpu,
    };
    let choice = EncoderChoice {
        sparse_device: on_device(&encoders.sparse),
        dense_device: on_device(&encoders.dense),
        ort_lib: Some(runtime),
        // What opens on it works; how much fits is for later.
        max_batch: 1,
        ..encoders.clone()
    };
    match device_probe::probe(command, &choice) {
        Ok(()) => Offer::Device(AUTO),
        Err(why) => unused(why),
    }
}

fn memory(device: Device) -> Option<Vram> {
    let Device::Cuda(index) = device else {
        return None;
    };
    if Hardware::of_this_process() == Hardware::Pretended {
        return None;
    }
    gpu::cuda_device(index).ok().map(|gpu| Vram {
        total_bytes: gpu.total_bytes,
        free_bytes: Some(gpu.free_bytes),
    })
}
