//! The NVIDIA driver as the engine asks it about devices.

use crate::encode;
use crate::gpu::{self, Gpu, GpuError};
use crate::profile::encoders::{Device, EncoderChoice};

/// Answers questions about the devices that CUDA counts in this process.
#[derive(Clone, Copy, Debug)]
pub struct Driver<'a> {
    /// The value of `CUDA_VISIBLE_DEVICES`.
    visible: Option<&'a str>,
}

impl<'a> Driver<'a> {
    /// Return the driver for these encoders; `None` in a test whose devices the CPU simulates: no driver knows them.
    pub fn of(encoders: &'a EncoderChoice) -> Option<Self> {
        (!encode::simulates_devices()).then_some(Self {
            visible: encoders.visible_devices.as_deref(),
        })
    }

    /// Return the device that CUDA calls `index`.
    pub fn device(self, index: u32) -> Result<Gpu, GpuError> {
        gpu::cuda_device(index, self.visible)
    }

    /// Return what the driver reports of a device; `None` for the CPU and without an answer.
    pub fn state(self, device: Device) -> Option<Gpu> {
        match device {
            Device::Cpu => None,
            Device::Cuda(index) => self.device(index).ok(),
        }
    }

    /// Check that CUDA has a device `index`. `Ok` also if that is unknown.
    pub fn check_index(self, index: u32) -> Result<(), GpuError> {
        gpu::check_index(index, self.visible)
    }

    /// Return the first device of CUDA, which `auto` uses.
    pub fn first(self) -> Result<Gpu, GpuError> {
        match gpu::list()?.is_empty() {
            true => Err(GpuError::NoDevices),
            false => self.device(0),
        }
    }
}
