//! Which device each kind of encoder runs on.
//!
//! Pure: what was asked for and what there is go in, devices and reasons come out.

use super::sizing::{Vram, dense_on_device};
use crate::profile::DeviceSetting;
use crate::profile::encoders::{Device, ModelSource};

/// What was asked for, for each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub source: ModelSource,
    pub setting: DeviceSetting,
    /// Asked for this kind, not for both.
    pub own: bool,
    /// Its activations are 8-bit numbers: it may run one text at a time, which is no work for a device.
    pub quantized: bool,
}

/// What `auto` may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    Device(Device),
    /// There is no device. For people: how that is known.
    NoDevice(String),
    /// There is one that cannot be used. For people: why.
    Unusable(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub sparse: Device,
    pub dense: Device,
    /// For people: why a kind is not where one might expect it.
    pub reasons: Vec<String>,
}

/// Whether the answer depends on what the machine offers: looking for it may take seconds.
pub fn needs_offer(sparse: &Wish, dense: &Wish) -> bool {
    wants_offer(sparse) || wants_offer(dense)
}

/// Models of 8 bits have no business there, and the embedded ones are as fast on one core as a bus is at fetching their output.
fn wants_offer(wish: &Wish) -> bool {
    let own_model = matches!(wish.source, ModelSource::Directory(_));
    wish.setting == DeviceSetting::Auto && own_model && !wish.quantized
}

/// Places both kinds. `memory` tells what a device has, if it says so.
pub fn place(
    sparse: &Wish,
    dense: &Wish,
    offer: &Offer,
    memory: impl Fn(Device) -> Option<Vram>,
) -> Placement {
    let mut reasons = Vec::new();
    let mut settle = |wish: &Wish| match (wish.setting, offer) {
        _ if wish.source == ModelSource::None => Device::Cpu,
        (DeviceSetting::Fixed(device), _) => device,
        (DeviceSetting::Auto, _) if !wants_offer(wish) => Device::Cpu,
        (DeviceSetting::Auto, Offer::Device(device)) => *device,
        (DeviceSetting::Auto, Offer::NoDevice(why) | Offer::Unusable(why)) => {
            let reason = format!("device: cpu ({why})");
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            Device::Cpu
        }
    };
    let sparse_on = settle(sparse);
    let mut dense_on = settle(dense);
    let small = memory(dense_on).filter(|vram| !dense_on_device(*vram));
    if let Some(vram) = small
        && !dense_on.is_cpu()
        && dense_on == sparse_on
        && !dense.own
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

    fn wish(source: ModelSource, setting: DeviceSetting, own: bool) -> Wish {
        Wish {
            source,
            setting,
            own,
            quantized: false,
        }
    }

    fn placed(sparse: &Wish, dense: &Wish, gib: f64) -> (Device, Device, usize) {
        let memory = |device: Device| {
            let total_bytes = (gib * f64::from(1 << 30)) as u64;
            let free_bytes = None;
            (!device.is_cpu()).then_some(Vram {
                total_bytes,
                free_bytes,
            })
        };
        let placement = place(sparse, dense, &Offer::Device(CUDA), memory);
        (placement.sparse, placement.dense, placement.reasons.len())
    }

    #[test]
    fn small_cards_get_the_sparse_encoder_alone() {
        let auto = wish(model(), Auto, false);
        let cuda = wish(model(), Fixed(CUDA), false);
        for both in [&auto, &cuda] {
            assert_eq!(placed(both, both, 8.0), (CUDA, Device::Cpu, 1));
            assert_eq!(placed(both, both, 12.0), (CUDA, Device::Cpu, 1));
            assert_eq!(placed(both, both, 11.99), (CUDA, Device::Cpu, 1));
            assert_eq!(placed(both, both, 16.0), (CUDA, CUDA, 0));
        }
        let own = wish(model(), Fixed(CUDA), true);
        assert_eq!(placed(&auto, &own, 8.0), (CUDA, CUDA, 0), "as told");
        let none = wish(ModelSource::None, Auto, false);
        assert_eq!(placed(&none, &auto, 8.0), (Device::Cpu, CUDA, 0), "alone");
        let other = wish(model(), Fixed(Device::Cuda(1)), true);
        assert_eq!(placed(&other, &auto, 8.0), (Device::Cuda(1), CUDA, 0));
    }

    #[test]
    fn auto_leaves_the_embedded_models_on_the_cpu() {
        let auto = wish(ModelSource::Embedded, Auto, false);
        assert!(!needs_offer(&auto, &auto));
        assert_eq!(placed(&auto, &auto, 80.0), (Device::Cpu, Device::Cpu, 0));
        let cuda = wish(ModelSource::Embedded, Fixed(CUDA), false);
        assert_eq!(placed(&cuda, &cuda, 80.0), (CUDA, CUDA, 0), "as told");
        let mine = wish(model(), Auto, false);
        assert!(needs_offer(&auto, &mine));
        assert_eq!(placed(&mine, &auto, 80.0), (CUDA, Device::Cpu, 0));
    }

    #[test]
    fn auto_leaves_models_of_8_bits_on_the_cpu() {
        let auto = wish(model(), Auto, false);
        let small = Wish {
            quantized: true,
            ..auto.clone()
        };
        assert!(!needs_offer(&small, &small) && needs_offer(&auto, &small));
        assert_eq!(placed(&small, &auto, 80.0), (Device::Cpu, CUDA, 0));
    }

    #[test]
    fn why_there_is_no_device_is_said_once() {
        let auto = wish(model(), Auto, false);
        let none = Offer::Unusable("no driver".to_owned());
        let placement = place(&auto, &auto, &none, |_| None);
        assert_eq!(
            (placement.sparse, placement.dense),
            (Device::Cpu, Device::Cpu)
        );
        assert_eq!(placement.reasons, ["device: cpu (no driver)"]);
        let cpu = wish(model(), Fixed(Device::Cpu), false);
        assert!(!needs_offer(&cpu, &cpu));
        assert!(place(&cpu, &cpu, &none, |_| None).reasons.is_empty());
    }

    #[test]
    fn a_kind_goes_where_it_is_told() {
        let cpu = wish(model(), Fixed(Device::Cpu), true);
        let auto = wish(model(), Auto, false);
        assert_eq!(placed(&cpu, &auto, 80.0), (Device::Cpu, CUDA, 0));
        assert_eq!(placed(&auto, &cpu, 80.0), (CUDA, Device::Cpu, 0));
    }
}
