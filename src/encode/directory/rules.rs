//! What the files of a model directory mean together.
//!
//! `helix-model.toml` overrides all others; the graph's file limits what they may state.

use super::files::Files;
use super::statements::{Config, DeclaredKind, Module, SpladeConfig, Statements};
use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::graph_file::GraphFacts;
use crate::encode::model::Pooling;

/// Where sentence transformers keep what a sparse encoder does with its logits; the second is of those that treat queries
/// differently.
const SPLADE_FOLDERS: [&str; 2] = ["1_SpladePooling", "document_1_SpladePooling"];

/// Most tokens that an encoder reads at once: the longest contexts that are published. Opening a model allocates room for
/// its longest run, a few megabytes for this one.
const MAX_TOKENS: usize = 1 << 17;

/// The limit of BERT, for models that state none.
const DEFAULT_MAX_LEN: usize = 512;

/// Return the longest run: as stated, but within the positions of the model.
pub(super) fn max_len(
    files: &Files<'_>,
    stated: &Statements,
    facts: &GraphFacts,
) -> Result<usize, EncodeError> {
    let config = &stated.config;
    let rows = [config.max_position_embeddings, facts.n_positions];
    let rows = rows.into_iter().flatten().min();
    let limit = rows.map(|rows| usable_positions(config, rows));
    match (stated.overrides.max_len, limit) {
        (Some(max_len), Some(limit)) if max_len > limit => Err(files.bad(format!(
            "helix-model.toml sets max_len = {max_len}, and the model has {limit} positions; \
             set {limit} or less"
        ))),
        (Some(max_len), None) if max_len > MAX_TOKENS => Err(files.bad(format!(
            "helix-model.toml sets max_len = {max_len}, and no encoder reads more than {MAX_TOKENS} tokens at \
             once; set the length that the model was trained for"
        ))),
        (Some(max_len), _) => Ok(max_len.min(MAX_TOKENS)),
        (None, limit) => {
            let stated = stated.sentence.max_seq_length.or(limit);
            let limit = limit.unwrap_or(MAX_TOKENS).min(MAX_TOKENS);
            Ok(stated.unwrap_or(DEFAULT_MAX_LEN).min(limit))
        }
    }
}

/// Return the kind that the files state; `None`: the graph's outputs decide.
pub(super) fn stated_kind(files: &Files<'_>, stated: &Statements) -> Option<EncoderKind> {
    let has_module = |class: &str| stated.modules.iter().any(|m| m.class.ends_with(class));
    let has_folder = |folder: &str| files.dir.join(folder).is_dir();
    Some(match (stated.overrides.kind, stated.overrides.pooling) {
        (Some(DeclaredKind::Sparse), _) => EncoderKind::Sparse,
        (Some(DeclaredKind::Dense), _) => EncoderKind::Dense,
        (None, Some(Pooling::Splade | Pooling::SpladeLog1p)) => EncoderKind::Sparse,
        (None, Some(Pooling::Cls | Pooling::Last | Pooling::Mean)) => EncoderKind::Dense,
        _ if SPLADE_FOLDERS.iter().any(|folder| has_folder(folder)) => EncoderKind::Sparse,
        _ if has_module("SpladePooling") => EncoderKind::Sparse,
        // Sentence transformers have this folder.
        _ if has_folder("1_Pooling") => EncoderKind::Dense,
        _ => return None,
    })
}

/// Refuse a directory that states the other kind.
pub(super) fn check_kind(files: &Files<'_>, stated: &Statements) -> Result<(), EncodeError> {
    match stated_kind(files, stated) {
        Some(kind) if kind != files.kind => {
            let reason = format!("its files describe a {kind} encoder");
            Err(EncodeError::wrong_kind(files.kind, &files.name(), reason))
        }
        _ => Ok(()),
    }
}

/// Refuse a projection after the pooling: it is not part of the exported graph, so the vectors would be wrong.
pub(super) fn check_modules(files: &Files<'_>, modules: &[Module]) -> Result<(), EncodeError> {
    let projection = modules
        .iter()
        .find(|module| module.class.ends_with(".Dense"));
    match projection {
        Some(module) if files.kind == EncoderKind::Dense => Err(files.bad(format!(
            "modules.json lists {}, which is not in the graph; export the whole pipeline with a \
             sentence_embedding output and set pooling = \"none\" in helix-model.toml",
            module.class
        ))),
        _ => Ok(()),
    }
}

/// Return how a sparse encoder's logits are pooled, by the files of sentence transformers.
pub(super) fn pooling_of_logits(files: &Files<'_>) -> Result<Pooling, EncodeError> {
    for folder in SPLADE_FOLDERS {
        let file = format!("{folder}/config.json");
        let Some(splade) = files.json::<SpladeConfig>(&file)? else {
            continue;
        };
        let is_max = splade.pooling_strategy.is_none_or(|s| s == "max");
        return match splade.activation_function.as_deref() {
            None | Some("relu") if is_max => Ok(Pooling::Splade),
            Some("log1p_relu") if is_max => Ok(Pooling::SpladeLog1p),
            _ => Err(files.bad(format!(
                "{file} asks for something else than the maximum of ln(1 + relu(x)), or of ln(1 + that); \
                 export the whole pipeline with weights [batch, vocabulary] as its output and set \
                 pooling = \"none\" in helix-model.toml"
            ))),
        };
    }
    Ok(Pooling::Splade)
}

/// RoBERTa-like models number their positions from 2, so they never use two rows of the table.
fn usable_positions(config: &Config, rows: usize) -> usize {
    let offset = match config.model_type.as_str() {
        "roberta" | "xlm-roberta" | "camembert" | "mpnet" => 2,
        _ => 0,
    };
    rows.saturating_sub(offset)
}
