//! Sparse vectors of texts: a session and terms selected from its output, tables, or a server.

use super::builtin::{SparseTables, VOCABULARY};
use super::encoder::{Encoder, Metered, RunsSession};
use super::error::EncodeError;
use super::meter::{Meter, without_tables};
use super::model::{Model, Pooling};
use super::route_words::route_words;
use super::server::Sent;
use super::session::{BatchEvent, ModelSession, SessionConfig};
use super::sparse::{self, SparseText, Terms};
use super::text::{TokenizedText, Windows};
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use ort::environment::Environment;

pub(super) type SparseEncoder = Encoder<SparseSession, BuiltInSparse>;

/// A model that ONNX Runtime runs.
pub(super) struct SparseSession {
    pub session: ModelSession,
    terms: Terms,
    /// Weights (`[V]`) of a text that has more than one pooled row.
    sums: Vec<f32>,
}

impl SparseEncoder {
    /// Return one vector of at most `n_terms` terms for each text.
    pub fn encode_many(
        &mut self,
        texts: &[&TokenizedText],
        (sent, n_terms): (Sent, usize),
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<Vec<SparseText>, EncodeError> {
        match self {
            Self::Session(encoder) => encoder.encode_many(&with_windows(texts), n_terms, observe),
            Self::Tables(encoder) => {
                Ok(encoder.encode_many(&with_windows(texts), n_terms, observe))
            }
            Self::Server(encoder) => encoder.sparse(texts, (sent, n_terms), observe),
        }
    }
}

/// Return the texts with their windows.
pub(super) fn with_windows<'t>(
    texts: &[&'t TokenizedText],
) -> Vec<(&'t TokenizedText, &'t Windows)> {
    let texts = texts.iter();
    texts
        .filter_map(|text| Some((*text, text.windows(EncoderKind::Sparse)?)))
        .collect()
}

impl RunsSession for SparseSession {
    fn session(&self) -> &ModelSession {
        &self.session
    }

    fn session_mut(&mut self) -> &mut ModelSession {
        &mut self.session
    }
}

impl Metered for BuiltInSparse {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

/// The built-in model, by its tables.
pub(super) struct BuiltInSparse {
    tables: SparseTables,
    terms: Terms,
    meter: Meter,
}

impl BuiltInSparse {
    /// Find the tables in the graph's file.
    ///
    /// # Errors
    /// `ModelBad` if it has none.
    pub fn open(model: &Model, file: &'static [u8]) -> Result<Self, EncodeError> {
        let tables = SparseTables::new(file);
        Ok(Self {
            tables: tables.ok_or_else(|| without_tables(model))?,
            terms: Terms::BuiltIn(&VOCABULARY),
            meter: Meter::new(model),
        })
    }

    fn encode_many(
        &mut self,
        texts: &[(&TokenizedText, &Windows)],
        n_terms: usize,
        observe: &dyn Fn(BatchEvent),
    ) -> Vec<SparseText> {
        let Self {
            tables,
            terms,
            meter,
        } = self;
        let encode = |(text, windows): &(&TokenizedText, &Windows)| {
            meter.text(windows, observe, || {
                tables.clear();
                for (ids, _) in windows.iter() {
                    tables.add_window(ids);
                }
                let (weights, ids) = tables.weights();
                let words = route_words(text, windows, weights);
                (terms.select_of(weights, ids, n_terms), words)
            })
        };
        texts.iter().map(encode).collect()
    }
}

impl SparseSession {
    pub fn open(
        environment: &Environment,
        model: &Model,
        tokenizer: &Tokenizer,
        config: SessionConfig,
    ) -> Result<Self, EncodeError> {
        let n_terms = tokenizer.vocabulary_len();
        let session = ModelSession::open(environment, model, n_terms, config, tokenizer.pad)?;
        Ok(Self {
            session,
            terms: Terms::new(tokenizer),
            sums: Vec::new(),
        })
    }

    /// Return one vector for each text.
    pub fn encode_many(
        &mut self,
        texts: &[(&TokenizedText, &Windows)],
        n_terms: usize,
        observe: &dyn Fn(BatchEvent),
    ) -> Result<Vec<SparseText>, EncodeError> {
        if self.session.is_batched() {
            return self.encode_batched(texts, n_terms, observe);
        }
        let encode = |(text, windows): &(&TokenizedText, &Windows)| {
            let before = self.session.busy();
            observe(self.session.text_begun(windows));
            let encoded = self.encode(text, windows, n_terms)?;
            observe(self.session.text_done(windows, before));
            Ok(encoded)
        };
        texts.iter().map(encode).collect()
    }

    /// Encode one text, one window a run.
    fn encode(
        &mut self,
        text: &TokenizedText,
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
            let words = route_words(text, windows, weights);
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

    /// Encode the windows of all texts in batches. Keep the positive weights of each window by id until all windows of its
    /// text are done: a thousand whole vocabularies would take 120 MB.
    fn encode_batched(
        &mut self,
        texts: &[(&TokenizedText, &Windows)],
        n_terms: usize,
        observe: &dyn Fn(BatchEvent),
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
        session.run_many(&ids, &mut keep, observe)?;
        let mut weights = weights.iter();
        let mut encoded = Vec::with_capacity(texts.len());
        for (text, windows) in texts {
            sums.clear();
            sums.resize(session.width, 0.0);
            for entries in weights.by_ref().take(windows.iter().len()) {
                for (id, weight) in entries {
                    let sum = &mut sums[*id as usize];
                    *sum = sum.max(*weight);
                }
            }
            let words = route_words(text, windows, sums);
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
