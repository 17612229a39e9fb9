//! What is read of a graph's outputs, and how its numbers become rows.
//!
//! Which output that is, [`choice`] says. Runs nothing.

mod choice;

pub(super) use choice::{Chosen, Declared, Numbers, choose, declared, fits};

use super::error::{EncodeError, said};
use super::model::{Model, Pooling};
use choice::Form;
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
    let failed = |error: ort::Error| said(&error);
    let element = match output.dtype() {
        ValueType::Tensor { ty, .. } => *ty,
        other => return Err(format!("its output is {other}")),
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
    let (_, values) = values.map_err(|error| said(&error))?;
    Ok(values.to_vec())
}
