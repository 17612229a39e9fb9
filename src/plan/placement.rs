//! Chooses the device of each kind of encoder.
//!
//! Pure: the requests and what the machine has go in, devices and reasons come out.

use super::sizing::{Vram, fits_both_kinds};
use crate::profile::DeviceSetting;
use crate::profile::encoders::{Device, ModelSource};

/// The request for one kind of encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    pub source: ModelSource,
    pub setting: DeviceSetting,
    /// The setting is for this kind, not for both.
    pub is_specific: bool,
    /// Its activations are 8-bit numbers, so it runs one text at a time, which makes no use of a device.
    pub is_quantized: bool,
}

/// The device that `auto` may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoDevice {
    Usable(Device),
    /// There is none. For people: how that is known.
    Absent(String),
    /// There is one that cannot be used. For people: why.
    Unusable(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub sparse: Device,
    pub dense: Device,
    /// For people: why a kind is not where they might expect it.
    pub reasons: Vec<String>,
}

/// Whether the placement depends on the device that `auto` may use. Looking for it may take seconds.
pub fn needs_auto_device(sparse: &DeviceRequest, dense: &DeviceRequest) -> bool {
    uses_auto_device(sparse) || uses_auto_device(dense)
}

/// The embedded models are as fast on one core as a bus is at copying their output, and quantized models run one text at a
/// time.
fn uses_auto_device(request: &DeviceRequest) -> bool {
    let is_users = matches!(request.source, ModelSource::Directory(_));
    request.setting == DeviceSetting::Auto && is_users && !request.is_quantized
}

/// Place both kinds. `memory` returns the memory of a device, if it is known.
pub fn place(
    sparse: &DeviceRequest,
    dense: &DeviceRequest,
    auto_device: &AutoDevice,
    memory: impl Fn(Device) -> Option<Vram>,
) -> Placement {
    let mut reasons = Vec::new();
    let mut choose = |request: &DeviceRequest| match (request.setting, auto_device) {
        // A server has devices of its own.
        _ if matches!(request.source, ModelSource::None | ModelSource::Server(_)) => Device::Cpu,
        (DeviceSetting::Fixed(device), _) => device,
        (DeviceSetting::Auto, _) if !uses_auto_device(request) => Device::Cpu,
        (DeviceSetting::Auto, AutoDevice::Usable(device)) => *device,
        (DeviceSetting::Auto, AutoDevice::Absent(why) | AutoDevice::Unusable(why)) => {
            let reason = format!("device: cpu ({why})");
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            Device::Cpu
        }
    };
    let sparse_on = choose(sparse);
    let mut dense_on = choose(dense);
    let small = memory(dense_on).filter(|vram| !fits_both_kinds(*vram));
    if let Some(vram) = small
        && !dense_on.is_cpu()
        && dense_on == sparse_on
        && !dense.is_specific
    {
        reasons.push(format!(
            "dense vectors: cpu (both kinds fill a card of {:.1} GiB; --dense-device {dense_on} puts them there)",
            vram.total_bytes as f64 / f64::from(1 << 30)
        ));
        dense_on = Device::Cpu;
    }
    Placement {
        sparse: sparse_on,
        dense: dense_on,
        reasons,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeviceSetting::{Auto, Fixed};

    const CUDA: Device = Device::Cuda(0);

    fn model() -> ModelSource {
        ModelSource::Directory("m".into())
    }

    fn request(source: ModelSource, setting: DeviceSetting, is_specific: bool) -> DeviceRequest {
        DeviceRequest {
            source,
            setting,
            is_specific,
            is_quantized: false,
        }
    }

    fn placed(sparse: &DeviceRequest, dense: &DeviceRequest, gib: f64) -> (Device, Device, usize) {
        let memory = |device: Device| {
            let total_bytes = (gib * f64::from(1 << 30)) as u64;
            let free_bytes = None;
            (!device.is_cpu()).then_some(Vram {
                total_bytes,
                free_bytes,
            })
        };
        let placement = place(sparse, dense, &AutoDevice::Usable(CUDA), memory);
        (placement.sparse, placement.dense, placement.reasons.len())
    }

    #[test]
    fn small_cards_get_the_sparse_encoder_alone() {
        let auto = request(model(), Auto, false);
        let cuda = request(model(), Fixed(CUDA), false);
        for both in [&auto, &cuda] {
            assert_eq!(placed(both, both, 8.0), (CUDA, Device::Cpu, 1));
            assert_eq!(placed(both, both, 12.0), (CUDA, Device::Cpu, 1));
            assert_eq!(placed(both, both, 11.99), (CUDA, Device::Cpu, 1));
            assert_eq!(placed(both, both, 16.0), (CUDA, CUDA, 0));
        }
        let own = request(model(), Fixed(CUDA), true);
        assert_eq!(placed(&auto, &own, 8.0), (CUDA, CUDA, 0), "as set");
        let none = request(ModelSource::None, Auto, false);
        assert_eq!(placed(&none, &auto, 8.0), (Device::Cpu, CUDA, 0), "alone");
        let other = request(model(), Fixed(Device::Cuda(1)), true);
        assert_eq!(placed(&other, &auto, 8.0), (Device::Cuda(1), CUDA, 0));
    }

    #[test]
    fn auto_leaves_the_embedded_models_on_the_cpu() {
        let auto = request(ModelSource::Embedded, Auto, false);
        assert!(!needs_auto_device(&auto, &auto));
        assert_eq!(placed(&auto, &auto, 80.0), (Device::Cpu, Device::Cpu, 0));
        let cuda = request(ModelSource::Embedded, Fixed(CUDA), false);
        assert_eq!(placed(&cuda, &cuda, 80.0), (CUDA, CUDA, 0), "as set");
        let mine = request(model(), Auto, false);
        assert!(needs_auto_device(&auto, &mine));
        assert_eq!(placed(&mine, &auto, 80.0), (CUDA, Device::Cpu, 0));
    }

    #[test]
    fn auto_leaves_models_of_8_bits_on_the_cpu() {
        let auto = request(model(), Auto, false);
        let small = DeviceRequest {
            is_quantized: true,
            ..auto.clone()
        };
        assert!(!needs_auto_device(&small, &small) && needs_auto_device(&auto, &small));
        assert_eq!(placed(&small, &auto, 80.0), (Device::Cpu, CUDA, 0));
    }

    #[test]
    fn the_reason_for_no_device_is_given_once() {
        let auto = request(model(), Auto, false);
        let none = AutoDevice::Unusable("no driver".to_owned());
        let placement = place(&auto, &auto, &none, |_| None);
        assert_eq!(
            (placement.sparse, placement.dense),
            (Device::Cpu, Device::Cpu)
        );
        assert_eq!(placement.reasons, ["device: cpu (no driver)"]);
        let cpu = request(model(), Fixed(Device::Cpu), false);
        assert!(!needs_auto_device(&cpu, &cpu));
        assert!(place(&cpu, &cpu, &none, |_| None).reasons.is_empty());
    }

    #[test]
    fn a_fixed_device_is_used() {
        let cpu = request(model(), Fixed(Device::Cpu), true);
        let auto = request(model(), Auto, false);
        assert_eq!(placed(&cpu, &auto, 80.0), (Device::Cpu, CUDA, 0));
        assert_eq!(placed(&auto, &cpu, 80.0), (CUDA, Device::Cpu, 0));
    }
}
