//! Dense vectors of texts: a session, and its output pooled over windows.

use super::dense;
use super::error::EncodeError;
use super::model::{Model, Pooling};

use super::session::{BatchEvent, ModelSession, SessionConfig};
use super::sparse;
use super::text::Windows;
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use crate::vector::DenseVector;
use ort::environment::Environment;

pub(super) struct DenseEncoder {
    pub session: ModelSession,
    dim: usize,
}

impl DenseEncoder {
    pub fn open(
        environment: &Environment,
        model: &Model,
        tokenizer: &Tokenizer,
        config: SessionConfig,
    ) -> Result<Self, EncodeError> {
        let n_terms = tokenizer.vocabulary_len();
        let session = ModelSession::open(environment, model, n_terms, config, tokenizer.pad)?;
        let dim = model.dim.unwrap_or(session.width);
        if session.width < dim {
            let reason = format!("its vectors have {} numbers, not {dim}", session.width);
            return Err(EncodeError::bad(EncoderKind::Dense, &model.name, reason));
        }
        Ok(Self { session, dim })
    }

    /// Return one vector for each text; `None` for a text without a direction.
    pub fn encode_many(
        &mut self,
        texts: &[&Windows],
        observe: &dyn Fn(BatchEvent),
    ) -> Result<Vec<Option<DenseVector>>, EncodeError> {
        let pooling = self.session.output.pooling;
        if !self.session.is_batched() {
            let encode = |windows: &&Windows| {
                let mut vectors = Vec::new();
                let before = self.session.busy();
                observe(self.session.text_begun(windows));
                for (ids, n_tokens) in windows.iter() {
                    let read = |output: &[f32], width| pool(pooling, output, width, n_tokens);
                    vectors.push(self.session.run(ids, read)?);
                }
                observe(self.session.text_done(windows, before));
                Ok(self.combine(windows, &mut vectors.into_iter()))
            };
            return texts.iter().map(encode).collect();
        }
        let windows: Vec<_> = texts.iter().flat_map(|w| w.iter()).collect();
        let ids: Vec<&[i64]> = windows.iter().map(|(ids, _)| *ids).collect();
        let mut vectors = vec![Vec::new(); ids.len()];
        let mut keep = |window: usize, output: &[f32], width: usize| {
            vectors[window] = pool(pooling, output, width, windows[window].1)?;
            Ok(())
        };
        self.session.run_many(&ids, &mut keep, observe)?;
        let mut vectors = vectors.into_iter();
        Ok(texts
            .iter()
            .map(|windows| self.combine(windows, &mut vectors))
            .collect())
    }

    /// Combine the next of `vectors`, one for each window of a text, in their order, on which sums of floats depend.
    fn combine(
        &self,
        windows: &Windows,
        vectors: &mut impl Iterator<Item = Vec<f32>>,
    ) -> Option<DenseVector> {
        let n_windows = windows.iter().len();
        let mut sums: Vec<f32> = Vec::new();
        for ((_, n_tokens), vector) in windows.iter().zip(vectors) {
            if n_windows == 1 {
                return DenseVector::normalized(vector, self.dim);
            }
            sums.resize(vector.len(), 0.0);
            dense::add_direction(&mut sums, &vector, n_tokens as f32);
        }
        DenseVector::normalized(sums, self.dim)
    }
}

fn pool(
    pooling: Pooling,
    output: &[f32],
    width: usize,
    n_tokens: usize,
) -> Result<Vec<f32>, EncodeError> {
    if !sparse::all_finite(output) {
        let kind = EncoderKind::Dense;
        return Err(EncodeError::BadOutput { kind, n_tokens });
    }
    Ok(dense::pool(pooling, output, width))
}
