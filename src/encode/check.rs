//! What a model's files are, found before any of them is loaded.
//!
//! A page of a web server or a pointer of Git LFS under a model's name, a download that was cut off,
//! weights left behind: each is told by its own name here, where the runtime would speak of protobuf.
//! Reads the heads of files and the structure of graphs, never weights.

use super::error::EncodeError;
use super::onnx::{self, Data, Graph, Node, OnnxError, ValueInfo};
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use crate::named_file;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a graph's file says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Files with weights beside the graph's own, sorted.
    pub weights: Vec<PathBuf>,
    pub outputs: Vec<ValueInfo>,
    /// Rows of the table of embeddings: tokens that the model knows.
    pub n_tokens: Option<usize>,
    /// Rows of the table of positions.
    pub n_positions: Option<usize>,
    /// It makes bytes of its activations as they come.
    pub is_quantized: bool,
}

/// Looks at a graph and the files that it needs.
///
/// # Errors
/// `FileBad` for what is no graph, or not whole; `ModelMissing` for a file with weights that is not there.
pub(super) fn look(kind: EncoderKind, path: &Path) -> Result<Facts, EncodeError> {
    check_head(kind, path)?;
    let proto = onnx::read(path).map_err(|error| graph_error(kind, error))?;
    let graph = proto.graph;
    Ok(Facts {
        weights: weights(kind, path, &graph)?,
        n_tokens: rows_of_tokens(&graph),
        n_positions: rows_of_positions(&graph),
        is_quantized: graph.nodes.iter().any(|n| n.is("DynamicQuantizeLinear")),
        outputs: graph.outputs,
    })
}

/// Refuses what is fetched in place of a file.
///
/// # Errors
/// `FileBad`, or `ModelMissing` when it cannot be read.
pub(super) fn check_head(kind: EncoderKind, path: &Path) -> Result<(), EncodeError> {
    let head = named_file::head(path, 512);
    let head = head.map_err(|error| EncodeError::missing(kind, path, error))?;
    let text = head.trim_ascii_start();
    let reason = if text.is_empty() {
        "it is empty; fetch it again"
    } else if text.starts_with(b"version https://git-lfs") {
        "it is a pointer of Git LFS, not the file itself; run `git lfs pull` there"
    } else if text.starts_with(b"<") {
        "it is a web page, not the file itself; fetch it again, by the address for downloads"
    } else {
        return Ok(());
    };
    Err(EncodeError::file(kind, path, reason))
}

/// Refuses a tokenizer that gives ids for which the model has no embedding.
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

pub(super) fn graph_error(kind: EncoderKind, error: OnnxError) -> EncodeError {
    match error {
        OnnxError::Unreadable { path, source } => EncodeError::missing(kind, &path, source),
        OnnxError::Truncated { path } => {
            EncodeError::file(kind, &path, "it is cut off; fetch or export it again")
        }
        OnnxError::Foreign { path } => {
            EncodeError::file(kind, &path, "it is no ONNX graph; export or fetch it again")
        }
        OnnxError::Outside { path, location } => EncodeError::file(
            kind,
            &path,
            format!(
                "it wants its weights from {location:?}, which is not below its directory; \
                 export it again with the weights beside it"
            ),
        ),
        other => EncodeError::bad(kind, "", other.to_string()),
    }
}

/// The files with weights, each long enough for what the graph takes from it.
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

/// Of all tables that token ids are looked up in, the shortest.
fn rows_of_tokens(graph: &Graph) -> Option<usize> {
    let lookups = graph.nodes.iter().filter_map(Node::as_lookup);
    lookups
        .filter(|(_, indices)| graph.behind_copies(indices) == "input_ids")
        .filter_map(|(table, _)| {
            let table = graph.behind_copies(table);
            // A table of bytes may be widened before it is looked up.
            let widened = graph.producer(table).filter(|n| n.is("DequantizeLinear"));
            let bytes = widened.and_then(|node| node.inputs.first());
            let table = bytes.map_or(table, String::as_str);
            graph.tensor(table)?.dims.first().copied()
        })
        .filter_map(|rows| usize::try_from(rows).ok())
        .min()
}

/// The table of positions is told by its name, which exporters keep.
fn rows_of_positions(graph: &Graph) -> Option<usize> {
    let tables = graph.tensors.iter().filter(|tensor| {
        tensor.dims.len() == 2
            && tensor.name.contains("position_embeddings")
            && !tensor.name.ends_with("_scales")
    });
    tables.filter_map(|t| usize::try_from(t.dims[0]).ok()).min()
}
