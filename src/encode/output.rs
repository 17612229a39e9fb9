//! Which of a graph's outputs is read, and how its numbers become rows.
//!
//! Knows the shapes that exporters write. Runs nothing.

use super::error::{EncodeError, Kind};
use super::model::{Model, Pooling};
use super::onnx::{Element, ValueInfo};
use half::{bf16, f16};
use ort::session::{Session, SessionOutputs};
use ort::value::{TensorElementType, ValueType};

/// What is read after each run.
pub(super) struct Output {
    form: Form,
    pub pooling: Pooling,
    /// Entries of the tokenizer's vocabulary.
    vocabulary: usize,
    /// Numbers of an output that gives others than 32-bit floats.
    widened: Vec<f32>,
    /// Weights (`[V]`) of an output that gives the heaviest only; zeros between calls.
    scattered: Vec<f32>,
}

/// Positions among the graph's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Rows of all numbers.
    Rows(usize),
    /// Weights [B, K], and the columns [B, K] that they belong to.
    Heaviest { weights: usize, columns: usize },
}

impl Form {
    fn position(self) -> usize {
        match self {
            Self::Rows(position) => position,
            Self::Heaviest { weights, .. } => weights,
        }
    }
}

/// An output as the graph states it.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub name: String,
    /// `None` for types that are not read.
    pub numbers: Option<Numbers>,
    /// `None` within is a size that a run decides.
    pub shape: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    Float,
    Integer,
}

/// The output that is read, by name, and how.
#[derive(Debug)]
pub(super) struct Chosen {
    form: Form,
    pub pooling: Pooling,
}

impl Chosen {
    /// Position of the output with the numbers.
    pub fn position(&self) -> usize {
        self.form.position()
    }

