//! The dense encoder: the sum of the vectors of the distinct tokens, each by how often it stands in the window.

use super::counts::Counts;
use super::tensors::Tensors;
use super::vocabulary::VOCABULARY;
use half::f16;

/// Dimensions.
const DIM: usize = 256;
/// Bytes of a row: two dimensions each, the first half of them in the high 4 bits.
const ROW: usize = DIM / 2;
/// What 4 bits hold for 0.
const ZERO: f32 = 8.0;
/// The graph divides by no smaller norm.
const LEAST_NORM: f32 = 1e-9;

/// The tables of `helix-dense-mini.onnx`.
pub(in crate::encode) struct DenseTables {
    /// What one step of a row is worth (`[V]`, 16-bit floats).
    steps: &'static [u8],
    /// `[V, ROW]`.
    rows: &'static [u8],
    /// ln(1 + n) for each count that a window can have.
    logarithms: Vec<f32>,
    counts: Counts,
}

impl DenseTables {
    /// Find the tables in the file. `None` if it is another file. Windows have at most `max_len` ids.
    pub fn new(file: &'static [u8], max_len: usize) -> Option<Self> {
        let tensors = Tensors::of(file)?;
        let n = VOCABULARY.len();
        Some(Self {
            steps: tensors.bytes("row_scale", 2 * n)?,
            rows: tensors.bytes("table4", ROW * n)?,
            logarithms: (0..=max_len)
                .map(|n| libm::log1p(n as f64) as f32)
                .collect(),
            counts: Counts::new(n),
        })
    }

    /// Return the vector of one window, of unit length; zeros if none of its tokens has a vector. It differs from the
    /// graph's in the last bits, since the order of a matrix product is not fixed.
    pub fn window(&mut self, ids: &[i64]) -> Vec<f32> {
        let mut sums = vec![0.0_f32; DIM];
        let (high, low) = sums.split_at_mut(ROW);
        for (id, count) in self.counts.of(ids) {
            let id = usize::from(*id);
            let step = f16::from_le_bytes([self.steps[2 * id], self.steps[2 * id + 1]]).to_f32();
            if step == 0.0 {
                continue;
            }
            let last = self.logarithms.len() - 1;
            let factor = step * self.logarithms[usize::from(*count).min(last)];
            let row = &self.rows[ROW * id..ROW * (id + 1)];
            for ((high, low), byte) in high.iter_mut().zip(low.iter_mut()).zip(row) {
                *high += factor * (f32::from(byte >> 4) - ZERO);
                *low += factor * (f32::from(byte & 15) - ZERO);
            }
        }
        let squares: f32 = sums.iter().map(|v| v * v).sum();
        let norm = squares.sqrt().max(LEAST_NORM);
        for sum in &mut sums {
            *sum /= norm;
        }
        sums
    }
}
