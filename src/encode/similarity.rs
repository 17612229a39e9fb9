//! Cosine similarity of two encoded texts.

use super::raw::Encoded;

/// Return the cosine of two texts: of their sparse vectors if both have one, else of their dense vectors.
pub(super) fn similarity(one: &Encoded, other: &Encoded) -> f64 {
    let lengths = (dot(one, one) * dot(other, other)).sqrt();
    match lengths > 0.0 {
        true => dot(one, other) / lengths,
        false => 0.0,
    }
}

fn dot(a: &Encoded, b: &Encoded) -> f64 {
    sparse_dot(a, b).or_else(|| dense_dot(a, b)).unwrap_or(0.0)
}

fn sparse_dot(a: &Encoded, b: &Encoded) -> Option<f64> {
    let (a, b) = (&a.sparse.as_ref()?.0, &b.sparse.as_ref()?.0);
    let weight = |term: &str| b.iter().find(|t| t.term == term).map(|t| t.weight());
    let products = a.iter().filter_map(|t| Some(t.weight() * weight(&t.term)?));
    Some(products.sum())
}

fn dense_dot(a: &Encoded, b: &Encoded) -> Option<f64> {
    let (a, b) = (&a.dense.as_ref()?.0, &b.dense.as_ref()?.0);
    let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
    Some(products.sum())
}