    /// Whether it gives the heaviest terms only.
    pub fn is_cut(&self) -> bool {
        matches!(self.form, Form::Heaviest { .. })
    }
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
        let Chosen { form, pooling } = choose(model, &declared(session), vocabulary)?;
        Ok(Self {
            form,
            pooling,
            vocabulary,
            widened: Vec::new(),
            scattered: Vec::new(),
        })
    }

    /// Position of the output with the numbers.
    pub fn position(&self) -> usize {
        self.form.position()
    }

    /// Hands the numbers of each text in the batch to `read`, with the text's position in it and the numbers
    /// in a row: [1, width] for a graph that pools, else [n, width] for the `n` tokens (`lengths`) that the
    /// text has in its run. What padding gave is left out, and rows behind the last length are. Of a graph
    /// that gives the heaviest terms, `width` is the vocabulary, and what is not among them is 0.
    ///
    /// # Errors
    /// A description of what does not fit, and what `read` says.
    pub fn each<E>(
        &mut self,
        outputs: &SessionOutputs<'_>,
        lengths: &[usize],
        read: impl FnMut(usize, &[f32], usize) -> Result<(), E>,
    ) -> Result<Result<(), E>, String> {
        match self.form {
            Form::Rows(position) => self.each_rows(outputs, position, lengths, read),
            Form::Heaviest { weights, columns } => {
                self.each_heaviest(outputs, weights, columns, lengths, read)
            }
        }
    }

    fn each_rows<E>(
        &mut self,
        outputs: &SessionOutputs<'_>,
        position: usize,
        lengths: &[usize],
        mut read: impl FnMut(usize, &[f32], usize) -> Result<(), E>,
    ) -> Result<Result<(), E>, String> {
        let (shape, values) = floats(outputs, position, &mut self.widened)?;
        let misfit = || format!("its output has the shape {shape:?}");
        let size = |n: &i64| usize::try_from(*n).ok().filter(|n| *n > 0);
        let (batch, positions, width) = match (self.pooling, shape) {
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

    fn each_heaviest<E>(
        &mut self,
        outputs: &SessionOutputs<'_>,
        weights: usize,
        columns: usize,
        lengths: &[usize],
        mut read: impl FnMut(usize, &[f32], usize) -> Result<(), E>,
    ) -> Result<Result<(), E>, String> {
        let (shape, weights) = floats(outputs, weights, &mut self.widened)?;
        let columns = integers(outputs, columns)?;
        let misfit = || {
            let n = columns.len();
            format!("its weights have the shape {shape:?}, and there are {n} columns for them")
        };
        let [batch, count] = shape[..] else {
            return Err(misfit());
        };
        let (batch, count) = (batch.max(0) as usize, count.max(0) as usize);
        let fits = batch >= lengths.len() && count > 0 && batch * count == weights.len();
        if !fits || weights.len() != columns.len() {
            return Err(misfit());
        }
        let width = self.vocabulary;
        self.scattered.resize(width, 0.0);
        for index in 0..lengths.len() {
            let entries = index * count..(index + 1) * count;
            let entries = || {
                weights[entries.clone()]
                    .iter()
                    .zip(&columns[entries.clone()])
            };
            // What pads a text with fewer terms may point anywhere.
            let stray = entries().find(|(weight, column)| {
                **weight != 0.0 && usize::try_from(**column).map_or(true, |c| c >= width)
            });
            if let Some((_, column)) = stray {
                return Err(format!(
                    "it gives a weight to term {column}, and its tokenizer has {width}; \
                     tokenizer.json is another model's"
                ));
            }
            for (weight, column) in entries().filter(|(weight, _)| **weight != 0.0) {
                self.scattered[*column as usize] = *weight;
            }
            let result = read(index, &self.scattered, width);
            for (_, column) in entries() {
                let place = usize::try_from(*column).ok();
                if let Some(weight) = place.and_then(|column| self.scattered.get_mut(column)) {
                    *weight = 0.0;
                }
            }
            if let Err(error) = result {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

/// An output's shape and its numbers, widened into `space` where they have 16 bits.
fn floats<'a>(
    outputs: &'a SessionOutputs<'_>,
    position: usize,
    space: &'a mut Vec<f32>,
) -> Result<(&'a [i64], &'a [f32]), String> {
    let output = &outputs[position];
    let failed = |error: ort::Error| format!("{error:?}");
    let element = match output.dtype() {
        ValueType::Tensor { ty, .. } => *ty,
        other => return Err(format!("its output is {other:?}")),
    };
    match element {
        TensorElementType::Float16 => {
            let (shape, values) = output.try_extract_tensor::<f16>().map_err(failed)?;
            space.clear();
            space.extend(values.iter().map(|value| value.to_f32()));
            Ok((shape, space))
        }
        TensorElementType::Bfloat16 => {
            let (shape, values) = output.try_extract_tensor::<bf16>().map_err(failed)?;
            space.clear();
            space.extend(values.iter().map(|value| value.to_f32()));
            Ok((shape, space))
        }
        _ => {
            let (shape, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
            Ok((shape, values))
        }
    }
}

fn integers(outputs: &SessionOutputs<'_>, position: usize) -> Result<Vec<i64>, String> {
    let output = &outputs[position];
    if let Ok((_, values)) = output.try_extract_tensor::<i32>() {
        return Ok(values.iter().map(|value| i64::from(*value)).collect());
    }
    let values = output.try_extract_tensor::<i64>();
    let (_, values) = values.map_err(|error| format!("{error:?}"))?;
    Ok(values.to_vec())
}

/// What a session gives out.
pub(super) fn declared(session: &Session) -> Vec<Declared> {
    let outputs = session.outputs().iter();
    let declared = outputs.map(|output| {
        let (numbers, shape) = match output.dtype() {
            ValueType::Tensor { ty, shape, .. } => {
                let numbers = match ty {
                    TensorElementType::Float32
                    | TensorElementType::Float16
                    | TensorElementType::Bfloat16 => Some(Numbers::Float),
                    TensorElementType::Int64 | TensorElementType::Int32 => Some(Numbers::Integer),
                    _ => None,
                };
                let sizes = shape.iter().map(|n| usize::try_from(*n).ok());
                (numbers, sizes.collect())
            }
            _ => (None, Vec::new()),
        };
        Declared {
            name: output.name().to_owned(),
            numbers,
            shape,
        }
    });
    declared.collect()
}

impl Declared {
    /// What a graph's file says; `None` when it leaves the shape to the runtime.
    pub fn in_file(info: &ValueInfo) -> Option<Self> {
        let numbers = match info.element {
            Some(Element::FLOAT | Element::FLOAT16 | Element::BFLOAT16) => Some(Numbers::Float),
            Some(Element::INT64 | Element::INT32) => Some(Numbers::Integer),
            _ => None,
        };
        let size = |n: &Option<u64>| n.and_then(|n| usize::try_from(n).ok());
        Some(Self {
            name: info.name.clone(),
            numbers,
            shape: info.shape.as_ref()?.iter().map(size).collect(),
        })
    }
}

impl std::fmt::Display for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes = self.shape.iter();
        let sizes = sizes.map(|n| n.map_or_else(|| "?".to_owned(), |n| n.to_string()));
        write!(
            f,
            "{} [{}]",
            self.name,
            sizes.collect::<Vec<_>>().join(", ")
        )
    }
}

/// The output to read and how to pool it.
///
/// # Errors
/// As of [`Output::choose`].
pub(super) fn choose(
    model: &Model,
    outputs: &[Declared],
    vocabulary: usize,
) -> Result<Chosen, EncodeError> {
    let pooling = Pooling::None;
    if let Some(form) = heaviest(model, outputs) {
        return Ok(Chosen { form, pooling });
    }
    let mut unpooled = false;
    let mut best: Option<(usize, usize, Pooling)> = None;
    for (index, output) in outputs.iter().enumerate() {
        let width = output.shape.last().copied().flatten();
        // Without a width, only a run tells.
        let fits_kind = width.is_none_or(|width| fits(model.kind, width, vocabulary));
        if !fits_kind || output.name == POOLER || output.numbers == Some(Numbers::Integer) {
            continue;
        }
        let Some(pooling) = pooling_for(model, output.shape.len()) else {
            unpooled = true;
            continue;
        };
        if output.numbers.is_none() {
            return Err(EncodeError::bad(
                model.kind,
                &model.name,
                format!("its output {output} is not of 32-bit or 16-bit floats; export it again"),
            ));
        }
        let preference = preference(&output.name);
        if best.is_none_or(|(known, ..)| preference < known) {
            best = Some((preference, index, pooling));
        }
    }
    let seen = || {
        outputs
            .iter()
            .map(Declared::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match best {
        Some((_, index, pooling)) => Ok(Chosen {
            form: Form::Rows(index),
            pooling,
        }),
        None if unpooled => Err(EncodeError::bad(
            model.kind,
            &model.name,
            format!(
                "nothing says how its outputs ({}) become one vector, or not truly; \
                 set pooling in helix-model.toml",
                seen()
            ),
        )),
        None => Err(EncodeError::wrong_kind(
            model.kind,
            &model.name,
            format!(
                "none of its outputs ({}) is one over a vocabulary of {vocabulary} as asked",
                seen()
            ),
        )),
    }
}

/// The heaviest terms: a pair of outputs [B, K], of floats and of integers. Their names vary.
fn heaviest(model: &Model, outputs: &[Declared]) -> Option<Form> {
    if model.kind != Kind::Sparse || !matches!(model.pooling, None | Some(Pooling::None)) {
        return None;
    }
    let pairs = |numbers| {
        let of =
            move |output: &&Declared| output.numbers == Some(numbers) && output.shape.len() == 2;
        outputs.iter().filter(of)
    };
    let position = |output: &Declared| outputs.iter().position(|o| o.name == output.name);
    pairs(Numbers::Float).find_map(|weights| {
        let columns =
            pairs(Numbers::Integer).find(|columns| columns.shape[1] == weights.shape[1])?;
        Some(Form::Heaviest {
            weights: position(weights)?,
            columns: position(columns)?,
        })
    })
}

/// How an output of this rank is pooled; `None` when the rules exclude it.
fn pooling_for(model: &Model, rank: usize) -> Option<Pooling> {
    match (rank, model.pooling, model.kind) {
        (2, None | Some(Pooling::None), _) => Some(Pooling::None),
        (3, None, Kind::Sparse) => Some(model.of_logits),
        (3, Some(Pooling::Splade | Pooling::SpladeLog1p), Kind::Sparse) => model.pooling,
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
