//! What a model is, before any session: where its files are and the rules that shape its vectors.
//!
//! The embedded models are described here; [`super::directory`] reads those of the user.

use super::directory;
use super::error::EncodeError;
use crate::batch::EncoderKind;
use crate::profile::encoders::ModelSource;
use std::borrow::Cow;
use std::path::PathBuf;

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
    /// [1, V] or [1, H]: the graph has pooled.
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

    /// How often ln(1 + x) is taken of the maximum over positions; `None` where that is not what is done.
    pub fn logarithms(self) -> Option<u32> {
        match self {
            Self::Splade => Some(1),
            Self::SpladeLog1p => Some(2),
            Self::Cls | Self::Last | Self::Mean | Self::None => None,
        }
    }
}

/// The ONNX graph.
#[derive(Clone, Debug)]
pub(super) enum Graph {
    Embedded(&'static [u8]),
    /// May have files with its weights beside it.
    File(PathBuf),
}

/// One encoder, ready to be hashed or opened.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub kind: EncoderKind,
    pub name: String,
    pub graph: Graph,
    /// Files with weights beside the graph's own, sorted.
    pub weights: Vec<PathBuf>,
    /// Bytes of `tokenizer.json`.
    pub tokenizer: Cow<'static, [u8]>,
    /// Where nothing says so, the graph's outputs decide.
    pub pooling: Option<Pooling>,
    /// What a sparse encoder's logits become, if it is logits that the outputs are.
    pub of_logits: Pooling,
    /// Tokens in one run at most, special ones included.
    pub max_len: usize,
    /// Tokens that its table of embeddings has a row for, where the graph's file says so.
    pub n_tokens: Option<usize>,
    /// Activations become bytes with one scale for a whole run: neighbours in a batch would change a
    /// text's numbers, so it is only ever run on one text at its exact length.
    pub quantized: bool,
    /// Numbers in a vector: of the whole vocabulary, or of a dense vector as it is stored.
    pub dim: Option<usize>,
    pub query_prefix: String,
    pub passage_prefix: String,
    /// Unicode scalar values of a chunk that the encoder sees; `None` is all.
    pub char_cap: Option<usize>,
    pub licence: Option<String>,
    /// SHA-256 that the graph's file must have, in hexadecimal.
    pub sha256: Option<String>,
}

/// Longest run of the embedded models: the sparse graph compares all pairs of positions, so twice
/// the length is four times the work.
const EMBEDDED_MAX_LEN: usize = 512;

static TOKENIZER: &[u8] = include_bytes!("../../assets/models/tokenizer.json");
static SPARSE: &[u8] = include_bytes!("../../assets/models/helix-sparse-mini.onnx");
static DENSE: &[u8] = include_bytes!("../../assets/models/helix-dense-mini.onnx");

impl Model {
    /// The model that `source` names; `None` when it names none.
    pub fn resolve(kind: EncoderKind, source: &ModelSource) -> Result<Option<Self>, EncodeError> {
        match source {
            ModelSource::None => Ok(None),
            ModelSource::Embedded => Ok(Some(Self::embedded(kind))),
            ModelSource::Directory(dir) => directory::read(kind, dir).map(Some),
        }
    }

    fn embedded(kind: EncoderKind) -> Self {
        let (name, graph, dim) = match kind {
            EncoderKind::Sparse => ("helix-sparse-mini", SPARSE, 30_522),
            EncoderKind::Dense => ("helix-dense-mini", DENSE, 256),
        };
        Self {
            kind,
            name: name.to_owned(),
            graph: Graph::Embedded(graph),
            weights: Vec::new(),
            tokenizer: Cow::Borrowed(TOKENIZER),
            pooling: Some(Pooling::None),
            of_logits: Pooling::Splade,
            max_len: EMBEDDED_MAX_LEN,
            n_tokens: Some(30_522),
            quantized: false,
            dim: Some(dim),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            char_cap: None,
            licence: Some("Apache-2.0".to_owned()),
            sha256: None,
        }
    }
}
