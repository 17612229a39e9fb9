//! Writes a smaller model directory from another: pooling and top-k in the graph, weights in 8 or 16 bits.
//!
//! The new directory appears whole or not at all, after both models have encoded the same texts and agreed. The given one
//! is only read.
//!
//! Imports: `edit` (the graph), `draft` (the new directory) and `samples` (both models' vectors) import none of each other.

mod draft;
mod edit;
mod samples;

use super::choice::single_encoder;
use crate::encode::digest::file_sha256;
use crate::encode::directory;
use crate::encode::error::EncodeError;
use crate::encode::model::Graph;
use crate::encode::onnx::Folded;
use draft::{Description, Draft, MadeFrom};
pub use edit::Quantization;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Default of [`PrepareOptions::top_k`]: 64 more than a vector has, for terms whose weights are equal when rounded.
pub const TOP_K: usize = 192;

/// A model to prepare.
#[derive(Clone, Debug)]
pub struct PrepareOptions<'a> {
    pub dir: &'a Path,
    /// Must not exist.
    pub out: &'a Path,
    /// Number of terms that the graph of a sparse model returns.
    pub top_k: usize,
    /// `None`: weights stay as they are.
    pub quantize: Option<Quantization>,
    pub ort_lib: Option<&'a Path>,
}

/// The model that was written.
#[derive(Clone, Debug, Serialize)]
pub struct PreparedModel {
    pub kind: String,
    pub out: PathBuf,
    /// Where pooling was folded into the graph: `product`, `logits` or `cut`; `None` for a dense model.
    pub folded: Option<&'static str>,
    /// Matrix products in 8 bits.
    pub products: usize,
    /// Embedding tables in 8 bits.
    pub tables: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Lowest cosine of the two vectors of a text.
    pub similarity: f64,
    pub sha256: String,
}

/// Write the directory.
///
/// # Errors
/// Those of reading and opening the model; `ModelBad` if there is nothing to do or the two models disagree; `Unwritten`.
pub fn prepare_model(options: &PrepareOptions<'_>) -> Result<PreparedModel, EncodeError> {
    let kind = directory::kind(options.dir);
    if options.out.symlink_metadata().is_ok() {
        let reason = "it exists; choose another or remove it".to_owned();
        let path = options.out.to_owned();
        return Err(EncodeError::Unwritten { path, reason });
    }
    let model = directory::read(kind, options.dir)?;
    let Graph::File(graph) = &model.graph else {
        let reason = "it has no graph: a static model is a table already";
        return Err(EncodeError::bad(kind, &model.name, reason));
    };
    let source_sha256 = file_sha256(kind, graph)?;
    let encode = |dir: &Path| samples::encode(&single_encoder(kind, dir, options.ort_lib));
    let expected = encode(options.dir)?;
    let edited = edit::edit(&model, graph, options.top_k, options.quantize)?;

    let draft = Draft::create(options.out, kind)?;
    let bytes_after = draft.write_graph(&model, &edited.graph)?;
    let sha256 = file_sha256(kind, &draft.graph_path())?;
    let is_int8 = options.quantize == Some(Quantization::Int8) || model.quantized;
    draft.write_description(
        &model,
        &Description {
            sha256: &sha256,
            quantized: is_int8.then_some("int8"),
            made_from: MadeFrom {
                name: &model.name,
                sha256: &source_sha256,
            },
        },
    )?;
    let found = encode(draft.path())?;
    if options.quantize.is_none() {
        samples::agree(&expected, &found).map_err(|disagreement| {
            EncodeError::bad(kind, &model.name, disagreement.to_string())
        })?;
    }
    draft.publish()?;
    let sizes = std::iter::once(graph).chain(&model.weights);
    Ok(PreparedModel {
        kind: kind.to_string(),
        out: options.out.to_owned(),
        folded: edited.folded.map(|folded| match folded {
            Folded::Product => "product",
            Folded::Logits => "logits",
            Folded::Cut => "cut",
        }),
        products: edited.quantized.products,
        tables: edited.quantized.tables,
        bytes_before: sizes.filter_map(|f| Some(f.metadata().ok()?.len())).sum(),
        bytes_after,
        similarity: samples::lowest_similarity(&expected, &found),
        sha256,
    })
}
