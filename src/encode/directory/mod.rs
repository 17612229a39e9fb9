//! Reads a model directory as exporters write them.
//!
//! Needs `model.onnx` or `onnx/model.onnx`, and `tokenizer.json` beside either. Uses, if present: `config.json`,
//! `tokenizer_config.json`, `config_sentence_transformers.json`, `sentence_bert_config.json`, `modules.json`,
//! `1_Pooling/config.json`, `1_SpladePooling/config.json`, `router_config.json`, and `helix-model.toml`, which overrides all
//! of them. Checks what they state against the graph's file. A static model has `model.safetensors` instead of a graph.
//!
//! Imports, from the bottom: `prompts`, `pooling_file`, `lower_case`, `router`, `statements` (formats), `files` (reading
//! them), `static_table`, `query_table`, `rules` (what they mean together), `unused`, this file.

mod files;
mod lower_case;
mod pooling_file;
mod prompts;
mod query_table;
mod router;
mod rules;
mod statements;
mod static_table;
mod unused;

use super::digest;
use super::error::EncodeError;
use super::graph_file::{self, GraphFacts};
use super::model::{Graph, Model, Pooling, TableFile};
use super::output::{self, Declared};
use super::static_table::TableShape;
use crate::batch::EncoderKind;
use files::{Files, model_root};
use statements::Statements;
use std::borrow::Cow;
use std::path::Path;

/// Read the model in `dir`.
///
/// # Errors
/// `ModelMissing` for a file that is needed and does not exist, `ModelBad` for one that makes no sense, `WrongKind` if the
/// directory states the other kind.
pub(super) fn read(kind: EncoderKind, dir: &Path) -> Result<Model, EncodeError> {
    if dir.is_file() {
        let parent = dir.parent().filter(|above| !above.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).display();
        let reason = format!("it is a file; name the directory that holds it, {parent}");
        return Err(EncodeError::file(kind, dir, reason));
    }
    let dir = model_root(dir);
    let files = Files::new(kind, &dir);
    let stated = files.statements()?;
    rules::check_kind(&files, &stated)?;
    if kind == EncoderKind::Dense && static_table::is_static(&stated) {
        let table = static_table::table(&files, &stated)?;
        return read_static(&files, stated, table);
    }
    let mut of_logits = Pooling::Splade;
    if stated.overrides.pooling.is_none() {
        of_logits = rules::pooling_of_logits(&files, &stated)?;
    }
    let graph = files.graph(stated.overrides.file.as_deref())?;
    graph_file::check_head(kind, &graph)?;
    let facts = graph_file::read(kind, &graph).map_err(|error| {
        // If it is not the file that helix-model.toml means, say that first.
        let expected = stated.overrides.sha256.as_deref();
        let other = expected.and_then(|sha256| digest::check_sha256(kind, &graph, sha256).err());
        other.unwrap_or(error)
    })?;
    rules::check_purpose(&files, &stated, &facts)?;
    let pooling = rules::pooling(&files, &stated, &facts)?;
    let max_len = rules::max_len(&files, &stated, &facts)?;
    let [query_prefix, passage_prefix] = rules::prefixes(&files, &stated)?;
    let stated_dim = stated.dim(kind);
    let mut tokenizer = files.tokenizer(&graph)?;
    if stated.sentence.do_lower_case {
        let edited = lower_case::with_lower_case(&tokenizer).map(Cow::into_owned);
        tokenizer = edited.map_err(|error| EncodeError::tokenizer(kind, &files.name(), error))?;
    }
    let query_table = query_table::read(&files, &stated, &tokenizer)?;
    let mut overrides = stated.overrides;
    if kind == EncoderKind::Dense {
        overrides.dim = overrides.dim.or(stated.library.truncate_dim);
    }
    let mut model = Model {
        kind,
        name: files.name(),
        tokenizer: Cow::Owned(tokenizer),
        graph: Graph::File(graph),
        weights: facts.weights.clone(),
        pooling,
        of_logits,
        max_len,
        n_tokens: facts.n_tokens,
        quantized: facts.is_quantized || overrides.quantized.is_some(),
        dim: overrides.dim.or(stated_dim),
        query_prefix,
        passage_prefix,
        query_table,
        char_cap: overrides.char_cap,
        licence: overrides.licence,
        sha256: overrides.sha256,
    };
    if let (EncoderKind::Dense, Some(width)) = (kind, width(&model, &facts)) {
        model.dim = Some(dense_dim(&model, overrides.dim, stated_dim, width)?);
    }
    Ok(model)
}

/// Read a static model.
fn read_static(
    files: &Files<'_>,
    stated: Statements,
    table: TableFile,
) -> Result<Model, EncodeError> {
    let shape = TableShape::read(files.kind, &table.path)?;
    let [query_prefix, passage_prefix] = rules::prefixes(files, &stated)?;
    let tokenizer = files.tokenizer(&table.path)?;
    let overrides = stated.overrides;
    if let Some(pooling) = overrides
        .pooling
        .filter(|pooling| *pooling != Pooling::Mean)
    {
        return Err(files.bad(format!(
            "helix-model.toml sets pooling = {:?}, and a static model is the mean of its tokens: remove the line",
            pooling.name()
        )));
    }
    let dim = overrides.dim.or(stated.library.truncate_dim);
    if let Some(dim) = dim.filter(|dim| *dim > shape.dim) {
        return Err(files.bad(format!(
            "{dim} numbers of a vector are to be kept, and its vectors have {}; set a smaller dim in \
             helix-model.toml, or none",
            shape.dim
        )));
    }
    Ok(Model {
        kind: files.kind,
        name: files.name(),
        graph: Graph::Table(table),
        weights: Vec::new(),
        tokenizer: Cow::Owned(tokenizer),
        pooling: Some(Pooling::Mean),
        of_logits: Pooling::Splade,
        max_len: overrides.max_len.unwrap_or(rules::MAX_TOKENS),
        n_tokens: Some(shape.n_tokens),
        quantized: false,
        dim: Some(dim.unwrap_or(shape.dim)),
        query_prefix,
        passage_prefix,
        query_table: None,
        char_cap: overrides.char_cap,
        licence: overrides.licence,
        sha256: overrides.sha256,
    })
}

