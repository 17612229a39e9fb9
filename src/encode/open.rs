//! Opens encoders: loads the runtime and the models, and encodes a few texts with them.

use super::canary;
use super::cuda::Cuda;
use super::dense_encoder::{DenseEncoder, DenseSession, TableDense};
use super::encoders::Encoders;
use super::error::EncodeError;
use super::graph_file::check_vocabulary;
use super::model::{Graph, Model};
use super::provider::{Cpu, Provider};
use super::server::Server;
use super::server_encoders::{self, ServerEncoder};
use super::session::SessionConfig;
use super::simulated::{self, Simulated};
use super::sparse::DOCUMENT_TERMS;
use super::sparse_encoder::{BuiltInSparse, SparseEncoder, SparseSession};
use super::table_queries::TableQueries;
use super::text::{TextTokenizer, head_chars};
use super::{runtime, source};
use crate::batch::EncoderKind;
use crate::profile::encoders::{Device, EncoderChoice, ModelSource};
use std::sync::Arc;

impl Encoders {
    /// Load the runtime and the chosen models, and encode two texts with them. Without any encoder, load no runtime.
    ///
    /// # Errors
    /// Any variant of [`EncodeError`].
    pub fn open(choice: &EncoderChoice) -> Result<Self, EncodeError> {
        Self::open_with(choice, provider_of)
    }

    /// The same, with the execution provider that `provider_of` returns for a device.
    pub(super) fn open_with(
        choice: &EncoderChoice,
        provider_of: fn(Device) -> Provider,
    ) -> Result<Self, EncodeError> {
        let sparse_model = source::resolve(EncoderKind::Sparse, &choice.sparse)?;
        let dense_model = source::resolve(EncoderKind::Dense, &choice.dense)?;
        let tokenizer =
            TextTokenizer::new(sparse_model.as_ref(), dense_model.as_ref(), choice.coverage)?
                .for_servers(choice.has_server());
        let models = || [&sparse_model, &dense_model].into_iter().flatten();
        for model in models() {
            if let (Some(_), Some(tokenizer)) = (model.graph.path(), tokenizer.of(model.kind)) {
                check_vocabulary(model.kind, &model.name, tokenizer, model.n_tokens)?;
            }
        }
        for model in models() {
            check_device(model, device_of(choice, model.kind))?;
        }
        if let Some(device) = choice.device() {
            provider_of(device).load_libraries(choice)?;
        }
        let arena_bytes = choice.device_memory / kinds_on_device(choice).max(1);
        let config = |device: Device| SessionConfig {
            device,
            provider: provider_of(device),
            arena_bytes,
            max_batch: choice.max_batch as usize,
            threads: choice.cpu_threads as usize,
            precision: choice.precision,
        };
        let environment = || runtime::environment(choice.ort_lib.as_deref());
        if choice.ort_lib.is_some() && models().next().is_some() {
            // A library that was named must be good, whether a model needs it or not.
            environment()?;
        }
        let sparse_server = server(EncoderKind::Sparse, choice)?;
        let dense_server = server(EncoderKind::Dense, choice)?;
        let document_terms = match (&sparse_model, &sparse_server) {
            (Some(model), _) => model.document_terms(),
            (None, Some(server)) => server.server().document_terms().unwrap_or(DOCUMENT_TERMS),
            (None, None) => 0,
        };
        let sparse = match (&sparse_model, tokenizer.of(EncoderKind::Sparse)) {
            (Some(model), Some(tokenizer)) => {
                let config = config(choice.sparse_device);
                Some(match &model.graph {
                    Graph::Embedded(file) if config.device.is_cpu() => {
                        SparseEncoder::Tables(Box::new(BuiltInSparse::open(model, file)?))
                    }
                    _ => {
                        let environment = environment()?;
                        let session = SparseSession::open(&environment, model, tokenizer, config);
                        SparseEncoder::Session(Box::new(session?))
                    }
                })
            }
            _ => sparse_server.map(SparseEncoder::Server),
        };
        let dense = match (&dense_model, tokenizer.of(EncoderKind::Dense)) {
            (Some(model), Some(tokenizer)) => {
                let config = config(choice.dense_device);
                Some(match &model.graph {
                    Graph::Embedded(file) if config.device.is_cpu() => {
                        DenseEncoder::Tables(Box::new(TableDense::built_in(model, file)?))
                    }
                    Graph::Table(table) => {
                        DenseEncoder::Tables(Box::new(TableDense::read(model, table, tokenizer)?))
                    }
                    Graph::Embedded(_) | Graph::File(_) => {
                        let environment = environment()?;
                        let session = DenseSession::open(&environment, model, tokenizer, config);
                        DenseEncoder::Session(Box::new(session?))
                    }
                })
            }
            _ => dense_server.map(DenseEncoder::Server),
        };
        let query_table = match (&sparse_model, tokenizer.of(EncoderKind::Sparse)) {
            (Some(model), Some(tokenizer)) => TableQueries::of(model, tokenizer),
            _ => None,
        };
        let mut encoders = Self {
            tokenizer: Arc::new(tokenizer),
            sparse,
            dense,
            document_terms,
            query_table,
            device_name: choice.device_name(),
            warnings: Vec::new(),
        };
        let is_exact = choice.device().is_none() && choice.cpu_threads <= 1 && !choice.has_server();
        let agreement = match is_exact {
            true => canary::Agreement::Exact,
            false => canary::Agreement::WithinRounding,
        };
        encoders.warnings = canary::check(&mut encoders, agreement)?;
        let useless = encoders.servers();
        let useless: Vec<_> = useless
            .filter_map(server_encoders::nothing_told_apart)
            .collect();
        encoders.warnings.extend(useless);
        Ok(encoders)
    }
}

/// Connect to the server of one kind; `None` if another thing encodes it.
fn server(
    kind: EncoderKind,
    choice: &EncoderChoice,
) -> Result<Option<Box<ServerEncoder>>, EncodeError> {
    let Some(address) = choice.source(kind).server() else {
        return Ok(None);
    };
    let server = Server::open(kind, address, choice.server_patience_s)?;
    let head = head_chars(kind, choice.coverage);
    Ok(Some(Box::new(ServerEncoder::new(server, head))))
}

/// Return the provider that runs the sessions of a device.
fn provider_of(device: Device) -> Provider {
    match device {
        Device::Cpu => Arc::new(Cpu),
        Device::Cuda(_) if simulated::is_requested() => Arc::new(Simulated),
        Device::Cuda(index) => Arc::new(Cuda { index }),
    }
}

fn device_of(choice: &EncoderChoice, kind: EncoderKind) -> Device {
    match kind {
        EncoderKind::Sparse => choice.sparse_device,
        EncoderKind::Dense => choice.dense_device,
    }
}

/// Refuse a quantized model on a device.
fn check_device(model: &Model, device: Device) -> Result<(), EncodeError> {
    if !model.quantized || device.is_cpu() {
        return Ok(());
    }
    let reason = "its activations are 8-bit numbers with one scale for a whole run, so it may \
        only run one text at a time; use --device cpu, or the model that it was made from";
    Err(EncodeError::bad(model.kind, &model.name, reason))
}

/// Count the sessions that share a device's memory.
fn kinds_on_device(choice: &EncoderChoice) -> u64 {
    let kinds = [
        (&choice.sparse, choice.sparse_device),
        (&choice.dense, choice.dense_device),
    ];
    let on_device = |(source, device): &(&ModelSource, Device)| {
        **source != ModelSource::None && !device.is_cpu()
    };
    kinds.iter().filter(|kind| on_device(kind)).count() as u64
}
