//! Which of a graph's outputs is read, and how its numbers become rows.
//!
//! Knows the shapes that exporters write. Runs nothing.

use super::error::{EncodeError, Kind};
use super::model::{Model, Pooling};
use ort::session::{Session, SessionOutputs};
use ort::value::{TensorElementType, ValueType};

/// What is read after each run.
pub(super) struct Output {
    /// Position among the graph's outputs.
    index: usize,
    pub pooling: Pooling,
}

impl Output {
    /// Picks the output to read. `vocabulary` tells a sparse model from a dense one.
    ///
    /// # Errors
    /// `ModelBad` when nothing says how an output becomes one vector, `WrongKind` when none fits.
    pub fn choose(
        model: &Model,
        session: &Session,
        vocabulary: usize,
    ) -> Result<Self, EncodeError> {
        let (index, pooling) = choose_output(model, session, vocabulary)?;
        Ok(Self { index, pooling })
    }

    /// Hands the numbers of each text in the batch to `read`, with the text's position in it and the numbers
    /// in a row: [1, width] for a graph that pools, else [n, width] for the `n` tokens (`lengths`) that the
    /// text has in its run. What padding gave is left out, and rows behind the last length are.
    ///
    /// # Errors
    /// A description of what does not fit, and what `read` says.
    pub fn each<E>(
        &self,
        outputs: &SessionOutputs<'_>,
        lengths: &[usize],
        mut read: impl FnMut(usize, &[f32], usize) -> Result<(), E>,
    ) -> Result<Result<(), E>, String> {
        let (shape, values) = outputs[self.index]
            .try_extract_tensor::<f32>()
            .map_err(|error| format!("{error:?}"))?;
        let misfit = || format!("its output has the shape {shape:?}");
        let size = |n: &i64| usize::try_from(*n).ok().filter(|n| *n > 0);
        let (batch, positions, width) = match (self.pooling, &shape[..]) {
            (Pooling::None, [batch, width]) => (size(batch), Some(1), size(width)),
            (_, [batch, positions, width]) => (size(batch), size(positions), size(width)),
            _ => return Err(misfit()),
        };
        let (Some(batch), Some(positions), Some(width)) = (batch, positions, width) else {
            return Err(misfit());
        };
        if batch < lengths.len() || values.len() != batch * positions * width {
            return Err(misfit());
        }
        for (index, (text, length)) in values
            .chunks_exact(positions * width)
            .zip(lengths)
            .enumerate()
        {
            let rows = positions.min(*length);
            if let Err(error) = read(index, &text[..rows * width], width) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

/// The output to read and how to pool it.
fn choose_output(
    model: &Model,
    session: &Session,
    vocabulary: usize,
) -> Result<(usize, Pooling), EncodeError> {
    let mut seen = Vec::new();
    let mut unpooled = false;
    let mut best: Option<(usize, usize, Pooling)> = None;
    for (index, output) in session.outputs().iter().enumerate() {
        let ValueType::Tensor { ty, shape, .. } = output.dtype() else {
            continue;
        };
        seen.push(format!("{} {shape:?}", output.name()));
        let (rank, width) = (shape.len(), shape.last().copied().unwrap_or(-1));
        // -1 is a width that only a run tells.
        let fits_kind = usize::try_from(width).map_or(true, |w| fits(model.kind, w, vocabulary));
        if !fits_kind || output.name() == POOLER {
            continue;
        }
        let Some(pooling) = pooling_for(model, rank) else {
            unpooled = true;
            continue;
        };
        if *ty != TensorElementType::Float32 {
            return Err(EncodeError::bad(
                model.kind,
                &model.name,
                format!(
                    "its output {} is {ty:?}; export it with 32-bit floats",
                    output.name()
                ),
            ));
        }
        let preference = preference(output.name());
        if best.is_none_or(|(known, ..)| preference < known) {
            best = Some((preference, index, pooling));
        }
    }
    match best {
        Some((_, index, pooling)) => Ok((index, pooling)),
        None if unpooled => Err(EncodeError::bad(
            model.kind,
            &model.name,
            format!(
                "nothing says how its outputs ({}) become one vector, or not truly; \
                 set pooling in helix-model.toml",
                seen.join(", ")
            ),
        )),
        None => Err(EncodeError::wrong_kind(
            model.kind,
            &model.name,
            format!(
                "none of its outputs ({}) is one over a vocabulary of {vocabulary} as asked",
                seen.join(", ")
            ),
        )),
    }
}

/// How an output of this rank is pooled; `None` when the rules exclude it.
fn pooling_for(model: &Model, rank: usize) -> Option<Pooling> {
    match (rank, model.pooling, model.kind) {
        (2, None | Some(Pooling::None), _) => Some(Pooling::None),
        (3, None | Some(Pooling::Splade), Kind::Sparse) => Some(Pooling::Splade),
        // Mean or first position, they must say: neither is a safe guess.
        (3, Some(Pooling::Mean | Pooling::Cls), Kind::Dense) => model.pooling,
        _ => None,
    }
}

/// Whether rows of `width` numbers are vectors of this kind. A vocabulary may be padded in the graph.
pub(super) fn fits(kind: Kind, width: usize, vocabulary: usize) -> bool {
    match kind {
        Kind::Sparse => width >= vocabulary,
        Kind::Dense => width < vocabulary,
    }
}

/// BERT's head for sentence pairs: of the right shape, but no embedding.
const POOLER: &str = "pooler_output";

/// Finished vectors before raw ones; unknown names last.
fn preference(name: &str) -> usize {
    const NAMES: [&str; 5] = [
        "sparse_weights",
        "sentence_embedding",
        "logits",
        "last_hidden_state",
        "token_embeddings",
    ];
    NAMES
        .iter()
        .position(|known| *known == name)
        .unwrap_or(NAMES.len())
}