/// Return the dimensions of a dense model whose output has `width` numbers: as `helix-model.toml` sets them, else the width.
fn dense_dim(
    model: &Model,
    overridden: Option<usize>,
    stated: Option<usize>,
    width: usize,
) -> Result<usize, EncodeError> {
    let bad = |reason| Err(EncodeError::bad(model.kind, &model.name, reason));
    match (overridden, stated) {
        (Some(dim), _) if dim > width => bad(format!(
            "helix-model.toml sets dim = {dim}, and its vectors have {width} numbers; \
             set a smaller dim, or none"
        )),
        (Some(dim), _) => Ok(dim),
        // A graph that pools may project as well.
        (None, _) if model.pooling.is_none_or(|p| p == Pooling::None) => Ok(width),
        (None, Some(stated)) if stated != width => bad(format!(
            "config.json says that its vectors have {stated} numbers, and the graph gives {width}; \
             the two are of different models, or set dim in helix-model.toml"
        )),
        (None, _) => Ok(width),
    }
}

/// Return the numbers in a row of the output that will be read, if the graph's file states them.
fn width(model: &Model, facts: &GraphFacts) -> Option<usize> {
    let outputs = facts.outputs.iter().map(Declared::in_file);
    let outputs: Vec<Declared> = outputs.collect::<Option<_>>()?;
    // Every width is below such a vocabulary. Opening the model reports outputs that do not fit.
    let chosen = output::choose(model, &outputs, usize::MAX).ok()?;
    outputs[chosen.position()].shape.last().copied()?
}

/// Return the kind of encoder in a directory: as its files state it, else as its graph's outputs look. Reading it as that
/// kind reports what does not fit.
pub(super) fn kind(dir: &Path) -> EncoderKind {
    let dir = model_root(dir);
    let files = Files::new(EncoderKind::Sparse, &dir);
    let stated = files.readable_statements();
    if let Some(kind) = rules::stated_kind(&files, &stated) {
        return kind;
    }
    let graph = files.graph(stated.overrides.file.as_deref()).ok();
    let facts = graph.and_then(|path| graph_file::read(EncoderKind::Sparse, &path).ok());
    let Some(facts) = facts else {
        return EncoderKind::Dense;
    };
    let vocabulary = facts.n_tokens.or(stated.config.vocab_size);
    let mut outputs = facts.outputs.iter().filter_map(Declared::in_file);
    let is_sparse = outputs.any(|output| {
        let width = output.shape.last().copied().flatten();
        output.numbers == Some(output::Numbers::Integer)
            || output.name == "logits"
            || width.is_some_and(|width| vocabulary.is_some_and(|vocabulary| width >= vocabulary))
    });
    match is_sparse {
        true => EncoderKind::Sparse,
        false => EncoderKind::Dense,
    }
}

/// Whether `dir` contains one of the files that make a folder a model directory.
pub fn looks_like_model(dir: &Path) -> bool {
    let files = [
        "helix-model.toml",
        "model.onnx",
        "onnx/model.onnx",
        router::ROUTER,
    ];
    files.iter().any(|file| dir.join(file).is_file()) || static_table::looks_static(dir)
}

/// Whether the small files of `dir` describe a static model, which has a table instead of a graph.
pub fn is_static_model(dir: &Path) -> bool {
    static_table::looks_static(dir)
}

/// What to know of a directory beside the model that was read from it.
pub(super) struct Surroundings {
    /// The file with the graph, below the directory.
    pub graph: String,
    /// Graphs with other names, below the directory.
    pub other_graphs: Vec<String>,
    /// Keys of the library's files that have no effect here, as `file: key = value`.
    pub unused: Vec<String>,
}

/// Look at what lies beside the `graph` that is used.
pub(super) fn surroundings(kind: EncoderKind, dir: &Path, graph: &Path) -> Surroundings {
    let dir = model_root(dir);
    let files = Files::new(kind, &dir);
    let graph = graph
        .strip_prefix(&*dir)
        .unwrap_or(graph)
        .display()
        .to_string();
    let mut other_graphs = files.other_graphs();
    other_graphs.retain(|other| Path::new(other) != Path::new(&graph));
    Surroundings {
        graph,
        other_graphs,
        unused: unused::unused(&files, &files.readable_statements()),
    }
}

/// Return the file of a directory that states the pooling.
pub(super) fn pooling_source(dir: &Path, chosen: Pooling) -> String {
    let dir = model_root(dir);
    let files = Files::new(EncoderKind::Dense, &dir);
    let stated = files.readable_statements();
    if stated.overrides.pooling.is_some() {
        "helix-model.toml".to_owned()
    } else if static_table::is_static(&stated) {
        "the form of the model".to_owned()
    } else if chosen != Pooling::None && !stated.pooling.modes().is_empty() {
        "1_Pooling/config.json".to_owned()
    } else if chosen == Pooling::SpladeLog1p {
        // Nothing but that folder states it.
        format!("{}/config.json", rules::splade_folder(&files, &stated))
    } else {
        "the graph's outputs".to_owned()
    }
}
