//! Encoders: text in, sparse and dense vectors out.
//!
//! The only door to ONNX Runtime and to tokenizers. Tokenizing ([`TextPreparer`]) is pure work for a
//! thread pool; [`Encoders`] owns one session per kind and belongs to one thread. It writes nothing
//! but the unpacked runtime library, reads nothing but models, and never fetches anything.

mod describe;
mod embedded;
mod error;
mod runtime;

mod directory;
mod model;

mod prepare;
mod tokenizer;

mod dense;
mod output;
mod session;
mod sparse;
mod words;

pub use describe::{EncoderInfo, ModelInfo, describe};
pub use error::{EncodeError, Kind};
pub use prepare::{Prepared, TextPreparer};
pub use runtime::{RuntimeInfo, RuntimeOrigin, forbid_telemetry, runtime_info};

use crate::profile::encoders::EncoderChoice;
use crate::vector::{DenseVector, SparseVector};
use model::{Model, Pooling};
use ort::environment::Environment;
use prepare::Windows;
use session::ModelSession;
use sparse::Terms;
use std::sync::Arc;
use std::time::Duration;
use tokenizer::Tokenizer;

/// The vectors of one text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encoded {
    /// `None` without a sparse encoder. Empty for a text without a word.
    pub sparse: Option<SparseVector>,
    /// `None` without a dense encoder, and for a text to which the encoder gives no direction: one
    /// without any token that it knows.
    pub dense: Option<DenseVector>,
    /// Whole words that stand for the text, at most 24, lower case, heaviest first. Empty without a
    /// sparse encoder.
    pub route_words: Vec<String>,
    /// Time spent inside the runtime.
    pub busy: Duration,
}

/// The loaded encoders of one process. Slow to open (a model's load time), so open it once.
pub struct Encoders {
    preparer: Arc<TextPreparer>,
    sparse: Option<SparseEncoder>,
    dense: Option<DenseEncoder>,
}

struct SparseEncoder {
    session: ModelSession,
    terms: Terms,
    /// Weights (`[V]`) of a text that takes more than one pooled row.
    sums: Vec<f32>,
}

struct DenseEncoder {
    session: ModelSession,
    dim: usize,
}

/// Texts that every model can encode: prose, and a line of code.
const CANARIES: [&str; 2] = [
    "The quick brown fox jumps over the lazy dog, twice a day.",
    "fn main() { println!(\"{}\", 6 * 7); }",
];

/// Name of the ONNX Runtime library inside this binary; `None` when it was built without one.
pub fn embedded_runtime() -> Option<&'static str> {
    embedded::embedded().map(|library| library.file_name)
}

impl Encoders {
    /// Loads the runtime and the chosen models, and encodes two texts with them.
    ///
    /// # Errors
    /// Any variant of [`EncodeError`]. Without any encoder chosen no runtime is needed, nor loaded.
    pub fn open(choice: &EncoderChoice) -> Result<Self, EncodeError> {
        let sparse = Model::resolve(Kind::Sparse, &choice.sparse)?;
        let dense = Model::resolve(Kind::Dense, &choice.dense)?;
        let preparer = TextPreparer::new(sparse.as_ref(), dense.as_ref(), choice.coverage)?;
        let runtime = || runtime::environment(choice.ort_lib.as_deref());
        let sparse = match (&sparse, preparer.sparse_tokenizer()) {
            (Some(model), Some(tokenizer)) => {
                Some(SparseEncoder::open(&runtime()?, model, tokenizer)?)
            }
            _ => None,
        };
        let dense = match (&dense, preparer.dense_tokenizer()) {
            (Some(model), Some(tokenizer)) => {
                Some(DenseEncoder::open(&runtime()?, model, tokenizer)?)
            }
            _ => None,
        };
        let mut encoders = Self {
            preparer: Arc::new(preparer),
            sparse,
            dense,
        };
        encoders.try_out()?;
        Ok(encoders)
    }

    /// Encodes two ordinary texts, so that a model that cannot is an error before any work is done, and
    /// not a reason to leave out every file.
    fn try_out(&mut self) -> Result<(), EncodeError> {
        for text in CANARIES {
            let prepared = self.preparer.prepare(text);
            let (kind, reason) = match self.encode(&prepared) {
                // A tokenizer may refuse words that it does not know; others are refused one by one.
                Ok(_) | Err(EncodeError::TextRefused { .. }) => continue,
                Err(EncodeError::BadOutput { kind, .. }) => (
                    kind,
                    "it gives numbers that are not finite for an ordinary text; \
                     it may be damaged, or exported with too few bits"
                        .to_owned(),
                ),
                Err(EncodeError::RunFailed { kind, reason, .. }) => {
                    (kind, format!("it fails on an ordinary text: {reason}"))
                }
                Err(other) => return Err(other),
            };
            let name = match kind {
                Kind::Sparse => self.sparse.as_ref().map(|e| e.session.name()),
                Kind::Dense => self.dense.as_ref().map(|e| e.session.name()),
            };
            return Err(EncodeError::bad(kind, name.unwrap_or_default(), reason));
        }
        Ok(())
    }

