//! Dense search in one shard: dot products over all stored vectors, exact.

use super::chunks::{Chunks, Cursor};
use super::top::{Position, Top};
use crate::vector::DenseVector;
use rayon::prelude::*;
use rusqlite::Connection;

/// Vectors that one task of a thread pool takes: some 8 MB of the built-in encoder's.
const VECTORS_A_TASK: usize = 8_192;

/// The dense vectors of the hot chunks of a shard.
pub struct Matrix {
    /// Bytes of a vector.
    width: usize,
    positions: Vec<Position>,
    /// Little-endian f32 as the database has them, row-major: [positions.len(), width / 4].
    bytes: Vec<u8>,
}

/// In the order of the table: by their index, each row would be looked for by itself.
const VECTORS: &str = "SELECT rowid, embedding_dense_v2 FROM genes NOT INDEXED
     WHERE embedding_dense_v2 IS NOT NULL AND chromatin < 2";

/// Call `each` with every vector of `width` bytes. Vectors of another length are passed over, as servers pass them over.
fn for_each(
    connection: &Connection,
    chunks: &Chunks,
    width: usize,
    mut each: impl FnMut(Position, &[u8]),
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare_cached(VECTORS)?;
    let mut rows = statement.query([])?;
    let mut cursor = Cursor::default();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob()?;
        let position = chunks.position_of_row(row.get(0)?, &mut cursor);
        if let Some(position) = position {
            chunks.note_hot(position);
            if bytes.len() == width {
                each(position, bytes);
            }
        }
    }
    Ok(())
}

/// Search without holding the vectors. `is_wanted` is asked for those that score well enough.
pub fn streamed(
    connection: &Connection,
    chunks: &Chunks,
    query: &DenseVector,
    depth: usize,
    is_wanted: impl Fn(Position) -> bool,
) -> Result<Vec<(f64, Position)>, rusqlite::Error> {
    let mut top = Top::new(depth);
    for_each(connection, chunks, query.0.len() * 4, |position, bytes| {
        let score = f64::from(dot(&query.0, bytes));
        if top.may_take(score, position) && is_wanted(position) {
            top.offer(score, position);
        }
    })?;
    Ok(top.into_sorted())
}

impl Matrix {
    /// Return the bytes that the vectors of `width` bytes of all these chunks may take.
    pub fn most_bytes(chunks: &Chunks, width: usize) -> usize {
        chunks.len() * (width + size_of::<Position>())
    }

    /// Read all vectors of `width` bytes.
    pub fn read(
        connection: &Connection,
        chunks: &Chunks,
        width: usize,
    ) -> Result<Self, rusqlite::Error> {
        let mut matrix = Self {
            width,
            positions: Vec::with_capacity(chunks.len()),
            bytes: Vec::with_capacity(chunks.len() * width),
        };
        for_each(connection, chunks, width, |position, bytes| {
            matrix.positions.push(position);
            matrix.bytes.extend_from_slice(bytes);
        })?;
        Ok(matrix)
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Search, on all threads of the pool that the caller is in. The blocks' best are merged by a total order, so that the
    /// number of threads changes nothing.
    pub fn search(
        &self,
        query: &DenseVector,
        depth: usize,
        is_wanted: impl Fn(Position) -> bool + Sync,
    ) -> Vec<(f64, Position)> {
        let in_block = |(positions, bytes): (&[Position], &[u8])| {
            let mut top = Top::new(depth);
            for (position, bytes) in positions.iter().zip(bytes.chunks_exact(self.width)) {
                let score = f64::from(dot(&query.0, bytes));
                if top.may_take(score, *position) && is_wanted(*position) {
                    top.offer(score, *position);
                }
            }
            top.into_sorted()
        };
        if rayon::current_thread_index().is_none() || self.positions.len() <= VECTORS_A_TASK {
            return in_block((&self.positions, &self.bytes));
        }
        let positions = self.positions.par_chunks(VECTORS_A_TASK);
        let bytes = self.bytes.par_chunks(VECTORS_A_TASK * self.width);
        let best: Vec<Vec<(f64, Position)>> = positions.zip(bytes).map(in_block).collect();
        let mut top = Top::new(depth);
        for (score, position) in best.into_iter().flatten() {
            if top.may_take(score, position) {
                top.offer(score, position);
            }
        }
        top.into_sorted()
    }
}

/// Dot product with little-endian f32 bytes, which is the cosine since both sides have unit length. Eight partial sums, so
/// that the compiler uses vector instructions; the order of the additions is fixed, and so is the result.
fn dot(query: &[f32], bytes: &[u8]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0f32; LANES];
    let whole = query.len() / LANES * LANES;
    let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let blocks = query[..whole].chunks_exact(LANES);
    for (q, b) in blocks.zip(bytes.chunks_exact(LANES * 4)) {
        for lane in 0..LANES {
            sums[lane] += q[lane] * value(&b[lane * 4..lane * 4 + 4]);
        }
    }
    let rest = query[whole..]
        .iter()
        .zip(bytes[whole * 4..].chunks_exact(4));
    sums.iter().sum::<f32>() + rest.map(|(q, b)| q * value(b)).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_product_is_that_of_plain_arithmetic(pairs in proptest::collection::vec((-1f32..1.0, -1f32..1.0), 0..70)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let plain: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            let bytes = DenseVector(b).to_le_bytes();
            prop_assert!((f64::from(dot(&a, &bytes)) - plain).abs() < 1e-4);
        }
    }
}
