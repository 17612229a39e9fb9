//! The edits of a model's graph: folded pooling and smaller weights.

use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::graph_file::graph_error;
use crate::encode::model::Model;
use crate::encode::onnx::{self, Fold, Folded, Form, Proto, Quantized};
use crate::encode::output::{self, Declared};
use crate::encode::sparse::Terms;
use crate::encode::tokenizer::Tokenizer;
use std::path::Path;

/// How weights become smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantization {
    /// Weights of matrix products and large tables in 8 bits, for the CPU only.
    Int8,
    /// Everything in 16-bit floats, for devices.
    Fp16,
}

/// An edited graph.
pub(super) struct Edited {
    pub graph: Proto,
    /// Where pooling was folded in; `None` of a dense model, and of a graph that returned the top k already.
    pub folded: Option<Folded>,
    pub quantized: Quantized,
}

/// Read the graph of `model` and edit it.
///
/// # Errors
/// Those of reading the graph; `ModelBad` if it cannot be edited so, or if there is nothing to do.
pub(super) fn edit(
    model: &Model,
    graph: &Path,
    top_k: usize,
    quantize: Option<Quantization>,
) -> Result<Edited, EncodeError> {
    let failed = |error| graph_error(model.kind, &model.name, error);
    let mut proto = onnx::read(graph).map_err(failed)?;
    let folded = match model.kind {
        EncoderKind::Sparse => fold(model, &mut proto, top_k)?,
        EncoderKind::Dense => None,
    };
    let mut quantized = Quantized::default();
    match quantize {
        Some(Quantization::Int8) => quantized = onnx::quantize(&mut proto).map_err(failed)?,
        Some(Quantization::Fp16) => onnx::to_float16(&mut proto).map_err(failed)?,
        None if folded.is_none() => {
            let reason = "there is nothing to fold into its graph; --quantize int8 (CPU) or fp16 (GPU) makes it smaller";
            return Err(EncodeError::bad(model.kind, &model.name, reason));
        }
        None => {}
    }
    Ok(Edited {
        graph: proto,
        folded,
        quantized,
    })
}

/// Fold pooling and top-k into the graph; `None` if the graph returns the top k already.
fn fold(model: &Model, proto: &mut Proto, top_k: usize) -> Result<Option<Folded>, EncodeError> {
    let tokenizer = Tokenizer::from_bytes(&model.tokenizer)
        .map_err(|error| EncodeError::tokenizer(model.kind, &model.name, error))?;
    let outputs: Option<Vec<Declared>> =
        proto.graph.outputs.iter().map(Declared::in_file).collect();
    let outputs = outputs.ok_or_else(|| {
        let reason = "its graph does not state the shapes of its outputs; export it with them";
        EncodeError::bad(model.kind, &model.name, reason)
    })?;
    let chosen = output::choose(model, &outputs, tokenizer.vocabulary_len())?;
    if chosen.is_top_k() {
        return Ok(None);
    }
    let output = &outputs[chosen.position()];
    let width = output.shape.last().copied().flatten().or(model.n_tokens);
    let width = width.unwrap_or(tokenizer.vocabulary().len());
    let terms = Terms::new(&tokenizer);
    // Columns beyond the vocabulary only pad the graph's.
    let kept: Vec<bool> = (0..width).map(|id| terms.is_kept(id)).collect();
    let form = match chosen.pooling.logarithms() {
        Some(logarithms) => Form::Logits { logarithms },
        None => Form::Weights,
    };
    let request = Fold {
        output: &output.name,
        form,
        kept: &kept,
        top_k,
    };
    let folded = onnx::fold(proto, &request);
    folded
        .map(Some)
        .map_err(|error| graph_error(model.kind, &model.name, error))
}
