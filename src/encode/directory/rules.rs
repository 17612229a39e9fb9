//! What the files of a model directory mean together.
//!
//! `helix-model.toml` overrides all others; the graph's file limits what they may state.

use super::files::{Files, LIBRARY};
use super::router::{ROUTER, ROUTER_CLASS, Side};
use super::statements::{Config, DeclaredKind, Module, SpladeConfig, Statements};
use super::static_table::{is_static, module_name};
use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::graph_file::GraphFacts;
use crate::encode::model::Pooling;

/// Where sentence transformers keep what a sparse encoder does with its logits, unless a router says otherwise.
const SPLADE_FOLDERS: [&str; 2] = ["1_SpladePooling", "document_1_SpladePooling"];
const SPLADE: &str = "SpladePooling";

/// Most tokens that an encoder reads at once: the longest contexts that are published. Opening a model allocates room for
/// its longest run, a few megabytes for this one.
pub(super) const MAX_TOKENS: usize = 1 << 17;

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
            let stated = stated.sentence.max_seq_length.or(tokenizer_limit(stated)).or(limit);
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
        _ if is_static(stated) => EncoderKind::Dense,
        _ if SPLADE_FOLDERS.iter().any(|folder| has_folder(folder)) => EncoderKind::Sparse,
        _ if has_module(SPLADE) => EncoderKind::Sparse,
        _ if stated
            .router
            .as_ref()
            .is_some_and(|router| router.has(SPLADE)) =>
        {
            EncoderKind::Sparse
        }
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

/// Return the tokens that `tokenizer_config.json` allows; some write 1e30 for no limit.
fn tokenizer_limit(stated: &Statements) -> Option<usize> {
    let tokens = stated.tokenizer.model_max_length?;
    (1.0..=MAX_TOKENS as f64)
        .contains(&tokens)
        .then_some(tokens as usize)
}

/// Refuse models that score texts: their outputs are no vectors.
pub(super) fn check_purpose(
    files: &Files<'_>,
    stated: &Statements,
    facts: &GraphFacts,
) -> Result<(), EncodeError> {
    const HEADS: [&str; 4] = [
        "ForSequenceClassification",
        "ForTokenClassification",
        "ForQuestionAnswering",
        "ForMultipleChoice",
    ];
    let is_head = |class: &String| HEADS.iter().any(|head| class.ends_with(head));
    let architectures = &stated.config.architectures;
    let vocabulary = facts.n_tokens.or(stated.config.vocab_size);
    let is_score = |output: &crate::encode::onnx::ValueInfo| {
        let shape = output.shape.as_deref();
        let labels = shape.and_then(|shape| match shape {
            [_, labels] => Some(labels.and_then(|n| usize::try_from(n).ok())),
            _ => None,
        });
        let is_few = |n: usize| vocabulary.is_none_or(|vocabulary| n < vocabulary);
        output.name == "logits"
            && labels.is_some_and(|n| n.map_or_else(|| architectures.iter().any(is_head), is_few))
    };
    if !facts.outputs.iter().any(is_score) {
        return Ok(());
    }
    let named = architectures.iter().find(|class| is_head(class));
    let named = named.map_or_else(String::new, |class| format!(" ({class})"));
    Err(files.bad(format!(
        "it scores texts or pairs of texts{named}, as cross-encoders and classifiers do, and gives no vectors: \
         name an embedding model"
    )))
}

/// The output of a graph that holds the whole pipeline of sentence transformers.
const WHOLE_PIPELINE: &str = "sentence_embedding";

/// Return the pooling; `None`: the graph's outputs decide.
///
/// # Errors
/// `ModelBad` for what the library does after the graph and this program does not, unless the graph holds it.
pub(super) fn pooling(
    files: &Files<'_>,
    stated: &Statements,
    facts: &GraphFacts,
) -> Result<Option<Pooling>, EncodeError> {
    let overridden = stated.overrides.pooling;
    if overridden == Some(Pooling::None) {
        return Ok(overridden);
    }
    if files.kind == EncoderKind::Sparse {
        check_router(files, stated)?;
    }
    let is_whole = files.kind == EncoderKind::Dense
        && facts
            .outputs
            .iter()
            .any(|output| output.name == WHOLE_PIPELINE);
    let wanted = match (files.kind, overridden) {
        (EncoderKind::Sparse, _) | (_, Some(_)) => Ok(overridden),
        (EncoderKind::Dense, None) => stated.pooling.pooling(),
    };
    let other = stated
        .modules
        .iter()
        .find(|module| !is_known(files.kind, module));
    match (other, wanted) {
        (None, Ok(pooling)) => Ok(pooling),
        (Some(_), _) | (_, Err(_)) if is_whole && overridden.is_none() => Ok(Some(Pooling::None)),
        (Some(module), _) => Err(files.bad(format!(
            "modules.json lists {}, which the graph does not hold; {EXPORT_WHOLE}",
            module.class
        ))),
        (None, Err(mode)) => Err(files.bad(format!(
            "1_Pooling/config.json asks for {mode}, and this program pools by cls, mean or lasttoken; {EXPORT_WHOLE}"
        ))),
    }
}

const EXPORT_WHOLE: &str = "export the whole pipeline (`optimum-cli export onnx --library sentence_transformers`), \
     whose output sentence_embedding is then read, or name such a graph as `file` in helix-model.toml";

