//! Pools hidden states to a dense vector.
//!
//! Pure, and always in the same order of operations.

use super::model::Pooling;

/// Return the vector `[H]` of one window from `output`, which has rows of `width` = H numbers.
pub(super) fn pool(pooling: Pooling, output: &[f32], width: usize) -> Vec<f32> {
    match pooling {
        Pooling::Mean => mean(output, width),
        Pooling::Last => output[output.len().saturating_sub(width)..].to_vec(),
        // The graph's only row, or its first.
        Pooling::Cls | Pooling::None | Pooling::Splade | Pooling::SpladeLog1p => {
            output.iter().take(width).copied().collect()
        }
    }
}

/// Return the mean over all rows, special tokens included, as sentence-transformers does.
fn mean(output: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f32; width];
    for row in output.chunks_exact(width) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let n_rows = (output.len() / width) as f32;
    for sum in &mut sums {
        *sum /= n_rows;
    }
    sums
}

/// Add `weight` times the unit vector of `vector` to `sums`. A zero vector adds nothing.
pub(super) fn add_direction(sums: &mut [f32], vector: &[f32], weight: f32) {
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    if norm > 0.0 {
        for (sum, value) in sums.iter_mut().zip(vector) {
            *sum += value / norm * weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_one_vector() {
        let rows = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(pool(Pooling::Mean, &rows, 2), [2.0, 4.0]);
        assert_eq!(pool(Pooling::Cls, &rows, 2), [1.0, 2.0]);
        assert_eq!(pool(Pooling::Last, &rows, 2), rows[rows.len() - 2..]);
        assert_eq!(pool(Pooling::None, &rows[..2], 2), [1.0, 2.0]);
    }

    #[test]
    fn windows_count_by_their_tokens_not_their_length() {
        let mut sums = vec![0.0; 2];
        add_direction(&mut sums, &[3.0, 4.0], 10.0);
        add_direction(&mut sums, &[0.0, 500.0], 5.0);
        add_direction(&mut sums, &[0.0, 0.0], 7.0);
        assert_eq!(sums, [6.0, 13.0]);
    }
}
