//! The formats of the files in a model directory.

use super::pooling_file::PoolingConfig;
use super::prompts::LibraryConfig;
use super::router::Router;
use crate::batch::EncoderKind;
use crate::encode::model::Pooling;
use serde::Deserialize;
use std::path::PathBuf;

/// What the files of a directory state. Files that do not exist state the defaults.
#[derive(Default)]
pub(super) struct Statements {
    pub overrides: Overrides,
    pub config: Config,
    pub sentence: SentenceConfig,
    pub library: LibraryConfig,
    pub tokenizer: TokenizerConfig,
    pub modules: Vec<Module>,
    pub pooling: PoolingConfig,
    pub router: Option<Router>,
}

impl Statements {
    /// Return the dimensions of a vector.
    pub fn dim(&self, kind: EncoderKind) -> Option<usize> {
        match kind {
            EncoderKind::Sparse => self.config.vocab_size,
            EncoderKind::Dense => {
                let pooled = self.pooling.word_embedding_dimension;
                pooled.or(self.config.width())
            }
        }
    }
}

/// `helix-model.toml`: what the exporter's files omit or state wrongly.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Overrides {
    pub kind: Option<DeclaredKind>,
    pub file: Option<PathBuf>,
    pub pooling: Option<Pooling>,
    pub max_len: Option<usize>,
    pub dim: Option<usize>,
    pub query_prefix: Option<String>,
    pub passage_prefix: Option<String>,
    pub char_cap: Option<usize>,
    pub licence: Option<String>,
    pub sha256: Option<String>,
    pub quantized: Option<Quantized>,
    /// Weights of tokens by which queries are encoded.
    pub query_table: Option<PathBuf>,
    /// Written by `models prepare` for people; has no effect.
    #[serde(default, rename = "made_from")]
    _made_from: Option<toml::Table>,
    /// Written by `models fetch` for people; has no effect.
    #[serde(default, rename = "fetched")]
    _fetched: Option<toml::Table>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Quantized {
    Int8,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeclaredKind {
    Sparse,
    Dense,
}

/// `config.json` of a transformer.
#[derive(Default, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    pub model_type: String,
    #[serde(default)]
    pub architectures: Vec<String>,
    hidden_size: Option<usize>,
    /// Of T5 and its kind.
    d_model: Option<usize>,
    /// Of DistilBERT.
    dim: Option<usize>,
    /// Of GPT-2 and its kind.
    n_embd: Option<usize>,
    pub vocab_size: Option<usize>,
    pub max_position_embeddings: Option<usize>,
    pub pad_token_id: Option<usize>,
}

impl Config {
    /// Return the numbers of a hidden state; families name them differently.
    fn width(&self) -> Option<usize> {
        let Self {
            hidden_size,
            d_model,
            dim,
            n_embd,
            ..
        } = self;
        hidden_size.or(*d_model).or(*dim).or(*n_embd)
    }
}

/// `tokenizer_config.json`.
#[derive(Default, Deserialize)]
pub(super) struct TokenizerConfig {
    /// Tokens; a number as 1e30 stands for no limit.
    pub model_max_length: Option<f64>,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
pub(super) struct SentenceConfig {
    pub max_seq_length: Option<usize>,
    #[serde(default)]
    pub do_lower_case: bool,
}

/// `config.json` of a module `SpladePooling`.
#[derive(Default, Deserialize)]
pub(super) struct SpladeConfig {
    pub pooling_strategy: Option<String>,
    pub activation_function: Option<String>,
}

/// One entry of `modules.json`.
#[derive(Deserialize)]
pub(super) struct Module {
    #[serde(rename = "type")]
    pub class: String,
    /// Its folder.
    pub path: Option<PathBuf>,
}
