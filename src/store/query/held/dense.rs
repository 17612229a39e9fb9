//! Dense search in one shard: dot products over all stored vectors, exact.

use super::chunks::{Chunks, Cursor};
use super::top::{Position, Top};
use crate::vector::DenseVector;
use rayon::prelude::*;
use rusqlite::Connection;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Vectors that one task of a thread pool takes: some 8 MB of the built-in encoder's in 8 bits.
const VECTORS_A_TASK: usize = 32_768;

/// The dense vectors of the hot chunks of a shard.
pub struct Matrix {
    /// Bytes of a vector.
    width: usize,
    positions: Vec<Position>,
    /// Little-endian f32 as the database has them, row-major: [positions.len(), width / 4].
    bytes: Vec<u8>,
    /// The same in 8 bits, of which all are read; of `bytes`, only those of chunks that may be among the best.
    coarse: Vec<Coarse>,
    /// Row-major as `bytes`, in units of [`Coarse::unit`].
    units: Vec<i8>,
}

/// In the order of the table: by their index, each row would be looked for by itself.
const VECTORS: &str = "SELECT rowid, embedding_dense_v2 FROM genes NOT INDEXED
     WHERE rowid BETWEEN ?1 AND ?2 AND embedding_dense_v2 IS NOT NULL AND chromatin < 2";

