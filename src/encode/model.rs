//! A model as a value, before any session: where its files are, and the rules that shape its vectors.
//!
//! Describes the embedded models; [`super::directory`] reads those of the user.

use super::sparse::{BUILT_IN_DOCUMENT_TERMS, DOCUMENT_TERMS};
use crate::batch::EncoderKind;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// How a model's output becomes one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Pooling {
    /// Logits [1, L, V]: maximum over positions, then ln(1 + relu).
    Splade,
    /// As [`Self::Splade`], then ln(1 + x) once more.
    #[serde(rename = "splade-log1p")]
    SpladeLog1p,
    /// Hidden states [1, L, H]: the first position.
    Cls,
    /// Hidden states [1, L, H]: the last position.
    Last,
    /// Hidden states [1, L, H]: mean over all positions.
    Mean,
    /// [1, V] or [1, H]: the graph pools.
    None,
}

impl Pooling {
    /// As `helix-model.toml` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Splade => "splade",
            Self::SpladeLog1p => "splade-log1p",
            Self::Cls => "cls",
            Self::Last => "last",
            Self::Mean => "mean",
            Self::None => "none",
        }
    }

    /// How often ln(1 + x) is applied to the maximum over positions; `None` for other poolings.
    pub fn logarithms(self) -> Option<u32> {
        match self {
            Self::Splade => Some(1),
            Self::SpladeLog1p => Some(2),
            Self::Cls | Self::Last | Self::Mean | Self::None => None,
        }
    }
}

/// The ONNX graph, or what stands in its place.
#[derive(Clone, Debug)]
pub(super) enum Graph {
    Embedded(&'static [u8]),
    /// Its weights may be in other files beside it.
    File(PathBuf),
    /// No graph, but a table of vectors.
    Table(TableFile),
}

/// The file of a static model: safetensors with a vector for each token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableFile {
    pub path: PathBuf,
}

impl Graph {
    /// The file; `None` for an embedded model.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Embedded(_) => None,
            Self::File(path) => Some(path),
            Self::Table(table) => Some(&table.path),
        }
    }
}

/// Weights of tokens, by which queries are encoded without running the graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QueryTable {
    /// Below the model's directory.
    pub file: String,
    /// By token id; ids beyond it have none.
    pub weights: Vec<f32>,
}

/// One encoder, ready to be hashed or opened.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub kind: EncoderKind,
    pub name: String,
    pub graph: Graph,
    /// Weight files beside the graph, sorted.
    pub weights: Vec<PathBuf>,
    /// Bytes of `tokenizer.json`.
    pub tokenizer: Cow<'static, [u8]>,
    /// `None`: the graph's outputs decide.
    pub pooling: Option<Pooling>,
    /// How a sparse encoder's logits are pooled, if its output is logits.
    pub of_logits: Pooling,
    /// Most tokens in one run, special ones included.
    pub max_len: usize,
    /// Rows of its embedding table, if the graph's file states them.
    pub n_tokens: Option<usize>,
    /// Activations are quantized to bytes with one scale for a whole run. Neighbours in a batch would change a text's
    /// numbers, so it runs one text at a time at its exact length.
    pub quantized: bool,
    /// Dimensions: the whole vocabulary, or those of a dense vector as it is stored.
    pub dim: Option<usize>,
    pub query_prefix: String,
    pub passage_prefix: String,
    /// `None`: queries go through the graph, as documents do.
    pub query_table: Option<QueryTable>,
    /// Unicode scalar values of a chunk that the encoder sees; `None`: all.
    pub char_cap: Option<usize>,
    pub licence: Option<String>,
    /// SHA-256 that the graph's file must have, in hexadecimal.
    pub sha256: Option<String>,
}

/// Longest run of the embedded models. ONNX Runtime, which runs them on a device, compares all pairs of positions.
const EMBEDDED_MAX_LEN: usize = 512;

/// `tokenizer.json` of the embedded models.
pub(super) static BUILT_IN_TOKENIZER: &[u8] = include_bytes!("../../assets/models/tokenizer.json");
static SPARSE: &[u8] = include_bytes!("../../assets/models/helix-sparse-mini.onnx");
static DENSE: &[u8] = include_bytes!("../../assets/models/helix-dense-mini.onnx");

impl Model {
    /// Return the model of this kind that the binary contains.
    pub fn embedded(kind: EncoderKind) -> Self {
        let (name, graph, dim) = match kind {
            EncoderKind::Sparse => ("helix-sparse-mini", SPARSE, 30_522),
            EncoderKind::Dense => ("helix-dense-mini", DENSE, 256),
        };
        Self {
            kind,
            name: name.to_owned(),
            graph: Graph::Embedded(graph),
            weights: Vec::new(),
            tokenizer: Cow::Borrowed(BUILT_IN_TOKENIZER),
            pooling: Some(Pooling::None),
            of_logits: Pooling::Splade,
            max_len: EMBEDDED_MAX_LEN,
            n_tokens: Some(30_522),
            quantized: false,
            dim: Some(dim),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            query_table: None,
            char_cap: None,
            licence: Some("Apache-2.0".to_owned()),
            sha256: None,
        }
    }

    /// Return the number of terms that a chunk's vector has at most.
    pub fn document_terms(&self) -> usize {
        match self.graph {
            Graph::Embedded(_) => BUILT_IN_DOCUMENT_TERMS,
            Graph::File(_) | Graph::Table(_) => DOCUMENT_TERMS,
        }
    }
}
