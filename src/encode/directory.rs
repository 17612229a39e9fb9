//! Reads a model directory as exporters write them.
//!
//! Needed: `model.onnx` or `onnx/model.onnx`, and `tokenizer.json`, beside either. Used where
//! present: `config.json`, `sentence_bert_config.json`, `modules.json`, `1_Pooling/config.json`,
//! `1_SpladePooling/config.json`, and `helix-model.toml`, which overrides all of them. What they say
//! is compared with what the graph's file says.

mod files;
mod statements;

use super::check;
use super::describe;
use super::error::EncodeError;
use super::model::{Graph, Model, Pooling};
use super::onnx;
use super::output::{self, Declared};
use crate::batch::EncoderKind;
use files::Files;
use statements::{Config, Module, PoolingConfig, Quantized, SentenceConfig, declared};
use std::borrow::Cow;
use std::path::Path;

/// The model in `dir`.
///
/// # Errors
/// `ModelMissing` for a file that is needed and not there, `ModelBad` for one that makes no sense,
/// `WrongKind` when the directory says that it holds the other kind.
pub(super) fn read(kind: EncoderKind, dir: &Path) -> Result<Model, EncodeError> {
    if dir.is_file() {
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new(".")).display();
        let reason = format!("it is a file; name the directory that holds it, {above}");
        return Err(EncodeError::file(kind, dir, reason));
    }
    let files = Files {
        kind,
        dir: &home(dir),
    };
    let overrides = files.overrides()?;
    let config: Config = files.json("config.json")?.unwrap_or_default();
    let sentence: SentenceConfig = files.json("sentence_bert_config.json")?.unwrap_or_default();
    let pooling: PoolingConfig = files.json("1_Pooling/config.json")?.unwrap_or_default();
    let modules: Vec<Module> = files.json("modules.json")?.unwrap_or_default();
    files.check_kind(&overrides, &modules)?;
    let mut of_logits = Pooling::Splade;
    if overrides.pooling.is_none() {
        of_logits = files.of_logits()?;
        files.check_modules(&modules)?;
    }
    let graph = files.graph(overrides.file.as_deref())?;
    check::check_head(kind, &graph)?;
    let facts = check::look(kind, &graph).map_err(|error| {
        // Another file than the one that was meant is what is wrong first.
        let stated = overrides.sha256.as_deref();
        let other = stated.and_then(|wanted| describe::check_sha256(kind, &graph, wanted).err());
        other.unwrap_or(error)
    })?;
    let max_len = files.max_len(&overrides, &sentence, &config, &facts)?;
    let stated = match kind {
        EncoderKind::Sparse => config.vocab_size,
        EncoderKind::Dense => pooling.word_embedding_dimension.or(config.hidden_size),
    };
    let mut model = Model {
        kind,
        name: files.name(),
        tokenizer: Cow::Owned(files.tokenizer(&graph)?),
        graph: Graph::File(graph),
        weights: facts.weights,
        pooling: overrides.pooling.or_else(|| declared(kind, &pooling)),
        of_logits,
        max_len,
        n_tokens: facts.n_tokens,
        quantized: facts.is_quantized || overrides.quantized == Some(Quantized::Int8),
        dim: overrides.dim.or(stated),
        query_prefix: overrides.query_prefix,
        passage_prefix: overrides.passage_prefix,
        char_cap: overrides.char_cap,
        licence: overrides.licence,
        sha256: overrides.sha256,
    };
    if let (EncoderKind::Dense, Some(width)) = (kind, width(&model, &facts.outputs)) {
        let bad = |reason| Err(EncodeError::bad(kind, &model.name, reason));
        match (overrides.dim, stated) {
            (Some(dim), _) if dim > width => {
                return bad(format!(
                    "helix-model.toml sets dim = {dim}, and its vectors have {width} numbers; \
                     set a smaller dim, or none"
                ));
            }
            (Some(_), _) => {}
            // A graph that pools may project as well.
            (None, _) if model.pooling.is_none_or(|p| p == Pooling::None) => {
                model.dim = Some(width)
            }
            (None, Some(stated)) if stated != width => {
                return bad(format!(
                    "config.json says that its vectors have {stated} numbers, and the graph gives {width}; \
                     the two are of different models, or set dim in helix-model.toml"
                ));
            }
            (None, _) => model.dim = Some(width),
        }
    }
    Ok(model)
}