const ALL_ROWS: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Call `each` with every vector of `width` bytes in `wanted` rows. Vectors of another length are passed over, as servers
/// pass them over.
fn for_each(
    connection: &Connection,
    chunks: &Chunks,
    wanted: &RangeInclusive<i64>,
    width: usize,
    mut each: impl FnMut(Position, &[u8]),
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare_cached(VECTORS)?;
    let mut rows = statement.query([wanted.start(), wanted.end()])?;
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

/// A search without holding the vectors. Several readers may share it, each with its own connection: whoever is free takes
/// the next rows.
#[derive(Default)]
pub struct Shares {
    n_taken: AtomicUsize,
}

impl Shares {
    /// Few enough that a look-up of the first row costs nothing, many enough that readers end together.
    const COUNT: usize = 16;

    /// Return the best of the rows that no other reader takes. `is_wanted` is asked for those that score well enough.
    pub fn search(
        &self,
        connection: &Connection,
        chunks: &Chunks,
        query: &DenseVector,
        depth: usize,
        is_wanted: impl Fn(Position) -> bool,
    ) -> Result<Vec<(f64, Position)>, rusqlite::Error> {
        let width = query.0.len() * size_of::<f32>();
        let mut top = Top::new(depth);
        loop {
            let share = self.n_taken.fetch_add(1, Ordering::Relaxed);
            if share >= Self::COUNT {
                return Ok(top.into_sorted());
            }
            let rows = chunks.rows_of_share(share, Self::COUNT);
            for_each(connection, chunks, &rows, width, |position, bytes| {
                let score = f64::from(dot(&query.0, bytes));
                if top.may_take(score, position) && is_wanted(position) {
                    top.offer(score, position);
                }
            })?;
        }
    }
}

impl Matrix {
    /// Return the bytes that the vectors of `width` bytes of all these chunks may take.
    pub fn most_bytes(chunks: &Chunks, width: usize) -> usize {
        chunks.len() * (width + width / 4 + size_of::<Coarse>() + size_of::<Position>())
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
            coarse: Vec::with_capacity(chunks.len()),
            units: Vec::with_capacity(chunks.len() * width / 4),
        };
        for_each(connection, chunks, &ALL_ROWS, width, |position, bytes| {
            matrix.positions.push(position);
            matrix.bytes.extend_from_slice(bytes);
            matrix.coarse.push(Coarse::push(&mut matrix.units, bytes));
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
        let coarse_query = CoarseQuery::of(&query.0);
        let in_block = |first: usize| {
            let mut top = Top::new(depth);
            let last = self.positions.len().min(first + VECTORS_A_TASK);
            for row in first..last {
                let position = self.positions[row];
                let most = coarse_query.most(&self.coarse[row], self.units_of(row));
                if !top.may_take(most, position) {
                    continue;
                }
                let score = f64::from(dot(&query.0, self.bytes_of(row)));
                if top.may_take(score, position) && is_wanted(position) {
                    top.offer(score, position);
                }
            }
            top.into_sorted()
        };
        let n_tasks = self.positions.len().div_ceil(VECTORS_A_TASK);
        if n_tasks <= 1 {
            return in_block(0);
        }
        let firsts = (0..n_tasks).map(|task| task * VECTORS_A_TASK);
        let best: Vec<Vec<(f64, Position)>> = match rayon::current_thread_index() {
            Some(_) => firsts
                .collect::<Vec<_>>()
                .into_par_iter()
                .map(in_block)
                .collect(),
            None => firsts.map(in_block).collect(),
        };
        let mut top = Top::new(depth);
        for (score, position) in best.into_iter().flatten() {
            if top.may_take(score, position) {
                top.offer(score, position);
            }
        }
        top.into_sorted()
    }

    fn bytes_of(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.width..(row + 1) * self.width]
    }

    fn units_of(&self, row: usize) -> &[i8] {
        let dims = self.width / 4;
        &self.units[row * dims..(row + 1) * dims]
    }
}

/// What a vector in 8 bits leaves out.
struct Coarse {
    /// The vector is about its units times this.
    unit: f32,
    /// Euclidean length of the difference.
    error: f32,
    /// Euclidean length of the vector.
    length: f32,
}

impl Coarse {
    /// Add the units of a vector (little-endian f32) to `units`.
    fn push(units: &mut Vec<i8>, bytes: &[u8]) -> Self {
        let values = || bytes.chunks_exact(4).map(value);
        let most = values().fold(0.0f32, |most, v| most.max(v.abs()));
        let unit = most / f32::from(i8::MAX);
        let (mut error, mut length) = (0.0f64, 0.0f64);
        for v in values() {
            // Rounds half away from zero, without a call; `as` saturates, and makes 0 of NaN.
            let n = (v / unit + 0.5f32.copysign(v)) as i8;
            units.push(n);
            error += (f64::from(v) - f64::from(unit) * f64::from(n)).powi(2);
            length += f64::from(v).powi(2);
        }
        // Rounded up: the bound must hold.
        let up = |square: f64| (square.sqrt() * (1.0 + 1e-6)) as f32;
        Self {
            unit,
            error: up(error),
            length: up(length),
        }
    }
}

/// A query in 16 bits, to bound its dot products.
struct CoarseQuery {
    units: Vec<i16>,
    /// The query is about its units times this.
    unit: f64,
    /// Euclidean length of the units times `unit`.
    length: f64,
    /// What a vector of length 1 may differ by: the difference of the units, and rounding in [`dot`].
    error: f64,
}

impl CoarseQuery {
    fn of(query: &[f32]) -> Self {
        let values = || query.iter().map(|v| f64::from(*v));
        let most = values().fold(0.0, |most: f64, v| most.max(v.abs()));
        let sum: f64 = values().map(f64::abs).sum();
        let n = query.len() as f64;
        // No sum of products with 8 bits may exceed 31 bits. Each of n units is rounded by half at most.
        let largest_sum = f64::from(i32::MAX) / f64::from(i8::MAX) - n;
        let unit = (most / f64::from(i16::MAX)).max(sum / largest_sum);
        let units: Vec<i16> = values().map(|v| (v / unit).round() as i16).collect();
        let rounded = || units.iter().map(|n| f64::from(*n) * unit);
        let length = |square: f64| square.sqrt() * (1.0 + 1e-6);
        let error = values().zip(rounded()).map(|(v, r)| (v - r).powi(2)).sum();
        let rounding = n * f64::from(f32::EPSILON) * length(values().map(|v| v * v).sum());
        Self {
            unit,
            length: length(rounded().map(|v| v * v).sum()),
            error: length(error) + rounding,
            units,
        }
    }

    /// Return a number that [`dot`] with the vector does not exceed.
    fn most(&self, coarse: &Coarse, units: &[i8]) -> f64 {
        let products = self.units.iter().zip(units);
        let sum: i32 = products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        let about = f64::from(sum) * self.unit * f64::from(coarse.unit);
        let length = f64::from(coarse.length);
        let error = self.length * f64::from(coarse.error) + self.error * length;
        // Nothing is known of numbers that are not finite, and of sums that may become so.
        match self.length * length < f64::from(f32::MAX) {
            true => about + error + f64::from(f32::MIN_POSITIVE),
            false => f64::INFINITY,
        }
    }
}

fn value(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Dot product with little-endian f32 bytes, which is the cosine since both sides have unit length. Eight partial sums, so
/// that the compiler uses vector instructions; the order of the additions is fixed, and so is the result.
fn dot(query: &[f32], bytes: &[u8]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0f32; LANES];
    let whole = query.len() / LANES * LANES;
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

        #[test]
        fn no_product_exceeds_its_bound(pairs in proptest::collection::vec((number(), number()), 0..70)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let bytes = DenseVector(b).to_le_bytes();
            let mut units = Vec::new();
            let coarse = Coarse::push(&mut units, &bytes);
            let most = CoarseQuery::of(&a).most(&coarse, &units);
            let product = f64::from(dot(&a, &bytes));
            prop_assert!(product.is_nan() || product <= most, "{product} {most}");
        }

        #[test]
        fn the_best_are_those_of_all_products(
            query in proptest::collection::vec(-1f32..1.0, 9),
            vectors in proptest::collection::vec(proptest::collection::vec(-2i8..3, 9), 0..60),
            depth in 0usize..9,
        ) {
            let vectors: Vec<Vec<u8>> = vectors
                .into_iter()
                .map(|v| DenseVector(v.into_iter().map(f32::from).collect()).to_le_bytes())
                .collect();
            let matrix = matrix(&vectors);
            let is_wanted = |position: Position| !position.is_multiple_of(3);
            let score = |position: Position| f64::from(dot(&query, &vectors[position as usize]));
            let positions = (0..vectors.len() as Position).filter(|position| is_wanted(*position));
            let mut all: Vec<(f64, Position)> = positions.map(|p| (score(p), p)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(depth);
            prop_assert_eq!(matrix.search(&DenseVector(query.clone()), depth, is_wanted), all);
        }
    }

    /// Some far from 1, and some that are not numbers.
    fn number() -> impl Strategy<Value = f32> {
        let odd = prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)];
        prop_oneof![
            60 => -1f32..1.0,
            10 => Just(0.0),
            10 => Just(1.0),
            10 => -1e30f32..1e30,
            10 => -1e-40f32..1e-40,
            1 => odd,
        ]
    }

    fn matrix(vectors: &[Vec<u8>]) -> Matrix {
        let mut units = Vec::new();
        Matrix {
            width: 36,
            positions: (0..vectors.len() as Position).collect(),
            bytes: vectors.concat(),
            coarse: vectors
                .iter()
                .map(|v| Coarse::push(&mut units, v))
                .collect(),
            units,
        }
    }

    #[test]
    fn several_blocks_give_what_one_gives() {
        let value = |at: usize| ((at * 7_919) % 10_007) as f32 / 10_007.0;
        let n = VECTORS_A_TASK * 2 + 5;
        let vectors: Vec<Vec<u8>> = (0..n)
            .map(|at| DenseVector((0..9).map(|d| value(at + d * 31)).collect()).to_le_bytes())
            .collect();
        let query = DenseVector((0..9).map(|d| value(d * 17) - 0.5).collect());
        let mut all: Vec<(f64, Position)> = (0..)
            .zip(&vectors)
            .map(|(at, v)| (f64::from(dot(&query.0, v)), at))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        all.truncate(50);
        let matrix = matrix(&vectors);
        assert_eq!(matrix.search(&query, 50, |_| true), all);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(2)
            .build()
            .expect("a pool");
        assert_eq!(pool.install(|| matrix.search(&query, 50, |_| true)), all);
    }

    #[test]
    fn a_long_query_does_not_overflow() {
        let ones = vec![1.0f32; 4_096];
        let bytes = DenseVector(ones.clone()).to_le_bytes();
        let mut units = Vec::new();
        let coarse = Coarse::push(&mut units, &bytes);
        let most = CoarseQuery::of(&ones).most(&coarse, &units);
        assert!((4_096.0..4_100.0).contains(&most), "{most}");
    }
}
