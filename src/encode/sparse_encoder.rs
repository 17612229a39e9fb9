//! Sparse vectors of texts: a session and terms selected from its output, tables, or a server.

use super::builtin::{SparseTables, VOCABULARY};
use super::encoder::{Encoder, Metered, Raw, RunsSession};
use super::error::EncodeError;
use super::meter::{Meter, without_tables};
use super::model::{Model, Pooling};
use super::output::TextOutput;
use super::route_words::route_words;
use super::server::Sent;
use super::session::{BatchEvent, ModelSession, SessionConfig};
use super::sparse::{self, SparseText, Terms};
use super::text::{TokenizedText, Windows};
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use ort::environment::Environment;
use std::sync::Arc;

pub(super) type SparseEncoder = Encoder<SparseSession, BuiltInSparse>;

/// A model that ONNX Runtime runs.
pub(super) struct SparseSession {
    pub session: ModelSession,
    terms: Arc<Terms>,
    /// Weights (`[V]`) of a text that has more than one pooled row.
    sums: Vec<f32>,
}

pub(super) type RawSparse = Raw<SparseText, SparseWindows>;

/// The weights that batches gave, and what it takes to make vectors of them.
pub(super) struct SparseWindows {
    /// Ids and weights of each window, in the order of texts and windows; of several weights of an id the last counts.
    /// Whole vocabularies of a thousand windows would take 120 MB.
    weights: Vec<Vec<(u32, f32)>>,
    terms: Arc<Terms>,
    /// Ids are less.
    width: usize,
    /// Terms of a vector at most.
    n_terms: usize,
}

/// Weights of the text that is being finished. Reuse it: its size is that of a vocabulary.
#[derive(Default)]
pub(super) struct TextWeights {
    /// `[V]`; zeros between texts.
    sums: Vec<f32>,
    /// Ids with a weight, each once.
    weighted: Vec<u32>,
}

impl SparseEncoder {
    /// Run over the texts. Their vectors have at most `n_terms` terms.
    pub fn run(
        &mut self,
        texts: &[&TokenizedText],
        (sent, n_terms): (Sent, usize),
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<RawSparse, EncodeError> {
        match self {
            Self::Session(encoder) => encoder.run(&with_windows(texts), n_terms, observe),
            Self::Tables(encoder) => {
                let vectors = encoder.encode_many(&with_windows(texts), n_terms, observe);
                Ok(Raw::Vectors(vectors))
            }
            Self::Server(encoder) => {
                let vectors = encoder.sparse(texts, (sent, n_terms), observe)?;
                Ok(Raw::Vectors(vectors))
            }
        }
    }
}

impl RawSparse {
    /// Return one vector for each text; `texts` are those of [`SparseEncoder::run`].
    pub fn finish(self, texts: &[&TokenizedText], weights: &mut TextWeights) -> Vec<SparseText> {
        match self {
            Self::Vectors(vectors) => vectors,
            Self::Windows(windows) => windows.finish(&with_windows(texts), weights),
        }
    }
}

impl SparseWindows {
    fn finish(
        self,
        texts: &[(&TokenizedText, &Windows)],
        weights: &mut TextWeights,
    ) -> Vec<SparseText> {
        let TextWeights { sums, weighted } = weights;
        sums.resize(self.width, 0.0);
        let mut of_windows = self.weights.into_iter();
        let finish = |(text, windows): &(&TokenizedText, &Windows)| {
            for mut entries in of_windows.by_ref().take(windows.iter().len()) {
                sparse::keep_last_positive(&mut entries);
                for (id, weight) in entries {
                    let sum = &mut sums[id as usize];
                    if *sum == 0.0 {
                        weighted.push(id);
                    }
                    *sum = sum.max(weight);
                }
            }
            let words = route_words(text, windows, sums);
            let ids = weighted.iter().map(|id| *id as usize);
            let vector = self.terms.select_of(sums, ids, self.n_terms);
            for id in weighted.drain(..) {
                sums[id as usize] = 0.0;
            }
            (vector, words)
        };
        texts.iter().map(finish).collect()
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
                let ids = ids.iter().map(|id| usize::from(*id));
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
            terms: Arc::new(Terms::new(tokenizer)),
            sums: Vec::new(),
        })
    }

    fn run(
        &mut self,
        texts: &[(&TokenizedText, &Windows)],
        n_terms: usize,
        observe: &dyn Fn(BatchEvent),
    ) -> Result<RawSparse, EncodeError> {
        if self.session.is_batched() {
            return Ok(Raw::Windows(SparseWindows {
                weights: self.run_batches(texts, observe)?,
                terms: Arc::clone(&self.terms),
                width: self.session.width,
                n_terms,
            }));
        }
        let encode = |(text, windows): &(&TokenizedText, &Windows)| {
            let before = self.session.busy();
            observe(self.session.text_begun(windows));
            let encoded = self.encode(text, windows, n_terms)?;
            observe(self.session.text_done(windows, before));
            Ok(encoded)
        };
        let vectors = texts.iter().map(encode);
        Ok(Raw::Vectors(vectors.collect::<Result<_, _>>()?))
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

    /// Run the windows of all texts in batches. Return the weights of each window by id.
    fn run_batches(
        &mut self,
        texts: &[(&TokenizedText, &Windows)],
        observe: &dyn Fn(BatchEvent),
    ) -> Result<Vec<Vec<(u32, f32)>>, EncodeError> {
        let Self { session, sums, .. } = self;
        let windows: Vec<_> = texts.iter().flat_map(|(_, w)| w.iter()).collect();
        let ids: Vec<&[i64]> = windows.iter().map(|(ids, _)| *ids).collect();
        let pooling = session.output.pooling;
        let mut weights: Vec<Vec<(u32, f32)>> = vec![Vec::new(); ids.len()];
        let mut keep = |window: usize, output: TextOutput<'_>| {
            let entries = &mut weights[window];
            let mut add = |id: usize, weight: f32| entries.push((id as u32, weight));
            let finite = match output {
                TextOutput::Terms(terms) => {
                    entries.extend(terms.iter());
                    sparse::all_finite(terms.weights())
                }
                TextOutput::Rows { values, .. } if pooling == Pooling::None => {
                    sparse::each_positive(values, add);
                    sparse::all_finite(values)
                }
                TextOutput::Rows { values, width } => {
                    sums.clear();
                    sums.resize(width, f32::NEG_INFINITY);
                    let finite = sparse::accumulate_max(sums, values);
                    if let Some(logarithms) = pooling.logarithms() {
                        sparse::splade(sums, logarithms);
                    }
                    sparse::each_positive(sums, &mut add);
                    finite
                }
            };
            finite.then_some(()).ok_or(bad_output(windows[window].1))
        };
        session.run_many(&ids, &mut keep, observe)?;
        Ok(weights)
    }
}

fn bad_output(n_tokens: usize) -> EncodeError {
    EncodeError::BadOutput {
        kind: EncoderKind::Sparse,
        n_tokens,
    }
}
