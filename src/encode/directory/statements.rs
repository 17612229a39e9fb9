//! What the files of a model directory state: their formats, and what they say together.
//!
//! `helix-model.toml` overrides all others; the graph's file limits what they may say.

use super::files::Files;
use crate::batch::EncoderKind;
use crate::encode::check::Facts;
use crate::encode::error::EncodeError;
use crate::encode::model::Pooling;
use serde::Deserialize;
use std::path::PathBuf;

/// `helix-model.toml`: what the exporter's files do not say or say wrongly.
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
    /// A note of `models prepare` for people; it has no effect.
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
struct SpladeConfig {
    pooling_strategy: Option<String>,
    activation_function: Option<String>,
}

/// One entry of `modules.json`.
#[derive(Deserialize)]
pub(super) struct Module {
    #[serde(rename = "type")]
    pub class: String,
}

/// Where sentence transformers keep what a sparse encoder does with its logits; the second is of those
/// that treat queries another way.
const SPLADE_FOLDERS: [&str; 2] = ["1_SpladePooling", "document_1_SpladePooling"];

/// Tokens that any encoder reads at once at most: the longest contexts that are published. Room for this many is taken
/// when a model is opened, a few megabytes.
const MOST_TOKENS: usize = 1 << 17;

/// Without any statement, what BERT allows.
const DEFAULT_MAX_LEN: usize = 512;

impl Files<'_> {
    /// As it is stated, but never beyond the positions that the model has.
    pub fn max_len(
        &self,
        overrides: &Overrides,
        sentence: &SentenceConfig,
        config: &Config,
        facts: &Facts,
    ) -> Result<usize, EncodeError> {
        let rows = [config.max_position_embeddings, facts.n_positions];
        let rows = rows.into_iter().flatten().min();
        let limit = rows.map(|rows| usable_positions(config, rows));
        match (overrides.max_len, limit) {
            (Some(max_len), Some(limit)) if max_len > limit => Err(self.bad(format!(
                "helix-model.toml sets max_len = {max_len}, and the model has {limit} positions; \
                 set {limit} or less"
            ))),
            (Some(max_len), None) if max_len > MOST_TOKENS => Err(self.bad(format!(
                "helix-model.toml sets max_len = {max_len}, and no encoder reads more than {MOST_TOKENS} tokens at \
                 once; set the length that the model was trained for"
            ))),
            (Some(max_len), _) => Ok(max_len.min(MOST_TOKENS)),
            (None, limit) => {
                let stated = sentence.max_seq_length.or(limit).unwrap_or(DEFAULT_MAX_LEN);
                Ok(stated.min(limit.unwrap_or(MOST_TOKENS)).min(MOST_TOKENS))
            }
        }
    }

    /// Without any statement, the graph's outputs tell when it is opened.
    pub fn stated_kind(&self, overrides: &Overrides, modules: &[Module]) -> Option<EncoderKind> {
        let has_module = |class: &str| modules.iter().any(|m| m.class.ends_with(class));
        Some(match (overrides.kind, overrides.pooling) {
            (Some(DeclaredKind::Sparse), _) => EncoderKind::Sparse,
            (Some(DeclaredKind::Dense), _) => EncoderKind::Dense,
            (None, Some(Pooling::Splade | Pooling::SpladeLog1p)) => EncoderKind::Sparse,
            (None, Some(Pooling::Cls | Pooling::Last | Pooling::Mean)) => EncoderKind::Dense,
            _ if SPLADE_FOLDERS.iter().any(|f| self.dir.join(f).is_dir()) => EncoderKind::Sparse,
            _ if has_module("SpladePooling") => EncoderKind::Sparse,
            // Sentence transformers have this folder.
            _ if self.dir.join("1_Pooling").is_dir() => EncoderKind::Dense,
            _ => return None,
        })
    }

    pub fn check_kind(&self, overrides: &Overrides, modules: &[Module]) -> Result<(), EncodeError> {
        let Some(declared) = self.stated_kind(overrides, modules) else {
            return Ok(());
        };
        if declared == self.kind {
            return Ok(());
        }
        let reason = format!("its files describe a {declared} encoder");
        Err(EncodeError::wrong_kind(self.kind, &self.name(), reason))
    }

    /// A projection after the pooling is not part of the exported graph, so the vectors would not
    /// be the model's.
    pub fn check_modules(&self, modules: &[Module]) -> Result<(), EncodeError> {
        let foreign = modules
            .iter()
            .find(|module| module.class.ends_with(".Dense"));
        match foreign {
            Some(module) if self.kind == EncoderKind::Dense => Err(self.bad(format!(
                "modules.json lists {}, which is not in the graph; export the whole pipeline with a \
                 sentence_embedding output and set pooling = \"none\" in helix-model.toml",
                module.class
            ))),
            _ => Ok(()),
        }
    }

    /// What sentence transformers' files say is done with a sparse encoder's logits.
    pub fn of_logits(&self) -> Result<Pooling, EncodeError> {
        for folder in SPLADE_FOLDERS {
            let file = format!("{folder}/config.json");
            let Some(splade) = self.json::<SpladeConfig>(&file)? else {
                continue;
            };
            let is_max = splade.pooling_strategy.is_none_or(|s| s == "max");
            return match splade.activation_function.as_deref() {
                None | Some("relu") if is_max => Ok(Pooling::Splade),
                Some("log1p_relu") if is_max => Ok(Pooling::SpladeLog1p),
                _ => Err(self.bad(format!(
                    "{file} asks for something else than the maximum of ln(1 + relu(x)), or of ln(1 + that); \
                     export the whole pipeline with weights [batch, vocabulary] as its output and set \
                     pooling = \"none\" in helix-model.toml"
                ))),
            };
        }
        Ok(Pooling::Splade)
    }
}

/// RoBERTa-like models number their positions from 2, so two of the table are never used.
fn usable_positions(config: &Config, rows: usize) -> usize {
    let offset = match config.model_type.as_str() {
        "roberta" | "xlm-roberta" | "camembert" | "mpnet" => 2,
        _ => 0,
    };
    rows.saturating_sub(offset)
}

/// What `1_Pooling/config.json` asks for.
pub(super) fn declared(kind: EncoderKind, config: &PoolingConfig) -> Option<Pooling> {
    match kind {
        EncoderKind::Sparse => None,
        EncoderKind::Dense if config.pooling_mode_cls_token => Some(Pooling::Cls),
        EncoderKind::Dense if config.pooling_mode_mean_tokens => Some(Pooling::Mean),
        EncoderKind::Dense if config.pooling_mode_lasttoken => Some(Pooling::Last),
        EncoderKind::Dense => None,
    }
}
