//! Where the encoders run: what was asked for, what the machine has, and the decision.
//!
//! Asks NVML and, if `auto` has a choice, a child process that tries the device. The rules are
//! [`placement`]'s.

use super::settings::{Origin, Setting};
use crate::cli::BuildFlags;
use crate::commands::probe;
use crate::encode::{self, Hardware};
use crate::exit_code::{Exit, ExitCode};
use crate::gpu;
use crate::plan::placement::{self, Offer, Placement, Wish};
use crate::plan::sizing::Vram;
use crate::profile::encoders::{Device, EncoderChoice, ModelSource, Precision};
use crate::profile::{DeviceSetting, Profile};

/// The device that `auto` takes: the first that `CUDA_VISIBLE_DEVICES` leaves.
const AUTO: Device = Device::Cuda(0);

/// Where the encoders of a build run.
#[derive(Debug)]
pub struct Devices {
    /// Memory of the device that most is put on. `None`: the CPU, or a device that does not say.
    pub vram: Option<Vram>,
    /// For `plan`: where the devices come from.
    pub reasons: Vec<String>,
    /// For a build, which says them once: why a kind is not where one might expect it.
    pub notices: Vec<String>,
    pub listed: Vec<Setting>,
}

/// Decides, and puts the devices and the runtime for them into `encoders`. A device that was asked for and cannot
/// be used is exit code 13.
pub fn settle(
    flags: &BuildFlags,
    profile: &Profile,
    encoders: &mut EncoderChoice,
) -> anyhow::Result<Devices> {
    let both = pick("device", flags.device.as_deref(), profile.device)?;
    // Whoever opens a model that cannot be looked at says why.
    let quantized = encode::quantized(encoders).unwrap_or_default();
    let kind = |name, given: &Option<String>, of_profile, source: &ModelSource, quantized| {
        let (setting, origin) = pick(name, given.as_deref(), of_profile)?;
        let own = origin != Origin::Default;
        // A flag for both is nearer than a profile's word on one.
        let overruled = both.1 == Origin::Given && origin == Origin::Profile;
        let (setting, origin) = match own && !overruled {
            true => (setting, origin),
            false => both,
        };
        let wish = Wish {
            source: source.clone(),
            setting,
            own: own && !overruled,
            quantized,
        };
        anyhow::Ok((wish, origin))
    };
    let (sparse, sparse_from) = kind(
        "sparse-device",
        &flags.sparse_device,
        profile.sparse_device,
        &encoders.sparse,
        quantized.sparse,
    )?;
    let (dense, dense_from) = kind(
        "dense-device",
        &flags.dense_device,
        profile.dense_device,
        &encoders.dense,
        quantized.dense,
    )?;
    let offer = match placement::needs_offer(&sparse, &dense) {
        true => offer(encoders),
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
            Exit::error(ExitCode::Unavailable, text)
        })?;
        reasons.push(format!("runtime for {device}: {}", runtime.display()));
        encoders.ort_lib = Some(runtime);
    }
    let listed = |name, device: Device, origin| Setting {
        name,
        value: device.to_string(),
        origin,
    };
    let vram = device.and_then(memory);
    if let (Some(device), None) = (device, vram) {
        reasons.push(format!(
            "{device}: its memory is not known, so workers are counted as on the CPU"
        ));
    }
    Ok(Devices {
        vram,
        reasons,
        notices,
        listed: vec![
            listed("sparse-device", sparse, sparse_from),
            listed("dense-device", dense, dense_from),
        ],
    })
}

/// Refuses a number beyond the cards at once, before the runtime stumbles over it.
fn check_index(device: Device) -> anyhow::Result<()> {
    let Device::Cuda(index) = device else {
        return Ok(());
    };
    gpu::why_absent(index).map_or(Ok(()), |why| {
        let text = format!("device {device} cannot be used: {why}; or use --device cpu");
        Err(Exit::error(ExitCode::Unavailable, text))
    })
}

/// What the user's models compute in on a device: flag, then profile.
pub fn precision(flags: &BuildFlags, profile: &Profile) -> anyhow::Result<(Precision, Origin)> {
    let Some(given) = &flags.precision else {
        let found = profile
            .precision
            .map(|precision| (precision, Origin::Profile));
        return Ok(found.unwrap_or((Precision::default(), Origin::Default)));
    };
    let parsed = given.parse::<Precision>();
    let parsed =
        parsed.map_err(|error| Exit::error(ExitCode::Usage, format!("--precision: {error}")))?;
    Ok((parsed, Origin::Given))
}

/// The CPU computes in 32 bits, and the built-in models have one form: a reduced precision without a model of the user's on a
/// device would change the fingerprint and nothing else.
fn check_precision(encoders: &EncoderChoice, reasons: &[String]) -> anyhow::Result<()> {
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
        return Err(Exit::error(ExitCode::Usage, text));
    }
    let text = format!(
        "--precision {precision} needs an NVIDIA GPU, and no model of yours runs on one ({}); leave it out, or pass --device cuda to see what is missing",
        reasons.join("; ")
    );
    Err(Exit::error(ExitCode::Unavailable, text))
}

/// What `auto` may use with these encoders.
fn offer(encoders: &EncoderChoice) -> Offer {
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
    match probe::probe(&choice) {
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

fn pick(
    name: &str,
    given: Option<&str>,
    profile: Option<DeviceSetting>,
) -> anyhow::Result<(DeviceSetting, Origin)> {
    Ok(match (given, profile) {
        (Some(text), _) => {
            let setting = text
                .parse()
                .map_err(|error| Exit::error(ExitCode::Usage, format!("--{name}: {error}")))?;
            (setting, Origin::Given)
        }
        (None, Some(setting)) => (setting, Origin::Profile),
        (None, None) => (DeviceSetting::Auto, Origin::Default),
    })
}
