//! Checks the files of a model before the runtime loads them.
//!
//! Finds web pages and Git LFS pointers in place of a model, truncated downloads and missing weights. The runtime would
//! report each as a protobuf error. Reads the heads of files and the structure of graphs, never weights.

use super::error::EncodeError;
use super::onnx::{self, Data, Graph, Node, OnnxError, ValueInfo};
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use crate::named_file;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a graph's file states.
#[derive(Clone, Debug, Default)]
pub(super) struct GraphFacts {
    /// Weight files beside the graph, sorted.
    pub weights: Vec<PathBuf>,
    pub outputs: Vec<ValueInfo>,
    /// Rows of the embedding table: tokens that the model knows.
    pub n_tokens: Option<usize>,
    /// Rows of the position table.
    pub n_positions: Option<usize>,
    /// It quantizes its activations to bytes as it runs.
    pub is_quantized: bool,
}

/// Read the structure of a graph and check the files that it needs.
///
/// # Errors
/// `FileBad` for a file that is not a graph or is truncated; `ModelMissing` for a weight file that does not exist.
pub(super) fn read(kind: EncoderKind, path: &Path) -> Result<GraphFacts, EncodeError> {
    check_head(kind, path)?;
    let proto = onnx::read(path).map_err(|error| graph_error(kind, "", error))?;
    let graph = proto.graph;
    Ok(GraphFacts {
        weights: weights(kind, path, &graph)?,
        n_tokens: rows_of_tokens(&graph),
        n_positions: rows_of_positions(&graph),
        is_quantized: graph.nodes.iter().any(|n| n.is("DynamicQuantizeLinear")),
        outputs: outputs(&graph),
    })
}

/// Refuse a file that was fetched in place of the model: a web page, a Git LFS pointer, an empty file.
///
/// # Errors
/// `FileBad`, or `ModelMissing` if it cannot be read.
pub(super) fn check_head(kind: EncoderKind, path: &Path) -> Result<(), EncodeError> {
    let head = named_file::head(path, 512);
    let head = head.map_err(|error| EncodeError::missing(kind, path, error))?;
    let text = head.trim_ascii_start();
    let reason = if text.is_empty() {
        "it is empty; fetch it again"
    } else if text.starts_with(b"version https://git-lfs") {
        "it is a pointer of Git LFS, not the file itself; run `git lfs pull` there"
    } else if is_page(text) {
        "it is a web page, not the file itself; fetch it again, by the address for downloads"
    } else {
        return Ok(());
    };
    Err(EncodeError::file(kind, path, reason))
}

/// Whether a file begins like a web page. Weights may begin with any byte, `<` among them.
fn is_page(text: &[u8]) -> bool {
    let begins = |tag: &[u8]| {
        text.get(..tag.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(tag))
    };
    let tags: [&[u8]; 6] = [
        b"<!doctype",
        b"<html",
        b"<head",
        b"<body",
        b"<?xml",
        b"<!--",
    ];
    tags.into_iter().any(begins)
}

/// Refuse a tokenizer with ids for which the model has no embedding.
///
/// # Errors
/// `TokenizerBad`.
pub(super) fn check_vocabulary(
    kind: EncoderKind,
    name: &str,
    tokenizer: &Tokenizer,
    n_tokens: Option<usize>,
) -> Result<(), EncodeError> {
    let n_ids = tokenizer.vocabulary().len();
    match n_tokens {
        Some(known) if n_ids > known => Err(EncodeError::tokenizer(
            kind,
            name,
            format!(
                "it gives ids up to {}, and the model knows {known} tokens; \
                 tokenizer.json is another model's: take the one that came with the graph",
                n_ids - 1
            ),
        )),
        _ => Ok(()),
    }
}

/// Convert an error about the graph of the model `name`.
pub(super) fn graph_error(kind: EncoderKind, name: &str, error: OnnxError) -> EncodeError {
    match error {
        OnnxError::Unreadable { path, source } => EncodeError::missing(kind, &path, source),
        OnnxError::Truncated { path } => {
            EncodeError::file(kind, &path, "it is cut off; fetch or export it again")
        }
        OnnxError::Foreign { path } => EncodeError::file(
            kind,
            &path,
            "it is not an ONNX graph; export or fetch it again",
        ),
        OnnxError::Outside { path, location } => EncodeError::file(
            kind,
            &path,
            format!(
                "it wants its weights from {location:?}, which is not below its directory; \
                 export it again with the weights beside it"
            ),
        ),
        other => EncodeError::bad(kind, name, other.to_string()),
    }
}

/// Return the outputs. Exporters leave the width of a vector open that they normalise.
fn outputs(graph: &Graph) -> Vec<ValueInfo> {
    let mut outputs = graph.outputs.clone();
    for output in &mut outputs {
        if let Some([.., width @ None]) = output.shape.as_deref_mut() {
            *width = graph.width_of(&output.name);
        }
    }
    outputs
}

/// Return the weight files, after checking that each is long enough for the graph.
fn weights(kind: EncoderKind, path: &Path, graph: &Graph) -> Result<Vec<PathBuf>, EncodeError> {
    let mut ends: BTreeMap<&Path, u64> = BTreeMap::new();
    for tensor in graph.tensors.iter().filter(|tensor| tensor.is_external) {
        if let Data::There(extent) = &tensor.data {
            let end = ends.entry(&extent.path).or_default();
            *end = (*end).max(extent.offset.saturating_add(extent.length));
        }
    }
    for (file, end) in &ends {
        let of = path.file_name().unwrap_or_default().display();
        let length = file.metadata().map_err(|error| {
            let reason = format!("{error}; {of} keeps its weights there: fetch both files");
            EncodeError::missing(kind, file, reason)
        })?;
        check_head(kind, file)?;
        if length.len() < *end {
            let reason = format!(
                "it has {} bytes, and {of} takes {end} from it; fetch it again",
                length.len()
            );
            return Err(EncodeError::file(kind, file, reason));
        }
    }
    Ok(ends.into_keys().map(Path::to_owned).collect())
}

/// Return the rows of the shortest table in which token ids are looked up.
fn rows_of_tokens(graph: &Graph) -> Option<usize> {
    let lookups = graph.nodes.iter().filter_map(Node::as_lookup);
    lookups
        .filter(|(_, indices)| graph.behind_copies(indices) == "input_ids")
        .filter_map(|(table, _)| {
            let table = graph.behind_copies(table);
            // A quantized table may be widened before it is looked up.
            let widened = graph.producer(table).filter(|n| n.is("DequantizeLinear"));
            let bytes = widened.and_then(|node| node.inputs.first());
            let table = bytes.map_or(table, String::as_str);
            graph.tensor(table)?.dims.first().copied()
        })
        .filter_map(|rows| usize::try_from(rows).ok())
        .min()
}

/// Return the rows of the position table, recognized by its name, which exporters keep.
fn rows_of_positions(graph: &Graph) -> Option<usize> {
    let tables = graph.tensors.iter().filter(|tensor| {
        tensor.dims.len() == 2
            && tensor.name.contains("position_embeddings")
            && !tensor.name.ends_with("_scales")
    });
    tables.filter_map(|t| usize::try_from(t.dims[0]).ok()).min()
}
