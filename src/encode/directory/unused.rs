//! Keys of the library's files that this program does not use.

use super::files::Files;
use super::rules::splade_folder;
use super::statements::Statements;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Files of sentence transformers, with the keys that are used or change no vector.
const FILES: [(&str, &[&str]); 4] = [
    (
        "config_sentence_transformers.json",
        &[
            "__version__",
            "model_type",
            "prompts",
            "default_prompt_name",
            "truncate_dim",
        ],
    ),
    (
        SENTENCE,
        &[
            "max_seq_length",
            "do_lower_case",
            "transformer_task",
            "modality_config",
            "module_output_name",
            "unpad_inputs",
        ],
    ),
    (
        "1_Pooling/config.json",
        &[
            "word_embedding_dimension",
            "embedding_dimension",
            "pooling_mode",
            "pooling_mode_cls_token",
            "pooling_mode_max_tokens",
            "pooling_mode_mean_tokens",
            "pooling_mode_mean_sqrt_len_tokens",
            "pooling_mode_weightedmean_tokens",
            "pooling_mode_lasttoken",
            "include_prompt",
        ],
    ),
    ("router_config.json", &["types", "structure", "parameters"]),
];
const SENTENCE: &str = "sentence_bert_config.json";
/// Keys of the file that states how logits are pooled.
const SPLADE: &[&str] = &[
    "pooling_strategy",
    "activation_function",
    "word_embedding_dimension",
    "embedding_dimension",
    "chunk_size",
];

/// Return the keys with a value that are not used, as `file: key = value`.
pub(super) fn unused(files: &Files<'_>, stated: &Statements) -> Vec<String> {
    let mut found = Vec::new();
    let of_logits = PathBuf::from(splade_folder(files, stated)).join("config.json");
    let usual = FILES.map(|(file, used)| match file {
        SENTENCE => (files.of_transformer(file), used),
        _ => (PathBuf::from(file), used),
    });
    for (file, used) in usual.into_iter().chain([(of_logits, SPLADE)]) {
        let keys: Map<String, Value> = files.json(&file).ok().flatten().unwrap_or_default();
        let others = keys
            .iter()
            .filter(|(key, value)| !used.contains(&key.as_str()) && !is_empty(value));
        found.extend(others.map(|(key, value)| format!("{}: {key} = {value}", file.display())));
    }
    found
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(is_set) => !is_set,
        Value::Number(_) | Value::String(_) => false,
    }
}