/// Numbers in a row of the output that will be read, when the graph's file says so.
fn width(model: &Model, outputs: &[onnx::ValueInfo]) -> Option<usize> {
    let outputs: Option<Vec<Declared>> = outputs.iter().map(Declared::in_file).collect();
    let outputs = outputs?;
    // Every width is below such a vocabulary. What does not fit is told when the model is opened.
    let chosen = output::choose(model, &outputs, usize::MAX).ok()?;
    outputs[chosen.position()].shape.last().copied()?
}

/// The directory that was meant: that above, for an `onnx` folder that only holds graphs.
fn home(dir: &Path) -> Cow<'_, Path> {
    let holds = |dir: &Path| dir.join("tokenizer.json").is_file();
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match absolute.parent() {
        Some(above) if absolute.ends_with("onnx") && !holds(dir) && holds(above) => {
            Cow::Owned(above.to_owned())
        }
        _ => Cow::Borrowed(dir),
    }
}

/// Which kind of encoder a directory holds: as its files state it, else as its graph's outputs look. What
/// does not fit is told when it is read as that kind.
pub(super) fn kind(dir: &Path) -> EncoderKind {
    let dir = home(dir);
    let files = Files {
        kind: EncoderKind::Sparse,
        dir: &dir,
    };
    let overrides = files.overrides().unwrap_or_default();
    let modules: Vec<Module> = files
        .json("modules.json")
        .ok()
        .flatten()
        .unwrap_or_default();
    if let Some(kind) = files.stated_kind(&overrides, &modules) {
        return kind;
    }
    let graph = files.graph(overrides.file.as_deref());
    let Some(facts) = graph
        .ok()
        .and_then(|path| check::look(EncoderKind::Sparse, &path).ok())
    else {
        return EncoderKind::Dense;
    };
    let config: Config = files.json("config.json").ok().flatten().unwrap_or_default();
    let vocabulary = facts.n_tokens.or(config.vocab_size);
    let is_sparse = facts
        .outputs
        .iter()
        .filter_map(Declared::in_file)
        .any(|output| {
            let width = output.shape.last().copied().flatten();
            output.numbers == Some(output::Numbers::Integer)
                || output.name == "logits"
                || width
                    .is_some_and(|width| vocabulary.is_some_and(|vocabulary| width >= vocabulary))
        });
    match is_sparse {
        true => EncoderKind::Sparse,
        false => EncoderKind::Dense,
    }
}

/// EncoderKind and licence of the model in `dir`, by its files alone.
///
/// # Errors
/// What can be told to be wrong without loading it.
pub fn glance(dir: &Path) -> Result<(EncoderKind, Option<String>), EncodeError> {
    let kind = kind(dir);
    read(kind, dir).map(|model| (kind, model.licence))
}

/// Whether `dir` has one of the files that make a folder a model directory.
pub fn looks_like_model(dir: &Path) -> bool {
    let files = ["helix-model.toml", "model.onnx", "onnx/model.onnx"];
    files.iter().any(|file| dir.join(file).is_file())
}

/// Which of a directory's files states the pooling.
pub(super) fn pooling_from(dir: &Path, chosen: Pooling) -> &'static str {
    let dir = home(dir);
    let files = Files {
        kind: EncoderKind::Dense,
        dir: &dir,
    };
    let pooling: PoolingConfig = files
        .json("1_Pooling/config.json")
        .ok()
        .flatten()
        .unwrap_or_default();
    match files.overrides() {
        Ok(overrides) if overrides.pooling.is_some() => "helix-model.toml",
        _ if declared(EncoderKind::Dense, &pooling).is_some() => "1_Pooling/config.json",
        // Nothing but that folder asks for it.
        _ if chosen == Pooling::SpladeLog1p => "1_SpladePooling/config.json",
        _ => "the graph's outputs",
    }
}
