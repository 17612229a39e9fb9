//! Chooses the devices of the encoders.
//!
//! Asks the driver and, for `auto`, a child process that tries the device. The rules are those of [`placement`].

use super::device_probe;
use super::driver::Driver;
use super::request::ProcessCommand;
use crate::encode::{self, LibraryPaths};
use crate::engine::error::{BuildError, ErrorKind, Result};
use crate::plan::placement::{self, AutoDevice, DeviceRequest, Placement};
use crate::plan::sizing::Vram;
use crate::profile::DeviceSetting;
use crate::profile::encoders::{Device, EncoderChoice, ModelSource};
use std::fmt::Display;
use std::path::PathBuf;

/// The device that `auto` uses: the first that `CUDA_VISIBLE_DEVICES` allows.
const AUTO: Device = Device::Cuda(0);

/// The devices of a build.
#[derive(Debug)]
pub struct Devices {
    /// Memory of the devices that encoders are on, as far as it is known.
    pub memory: Vec<(Device, Vram)>,
    /// For `plan`: the reasons for the devices.
    pub reasons: Vec<String>,
    /// For a build, which logs them once: why a kind is not where users might expect it.
    pub notices: Vec<String>,
}

/// What the user sets for one kind of encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicePreference {
    pub setting: DeviceSetting,
    /// The setting is for this kind, not for both.
    pub is_specific: bool,
}

/// Where devices and the libraries for them are looked for.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSearch<'a> {
    /// Starts a process that tries a device: see [`device_probe`].
    pub probe: &'a ProcessCommand,
    pub libraries: &'a LibraryPaths,
}

/// Choose the devices, and put them and the runtime for them into `encoders`.
///
/// # Errors
/// `Unavailable` for a requested device that cannot be used; `InvalidRequest` for a precision that would apply to no model.
pub fn choose(
    sparse: DevicePreference,
    dense: DevicePreference,
    encoders: &mut EncoderChoice,
    search: DeviceSearch<'_>,
) -> Result<Devices> {
    // Opening a model reports why it cannot be read.
    let quantized = encode::quantized_kinds(encoders).unwrap_or_default();
    let request = |wanted: DevicePreference, source: &ModelSource, is_quantized| DeviceRequest {
        source: source.clone(),
        setting: wanted.setting,
        is_specific: wanted.is_specific,
        is_quantized,
    };
    let sparse = request(sparse, &encoders.sparse, quantized.sparse);
    let dense = request(dense, &encoders.dense, quantized.dense);
    let auto_device = match placement::needs_auto_device(&sparse, &dense) {
        true => auto_device(encoders, search),
        // Nothing depends on it.
        false => AutoDevice::Absent(String::new()),
    };
    let Placement {
        sparse,
        dense,
        mut reasons,
    } = placement::place(&sparse, &dense, &auto_device, |device| {
        memory(encoders, device)
    });
    // Most machines have no GPU: `plan` and `doctor` say so.
    let notices = match auto_device {
        AutoDevice::Absent(_) => Vec::new(),
        AutoDevice::Usable(_) | AutoDevice::Unusable(_) => reasons.clone(),
    };
    (encoders.sparse_device, encoders.dense_device) = (sparse, dense);
    check_precision(encoders, &reasons)?;
    if let Some((device, runtime)) = find_runtime(encoders, search.libraries)? {
        reasons.push(format!("runtime for {device}: {}", runtime.display()));
        encoders.ort_lib = Some(runtime);
    }
    let mut known = Vec::new();
    for device in encoders.devices() {
        match memory(encoders, device) {
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

/// Check the devices of the encoders, and find the runtime for them. `None` if all encoders are on the CPU.
fn find_runtime(
    encoders: &EncoderChoice,
    libraries: &LibraryPaths,
) -> Result<Option<(Device, PathBuf)>> {
    let (Some(device), Some(driver)) = (encoders.device(), Driver::of(encoders)) else {
        return Ok(None);
    };
    let unusable = |device: Device, why: &dyn Display| {
        let text = format!("device {device} cannot be used: {why}; or use --device cpu");
        BuildError::new(ErrorKind::Unavailable, text)
    };
    for device in encoders.devices() {
        if let Device::Cuda(index) = device {
            // Before the runtime fails on a number without a card.
            let checked = driver.check_index(index);
            checked.map_err(|error| unusable(device, &error))?;
        }
    }
    let runtime = encode::find_cuda_runtime(encoders.ort_lib.as_deref(), libraries);
    let runtime = runtime.map_err(|error| unusable(device, &error))?;
    Ok(Some((device, runtime)))
}

/// Refuse a reduced precision unless a model of the user runs on a device. The CPU computes in 32 bits, and so do the
/// embedded models: the precision would change the fingerprint and nothing else.
fn check_precision(encoders: &EncoderChoice, reasons: &[String]) -> Result<()> {
    let kinds = [
        (&encoders.sparse, encoders.sparse_device),
        (&encoders.dense, encoders.dense_device),
    ];
    let is_users = |source: &ModelSource| matches!(source, ModelSource::Directory(_));
    let uses = |(source, device): &(&ModelSource, Device)| is_users(source) && !device.is_cpu();
    if encoders.precision.is_fp32() || kinds.iter().any(uses) {
        return Ok(());
    }
    let precision = encoders.precision;
    if !is_users(&encoders.sparse) && !is_users(&encoders.dense) {
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

/// Return the device that `auto` may use with these encoders.
fn auto_device(encoders: &EncoderChoice, search: DeviceSearch<'_>) -> AutoDevice {
    let Some(driver) = Driver::of(encoders) else {
        return AutoDevice::Usable(AUTO);
    };
    let gpu = match driver.first() {
        Ok(gpu) => gpu,
        Err(error) => return AutoDevice::Absent(format!("no GPU: {error}")),
    };
    let unusable =
        |why: &dyn Display| AutoDevice::Unusable(format!("{} is there, but {why}", gpu.name));
    let runtime = match encode::find_cuda_runtime(encoders.ort_lib.as_deref(), search.libraries) {
        Ok(runtime) => runtime,
        Err(error) => return unusable(&error),
    };
    // Each kind alone may fit where both do not, but then there is nothing to gain from trying both.
    let on_device = |source: &ModelSource| match source {
        ModelSource::Directory(_) => AUTO,
        ModelSource::Embedded | ModelSource::Server(_) | ModelSource::None => Device::Cpu,
    };
    let choice = EncoderChoice {
        sparse_device: on_device(&encoders.sparse),
        dense_device: on_device(&encoders.dense),
        ort_lib: Some(runtime),
        // Opening shows whether the device works. How much fits is decided later.
        max_batch: 1,
        ..encoders.clone()
    };
    match device_probe::probe(search.probe, &choice) {
        Ok(()) => AutoDevice::Usable(AUTO),
        Err(error) => unusable(&error),
    }
}

fn memory(encoders: &EncoderChoice, device: Device) -> Option<Vram> {
    let gpu = Driver::of(encoders)?.state(device)?;
    Some(Vram {
        total_bytes: gpu.total_bytes,
        free_bytes: Some(gpu.free_bytes),
    })
}
