//! Texts that both models encode, to compare their vectors.

use crate::encode::encoders::Encoders;
use crate::encode::error::EncodeError;
use crate::encode::raw::Encoded;
use crate::encode::similarity::similarity;
use crate::profile::encoders::EncoderChoice;

const SAMPLES: [&str; 6] = [
    "The quick brown fox jumps over the lazy dog, twice a day.",
    "fn main() { println!(\"{}\", 6 * 7); }",
    "How are files cut into chunks, and what happens to those that cannot be read?",
    "SELECT name, count(*) FROM orders JOIN customers USING (id) GROUP BY name HAVING count(*) > 3;",
    "Copyright notice: redistribution in source and binary forms, with or without modification, is permitted.",
    "word",
];

/// A text for which the two models have different terms.
#[derive(Debug, thiserror::Error)]
#[error(
    "the folded graph gives other terms for {text:?} ({term} {weight:.4}); nothing was written"
)]
pub(super) struct Disagreement {
    text: &'static str,
    term: String,
    weight: f64,
}

/// Encode all samples with one model.
pub(super) fn encode(choice: &EncoderChoice) -> Result<Vec<Encoded>, EncodeError> {
    let mut encoders = Encoders::open(choice)?;
    SAMPLES
        .iter()
        .map(|text| encoders.encode_text(text))
        .collect()
}

/// Return the lowest cosine of the two vectors of a text; 1 if all are equal.
pub(super) fn lowest_similarity(expected: &[Encoded], found: &[Encoded]) -> f64 {
    expected
        .iter()
        .zip(found)
        // Two vectors without a term have no cosine, but are equal.
        .filter(|(one, other)| one.sparse != other.sparse || one.dense != other.dense)
        .map(|(one, other)| similarity(one, other))
        .fold(1.0, f64::min)
}

/// Check that the terms are equal, and the weights to one unit of the last digit: another kernel may add in another order.
pub(super) fn agree(expected: &[Encoded], found: &[Encoded]) -> Result<(), Disagreement> {
    for ((expected, found), text) in expected.iter().zip(found).zip(SAMPLES) {
        let (expected, found) = (terms(expected), terms(found));
        let lightest = expected.iter().map(|(_, weight)| *weight).min();
        let lightest = lightest.unwrap_or(0);
        let missing = missing_term(&expected, &found, lightest);
        if let Some((term, weight)) = missing.or_else(|| missing_term(&found, &expected, lightest))
        {
            return Err(Disagreement {
                text,
                term: term.clone(),
                weight: f64::from(*weight) / 1e4,
            });
        }
    }
    Ok(())
}

/// The terms of a sparse vector with their weights in units of 1e-4, sorted by term.
type Terms = Vec<(String, u32)>;

fn terms(encoded: &Encoded) -> Terms {
    let terms = encoded.sparse.clone().unwrap_or_default().0;
    let mut terms: Vec<_> = terms.into_iter().map(|t| (t.term, t.weight_e4)).collect();
    terms.sort();
    terms
}

/// Return the first of `these` terms that `those` lack or weight differently. A term as light as the `lightest` may have
/// changed places with one that is not among the heaviest.
fn missing_term<'t>(these: &'t Terms, those: &Terms, lightest: u32) -> Option<&'t (String, u32)> {
    these.iter().find(|(term, weight)| {
        let other = those.iter().find(|(other, _)| other == term);
        let other = other.map_or(lightest, |(_, other)| *other);
        weight.abs_diff(other) > 1
    })
}
