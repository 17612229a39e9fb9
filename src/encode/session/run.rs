//! Runs: one window, or the tensors of a batch.

use super::ModelSession;
use super::inputs::Tensors;
use crate::batch::EncoderKind;
use crate::device::DeviceFailure;
use crate::encode::batch::Shape;
use crate::encode::device_error::classify;
use crate::encode::error::{EncodeError, message};
use crate::encode::output::TextOutput;
use crate::failpoint::{self, failpoint};
use crate::profile::encoders::Device;
use ort::session::SessionInputValue;
use std::borrow::Cow;
use std::time::Instant;

impl ModelSession {
    /// Run one window of at most `max_len` ids and hand its output, [rows, width] row-major, to `read`.
    ///
    /// # Errors
    /// `RunFailed` if the runtime fails, `ModelBad` for an output of another shape, and those of `read`.
    pub fn run<T>(
        &mut self,
        ids: &[i64],
        read: impl FnOnce(&[f32], usize) -> Result<T, EncodeError>,
    ) -> Result<T, EncodeError> {
        let n_tokens = ids.len();
        let mut buffers = std::mem::take(&mut self.buffers);
        let tensors = Tensors {
            ids,
            mask: &buffers.ones[..n_tokens],
            types: &buffers.zeros[..n_tokens],
            positions: &buffers.positions[..n_tokens],
            shape: Shape {
                rows: 1,
                len: n_tokens,
            },
        };
        let mut result = None;
        let mut read = Some(read);
        let done = self.execute(&tensors, &[n_tokens], |_, output| {
            let (values, width) = output.rows(&mut buffers.scattered);
            // One text, so one call.
            result = match read.take() {
                Some(read) => Some(read(values, width)?),
                None => None,
            };
            Ok(())
        });
        self.buffers = buffers;
        done?;
        result.ok_or_else(|| EncodeError::bad(self.kind, &self.name, "it gave no output"))
    }

    /// Run the graph over `tensors`. Hand the output of each text to `read`, of which `lengths` has the number of tokens.
    pub(super) fn execute(
        &mut self,
        tensors: &Tensors<'_>,
        lengths: &[usize],
        read: impl FnMut(usize, TextOutput<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let (kind, shape, device) = (self.kind, tensors.shape, self.device);
        let failed = |error: ort::Error| failure(kind, shape, device, message(&error));
        if self.is_batched() {
            self.provider.before_batch(kind, shape).map_err(failed)?;
        }
        let started = Instant::now();
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let tensor = input.tensor(tensors);
            let tensor = tensor.map_err(failed)?;
            inputs.push((Cow::Borrowed(&input.name), tensor));
        }
        let options = match self.release.take() {
            true => &self.releasing,
            false => &*self.options,
        };
        match self.shapes {
            Some(_) => failpoint!("encode::run", self.name),
            None => failpoint!("encode::text", self.name),
        };
        let outputs = self.session.run_with_options(inputs, options);
        let outputs = outputs.map_err(failed)?;
        self.cost.busy += failpoint::duration("encode::took", started.elapsed());
        self.cost.run_tokens += lengths.iter().sum::<usize>() as u64;
        self.cost.padded_tokens += shape.tokens() as u64;
        self.output
            .read_each(&outputs, lengths, read)
            .map_err(|error| error.of_model(kind, &self.name))
    }
}

/// Convert an error of the runtime.
fn failure(kind: EncoderKind, shape: Shape, device: Device, reason: String) -> EncodeError {
    let class = match device {
        Device::Cpu => None,
        Device::Cuda(_) => classify(&reason),
    };
    match class {
        Some(DeviceFailure::OutOfMemory) => EncodeError::OutOfMemory {
            kind,
            device,
            shape: shape.to_string(),
            reason,
        },
        Some(DeviceFailure::Lost) => EncodeError::DeviceLost {
            kind,
            device,
            reason,
        },
        Some(DeviceFailure::Crash) | None => EncodeError::RunFailed {
            kind,
            n_tokens: shape.len,
            reason,
        },
    }
}
