//! Dense vectors of texts: a session, and its output pooled over windows.

use super::builtin::DenseTables;
use super::dense;
use super::error::EncodeError;
use super::meter::{Meter, without_tables};
use super::model::{Model, Pooling};
use super::session::{BatchEvent, ModelSession, RunCost, SessionConfig};
use super::sparse;
use super::text::Windows;
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use crate::vector::DenseVector;
use ort::environment::Environment;

pub(super) enum DenseEncoder {
    Session(Box<DenseSession>),
    BuiltIn(BuiltInDense),
}

impl DenseEncoder {
    /// Return one vector for each text; `None` for a text without a direction.
    pub fn encode_many(
        &mut self,
        texts: &[&Windows],
        observe: &dyn Fn(BatchEvent),
    ) -> Result<Vec<Option<DenseVector>>, EncodeError> {
        match self {
            Self::Session(encoder) => encoder.encode_many(texts, observe),
            Self::BuiltIn(encoder) => Ok(encoder.encode_many(texts, observe)),
        }
    }

    /// The session, if ONNX Runtime runs the model.
    pub fn session(&self) -> Option<&ModelSession> {
        match self {
            Self::Session(encoder) => Some(&encoder.session),
            Self::BuiltIn(_) => None,
        }
    }

    pub fn session_mut(&mut self) -> Option<&mut ModelSession> {
        match self {
            Self::Session(encoder) => Some(&mut encoder.session),
            Self::BuiltIn(_) => None,
        }
    }

    /// Return the cost of all runs since the last call.
    pub fn take_cost(&mut self) -> RunCost {
        match self {
            Self::Session(encoder) => encoder.session.take_cost(),
            Self::BuiltIn(encoder) => encoder.meter.take_cost(),
        }
    }
}

/// The built-in model, by its tables.
pub(super) struct BuiltInDense {
    tables: DenseTables,
    dim: usize,
    meter: Meter,
}

impl BuiltInDense {
    /// Find the tables in the graph's file.
    ///
    /// # Errors
    /// `ModelBad` if it has none.
    pub fn open(model: &Model, file: &'static [u8]) -> Result<Self, EncodeError> {
        let tables = DenseTables::new(file, model.max_len);
        Ok(Self {
            tables: tables.ok_or_else(|| without_tables(model))?,
            dim: model.dim.unwrap_or(usize::MAX),
            meter: Meter::new(model),
        })
    }

    fn encode_many(
        &mut self,
        texts: &[&Windows],
        observe: &dyn Fn(BatchEvent),
    ) -> Vec<Option<DenseVector>> {
        let Self { tables, dim, meter } = self;
        let encode = |windows: &&Windows| {
            meter.text(windows, observe, || {
                let mut vectors = windows.iter().map(|(ids, _)| tables.window(ids));
                combine(windows, &mut vectors, *dim)
            })
        };
        texts.iter().map(encode).collect()
    }
}

/// A model that ONNX Runtime runs.
pub(super) struct DenseSession {
    pub session: ModelSession,
    dim: usize,
}

impl DenseSession {
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
                Ok(combine(windows, &mut vectors.into_iter(), self.dim))
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
            .map(|windows| combine(windows, &mut vectors, self.dim))
            .collect())
    }
}

/// Combine the next of `vectors`, one for each window of a text, in their order, on which sums of floats depend.
fn combine(
    windows: &Windows,
    vectors: &mut impl Iterator<Item = Vec<f32>>,
    dim: usize,
) -> Option<DenseVector> {
    let n_windows = windows.iter().len();
    let mut sums: Vec<f32> = Vec::new();
    for ((_, n_tokens), vector) in windows.iter().zip(vectors) {
        if n_windows == 1 {
            return DenseVector::normalized(vector, dim);
        }
        sums.resize(vector.len(), 0.0);
        dense::add_direction(&mut sums, &vector, n_tokens as f32);
    }
    DenseVector::normalized(sums, dim)
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
