//! Windows in batches of fixed shapes: how a device is kept busy.
//!
//! [`crate::encode::batch`] says which windows run together; here they are laid out, run, and halved when the
//! device has no memory for them.

use super::{BatchEvent, ModelSession, Read, Tensors};
use crate::batch::Batch;
use crate::batch::EncoderKind;
use crate::encode::batch::{BatchPlan, Bounds, OutputBytes, Shape, Shapes, output_decides};
use crate::encode::error::EncodeError;
use crate::encode::model::Pooling;

impl ModelSession {
    /// Fixes the shapes, and runs the largest so that memory which is short is found out before any work.
    pub(super) fn batch_up(&mut self, max_len: usize, max_rows: usize) -> Result<(), EncodeError> {
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
        if output_decides(&bounds) && self.kind == EncoderKind::Sparse {
            tracing::warn!(
                "{}: its output for every token keeps batches small; \
                 a graph that pools is faster on a device (helix-build models prepare)",
                self.name
            );
        }
        let shapes = Shapes::new(bounds);
        self.zeros = vec![0; shapes.largest().tokens().max(max_len)];
        let longest = vec![self.pad; shapes.largest().len];
        self.shapes = Some(shapes);
        self.run_many(&[&longest], &mut |_, _, _| Ok(()), &|_| ())
    }

    /// Runs windows of at most `max_len` ids in batches, and hands each one's position and output to `read`, in
    /// any order; the rows are those of the window's own tokens. `told` hears of each run before and after. A batch for which
    /// the device has no memory is halved, for good.
    ///
    /// # Errors
    /// As [`Self::run`]; `OutOfMemory` when there is none for a single row, and `DeviceLost`: after that one
    /// this session is of no use. What `read` says ends it as well.
    pub fn run_many(
        &mut self,
        windows: &[&[i64]],
        read: &mut Read<'_>,
        told: &dyn Fn(BatchEvent),
    ) -> Result<(), EncodeError> {
        let sized = |position: usize| (position, windows[position].len());
        let plan = |shapes: &Option<Shapes>, left: Vec<usize>| match shapes {
            Some(shapes) => shapes.plan(left.into_iter().map(sized)),
            None => Vec::new(),
        };
        let mut batches = plan(&self.shapes, (0..windows.len()).collect());
        // The longest first: what is too much shows at once.
        while let Some(batch) = batches.pop() {
            let n_slots = batch.shape.tokens() as u64;
            let kind = self.kind;
            told(BatchEvent::Begun {
                encoder: kind,
                n_slots,
            });
            let before = self.spent.busy;
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
            told(BatchEvent::Done(Batch {
                encoder: kind,
                n_tokens: n_tokens as u64,
                n_slots,
                n_windows: batch.windows.len() as u64,
                duration: self.spent.busy - before,
            }));
        }
        Ok(())
    }

    fn halve(&mut self, shape: Shape) -> bool {
        let halved = self.shapes.as_mut().is_some_and(|s| s.halve(shape.len));
        if halved {
            tracing::warn!(
                "{}: no device memory for {shape} tokens in one run; batches of this length are halved",
                self.name
            );
            self.release = true;
        }
        halved
    }

    /// Runs one batch; the rows left over hold one token each.
    fn run_batch(
        &mut self,
        batch: &BatchPlan,
        windows: &[&[i64]],
        read: &mut Read<'_>,
    ) -> Result<(), EncodeError> {
        let Shape { rows, len } = batch.shape;
        let (mut ids, mut mask) = (
            std::mem::take(&mut self.ids),
            std::mem::take(&mut self.mask),
        );
        let zeros = std::mem::take(&mut self.zeros);
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
            // Attention over nothing at all is not a number.
            let n_tokens = window.map_or(1, <[i64]>::len);
            mask[start..start + n_tokens].fill(1);
        }
        let positions: Vec<i64> = match self.asks_positions() {
            true => (0..rows).flat_map(|_| 0..len as i64).collect(),
            false => Vec::new(),
        };
        let lengths: Vec<usize> = batch.windows.iter().map(|w| windows[*w].len()).collect();
        let tensors = Tensors {
            ids: &ids,
            mask: &mask,
            types: &zeros[..rows * len],
            positions: &positions,
            shape: batch.shape,
        };
        let done = self.execute(&tensors, &lengths, |row, values, width| {
            read(batch.windows[row], values, width)
        });
        (self.ids, self.mask, self.zeros) = (ids, mask, zeros);
        done
    }
}
