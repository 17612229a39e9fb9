//! An ONNX Runtime session over one window at a time, on the CPU.
//!
//! Batch 1 at its exact length: within 3 % of the best speed, no padding, and a result that does not
//! depend on neighbours. One thread per session; a machine is filled with processes.

use super::error::{EncodeError, Kind};
use super::model::{Graph, Model, Pooling};
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, TensorRef, ValueType};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// A model in memory.
pub(super) struct ModelSession {
    kind: Kind,
    name: String,
    session: Session,
    /// Names of the graph's inputs, in the graph's order.
    inputs: Vec<(String, Input)>,
    /// Position among the graph's outputs.
    output: usize,
    pub pooling: Pooling,
    /// Numbers in a row of the output.
    pub width: usize,
    /// `max_len` ones, and as many zeros.
    ones: Vec<i64>,
    zeros: Vec<i64>,
    /// Time spent in runs since it was last taken.
    busy: Duration,
}

#[derive(Clone, Copy)]
enum Input {
    Ids,
    Mask,
    Types,
}

impl ModelSession {
    /// Loads the graph. `vocabulary` tells a sparse model from a dense one.
    ///
    /// # Errors
    /// `ModelBad` when the graph cannot be loaded or asks for inputs that a text has not;
    /// `WrongKind` when no output fits the kind; those of [`Self::run`], since it is run once.
    pub fn open(
        environment: &Environment,
        model: &Model,
        vocabulary: usize,
    ) -> Result<Self, EncodeError> {
        let bad = |reason: String| EncodeError::bad(model.kind, &model.name, reason);
        let session = load(environment, &model.graph).map_err(|error| bad(format!("{error:?}")))?;
        let inputs = session
            .inputs()
            .iter()
            .map(|input| match input.name() {
                "input_ids" => Ok(("input_ids".to_owned(), Input::Ids)),
                "attention_mask" => Ok(("attention_mask".to_owned(), Input::Mask)),
                "token_type_ids" => Ok(("token_type_ids".to_owned(), Input::Types)),
                other => Err(bad(format!(
                    "its graph asks for an input {other}; \
                     export it with input_ids, attention_mask and token_type_ids only"
                ))),
            })
            .collect::<Result<_, _>>()?;
        let (output, pooling) = choose_output(model, &session, vocabulary)?;
        let mut opened = Self {
            kind: model.kind,
            name: model.name.clone(),
            session,
            inputs,
            output,
            pooling,
            width: 0,
            ones: vec![1; model.max_len],
            zeros: vec![0; model.max_len],
            busy: Duration::ZERO,
        };
        opened.width = opened.run(&PROBE, |_, width| Ok(width))?;
        opened.take_busy();
        if !fits(model.kind, opened.width, vocabulary) {
            let reason = format!("its vectors have {} numbers", opened.width);
            return Err(EncodeError::wrong_kind(model.kind, &model.name, reason));
        }
        Ok(opened)
    }

    /// Runs one window of at most `max_len` ids and hands its output, [rows, width] row-major, to
    /// `read`.
    ///
    /// # Errors
    /// `RunFailed` when the runtime says so, `ModelBad` for an output of another shape.
    pub fn run<T>(
        &mut self,
        ids: &[i64],
        read: impl FnOnce(&[f32], usize) -> Result<T, EncodeError>,
    ) -> Result<T, EncodeError> {
        let (kind, n_tokens) = (self.kind, ids.len());
        let failed = |error: ort::Error| EncodeError::RunFailed {
            kind,
            n_tokens,
            reason: format!("{error:?}"),
        };
        let started = Instant::now();
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> =
            Vec::with_capacity(self.inputs.len());
        for (name, input) in &self.inputs {
            let values = match input {
                Input::Ids => ids,
                Input::Mask => &self.ones[..n_tokens],
                Input::Types => &self.zeros[..n_tokens],
            };
            let tensor = TensorRef::from_array_view(([1, n_tokens], values)).map_err(failed)?;
            inputs.push((Cow::Borrowed(name), tensor.into()));
        }
        let outputs = self.session.run(inputs).map_err(failed)?;
        self.busy += started.elapsed();
        let (shape, values) = outputs[self.output]
            .try_extract_tensor::<f32>()
            .map_err(failed)?;
        let pooled = matches!(self.pooling, Pooling::None);
        match (pooled, &shape[..]) {
            (true, [1, width]) | (false, [1, _, width]) if *width > 0 && !values.is_empty() => {
                read(values, *width as usize)
            }
            _ => Err(EncodeError::bad(
                kind,
                &self.name,
                format!("its output has the shape {shape:?}"),
            )),
        }
    }

    /// The model's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Time spent inside the runtime since the last call.
    pub fn take_busy(&mut self) -> Duration {
        std::mem::take(&mut self.busy)
    }
}

fn load(environment: &Environment, graph: &Graph) -> ort::Result<Session> {
    let mut builder = Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        // It plans memory once per distinct length and keeps every plan.
        .with_memory_pattern(false)?;
    match graph {
        Graph::Embedded(bytes) => builder.commit_from_memory(bytes),
        Graph::File(path) => builder.commit_from_file(path),
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
fn fits(kind: Kind, width: usize, vocabulary: usize) -> bool {
    match kind {
        Kind::Sparse => width >= vocabulary,
        Kind::Dense => width < vocabulary,
    }
}

/// Token ids that every vocabulary has, to learn what a graph gives out.
const PROBE: [i64; 4] = [0, 1, 2, 3];

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
