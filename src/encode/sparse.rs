//! Selects the terms of a sparse vector from weights of the vocabulary. Pure.

use super::builtin::Vocabulary;
use super::tokenizer::Tokenizer;
use crate::vector::{SparseTerm, SparseVector};

/// Most terms of a chunk; the bound of the format.
pub(super) const DOCUMENT_TERMS: usize = 128;
/// The same of the built-in encoder. Against 128, hybrid search loses nothing and an index is a quarter smaller: see
/// docs/benchmarks.md, "Size of an index".
pub(super) const BUILT_IN_DOCUMENT_TERMS: usize = 48;
/// Most terms of a query. In the evaluation of the embedded model, 128 gave no better results.
pub(super) const QUERY_TERMS: usize = 32;

/// A sparse vector and the routing words of a text.
pub(super) type SparseText = (SparseVector, Vec<String>);

/// The terms of a vocabulary, and which of them may appear in a vector.
pub(super) enum Terms {
    /// Of a model's tokenizer.
    Read {
        terms: Vec<String>,
        kept: Vec<bool>,
    },
    BuiltIn(&'static Vocabulary),
}

impl Terms {
    /// Build the terms of a tokenizer. Vectors leave out special tokens, one-character tokens and tokens without a letter or
    /// digit.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let terms = tokenizer.vocabulary();
        let kept = tokenizer.meaningful(&terms);
        Self::Read { terms, kept }
    }

    /// Whether the id may be part of a vector.
    pub fn is_kept(&self, id: usize) -> bool {
        match self {
            Self::Read { kept, .. } => kept.get(id).is_some_and(|kept| *kept),
            Self::BuiltIn(vocabulary) => vocabulary.is_kept(id),
        }
    }

    fn term(&self, id: usize) -> &str {
        match self {
            Self::Read { terms, .. } => &terms[id],
            Self::BuiltIn(vocabulary) => vocabulary.term(id),
        }
    }

    /// Return the `limit` heaviest terms of `weights` (`[V]`) from [`splade`] or a pooling graph. Weights are rounded before
    /// they are compared, so that a difference below 1e-4 cannot reorder terms. Of terms of equal weight at the limit, those
    /// with the lowest ids are kept.
    pub fn select(&self, weights: &[f32], limit: usize) -> SparseVector {
        let mut keys: Vec<u64> = Vec::with_capacity(512);
        each_positive(weights, |id, weight| keys.extend(self.key(id, weight)));
        self.heaviest(keys, limit)
    }

    /// The same, where only the weights of `ids` are not 0.
    pub fn select_of(
        &self,
        weights: &[f32],
        ids: impl Iterator<Item = usize>,
        limit: usize,
    ) -> SparseVector {
        let keys = ids.filter_map(|id| self.key(id, weights[id])).collect();
        self.heaviest(keys, limit)
    }

    /// Return a number that sorts by weight, heaviest first, then by id. `None` for what a vector leaves out.
    fn key(&self, id: usize, weight: f32) -> Option<u64> {
        let units = units(weight);
        let is_term = units > 0 && self.is_kept(id);
        is_term.then_some(u64::from(u32::MAX - units) << 32 | id as u64)
    }

    fn heaviest(&self, mut keys: Vec<u64>, limit: usize) -> SparseVector {
        if keys.len() > limit {
            keys.select_nth_unstable(limit);
            keys.truncate(limit);
        }
        let term = |key: u64| SparseTerm {
            term: self.term((key & u64::from(u32::MAX)) as usize).to_owned(),
            weight_e4: u32::MAX - (key >> 32) as u32,
        };
        SparseVector::new(keys.into_iter().map(term).collect())
    }
}

/// Convert a weight to units of 1e-4. Negative numbers become 0.
pub(super) fn units(weight: f32) -> u32 {
    // `as` truncates and saturates; `round` would call the C library 1,500 times for each chunk.
    (f64::from(weight) * 1e4 + 0.5) as u32
}

/// Raise `sums` (`[V]`) to the maximum over the rows of `logits` (`[L, V]`), and return whether all logits are finite. One
/// pass, since 512 rows of BERT's vocabulary are 62 MB.
pub(super) fn accumulate_max(sums: &mut [f32], logits: &[f32]) -> bool {
    let mut finite = true;
    for row in logits.chunks_exact(sums.len()) {
        for (sum, logit) in sums.iter_mut().zip(row) {
            finite &= is_finite(*logit);
            *sum = if *logit > *sum { *logit } else { *sum };
        }
    }
    finite
}

/// Whether no number is NaN or infinite.
pub(super) fn all_finite(values: &[f32]) -> bool {
    // Not `all`, which needs a branch for each number to stop early.
    values.iter().fold(true, |finite, v| finite & is_finite(*v))
}

/// `f32::is_finite` by the bits of the exponent, which compiles to vector code.
fn is_finite(value: f32) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    value.to_bits() & EXPONENT != EXPONENT
}

