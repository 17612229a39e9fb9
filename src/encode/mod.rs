//! Encoders: text in, sparse and dense vectors out.
//!
//! The only door to ONNX Runtime and to tokenizers. Tokenizing ([`TextPreparer`]) is pure work for a
//! thread pool; [`Encoders`] owns one session per kind and belongs to one thread. It writes nothing
//! but the unpacked runtime library, reads nothing but models, and never fetches anything.

mod built_with;
mod describe;
mod embedded;
mod error;
mod runtime;

mod check;
mod directory;
mod model;
mod onnx;
mod size;

mod prepare;
mod tokenizer;

mod batch;
mod canary;
mod cuda;
mod fault;
mod output;
mod session;

mod dense;
mod dense_encoder;
mod endless;
mod sparse;
mod sparse_encoder;
mod words;

mod refit;
mod trial;

use crate::batch::EncoderKind;
pub use built_with::{BuiltWith, MismatchError, OtherEncoder};
pub use cuda::{Hardware, cuda_runtime};
use describe::sha256_of;
pub use describe::{EncoderInfo, ModelInfo, describe};
pub use directory::{glance, looks_like_model};
pub use error::EncodeError;
pub use prepare::{Prepared, TextPreparer};
pub use refit::{Quantization, RefitOrder, Refitted, TOP_K, refit};
pub use runtime::{RuntimeInfo, RuntimeOrigin, forbid_telemetry, runtime_info};
pub use size::{ModelBytes, QuantizedKinds, model_bytes, quantized};
pub use trial::{Trial, try_model};

use crate::profile::encoders::{Device, EncoderChoice, ModelSource};
use crate::vector::{DenseVector, SparseVector};
use dense_encoder::DenseEncoder;
use model::Model;
pub use session::BatchEvent;
use session::{ModelSession, Place, Spent};
use sparse_encoder::SparseEncoder;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

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
    /// Time spent inside the runtime; of texts that were encoded together it is all noted at the first.
    pub busy: Duration,
    /// Tokens that sessions ran over, of all windows and kinds, and the same with padding; noted likewise.
    pub run_tokens: u64,
    pub padded_tokens: u64,
}

