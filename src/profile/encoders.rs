//! Which encoders a build uses and where they run: the choice, not the loaded model.
//!
//! Plain values, sent to workers as they are. `encode` turns them into sessions.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where an encoder comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSource {
    /// The small model inside the binary.
    #[default]
    Embedded,
    /// A directory with an ONNX file and its `tokenizer.json`.
    Directory(#[serde(with = "crate::platform::wire_path")] PathBuf),
    /// Build without this kind of vector.
    None,
}

/// Where sessions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    #[default]
    Cpu,
    /// A CUDA device by its index, counted as the CUDA runtime counts: among those that
    /// `CUDA_VISIBLE_DEVICES` leaves.
    Cuda(u32),
}

impl Device {
    pub fn is_cpu(self) -> bool {
        self == Self::Cpu
    }
}

/// As flags, profiles and the ledger spell it: `cpu`, `cuda:0`.
impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// Everything a process needs to open its encoders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderChoice {
    pub sparse: ModelSource,
    pub dense: ModelSource,
    pub sparse_device: Device,
    pub dense_device: Device,
    /// Windows in one run on a device at most; 0: as its shape allows. The CPU always takes one.
    pub max_batch: u32,
    /// Device memory in bytes for the arenas of all sessions of a process; 0: no limit.
    pub device_memory: u64,
    /// Threads of a session on the CPU; 0: one. Vectors do not depend on it.
    pub cpu_threads: u32,
    pub coverage: super::recipe::Coverage,
    /// ONNX Runtime library to load in place of the embedded one.
    #[serde(with = "crate::platform::wire_path")]
    pub ort_lib: Option<PathBuf>,
}

impl EncoderChoice {
    /// The devices of the kinds that there are, sparse first, none twice. A process without any encoder
    /// is on the CPU.
    pub fn devices(&self) -> Vec<Device> {
        let lanes = [
            (&self.sparse, self.sparse_device),
            (&self.dense, self.dense_device),
        ];
        let mut devices = Vec::new();
        for (source, device) in lanes {
            if *source != ModelSource::None && !devices.contains(&device) {
                devices.push(device);
            }
        }
        match devices.is_empty() {
            true => vec![Device::Cpu],
            false => devices,
        }
    }

    /// The same encoders, all on the CPU, one window a run. A build for a device has few workers, so each keeps its
    /// share of the cores.
    pub fn on_cpu(&self) -> Self {
        Self {
            sparse_device: Device::Cpu,
            dense_device: Device::Cpu,
            ..self.clone()
        }
    }

    /// The device that most is put on: the first that is not the CPU.
    pub fn device(&self) -> Option<Device> {
        self.devices().into_iter().find(|device| !device.is_cpu())
    }

    /// For people and the ledger: one name, or `sparse cuda:0, dense cpu`.
    pub fn device_name(&self) -> String {
        match self.devices().as_slice() {
            [one] => one.to_string(),
            _ => format!("sparse {}, dense {}", self.sparse_device, self.dense_device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_by_what_runs_on_them() {
        let mixed = EncoderChoice {
            sparse_device: Device::Cuda(1),
            ..EncoderChoice::default()
        };
        assert_eq!(mixed.devices(), [Device::Cuda(1), Device::Cpu]);
        assert_eq!(mixed.device_name(), "sparse cuda:1, dense cpu");
        assert_eq!(mixed.on_cpu().device_name(), "cpu");
        let one = EncoderChoice {
            dense: ModelSource::None,
            ..mixed
        };
        assert_eq!(one.device_name(), "cuda:1");
        let none = EncoderChoice {
            sparse: ModelSource::None,
            ..one
        };
        assert_eq!(none.devices(), [Device::Cpu]);
    }
}
