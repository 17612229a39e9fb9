//! Which encoders a build uses and where they run. Plain values, which are sent to workers; `encode` opens sessions by them.

use super::server_address::{AddressError, ServerAddress};
use crate::batch::EncoderKind;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The model of an encoder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSource {
    /// The small model inside the binary.
    #[default]
    Embedded,
    /// A directory with an ONNX file and its `tokenizer.json`.
    Directory(#[serde(with = "crate::platform::wire_path")] PathBuf),
    /// A server that encodes texts over HTTP.
    Server(Box<ServerAddress>),
    /// No vectors of this kind.
    None,
}

impl ModelSource {
    /// Return what a text of a flag or a profile names; `None` for a folder, which the caller finds.
    ///
    /// # Errors
    /// A URL that is no address of an encoder server.
    pub fn unless_folder(text: &str) -> Result<Option<Self>, AddressError> {
        Ok(match text {
            "embedded" => Some(Self::Embedded),
            "none" => Some(Self::None),
            url if ServerAddress::is_url(url) => Some(Self::Server(Box::new(url.parse()?))),
            _ => None,
        })
    }

    /// The server, if one encodes.
    pub fn server(&self) -> Option<&ServerAddress> {
        match self {
            Self::Server(address) => Some(address),
            Self::Embedded | Self::Directory(_) | Self::None => None,
        }
    }
}

/// Where sessions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    #[default]
    Cpu,
    /// A CUDA device by its index among those that `CUDA_VISIBLE_DEVICES` allows, as the CUDA runtime counts.
    Cuda(u32),
}

impl Device {
    pub fn is_cpu(self) -> bool {
        self == Self::Cpu
    }
}

/// As in flags, profiles and the ledger: `cpu`, `cuda:0`.
impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The precision in which a model of the user computes on a device. The CPU always computes in 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout: vectors agree with those of the CPU to some 1e-4.
    #[default]
    Fp32,
    /// TensorFloat-32: matrix products round their inputs to 10 bits of mantissa.
    Tf32,
    /// Weights and activations are 16-bit floats.
    Fp16,
}

impl Precision {
    pub const ALL: [Self; 3] = [Self::Fp32, Self::Tf32, Self::Fp16];

    /// The name in flags, profiles and fingerprints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Fp16 => "fp16",
        }
    }

    pub fn is_fp32(&self) -> bool {
        *self == Self::Fp32
    }
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An unknown name of a precision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of fp32, tf32, fp16")]
pub struct NoSuchPrecision(pub String);

impl std::str::FromStr for Precision {
    type Err = NoSuchPrecision;

    fn from_str(text: &str) -> Result<Self, NoSuchPrecision> {
        let known = Self::ALL.into_iter().find(|known| known.name() == text);
        known.ok_or_else(|| NoSuchPrecision(text.to_owned()))
    }
}

/// Everything that a process needs to open its encoders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderChoice {
    pub sparse: ModelSource,
    pub dense: ModelSource,
    pub sparse_device: Device,
    pub dense_device: Device,
    /// Of the user's models on a device. Part of their hashes.
    pub precision: Precision,
    /// Most windows in one run on a device; 0: as its shape allows. The CPU always runs one.
    pub max_batch: u32,
    /// Device memory in bytes for the arenas of all sessions of a process; 0: no limit.
    pub device_memory: u64,
    /// Threads of a session on the CPU; 0: one. Vectors do not depend on the number.
    pub cpu_threads: u32,
    pub coverage: super::recipe::Coverage,
    /// ONNX Runtime library to load instead of the embedded one.
    #[serde(with = "crate::platform::wire_path")]
    pub ort_lib: Option<PathBuf>,
    /// The value of `CUDA_VISIBLE_DEVICES`, by which CUDA counts devices; `None`: not set.
    pub visible_devices: Option<String>,
    /// Longest time in seconds that a request to an encoder server is repeated; 0: as long as a person waits.
    #[serde(default)]
    pub server_patience_s: u32,
}

impl EncoderChoice {
    /// Return the distinct devices of both kinds, sparse first. A process without encoders is on the CPU.
    pub fn devices(&self) -> Vec<Device> {
        let kinds = [
            (&self.sparse, self.sparse_device),
            (&self.dense, self.dense_device),
        ];
        let mut devices = Vec::new();
        for (source, device) in kinds {
            if *source != ModelSource::None && !devices.contains(&device) {
                devices.push(device);
            }
        }
        match devices.is_empty() {
            true => vec![Device::Cpu],
            false => devices,
        }
    }

    /// Return the same encoders on the CPU. A build for a device has few workers, so each keeps its share of the cores.
    pub fn on_cpu(&self) -> Self {
        Self {
            sparse_device: Device::Cpu,
            dense_device: Device::Cpu,
            ..self.clone()
        }
    }

    /// Return the first device that is not the CPU.
    pub fn device(&self) -> Option<Device> {
        self.devices().into_iter().find(|device| !device.is_cpu())
    }

    /// Whether a server encodes one of the kinds.
    pub fn has_server(&self) -> bool {
        self.sparse.server().is_some() || self.dense.server().is_some()
    }

    /// Return the model of one kind.
    pub fn source(&self, kind: EncoderKind) -> &ModelSource {
        match kind {
            EncoderKind::Sparse => &self.sparse,
            EncoderKind::Dense => &self.dense,
        }
    }

    /// Return the name of the devices, for people and the ledger: `cuda:0`, or `sparse cuda:0, dense cpu`. A server is a
    /// device of its own.
    pub fn device_name(&self) -> String {
        let name = |source: &ModelSource, device: Device| match source {
            ModelSource::None => None,
            ModelSource::Server(_) => Some("server".to_owned()),
            ModelSource::Embedded | ModelSource::Directory(_) => Some(device.to_string()),
        };
        let sparse = name(&self.sparse, self.sparse_device);
        let dense = name(&self.dense, self.dense_device);
        match (sparse, dense) {
            (Some(sparse), Some(dense)) if sparse != dense => {
                format!("sparse {sparse}, dense {dense}")
            }
            (Some(one), _) | (None, Some(one)) => one,
            (None, None) => Device::Cpu.to_string(),
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
