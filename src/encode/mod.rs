//! Encoders: texts in, sparse and dense vectors out.
//!
//! The only module that uses ONNX Runtime and the `tokenizers` crate. Tokenizing ([`TextTokenizer`]) is pure work for a
//! thread pool; [`Encoders`] owns one session per kind and belongs to one thread. Writes nothing but the unpacked runtime
//! library and the models of [`prepare_model`], reads nothing but models, and opens no connection but to the encoder servers
//! that a choice names.
//!
//! The modules are listed from the bottom up: each imports only modules above it in this list.

mod error;

mod device_error;
mod runtime;
mod time_limit;

mod builtin;
mod digest;
mod model;
mod onnx;
mod output;
mod tokenizer;

mod characters;
mod dense;
mod server;

mod graph_file;

mod tensors;

mod static_table;

mod directory;

mod source;

mod describe;
mod size;
mod text;

mod built_with;

mod batch;
mod sparse;

mod provider;
mod route_words;

mod cuda;
mod simulated;

mod session;

mod meter;

mod server_encoders;

mod encoder;

mod dense_encoder;
mod sparse_encoder;
mod table_queries;

mod raw;

mod encoders;
mod similarity;

mod canary;

mod open;

mod models;

pub use built_with::{BuiltWith, MismatchError, OtherEncoder};
pub use cuda::{CudaError, LibraryPaths, find_runtime as find_cuda_runtime};
pub use describe::{EncoderInfo, ModelInfo, describe};
pub use directory::{is_static_model, looks_like_model};
pub use encoders::{Encoders, TextRole};
pub use error::EncodeError;
pub use models::{
    ModelReport, PrepareOptions, PreparedModel, Quantization, TOP_K, check_model, list_model,
    prepare_model,
};
pub use raw::{Encoded, FinishSpace, RawEncoded};
pub use runtime::{RuntimeInfo, RuntimeOrigin, embedded_runtime, forbid_telemetry, runtime_info};
pub use server::{ServerInfo, use_key};
pub use session::BatchEvent;
pub use simulated::is_requested as simulates_devices;
pub use size::{ModelBytes, QuantizedKinds, model_bytes, quantized_kinds};
pub use text::{TextTokenizer, TokenizedText};

#[cfg(test)]
mod tests;