/// The loaded encoders of one process. Slow to open (a model's load time), so open it once.
pub struct Encoders {
    preparer: Arc<TextPreparer>,
    sparse: Option<SparseEncoder>,
    dense: Option<DenseEncoder>,
    device_name: String,
    faults: Vec<EncodeError>,
}

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
        Self::open_on(choice, Hardware::of_this_process())
    }

    fn open_on(choice: &EncoderChoice, hardware: Hardware) -> Result<Self, EncodeError> {
        let sparse = Model::resolve(EncoderKind::Sparse, &choice.sparse)?;
        let dense = Model::resolve(EncoderKind::Dense, &choice.dense)?;
        let preparer = TextPreparer::new(sparse.as_ref(), dense.as_ref(), choice.coverage)?;
        let on_device = lanes_on_device(choice);
        let place = |device: Device| Place {
            device,
            arena_bytes: choice.device_memory / on_device.max(1),
            max_batch: choice.max_batch as usize,
            threads: choice.cpu_threads as usize,
            precision: choice.precision,
            hardware,
        };
        let tokenizers = [preparer.sparse_tokenizer(), preparer.dense_tokenizer()];
        for (model, tokenizer) in [&sparse, &dense].into_iter().zip(tokenizers) {
            if let (Some(model), Some(tokenizer)) = (model, tokenizer) {
                check::check_vocabulary(model.kind, &model.name, tokenizer, model.n_tokens)?;
            }
        }
        for (model, device) in [
            (&sparse, choice.sparse_device),
            (&dense, choice.dense_device),
        ] {
            if let Some(model) = model
                && model.quantized
                && !device.is_cpu()
            {
                let reason = "its activations are 8-bit numbers with one scale for a whole run, so it may \
                    only run one text at a time; use --device cpu, or the model that it was made from";
                return Err(EncodeError::bad(model.kind, &model.name, reason));
            }
        }
        if let (Some(device), Hardware::Real) = (choice.device(), hardware) {
            cuda::load_libraries(choice, device)?;
        }
        let runtime = || runtime::environment(choice.ort_lib.as_deref());
        let sparse = match (&sparse, preparer.sparse_tokenizer()) {
            (Some(model), Some(tokenizer)) => {
                let place = place(choice.sparse_device);
                let environment = runtime()?;
                Some(SparseEncoder::open(&environment, model, tokenizer, place)?)
            }
            _ => None,
        };
        let dense = match (&dense, preparer.dense_tokenizer()) {
            (Some(model), Some(tokenizer)) => {
                let place = place(choice.dense_device);
                let environment = runtime()?;
                Some(DenseEncoder::open(&environment, model, tokenizer, place)?)
            }
            _ => None,
        };
        let mut encoders = Self {
            preparer: Arc::new(preparer),
            sparse,
            dense,
            device_name: choice.device_name(),
            faults: Vec::new(),
        };
        let exact = choice.device().is_none() && choice.cpu_threads <= 1;
        encoders.try_out(exact)?;
        Ok(encoders)
    }

    /// What prepares texts for these encoders. Share it with a thread pool.
    pub fn tokenizer(&self) -> Arc<TextPreparer> {
        Arc::clone(&self.preparer)
    }

    /// Where the sessions run.
    pub fn device_name(&self) -> String {
        self.device_name.clone()
    }

    /// Whether texts should come many at a time: a kind runs on a device.
    pub fn is_batched(&self) -> bool {
        let sparse = self.sparse.as_ref().map(|e| &e.session);
        let dense = self.dense.as_ref().map(|e| &e.session);
        sparse.is_some_and(ModelSession::is_batched) || dense.is_some_and(ModelSession::is_batched)
    }

    /// Whenever this count rises, the next run of each session gives memory that its arena does not use back. A
    /// long life of many shapes leaves an arena larger than any one run needs.
    pub fn heed_releases(&mut self, releases: &Arc<AtomicU32>) {
        if let Some(encoder) = &mut self.sparse {
            encoder.session.heed(releases);
        }
        if let Some(encoder) = &mut self.dense {
            encoder.session.heed(releases);
        }
    }

    /// Encodes a text prepared by this instance's [`Self::tokenizer`]. The result depends on the
    /// text, the models and the kind of processor or device only.
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

    /// Encodes texts prepared by this instance's [`Self::tokenizer`], in their order. On a device their windows
    /// run together, and the two kinds at the same time if the other is on the CPU; `told` hears of
    /// each run, from any thread. On the CPU it is the same as encoding them one by one.
    ///
    /// # Errors
    /// As [`Self::encode`], the first that comes; which text it was is not told.
    pub fn encode_many(
        &mut self,
        texts: &[&Prepared],
        told: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<Vec<Encoded>, EncodeError> {
        self.encode_all(texts, sparse::DOCUMENT_TERMS, told)
    }

    fn encode_terms(
        &mut self,
        prepared: &Prepared,
        n_terms: usize,
    ) -> Result<Encoded, EncodeError> {
        let encoded = self.encode_all(&[prepared], n_terms, &|_| ())?;
        Ok(encoded.into_iter().next().unwrap_or_default())
    }

    fn encode_all(
        &mut self,
        texts: &[&Prepared],
        n_terms: usize,
        told: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<Vec<Encoded>, EncodeError> {
        if let Some(reason) = texts.iter().find_map(|text| text.refused.clone()) {
            return Err(EncodeError::TextRefused { reason });
        }
        let apart = self.is_apart();
        let sparse = self.sparse.as_mut().map(|encoder| {
            move || {
                let texts: Vec<_> = texts
                    .iter()
                    .filter_map(|t| Some((*t, t.sparse()?)))
                    .collect();
                let vectors = encoder.encode_many(&texts, n_terms, told)?;
                Ok::<_, EncodeError>((vectors, encoder.session.take_spent()))
            }
        });
        let dense = self.dense.as_mut().map(|encoder| {
            move || {
                let texts: Vec<_> = texts.iter().filter_map(|t| t.dense()).collect();
                let vectors = encoder.encode_many(&texts, told)?;
                Ok::<_, EncodeError>((vectors, encoder.session.take_spent()))
            }
        });
        let (sparse, dense) = match (sparse, dense) {
            (Some(sparse), Some(mut dense)) if apart => std::thread::scope(|scope| {
                let sparse = scope.spawn(sparse);
                let dense = dense();
                let sparse = sparse.join().unwrap_or_else(|panic| resume_unwind(panic));
                (Some(sparse), Some(dense))
            }),
            (sparse, dense) => (sparse.map(|mut run| run()), dense.map(|mut run| run())),
        };
        let mut encoded = vec![Encoded::default(); texts.len()];
        let mut spent = Vec::new();
        if let Some(sparse) = sparse {
            let (vectors, cost) = sparse?;
            spent.push(cost);
            for (text, (vector, words)) in encoded.iter_mut().zip(vectors) {
                text.sparse = Some(vector);
                text.route_words = words;
            }
        }
        if let Some(dense) = dense {
            let (vectors, cost) = dense?;
            spent.push(cost);
            for (text, vector) in encoded.iter_mut().zip(vectors) {
                text.dense = vector;
            }
        }
        if let Some(first) = encoded.first_mut() {
            first.busy = busy(&spent, apart);
            first.run_tokens = spent.iter().map(|cost| cost.run_tokens).sum();
            first.padded_tokens = spent.iter().map(|cost| cost.padded_tokens).sum();
        }
        Ok(encoded)
    }

    /// Whether one kind runs on a device and the other on the CPU.
    fn is_apart(&self) -> bool {
        match (&self.sparse, &self.dense) {
            (Some(sparse), Some(dense)) => {
                sparse.session.is_batched() != dense.session.is_batched()
            }
            _ => false,
        }
    }
}

/// Time during which the runtime was at work.
fn busy(spent: &[Spent], apart: bool) -> Duration {
    let each = spent.iter().map(|cost| cost.busy);
    match apart {
        true => each.max().unwrap_or_default(),
        false => each.sum(),
    }
}

/// Sessions that share a device's memory.
fn lanes_on_device(choice: &EncoderChoice) -> u64 {
    let lanes = [
        (&choice.sparse, choice.sparse_device),
        (&choice.dense, choice.dense_device),
    ];
    let on_device = |(source, device): &(&ModelSource, Device)| {
        **source != ModelSource::None && !device.is_cpu()
    };
    lanes.iter().filter(|lane| on_device(lane)).count() as u64
}

#[cfg(test)]
mod tests;
