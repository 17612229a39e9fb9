//! What running the encoders gives, and the vectors that are made of it.
//!
//! Needs no encoder, so that a device runs over the next texts while another thread finishes these.

use super::dense_encoder::RawDense;
use super::session::RunCost;
use super::sparse_encoder::{RawSparse, TextWeights};
use super::text::TokenizedText;
use crate::vector::{DenseVector, SparseVector};
use std::time::Duration;

/// The vectors of one text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// `None` without a sparse encoder. Empty for a text without a word.
    pub sparse: Option<SparseVector>,
    /// `None` without a dense encoder, and for a text without any token that the encoder knows.
    pub dense: Option<DenseVector>,
    /// At most 24 whole words of the text, lower case, heaviest first. Empty without a sparse encoder.
    pub route_words: Vec<String>,
    /// Time inside the runtime. Of texts that were encoded together, the first has the time of all.
    pub busy: Duration,
    /// Tokens in all runs of both kinds, without and with padding. Of texts that were encoded together, the first has the
    /// tokens of all.
    pub run_tokens: u64,
    pub padded_tokens: u64,
}

/// What the encoders gave for some texts: weights and vectors of windows, or finished vectors of a kind that runs no batches.
pub struct RawEncoded {
    pub(super) sparse: Option<RawSparse>,
    pub(super) dense: Option<RawDense>,
    /// Of both kinds.
    pub(super) cost: RunCost,
}

/// Buffers of [`RawEncoded::finish`]. Reuse them.
#[derive(Default)]
pub struct FinishSpace(TextWeights);

impl RawEncoded {
    /// Make the vectors of the texts, in their order: combine windows, select terms and words, normalise. `texts` are those over
    /// which the encoders ran.
    pub fn finish(self, texts: &[&TokenizedText], space: &mut FinishSpace) -> Vec<Encoded> {
        let mut encoded = vec![Encoded::default(); texts.len()];
        if let Some(sparse) = self.sparse {
            let vectors = sparse.finish(texts, &mut space.0);
            for (text, (vector, words)) in encoded.iter_mut().zip(vectors) {
                text.sparse = Some(vector);
                text.route_words = words;
            }
        }
        if let Some(dense) = self.dense {
            for (text, vector) in encoded.iter_mut().zip(dense.finish(texts)) {
                text.dense = vector;
            }
        }
        if let Some(first) = encoded.first_mut() {
            first.busy = self.cost.busy;
            first.run_tokens = self.cost.run_tokens;
            first.padded_tokens = self.cost.padded_tokens;
        }
        encoded
    }
}
