//! The forms of answers. Unknown fields are ignored; numbers that are not finite arrive as `null`.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A number, or `None` for one that JSON cannot hold.
pub(super) type Number = Option<f32>;

/// `GET /info` of text-embeddings-inference.
#[derive(Deserialize)]
pub(super) struct TeiInfo {
    pub model_id: String,
    pub model_sha: Option<String>,
    #[serde(default)]
    pub model_dtype: String,
    #[serde(default)]
    pub model_type: serde_json::Value,
    /// Tokens of a text.
    pub max_input_length: Option<usize>,
    /// Texts of a request.
    pub max_client_batch_size: Option<usize>,
}

impl TeiInfo {
    /// How the model pools; `splade` makes it a sparse encoder.
    pub fn pooling(&self) -> Option<&str> {
        self.model_type.get("embedding")?.get("pooling")?.as_str()
    }
}

/// A term of a vector of `POST /embed_sparse`.
#[derive(Deserialize)]
pub(super) struct TeiTerm {
    pub index: u32,
    pub value: Number,
}

/// `GET /v1/models`.
#[derive(Deserialize)]
pub(super) struct OpenAiModels {
    pub data: Vec<OpenAiModel>,
}

#[derive(Deserialize)]
pub(super) struct OpenAiModel {
    pub id: String,
    /// Tokens of a text, as vLLM tells it.
    pub max_model_len: Option<usize>,
}

/// `POST /v1/embeddings`.
#[derive(Deserialize)]
pub(super) struct OpenAiAnswer {
    pub data: Vec<OpenAiVector>,
    #[serde(default)]
    pub model: String,
}

#[derive(Deserialize)]
pub(super) struct OpenAiVector {
    pub index: usize,
    pub embedding: Vec<Number>,
}

/// `GET /ready` of `serve --encoders`.
#[derive(Deserialize)]
pub(super) struct HelixReady {
    /// Earlier versions do not tell.
    pub encoders: Option<HelixEncoders>,
}

#[derive(Deserialize)]
pub(super) struct HelixEncoders {
    pub sparse: Option<HelixEncoder>,
    pub dense: Option<HelixEncoder>,
}

#[derive(Deserialize)]
pub(super) struct HelixEncoder {
    pub name: String,
    pub hash: String,
    /// Most terms of a chunk.
    pub terms: Option<usize>,
}

#[derive(Deserialize)]
pub(super) struct HelixDense {
    pub vectors: Vec<Vec<Number>>,
}

#[derive(Deserialize)]
pub(super) struct HelixSparse {
    pub sparse: Vec<BTreeMap<String, Number>>,
}
