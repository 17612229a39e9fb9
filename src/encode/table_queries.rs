//! Sparse vectors of queries by a table of token weights, as inference-free models have them.
//!
//! Each distinct token of a query has the weight that the table gives it; no session runs.

use super::model::{Model, QueryTable};
use super::route_words::route_words;
use super::sparse::{SparseText, Terms};
use super::text::{TokenizedText, Windows};
use super::tokenizer::Tokenizer;

/// The table of a model with the terms of its tokenizer.
pub(super) struct TableQueries {
    table: QueryTable,
    terms: Terms,
}

impl TableQueries {
    /// Return the table of a model; `None` if its queries go through its graph.
    pub fn of(model: &Model, tokenizer: &Tokenizer) -> Option<Self> {
        Some(Self {
            table: model.query_table.clone()?,
            terms: Terms::new(tokenizer),
        })
    }

    /// Return one vector for each query, of at most `n_terms` terms.
    pub fn encode_many(
        &self,
        texts: &[(&TokenizedText, &Windows)],
        n_terms: usize,
    ) -> Vec<SparseText> {
        let encode = |(text, windows): &(&TokenizedText, &Windows)| {
            let mut weights = vec![0.0; self.table.weights.len()];
            for id in windows.iter().flat_map(|(ids, _)| ids) {
                let known = usize::try_from(*id).ok();
                let known = known.filter(|id| *id < weights.len());
                if let Some(id) = known {
                    weights[id] = self.table.weights[id];
                }
            }
            let words = route_words(text, windows, &weights);
            (self.terms.select(&weights, n_terms), words)
        };
        texts.iter().map(encode).collect()
    }
}
