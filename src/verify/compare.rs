//! Compares stored vectors with vectors made again, allowing for rounding.

use super::fault::{FaultKind, Faults, Finder};
use super::sample::{SampledChunk, TextVectors};
use crate::vector::{DenseVector, SparseVector};
use std::collections::{BTreeMap, BTreeSet};

/// How far a sparse weight may be off, in units of 1e-4, besides a hundredth of itself. Another kind
/// of processor, or another version of the runtime, adds up in another order: that moves a weight by
/// a few units. Another model moves it by thousands.
const SPARSE_UNITS: u32 = 100;

/// Least cosine of two dense vectors of one text. Rounding leaves more than 0.99999; the vectors of
/// another model are at 0.9 and below.
const LEAST_COSINE: f64 = 0.999;

/// Terms that the format keeps of a chunk at most: of a full vector, the lightest term may have
/// pushed out one as light.
const MOST_TERMS: usize = 128;

/// How vectors made again compare with the stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agreement {
    /// Bit for bit.
    Exact,
    /// Within what another processor or runtime rounds differently.
    Close,
    Different,
}

impl SampledChunk {
    /// Compare with the vectors `again`; what differs by more than rounding becomes faults, and with
    /// `is_exact` whatever differs.
    pub fn compare(&self, again: &TextVectors, is_exact: bool, faults: &mut Faults) -> Agreement {
        let mut finder = Finder {
            shard: &self.shard,
            faults,
        };
        let mut worst = Agreement::Exact;
        for (table, agreement, what) in self.differences(again) {
            worst = worst.max(agreement);
            if agreement == Agreement::Different || is_exact {
                let what = format!("encoding the text again gives {what}");
                finder.fault(FaultKind::Reencoded, table, &self.chunk_id, what);
            }
        }
        worst
    }

    fn differences(&self, again: &TextVectors) -> Vec<(&'static str, Agreement, String)> {
        let mut found = Vec::new();
        if let (Some((stored, stored_words)), Some((again, words))) =
            (&self.stored.sparse, &again.sparse)
        {
            match sparse_difference(stored, again) {
                Some((agreement, what)) => found.push(("splade_terms", agreement, what)),
                None if stored_words != words => {
                    let what =
                        format!("other routing words: stored {stored_words:?}, now {words:?}");
                    found.push(("build_routes", Agreement::Different, what));
                }
                None => {}
            }
        }
        if let (Some(stored), Some(again)) = (&self.stored.dense, &again.dense)
            && let Some((agreement, what)) = dense_difference(stored.as_ref(), again.as_ref())
        {
            found.push(("genes", agreement, what));
        }
        found
    }
}

fn sparse_difference(stored: &SparseVector, again: &SparseVector) -> Option<(Agreement, String)> {
    if stored == again {
        return None;
    }
    let weights = |vector: &SparseVector| -> BTreeMap<String, u32> {
        let terms = vector.0.iter();
        terms.map(|t| (t.term.clone(), t.weight_e4)).collect()
    };
    let (ours, theirs) = (weights(stored), weights(again));
    // What a term that is missing on one side may have weighed there.
    let least = |vector: &SparseVector| match vector.0.last() {
        Some(last) if vector.0.len() >= MOST_TERMS => last.weight_e4,
        _ => 0,
    };
    let (our_least, their_least) = (least(stored), least(again));
    let terms: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let off = |term: &&String| {
        let (a, b) = (ours.get(*term), theirs.get(*term));
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (*a, *b),
            (Some(a), None) => (*a, their_least.min(*a)),
            (None, Some(b)) => (our_least.min(*b), *b),
            (None, None) => (0, 0),
        };
        a.abs_diff(b) > SPARSE_UNITS + a.max(b) / 100
    };
    let differ: Vec<&String> = terms.into_iter().filter(off).collect();
    let Some(first) = differ.first() else {
        let what = "the same terms within rounding, but not bit for bit".to_owned();
        return Some((Agreement::Close, what));
    };
    let shown = |weight: Option<&u32>| weight.map_or(0.0, |w| f64::from(*w) / 1e4);
    let what = format!(
        "another sparse vector: {} terms differ, the first is {first}, stored {}, now {}",
        differ.len(),
        shown(ours.get(*first)),
        shown(theirs.get(*first))
    );
    Some((Agreement::Different, what))
}

