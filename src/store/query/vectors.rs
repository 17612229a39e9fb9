//! Sparse and dense search in one shard: dot products over stored vectors, exact.

use super::rank::{Best, Scored, Wanted};
use crate::vector::{DenseVector, SparseVector};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::HashMap;

/// Return the best hot chunks by the sum over shared terms of the products of the weights.
pub fn sparse(
    connection: &Connection,
    query: &SparseVector,
    wanted: &Wanted<'_>,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let mut totals: HashMap<String, f64> = HashMap::new();
    let mut postings =
        connection.prepare_cached("SELECT gene_id, weight FROM splade_terms WHERE term = ?1")?;
    for term in &query.0 {
        let mut rows = postings.query([&term.term])?;
        while let Some(row) = rows.next()? {
            let gene_id = row.get_ref(0)?.as_str()?;
            let gain = term.weight() * row.get::<_, f64>(1)?;
            match totals.get_mut(gene_id) {
                Some(total) => *total += gain,
                None => {
                    totals.insert(gene_id.to_string(), gain);
                }
            }
        }
    }
    let mut ordered: Vec<(String, f64)> = totals.into_iter().collect();
    ordered.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    hot(connection, ordered, wanted)
}

/// Return the best hot chunks by dot product, which is the cosine since both sides have unit
/// length. Reads every vector of the shard, one at a time; those of another length are passed over,
/// as servers pass them over.
pub fn dense(
    connection: &Connection,
    query: &DenseVector,
    wanted: &Wanted<'_>,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT gene_id, embedding_dense_v2 FROM genes
         WHERE embedding_dense_v2 IS NOT NULL AND chromatin < 2",
    )?;
    let mut best = Best::new(wanted.depth);
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(1)?.as_blob()?;
        if bytes.len() != query.0.len() * 4 {
            continue;
        }
        let score = f64::from(dot(&query.0, bytes));
        if best.may_take(score) && wanted.allowed.has(row.get_ref(0)?.as_str()?) {
            best.offer(Scored {
                gene_id: row.get(0)?,
                score,
                shard: wanted.shard,
            });
        }
    }
    Ok(best.into_sorted())
}

/// Dot product with little-endian f32 bytes. Eight partial sums, so that the compiler may use
/// vector instructions; the order of the additions is fixed, and so is the result.
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

fn hot(
    connection: &Connection,
    ordered: Vec<(String, f64)>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Scored>, rusqlite::Error> {
    let mut is_hot =
        connection.prepare_cached("SELECT 1 FROM genes WHERE gene_id = ?1 AND chromatin < 2")?;
    let mut found = Vec::new();
    for (gene_id, score) in ordered {
        if found.len() == wanted.depth {
            break;
        }
        if !wanted.allowed.has(&gene_id) {
            continue;
        }
        let hot: Option<i64> = is_hot.query_row([&gene_id], |row| row.get(0)).optional()?;
        if hot.is_some() {
            found.push(Scored {
                gene_id,
                score,
                shard: wanted.shard,
            });
        }
    }
    Ok(found)
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
