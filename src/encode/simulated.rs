//! A device that the CPU simulates, for tests: shapes, names and errors are those of a device.
//!
//! Only a program with failpoints, which `cargo test` builds, can be asked for one.

use super::batch::Shape;
use super::error::EncodeError;
#[cfg(test)]
use super::provider::Provider;
use super::provider::{Cpu, ExecutionProvider, ProviderOptions};
use crate::batch::EncoderKind;
use crate::failpoint::failpoint;
#[cfg(test)]
use crate::profile::encoders::Device;
use crate::profile::encoders::EncoderChoice;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
#[cfg(test)]
use std::sync::Arc;

/// Whether a test asks for devices that the CPU simulates.
pub fn is_requested() -> bool {
    failpoint!("encode::device")
}

/// The CPU in place of a device. Runs out of memory and breaks when a test asks for it.
#[derive(Debug)]
pub(super) struct Simulated;

impl ExecutionProvider for Simulated {
    fn load_libraries(&self, choice: &EncoderChoice) -> Result<(), EncodeError> {
        Cpu.load_libraries(choice)
    }

    fn register(
        &self,
        builder: SessionBuilder,
        options: ProviderOptions,
    ) -> ort::Result<SessionBuilder> {
        Cpu.register(builder, options)
    }

    fn check_assignment(&self, session: &Session) -> Result<(), EncodeError> {
        Cpu.check_assignment(session)
    }

    fn arena_name(&self) -> String {
        Cpu.arena_name()
    }

    /// Fail with the texts of ONNX Runtime, as [`device_error`](super::device_error) knows them.
    fn before_batch(&self, kind: EncoderKind, shape: Shape) -> ort::Result<()> {
        let batch = format_args!("{kind} {shape}");
        if failpoint!("encode::memory", batch) {
            return Err(ort::Error::new(format!(
                "Failed to allocate memory for requested buffer of size {}",
                shape.tokens() << 10
            )));
        }
        if failpoint!("encode::lost", batch) {
            return Err(ort::Error::new(
                "CUDA failure 700: an illegal memory access was encountered",
            ));
        }
        Ok(())
    }
}

/// Return the provider of unit tests: every device is simulated.
#[cfg(test)]
pub(super) fn provider_of(device: Device) -> Provider {
    match device {
        Device::Cpu => Arc::new(Cpu),
        Device::Cuda(_) => Arc::new(Simulated),
    }
}
