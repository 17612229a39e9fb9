//! The setting of a device, as users write it.

use super::encoders::Device;
use std::str::FromStr;

/// A device as written in a profile or flag: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceSetting {
    /// CUDA if it works, else the CPU.
    Auto,
    Fixed(Device),
}

/// An unknown name of a device.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a device: write auto, cpu, cuda or cuda:N")]
pub struct NoSuchDevice(pub String);

impl std::fmt::Display for DeviceSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(device) => device.fmt(f),
        }
    }
}

impl FromStr for DeviceSetting {
    type Err = NoSuchDevice;

    fn from_str(text: &str) -> Result<Self, NoSuchDevice> {
        let index = match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Fixed(Device::Cpu)),
            "cuda" => "0",
            other => other.strip_prefix("cuda:").unwrap_or(""),
        };
        match index.parse() {
            Ok(index) => Ok(Self::Fixed(Device::Cuda(index))),
            Err(_) => Err(NoSuchDevice(text.to_string())),
        }
    }
}
