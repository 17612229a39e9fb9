//! Batches of fixed shapes, which keep a device busy.
//!
//! [`crate::encode::batch`] chooses the windows of each batch. This module lays them out, runs them, and halves the batches
//! that do not fit the device's memory.

use super::inputs::{InputRole, Tensors};
use super::{BatchEvent, ModelSession};
use crate::batch::{Batch, EncoderKind};
use crate::encode::batch::{BatchPlan, Bounds, OutputBytes, Shape, Shapes, is_limited_by_output};
use crate::encode::error::EncodeError;
use crate::encode::model::Pooling;
use crate::encode::output::TextOutput;

/// Takes a window's position and its output.
pub(in crate::encode) type ReadOutput<'a> =
    dyn FnMut(usize, TextOutput<'_>) -> Result<(), EncodeError> + 'a;

impl ModelSession {
    /// Fix the shapes of batches, and run the largest to find out before any work whether it fits the memory.
    pub(super) fn fix_shapes(
        &mut self,
        max_len: usize,
        max_rows: usize,
    ) -> Result<(), EncodeError> {
        let row_bytes = self.width * size_of::<f32>();
        let bounds = Bounds {
            max_len,
            max_rows,
            output: match self.output.pooling {
                Pooling::None => OutputBytes::PerRow(row_bytes),
                Pooling::Splade
                | Pooling::SpladeLog1p
                | Pooling::Cls
                | Pooling::Last
                | Pooling::Mean => OutputBytes::PerToken(row_bytes),
            },
        };
        if is_limited_by_output(&bounds) && self.kind == EncoderKind::Sparse {
            tracing::warn!(
                "{}: its output for every token keeps batches small; \
                 a graph that pools is faster on a device (helix-build models prepare)",
                self.name
            );
        }
        let shapes = Shapes::new(bounds);
        self.buffers.zeros = vec![0; shapes.largest().tokens().max(max_len)];
        let longest = vec![self.pad; shapes.largest().len];
        self.shapes = Some(shapes);
        self.run_many(&[&longest], &mut |_, _| Ok(()), &|_| ())
    }

    /// Run windows of at most `max_len` ids in batches. Hand each window's position and output to `read`, in any order; the
    /// rows are those of its tokens without padding. Call `observe` before and after each batch. Halve batches that do not
    /// fit the device's memory, for the rest of the session.
    ///
    /// # Errors
    /// As [`Self::run`]; `OutOfMemory` if a single row does not fit; `DeviceLost`, after which the session is useless.
    pub fn run_many(
        &mut self,
        windows: &[&[i64]],
        read: &mut ReadOutput<'_>,
        observe: &dyn Fn(BatchEvent),
    ) -> Result<(), EncodeError> {
        let sized = |position: usize| (position, windows[position].len());
        let plan = |shapes: &Option<Shapes>, left: Vec<usize>| match shapes {
            Some(shapes) => shapes.plan(left.into_iter().map(sized)),
            None => Vec::new(),
        };
        let mut batches = plan(&self.shapes, (0..windows.len()).collect());
        // The longest first: a batch that does not fit shows at once.
        while let Some(batch) = batches.pop() {
            let n_slots = batch.shape.tokens() as u64;
            let kind = self.kind;
            observe(BatchEvent::Begun {
                encoder: kind,
                n_slots,
            });
            let before = self.cost.busy;
            match self.run_batch(&batch, windows, read) {
                Err(EncodeError::OutOfMemory { .. }) if self.halve(batch.shape) => {
                    batches.push(batch);
                    let left = batches.into_iter().flat_map(|batch| batch.windows);
                    batches = plan(&self.shapes, left.collect());
                    continue;
                }
                done => done?,
            }
            let n_tokens: usize = batch.windows.iter().map(|w| windows[*w].len()).sum();
            observe(BatchEvent::Done(Batch {
                encoder: kind,
                n_tokens: n_tokens as u64,
                n_slots,
                n_windows: batch.windows.len() as u64,
                duration: self.cost.busy - before,
            }));
        }
        Ok(())
    }

    /// Halve the batches of this length. `false` if they have one row.
    fn halve(&mut self, shape: Shape) -> bool {
        let halved = self.shapes.as_mut().is_some_and(|s| s.halve(shape.len));
        if halved {
            tracing::warn!(
                "{}: no device memory for {shape} tokens in one run; batches of this length are halved",
                self.name
            );
            self.release.is_due = true;
        }
        halved
    }

    /// Run one batch. Rows without a window hold one token.
    fn run_batch(
        &mut self,
        batch: &BatchPlan,
        windows: &[&[i64]],
        read: &mut ReadOutput<'_>,
    ) -> Result<(), EncodeError> {
        let Shape { rows, len } = batch.shape;
        let mut buffers = std::mem::take(&mut self.buffers);
        let (ids, mask) = (&mut buffers.ids, &mut buffers.mask);
        ids.clear();
        ids.resize(rows * len, self.pad);
        mask.clear();
        mask.resize(rows * len, 0);
        for row in 0..rows {
            let start = row * len;
            let window = batch.windows.get(row).map(|window| windows[*window]);
            if let Some(window) = window {
                ids[start..start + window.len()].copy_from_slice(window);
            }
            // Attention over no token at all gives NaN.
            let n_tokens = window.map_or(1, <[i64]>::len);
            mask[start..start + n_tokens].fill(1);
        }
        let mut roles = self.inputs.iter().map(|input| input.role);
        let positions: Vec<i64> = match roles.any(|role| role == InputRole::Positions) {
            true => (0..rows).flat_map(|_| 0..len as i64).collect(),
            false => Vec::new(),
        };
        let lengths: Vec<usize> = batch.windows.iter().map(|w| windows[*w].len()).collect();
        let tensors = Tensors {
            ids: &buffers.ids,
            mask: &buffers.mask,
            types: &buffers.zeros[..rows * len],
            positions: &positions,
            shape: batch.shape,
        };
        let done = self.execute(&tensors, &lengths, |row, output| {
            read(batch.windows[row], output)
        });
        self.buffers = buffers;
        done
    }
}
