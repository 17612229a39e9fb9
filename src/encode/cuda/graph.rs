//! A model's graph as a device runs it: pooled inside, and in the precision that was asked for.
//!
//! Edits happen in memory, each time a session opens; the user's files are only read. A graph that needs no edit is
//! loaded from its file.

use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::model::{Graph, Model, Pooling};
use crate::encode::onnx::{self, OnnxError, Proto, Rows};
use crate::encode::output::{self, Declared};
use crate::profile::encoders::Precision;
use std::path::{Path, PathBuf};

/// A graph that was edited.
pub(in crate::encode) struct Edited {
    /// The ONNX message. Weights that were not edited are named by their place in `folder`.
    pub bytes: Vec<u8>,
    pub folder: PathBuf,
}

/// What a session on a device loads in place of the model's file; `None`: the file as it is. `vocabulary` tells a sparse
/// model from a dense one.
///
/// # Errors
/// `ModelBad` for a graph that has no form in 16 bits, and those of reading it.
pub(in crate::encode) fn edited(
    model: &Model,
    vocabulary: usize,
    precision: Precision,
) -> Result<Option<Edited>, EncodeError> {
    let Graph::File(path) = &model.graph else {
        return Ok(None);
    };
    let named = |error| match error {
        OnnxError::Unsupported(reason) => EncodeError::bad(model.kind, &model.name, reason),
        other => crate::encode::check::graph_error(model.kind, other),
    };
    let mut proto = onnx::read(path).map_err(named)?;
    let is_pooled = pool(model, vocabulary, &mut proto);
    let is_narrowed = precision == Precision::Fp16;
    if is_narrowed {
        onnx::to_float16(&mut proto).map_err(named)?;
    }
    if !is_pooled && !is_narrowed {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut bytes = Vec::new();
    onnx::write_beside(&proto, &folder, &mut bytes).map_err(named)?;
    Ok(Some(Edited { bytes, folder }))
}

/// Puts a dense model's pooling into the graph, where the file says enough for it. Otherwise texts are pooled from what the
/// graph gives, as on the CPU.
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
        // The session's own outputs are looked at next, and the error says what is wrong with them.
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
