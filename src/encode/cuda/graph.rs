//! Edits a model's graph for a device: pooling inside the graph, fused operators, and the requested precision.
//!
//! Edits happen in memory, each time a session opens; the user's files are only read. A graph that needs no edit is loaded
//! from its file.

use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::graph_file::graph_error;
use crate::encode::model::{Graph, Model, Pooling};
use crate::encode::onnx::{self, Element, Proto, Rows};
use crate::encode::output::{self, Declared};
use crate::profile::encoders::Precision;
use std::path::{Path, PathBuf};

/// An edited graph.
pub(in crate::encode) struct Edited {
    /// The ONNX message. It refers to weights that were not edited by their position in the files of `folder`.
    pub bytes: Vec<u8>,
    pub folder: PathBuf,
    /// Whether it has operators that only ONNX Runtime has.
    pub is_fused: bool,
}

/// Whether to use operators that only ONNX Runtime has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::encode) enum Fusing {
    Yes,
    No,
}

/// Return the graph that a session on a device loads instead of the model's file; `None`: the file needs no edit. The size
/// of the vocabulary tells a sparse output from a dense one.
///
/// # Errors
/// `ModelBad` for a graph that cannot be converted to 16 bits, and those of reading it.
pub(in crate::encode) fn edited(
    model: &Model,
    vocabulary: usize,
    precision: Precision,
    fusing: Fusing,
) -> Result<Option<Edited>, EncodeError> {
    let Graph::File(path) = &model.graph else {
        return Ok(None);
    };
    let failed = |error| graph_error(model.kind, &model.name, error);
    let mut proto = onnx::read(path).map_err(failed)?;
    let is_pooled = pool(model, vocabulary, &mut proto);
    let has = |element| proto.graph.tensors.iter().any(|t| t.element == element);
    let (has_floats, has_halves) = (has(Element::FLOAT), has(Element::FLOAT16));
    let in_halves = has_halves || precision == Precision::Fp16;
    let is_fused = fusing == Fusing::Yes && fuse(model, &mut proto, precision, in_halves);
    // A model that `models prepare --quantize fp16` made has nothing to convert.
    let is_narrowed = precision == Precision::Fp16 && (has_floats || !has_halves);
    if is_narrowed {
        onnx::to_float16(&mut proto).map_err(failed)?;
    }
    if !is_pooled && !is_fused && !is_narrowed {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut bytes = Vec::new();
    onnx::write_beside(&proto, &folder, &mut bytes).map_err(failed)?;
    Ok(Some(Edited {
        bytes,
        folder,
        is_fused,
    }))
}

/// Fuse what ONNX Runtime has faster kernels for, and return whether something was. In 32 bits the graph stays as it is:
/// products take nearly all the time, and results stay closest to the CPU's.
fn fuse(model: &Model, proto: &mut Proto, precision: Precision, in_halves: bool) -> bool {
    if !in_halves && precision == Precision::Fp32 {
        return false;
    }
    let n_attentions = match in_halves {
        true => onnx::fuse_attention(proto),
        // In 32 bits the fused kernel multiplies in parts, so that it takes as long.
        false => 0,
    };
    let n_norms = onnx::fuse_norms(proto);
    let is_split = model.max_len.is_multiple_of(onnx::PARTS) && onnx::split_maximum(proto);
    tracing::debug!(
        "{}: {n_attentions} attentions and {n_norms} normalisations fused, maximum split: {is_split}",
        model.name
    );
    n_attentions > 0 || n_norms > 0 || is_split
}

/// Fold a dense model's pooling into the graph, if the file states enough for it. Otherwise texts are pooled from the
/// graph's output, as on the CPU.
fn pool(model: &Model, vocabulary: usize, proto: &mut Proto) -> bool {
    if model.kind != EncoderKind::Dense {
        return false;
    }
    let outputs: Option<Vec<Declared>> =
        proto.graph.outputs.iter().map(Declared::in_file).collect();
    let Some(outputs) = outputs else {
        return false;
    };
    let Ok(chosen) = output::choose(model, &outputs, vocabulary) else {
        // The session looks at its own outputs next and reports what is wrong with them.
        return false;
    };
    let rows = match chosen.pooling {
        Pooling::Cls => Rows::First,
        Pooling::Mean => Rows::Mean,
        Pooling::Splade | Pooling::SpladeLog1p | Pooling::Last | Pooling::None => return false,
    };
    let name = outputs[chosen.position()].name.clone();
    let mut pooled = proto.clone();
    match onnx::pool_rows(&mut pooled, &name, rows) {
        Ok(()) => {
            *proto = pooled;
            true
        }
        Err(error) => {
            tracing::debug!(
                "{}: texts are pooled outside of the graph: {error}",
                model.name
            );
            false
        }
    }
}
