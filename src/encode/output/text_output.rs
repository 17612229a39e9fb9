//! What a graph gives for one text.

/// The output of a run for one text.
#[derive(Clone, Copy, Debug)]
pub enum TextOutput<'a> {
    /// Numbers [n, width], row-major.
    Rows { values: &'a [f32], width: usize },
    /// The heaviest terms.
    Terms(TermWeights<'a>),
}

/// Weights of some terms of a vocabulary; all others are 0.
#[derive(Clone, Copy, Debug)]
pub struct TermWeights<'a> {
    /// `[K]`, in any order.
    weights: &'a [f32],
    /// Ids (`[K]`) of the terms, below `vocabulary` where the weight is not 0. An id may come twice: its last weight counts.
    ids: &'a [i64],
    vocabulary: usize,
}

impl<'a> TextOutput<'a> {
    /// Return the output as rows and the numbers in a row. Those of terms are [1, vocabulary], laid out in `space`.
    pub fn rows(self, space: &'a mut Vec<f32>) -> (&'a [f32], usize) {
        match self {
            Self::Rows { values, width } => (values, width),
            Self::Terms(terms) => {
                space.clear();
                space.resize(terms.vocabulary, 0.0);
                for (id, weight) in terms.iter() {
                    space[id as usize] = weight;
                }
                (space, terms.vocabulary)
            }
        }
    }
}

impl<'a> TermWeights<'a> {
    /// Take as many weights as ids.
    ///
    /// # Errors
    /// The first id with a weight that is not in the vocabulary.
    pub fn new(weights: &'a [f32], ids: &'a [i64], vocabulary: usize) -> Result<Self, i64> {
        // Padding of a text with fewer terms may have any id.
        let stray = weights.iter().zip(ids).find(|(weight, id)| {
            **weight != 0.0 && usize::try_from(**id).map_or(true, |id| id >= vocabulary)
        });
        match stray {
            Some((_, id)) => Err(*id),
            None => Ok(Self {
                weights,
                ids,
                vocabulary,
            }),
        }
    }

    /// All weights, those of padding included.
    pub fn weights(self) -> &'a [f32] {
        self.weights
    }

    /// Return each id with its weight, unless that is 0.
    pub fn iter(self) -> impl Iterator<Item = (u32, f32)> + 'a {
        let entries = self.ids.iter().zip(self.weights);
        entries
            .filter(|(_, weight)| **weight != 0.0)
            .map(|(id, weight)| (*id as u32, *weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::sparse::{each_positive, keep_last_positive};
    use proptest::prelude::*;

    #[test]
    fn only_a_term_with_a_weight_must_be_known() {
        let ids = [2, -1, 8, 7];
        assert!(TermWeights::new(&[0.5, 0.0, 0.0, 1.0], &ids, 8).is_ok());
        assert_eq!(
            TermWeights::new(&[0.5, 0.0, 0.1, 1.0], &ids, 8).map(|_| ()),
            Err(8)
        );
        assert_eq!(
            TermWeights::new(&[0.5, -0.1, 0.1, 1.0], &ids, 8).map(|_| ()),
            Err(-1)
        );
    }

    proptest! {
        /// The entries of a text say what its whole vocabulary would: ids that come twice, weights that are not positive
        /// and padding included.
        #[test]
        fn entries_equal_the_rows_that_they_stand_for(
            entries in prop::collection::vec((0_i64..12, -3_i8..6), 0..40),
            padding in 0_usize..4,
        ) {
            let entries = entries.into_iter().chain((0..padding).map(|_| (-1, 0)));
            let (ids, weights): (Vec<i64>, Vec<f32>) =
                entries.map(|(id, weight)| (id, f32::from(weight) / 4.0)).unzip();
            let terms = TermWeights::new(&weights, &ids, 12).expect("all are known");
            let mut found: Vec<(u32, f32)> = terms.iter().collect();
            keep_last_positive(&mut found);
            let mut space = vec![9.0; 3];
            let (row, width) = TextOutput::Terms(terms).rows(&mut space);
            prop_assert_eq!((row.len(), width), (12, 12));
            let mut expected = Vec::new();
            each_positive(row, |id, weight| expected.push((id as u32, weight)));
            prop_assert_eq!(found, expected);
        }
    }
}
