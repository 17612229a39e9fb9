//! Texts to sparse vectors: a session, and what becomes of its output.

use super::error::EncodeError;
use super::model::{Model, Pooling};
use super::prepare::{Prepared, Windows};
use super::session::{BatchEvent, ModelSession, Place};
use super::sparse::{self, Terms};
use super::tokenizer::Tokenizer;
use super::words;
use crate::batch::EncoderKind;
use crate::vector::SparseVector;
use ort::environment::Environment;

/// A sparse vector, and the whole words that stand for the text.
pub(super) type SparseText = (SparseVector, Vec<String>);

pub(super) struct SparseEncoder {
    pub session: ModelSession,
    terms: Terms,
    /// Weights (`[V]`) of a text that takes more than one pooled row.
    sums: Vec<f32>,
}

impl SparseEncoder {
    pub fn open(
        environment: &Environment,
        model: &Model,
        tokenizer: &Tokenizer,
        place: Place,
    ) -> Result<Self, EncodeError> {
        let n_terms = tokenizer.vocabulary_len();
        let session = ModelSession::open(environment, model, n_terms, place, tokenizer.pad)?;
        Ok(Self {
            session,
            terms: Terms::new(tokenizer.vocabulary()),
            sums: Vec::new(),
        })
    }

    /// One vector for each text; each must have been prepared for a sparse encoder.
    pub fn encode_many(
        &mut self,
        texts: &[(&Prepared, &Windows)],
        n_terms: usize,
        told: &dyn Fn(BatchEvent),
    ) -> Result<Vec<SparseText>, EncodeError> {
        if self.session.is_batched() {
            return self.encode_batched(texts, n_terms, told);
        }
        let encode = |(prepared, windows): &(&Prepared, &Windows)| {
            let before = self.session.busy();
            told(self.session.text_begun(windows));
            let encoded = self.encode(prepared, windows, n_terms)?;
            told(self.session.text_done(windows, before));
            Ok(encoded)
        };
        texts.iter().map(encode).collect()
    }

    /// One window a run.
    fn encode(
        &mut self,
        prepared: &Prepared,
        windows: &Windows,
        n_terms: usize,
    ) -> Result<SparseText, EncodeError> {
        let Self {
            session,
            terms,
            sums,
        } = self;
        let pooling = session.output.pooling;
        let finish = |weights: &[f32]| {
            let words = words::route_words(prepared, windows, weights);
            (terms.select(weights, n_terms), words)
        };
        let n_windows = windows.iter().len();
        sums.clear();
        for (ids, n_tokens) in windows.iter() {
            let done = session.run(ids, |output, width| {
                if n_windows == 1 && pooling == Pooling::None {
                    let finite = sparse::all_finite(output);
                    return finite
                        .then(|| Some(finish(output)))
                        .ok_or(bad_output(n_tokens));
                }
                sums.resize(width, f32::NEG_INFINITY);
                let finite = sparse::accumulate_max(sums, output);
                finite.then_some(None).ok_or(bad_output(n_tokens))
            })?;
            if let Some(result) = done {
                return Ok(result);
            }
        }
        if let Some(logarithms) = pooling.logarithms() {
            sparse::splade(sums, logarithms);
        }
        Ok(finish(sums))
    }

    /// Windows of all texts together. Each one's weights are kept by id until all of its text are there: a
    /// thousand vocabularies of floats would be 120 MB.
    fn encode_batched(
        &mut self,
        texts: &[(&Prepared, &Windows)],
        n_terms: usize,
        told: &dyn Fn(BatchEvent),
    ) -> Result<Vec<SparseText>, EncodeError> {
        let Self {
            session,
            terms,
            sums,
        } = self;
        let windows: Vec<_> = texts.iter().flat_map(|(_, w)| w.iter()).collect();
        let ids: Vec<&[i64]> = windows.iter().map(|(ids, _)| *ids).collect();
        let pooling = session.output.pooling;
        let mut weights: Vec<Vec<(u32, f32)>> = vec![Vec::new(); ids.len()];
        let mut keep = |window: usize, output: &[f32], width: usize| {
            let entries = &mut weights[window];
            if pooling == Pooling::None {
                if !sparse::all_finite(output) {
                    return Err(bad_output(windows[window].1));
                }
                sparse::each_positive(output, |id, weight| entries.push((id as u32, weight)));
                return Ok(());
            }
            sums.clear();
            sums.resize(width, f32::NEG_INFINITY);
            if !sparse::accumulate_max(sums, output) {
                return Err(bad_output(windows[window].1));
            }
            if let Some(logarithms) = pooling.logarithms() {
                sparse::splade(sums, logarithms);
            }
            sparse::each_positive(sums, |id, weight| entries.push((id as u32, weight)));
            Ok(())
        };
        session.run_many(&ids, &mut keep, told)?;
        let mut weights = weights.iter();
        let mut encoded = Vec::with_capacity(texts.len());
        for (prepared, windows) in texts {
            sums.clear();
            sums.resize(session.width, 0.0);
            for entries in weights.by_ref().take(windows.iter().len()) {
                for (id, weight) in entries {
                    let sum = &mut sums[*id as usize];
                    *sum = sum.max(*weight);
                }
            }
            let words = words::route_words(prepared, windows, sums);
            encoded.push((terms.select(sums, n_terms), words));
        }
        Ok(encoded)
    }
}

fn bad_output(n_tokens: usize) -> EncodeError {
    EncodeError::BadOutput {
        kind: EncoderKind::Sparse,
        n_tokens,
    }
}