/// Apply relu and then ln(1 + x) in place, `logarithms` times.
pub(super) fn splade(weights: &mut [f32], logarithms: u32) {
    for weight in weights {
        if *weight > 0.0 {
            let exact = (0..logarithms).fold(f64::from(*weight), |x, _| x.ln_1p());
            *weight = exact as f32;
        } else if *weight <= 0.0 {
            *weight = 0.0;
        }
    }
}

/// Call `found` for every positive weight, in the order of ids. Nine in ten are 0, so zeros are skipped in blocks the size
/// of a vector register.
pub(super) fn each_positive(weights: &[f32], mut found: impl FnMut(usize, f32)) {
    const BLOCK: usize = 8;
    for (block, values) in weights.chunks(BLOCK).enumerate() {
        if values.iter().fold(0, |bits, v| bits | v.to_bits()) == 0 {
            continue;
        }
        for (index, weight) in values.iter().enumerate() {
            if *weight > 0.0 {
                found(block * BLOCK + index, *weight);
            }
        }
    }
}

/// Keep of the weights of each id the last, and of those the positive ones, by id: what [`each_positive`] finds in a row into
/// which they are written in turn.
pub(super) fn keep_last_positive(entries: &mut Vec<(u32, f32)>) {
    entries.reverse();
    // Stable, so the last weight of an id comes first now.
    entries.sort_by_key(|(id, _)| *id);
    entries.dedup_by_key(|(id, _)| *id);
    entries.retain(|(_, weight)| *weight > 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::builtin::carries_meaning;
    use proptest::prelude::*;

    fn read(terms: Vec<String>) -> Terms {
        let kept = terms.iter().map(|term| carries_meaning(term)).collect();
        Terms::Read { terms, kept }
    }

    fn letters(n: usize) -> Terms {
        read((0..n).map(|id| format!("t{id}")).collect())
    }

    fn pairs(vector: &SparseVector) -> Vec<(&str, u32)> {
        vector
            .0
            .iter()
            .map(|t| (t.term.as_str(), t.weight_e4))
            .collect()
    }

    #[test]
    fn tokens_without_meaning_are_dropped_before_the_limit_applies() {
        let terms = [
            "",
            "[unused7]",
            "a",
            "!",
            "##!",
            "...",
            "##s",
            "ok",
            "\u{65e5}\u{672c}",
        ];
        let terms = read(terms.map(str::to_owned).to_vec());
        let vector = terms.select(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 2);
        assert_eq!(pairs(&vector), [("##s", 30_000), ("ok", 20_000)]);
    }

    #[test]
    fn weights_are_rounded_and_zeros_dropped() {
        let weights = [0.000_04, 0.000_06, 1.234_56, -1.0, 0.0, 1.234_58];
        let vector = letters(6).select(&weights, 128);
        assert_eq!(pairs(&vector), [("t2", 12_346), ("t5", 12_346), ("t1", 1)]);
    }

    #[test]
    fn ids_beyond_the_vocabulary_are_ignored() {
        assert_eq!(
            pairs(&letters(2).select(&[1.0, 2.0, 3.0], 128)),
            [("t1", 20_000), ("t0", 10_000)]
        );
    }

    #[test]
    fn splade_takes_the_maximum_then_its_logarithm() {
        let mut sums = vec![f32::NEG_INFINITY; 3];
        assert!(accumulate_max(&mut sums, &[-1.0, 0.5, 2.0, -2.0, 1.5, 1.0]));
        assert_eq!(sums, [-1.0, 1.5, 2.0]);
        let finished = |logarithms| {
            let mut sums = sums.clone();
            splade(&mut sums, logarithms);
            sums.iter().map(|w| units(*w)).collect::<Vec<_>>()
        };
        assert_eq!(finished(1), [0, 9163, 10_986]);
        // ln(1 + ln 2.5) and ln(1 + ln 3).
        assert_eq!(finished(2), [0, 6504, 7413]);
    }

    #[test]
    fn a_number_that_is_not_finite_is_seen_wherever_it_is() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in 0..6 {
                let mut logits = [1.0; 6];
                logits[position] = bad;
                assert!(!all_finite(&logits));
                assert!(!accumulate_max(&mut [0.0; 3], &logits));
            }
        }
        assert!(all_finite(&[f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.0]));
    }

    proptest! {
        #[test]
        fn selection_equals_a_full_sort(
            // Few distinct values, so that ties are common.
            weights in prop::collection::vec(prop_oneof![3 => Just(0.0_f32), 2 => (0_u8..20).prop_map(|n| f32::from(n) / 7.0)], 0..400),
            limit in 0_usize..150,
        ) {
            let terms = letters(weights.len());
            let mut all: Vec<(std::cmp::Reverse<u32>, usize)> = weights
                .iter()
                .enumerate()
                .filter(|(id, w)| units(**w) > 0 && terms.term(*id).len() > 1)
                .map(|(id, w)| (std::cmp::Reverse(units(*w)), id))
                .collect();
            all.sort();
            all.truncate(limit);
            let mut expected: Vec<(String, u32)> = all.iter().map(|(w, id)| (format!("t{id}"), w.0)).collect();
            expected.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let vector = terms.select(&weights, limit);
            let found: Vec<(String, u32)> = vector.0.iter().map(|t| (t.term.clone(), t.weight_e4)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
