//! An ONNX Runtime session over one window at a time, on the CPU.
//!
//! Batch 1 at its exact length: within 3 % of the best speed, no padding, and a result that does not
//! depend on neighbours. One thread per session; a machine is filled with processes.

use super::error::{EncodeError, Kind};
use super::model::{Graph, Model};
use super::output::{Output, fits};
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// A model in memory.
pub(super) struct ModelSession {
    kind: Kind,
    name: String,
    session: Session,
    /// Names of the graph's inputs, in the graph's order.
    inputs: Vec<(String, Input)>,
    pub output: Output,
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
        let output = Output::choose(model, &session, vocabulary)?;
        let mut opened = Self {
            kind: model.kind,
            name: model.name.clone(),
            session,
            inputs,
            output,
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
        let mut result = None;
        let mut read = Some(read);
        let read_all = |_, values: &[f32], width| {
            // One text, so one call.
            result = match read.take() {
                Some(read) => Some(read(values, width)?),
                None => None,
            };
            Ok(())
        };
        self.output
            .each(&outputs, &[n_tokens], read_all)
            .map_err(|reason| EncodeError::bad(kind, &self.name, reason))??;
        result.ok_or_else(|| EncodeError::bad(kind, &self.name, "it gave no output"))
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

/// Token ids that every vocabulary has, to learn what a graph gives out.
const PROBE: [i64; 4] = [0, 1, 2, 3];