    /// What prepares texts for these encoders. Share it with a thread pool.
    pub fn tokenizer(&self) -> Arc<TextPreparer> {
        Arc::clone(&self.preparer)
    }

    /// Where the sessions run.
    pub fn device_name(&self) -> String {
        "cpu".to_owned()
    }

    /// Encodes a text prepared by this instance's [`Self::tokenizer`]. The result depends on the
    /// text, the models and the kind of processor only.
    ///
    /// # Errors
    /// `TextRefused`, `RunFailed` and `BadOutput`; a retry may help the second when memory was short.
    pub fn encode(&mut self, prepared: &Prepared) -> Result<Encoded, EncodeError> {
        self.encode_terms(prepared, sparse::DOCUMENT_TERMS)
    }

    /// Encodes a query, with its prefix and fewer terms.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_query(&mut self, text: &str) -> Result<Encoded, EncodeError> {
        let prepared = self.preparer.prepare_query(text);
        self.encode_terms(&prepared, sparse::QUERY_TERMS)
    }

    fn encode_terms(
        &mut self,
        prepared: &Prepared,
        n_terms: usize,
    ) -> Result<Encoded, EncodeError> {
        if let Some(reason) = prepared.refused.clone() {
            return Err(EncodeError::TextRefused { reason });
        }
        let mut encoded = Encoded::default();
        if let (Some(encoder), Some(windows)) = (&mut self.sparse, prepared.sparse()) {
            let (vector, words) = encoder.encode(prepared, windows, n_terms)?;
            encoded.sparse = Some(vector);
            encoded.route_words = words;
            encoded.busy += encoder.session.take_busy();
        }
        if let (Some(encoder), Some(windows)) = (&mut self.dense, prepared.dense()) {
            encoded.dense = encoder.encode(windows)?;
            encoded.busy += encoder.session.take_busy();
        }
        Ok(encoded)
    }
}

impl SparseEncoder {
    fn open(
        environment: &Environment,
        model: &Model,
        tokenizer: &Tokenizer,
    ) -> Result<Self, EncodeError> {
        let session = ModelSession::open(environment, model, tokenizer.vocabulary_len())?;
        Ok(Self {
            session,
            terms: Terms::new(tokenizer.vocabulary()),
            sums: Vec::new(),
        })
    }

    fn encode(
        &mut self,
        prepared: &Prepared,
        windows: &Windows,
        n_terms: usize,
    ) -> Result<(SparseVector, Vec<String>), EncodeError> {
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
            let bad = EncodeError::BadOutput {
                kind: Kind::Sparse,
                n_tokens,
            };
            let done = session.run(ids, |output, width| {
                if n_windows == 1 && pooling == Pooling::None {
                    let finite = sparse::all_finite(output);
                    return finite.then(|| Some(finish(output))).ok_or(bad);
                }
                sums.resize(width, f32::NEG_INFINITY);
                let finite = sparse::accumulate_max(sums, output);
                finite.then_some(None).ok_or(bad)
            })?;
            if let Some(result) = done {
                return Ok(result);
            }
        }
        if pooling == Pooling::Splade {
            sparse::splade(sums);
        }
        Ok(finish(sums))
    }
}

impl DenseEncoder {
    fn open(
        environment: &Environment,
        model: &Model,
        tokenizer: &Tokenizer,
    ) -> Result<Self, EncodeError> {
        let session = ModelSession::open(environment, model, tokenizer.vocabulary_len())?;
        let dim = model.dim.unwrap_or(session.width);
        if session.width < dim {
            let reason = format!("its vectors have {} numbers, not {dim}", session.width);
            return Err(EncodeError::bad(Kind::Dense, &model.name, reason));
        }
        Ok(Self { session, dim })
    }

    fn encode(&mut self, windows: &Windows) -> Result<Option<DenseVector>, EncodeError> {
        let pooling = self.session.output.pooling;
        let n_windows = windows.iter().len();
        let mut sums: Vec<f32> = Vec::new();
        for (ids, n_tokens) in windows.iter() {
            let vector = self.session.run(ids, |output, width| {
                if !sparse::all_finite(output) {
                    let kind = Kind::Dense;
                    return Err(EncodeError::BadOutput { kind, n_tokens });
                }
                Ok(dense::pool(pooling, output, width))
            })?;
            if n_windows == 1 {
                return Ok(DenseVector::normalized(vector, self.dim));
            }
            sums.resize(vector.len(), 0.0);
            dense::add_direction(&mut sums, &vector, n_tokens as f32);
        }
        Ok(DenseVector::normalized(sums, self.dim))
    }
}

#[cfg(test)]
mod tests;
