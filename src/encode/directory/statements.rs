//! The formats of the files in a model directory.

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
    pub modules: Vec<Module>,
    pub pooling: PoolingConfig,
}

impl Statements {
    /// Return the dimensions of a vector.
    pub fn dim(&self, kind: EncoderKind) -> Option<usize> {
        match kind {
            EncoderKind::Sparse => self.config.vocab_size,
            EncoderKind::Dense => {
                let pooled = self.pooling.word_embedding_dimension;
                pooled.or(self.config.hidden_size)
            }
        }
    }

    /// Return the pooling; `None`: the graph's outputs decide.
    pub fn pooling(&self, kind: EncoderKind) -> Option<Pooling> {
        self.overrides.pooling.or_else(|| self.pooling.of(kind))
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
    #[serde(default)]
    pub query_prefix: String,
    #[serde(default)]
    pub passage_prefix: String,
    pub char_cap: Option<usize>,
    pub licence: Option<String>,
    pub sha256: Option<String>,
    pub quantized: Option<Quantized>,
    /// Written by `models prepare` for people; has no effect.
    #[serde(default, rename = "made_from")]
    _made_from: Option<toml::Table>,
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
    pub hidden_size: Option<usize>,
    pub vocab_size: Option<usize>,
    pub max_position_embeddings: Option<usize>,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
pub(super) struct SentenceConfig {
    pub max_seq_length: Option<usize>,
}

/// `1_Pooling/config.json`.
#[derive(Default, Deserialize)]
pub(super) struct PoolingConfig {
    pub word_embedding_dimension: Option<usize>,
    #[serde(default)]
    pub pooling_mode_cls_token: bool,
    #[serde(default)]
    pub pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pub pooling_mode_lasttoken: bool,
}

/// `1_SpladePooling/config.json`.
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
}

impl PoolingConfig {
    /// Return the pooling that this file sets.
    fn of(&self, kind: EncoderKind) -> Option<Pooling> {
        match kind {
            EncoderKind::Sparse => None,
            EncoderKind::Dense if self.pooling_mode_cls_token => Some(Pooling::Cls),
            EncoderKind::Dense if self.pooling_mode_mean_tokens => Some(Pooling::Mean),
            EncoderKind::Dense if self.pooling_mode_lasttoken => Some(Pooling::Last),
            EncoderKind::Dense => None,
        }
    }
}