/// Whether this program does what a module does, or its export holds it.
fn is_known(kind: EncoderKind, module: &Module) -> bool {
    let name = module_name(module);
    match kind {
        EncoderKind::Dense => ["Transformer", "Pooling", "Normalize", "Dropout"].contains(&name),
        EncoderKind::Sparse => KNOWN_SPARSE.contains(&name),
    }
}

/// Modules of sparse encoders.
const KNOWN_SPARSE: [&str; 4] = ["Transformer", "MLMTransformer", SPLADE, ROUTER_CLASS];

/// Return the texts in front of queries and of documents.
///
/// # Errors
/// `ModelBad` for a default prompt that does not exist, and for prompts that are to be left out of the pooling.
pub(super) fn prefixes(files: &Files<'_>, stated: &Statements) -> Result<[String; 2], EncodeError> {
    let library = &stated.library;
    if let Some(name) = library.missing_default() {
        return Err(files.bad(format!(
            "{LIBRARY} names the default prompt {name:?}, which is not among its prompts: \
             mend it, or set query_prefix and passage_prefix in helix-model.toml"
        )));
    }
    let overrides = &stated.overrides;
    let chosen = |overridden: &Option<String>, prompt: &str| {
        overridden.clone().unwrap_or_else(|| prompt.to_owned())
    };
    let prefixes = [
        chosen(&overrides.query_prefix, library.query_prompt()),
        chosen(&overrides.passage_prefix, library.document_prompt()),
    ];
    let is_left_out = stated.pooling.include_prompt == Some(false);
    if files.kind == EncoderKind::Dense
        && is_left_out
        && prefixes.iter().any(|text| !text.is_empty())
    {
        return Err(files.bad(
            "1_Pooling/config.json leaves the tokens of prompts out of the pooling (include_prompt), which this \
             program does not: set query_prefix = \"\" and passage_prefix = \"\" in helix-model.toml to encode \
             without prompts"
                .to_owned(),
        ));
    }
    Ok(prefixes)
}

/// Return how a sparse encoder's logits are pooled, by the files of sentence transformers.
pub(super) fn pooling_of_logits(
    files: &Files<'_>,
    stated: &Statements,
) -> Result<Pooling, EncodeError> {
    let file = format!("{}/config.json", splade_folder(files, stated));
    let Some(splade) = files.json::<SpladeConfig>(&file)? else {
        return Ok(Pooling::Splade);
    };
    let is_max = splade.pooling_strategy.is_none_or(|s| s == "max");
    match splade.activation_function.as_deref() {
        None | Some("relu") if is_max => Ok(Pooling::Splade),
        Some("log1p_relu") if is_max => Ok(Pooling::SpladeLog1p),
        _ => Err(files.bad(format!(
            "{file} asks for something else than the maximum of ln(1 + relu(x)), or of ln(1 + that); \
             export the whole pipeline with weights [batch, vocabulary] as its output and set \
             pooling = \"none\" in helix-model.toml"
        ))),
    }
}

/// Return the folder that states how the logits of documents are pooled.
pub(super) fn splade_folder<'a>(files: &Files<'_>, stated: &'a Statements) -> &'a str {
    let router = stated.router.as_ref();
    let routed = router.and_then(|router| router.folder(Side::Document, SPLADE));
    let mut usual = SPLADE_FOLDERS.into_iter();
    let found = routed.or_else(|| usual.find(|folder| files.dir.join(folder).is_dir()));
    found.unwrap_or(SPLADE_FOLDERS[0])
}

/// Refuse a router whose documents pass other modules than a transformer and its pooling, and one that is not there.
fn check_router(files: &Files<'_>, stated: &Statements) -> Result<(), EncodeError> {
    let Some(router) = &stated.router else {
        let mut modules = stated.modules.iter();
        let is_routed = modules.any(|module| module.class.ends_with(ROUTER_CLASS));
        if is_routed && stated.overrides.query_table.is_none() {
            return Err(files.bad(format!(
                "modules.json lists {ROUTER_CLASS}, and {ROUTER} is missing: copy it from the model with the folder of \
                 its queries, or name their table of weights as query_table in helix-model.toml"
            )));
        }
        return Ok(());
    };
    let modules = router.modules(Side::Document);
    let names = modules.iter().map(|module| module.class);
    let mut other = names.filter(|class| *class == ROUTER_CLASS || !KNOWN_SPARSE.contains(class));
    match (modules.is_empty(), other.next()) {
        (true, _) => Err(files.bad(format!(
            "{ROUTER} names no route for documents; save the model again, with a route named document"
        ))),
        (false, Some(class)) => Err(files.bad(format!(
            "{ROUTER} sends documents through {class}, which this program does not follow; {EXPORT_WHOLE}"
        ))),
        (false, None) => Ok(()),
    }
}

/// RoBERTa-like models number their positions from the id of the padding token plus 1, so they never use the rows before.
fn usable_positions(config: &Config, rows: usize) -> usize {
    let offset = match config.model_type.as_str() {
        "roberta"
        | "xlm-roberta"
        | "xlm-roberta-xl"
        | "roberta-prelayernorm"
        | "camembert"
        | "mpnet"
        | "longformer"
        | "data2vec-text"
        | "ibert"
        | "luke"
        | "xmod"
        | "esm" => config.pad_token_id.unwrap_or(1) + 1,
        _ => 0,
    };
    rows.saturating_sub(offset)
}