fn dense_difference(
    stored: Option<&DenseVector>,
    again: Option<&DenseVector>,
) -> Option<(Agreement, String)> {
    let (stored, again) = match (stored, again) {
        (None, None) => return None,
        (Some(stored), Some(again)) if stored.to_le_bytes() == again.to_le_bytes() => return None,
        (Some(stored), Some(again)) => (&stored.0, &again.0),
        (stored, _) => {
            let what = if stored.is_some() { "none" } else { "one" };
            let what = format!("{what} for the dense vector, unlike the index");
            return Some((Agreement::Different, what));
        }
    };
    if stored.len() != again.len() {
        let what = format!(
            "a dense vector of {} numbers, stored are {}",
            again.len(),
            stored.len()
        );
        return Some((Agreement::Different, what));
    }
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    let cosine = dot(stored, again) / (dot(stored, stored) * dot(again, again)).sqrt();
    // Not a number is near nothing.
    let agreement = match cosine >= LEAST_COSINE {
        true => Agreement::Close,
        false => Agreement::Different,
    };
    Some((
        agreement,
        format!("a dense vector at cosine {cosine:.6} to the stored one"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::SparseTerm;

    fn sparse(terms: &[(&str, u32)]) -> SparseVector {
        let term = |(term, weight_e4): &(&str, u32)| SparseTerm {
            term: (*term).to_owned(),
            weight_e4: *weight_e4,
        };
        SparseVector(terms.iter().map(term).collect())
    }

    #[test]
    fn sparse_vectors_agree_exactly_closely_or_not() {
        let stored = sparse(&[("a", 30_000), ("b", 20_000)]);
        let kind = |again: &[(&str, u32)]| sparse_difference(&stored, &sparse(again)).map(|d| d.0);
        assert_eq!(kind(&[("a", 30_000), ("b", 20_000)]), None);
        assert_eq!(
            kind(&[("a", 30_001), ("b", 20_000)]),
            Some(Agreement::Close)
        );
        assert_eq!(
            kind(&[("b", 20_000), ("a", 30_000)]),
            Some(Agreement::Close)
        );
        assert_eq!(
            kind(&[("a", 30_000), ("b", 20_000), ("c", 90)]),
            Some(Agreement::Close)
        );
        assert_eq!(
            kind(&[("a", 30_000), ("b", 21_000)]),
            Some(Agreement::Different)
        );
        assert_eq!(kind(&[("a", 30_000)]), Some(Agreement::Different));
        assert_eq!(
            kind(&[("a", 30_000), ("x", 20_000)]),
            Some(Agreement::Different)
        );
    }

    #[test]
    fn the_lightest_terms_of_full_vectors_may_differ() {
        let names: Vec<String> = (0..MOST_TERMS + 1).map(|n| format!("t{n}")).collect();
        let all: Vec<_> = names.iter().map(|name| (name.as_str(), 20_000)).collect();
        let found = sparse_difference(&sparse(&all[1..]), &sparse(&all[..MOST_TERMS]));
        assert_eq!(found.map(|d| d.0), Some(Agreement::Close));
    }

    #[test]
    fn dense_vectors_agree_exactly_closely_or_not() {
        let vector = |values: &[f32]| DenseVector(values.to_vec());
        let stored = vector(&[0.6, 0.8]);
        let kind =
            |again: Option<&DenseVector>| dense_difference(Some(&stored), again).map(|d| d.0);
        assert_eq!(kind(Some(&stored)), None);
        assert_eq!(
            kind(Some(&vector(&[0.600_001, 0.8]))),
            Some(Agreement::Close)
        );
        assert_eq!(kind(Some(&vector(&[0.8, 0.6]))), Some(Agreement::Different));
        assert_eq!(
            kind(Some(&vector(&[f32::NAN, 0.6]))),
            Some(Agreement::Different)
        );
        assert_eq!(kind(Some(&vector(&[1.0]))), Some(Agreement::Different));
        assert_eq!(kind(None), Some(Agreement::Different));
        assert!(dense_difference(None, None).is_none());
    }
}
