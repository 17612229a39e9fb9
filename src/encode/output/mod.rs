//! Reads a graph's output: numbers as rows of 32-bit floats, or weights of the heaviest terms.
//!
//! [`choice`] decides which output that is. Runs nothing.

mod choice;
mod text_output;

pub(super) use choice::{Chosen, Declared, Numbers, choose, declared, fits};
pub(super) use text_output::{TermWeights, TextOutput};

use super::error::{EncodeError, message};
use super::model::{Model, Pooling};
use crate::batch::EncoderKind;
use choice::Form;
use half::{bf16, f16};
use ort::session::{Session, SessionOutputs};
use ort::value::{TensorElementType, ValueType};

/// Reads the output after each run.
pub(super) struct OutputReader {
    form: Form,
    pub pooling: Pooling,
    /// Entries of the tokenizer's vocabulary.
    vocabulary: usize,
    /// Numbers of an output of 16-bit floats.
    widened: Vec<f32>,
}

/// An output that does not fit what the graph declared.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    #[error("its output has the shape {0:?}")]
    Shape(Vec<i64>),
    #[error("its weights have the shape {shape:?}, and there are {n_columns} columns for them")]
    Columns { shape: Vec<i64>, n_columns: usize },
    #[error(
        "it gives a weight to term {column}, and its tokenizer has {vocabulary}; \
         tokenizer.json is another model's"
    )]
    Term { column: i64, vocabulary: usize },
    #[error("its output is {0}")]
    NoTensor(String),
    #[error("{0}")]
    Runtime(String),
}

/// An output that cannot be read, or an error of who reads it.
#[derive(Debug)]
pub(super) enum ReadError {
    Output(OutputError),
    Reader(EncodeError),
}

impl ReadError {
    pub fn of_model(self, kind: EncoderKind, name: &str) -> EncodeError {
        match self {
            Self::Output(error) => EncodeError::bad(kind, name, error.to_string()),
            Self::Reader(error) => error,
        }
    }
}

impl From<OutputError> for ReadError {
    fn from(error: OutputError) -> Self {
        Self::Output(error)
    }
}

impl OutputReader {
    /// Choose the output to read. The size of the vocabulary tells a sparse output from a dense one.
    ///
    /// # Errors
    /// `ModelBad` if nothing states how an output becomes one vector, `WrongKind` if none fits.
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
        })
    }

    /// Position of the output with the numbers.
    pub fn position(&self) -> usize {
        self.form.position()
    }

    /// Hand the output of each text in the batch to `read`, with the text's position: [1, width] if the graph pools, else
    /// [n, width] for the `n` tokens (`lengths`) of the text. Rows of padding are left out, and so are those after the last
    /// length.
    ///
    /// # Errors
    /// An output of another shape, a weight of a term that the vocabulary lacks, and those of `read`.
    pub fn read_each(
        &mut self,
        outputs: &SessionOutputs<'_>,
        lengths: &[usize],
        read: impl FnMut(usize, TextOutput<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), ReadError> {
        match self.form {
            Form::Rows(position) => self.read_rows(outputs, position, lengths, read),
            Form::TopK { weights, columns } => {
                self.read_top_k(outputs, weights, columns, lengths, read)
            }
        }
    }

    fn read_rows(
        &mut self,
        outputs: &SessionOutputs<'_>,
        position: usize,
        lengths: &[usize],
        mut read: impl FnMut(usize, TextOutput<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), ReadError> {
        let (shape, values) = floats(outputs, position, &mut self.widened)?;
        let misfit = || OutputError::Shape(shape.to_vec());
        let size = |n: &i64| usize::try_from(*n).ok().filter(|n| *n > 0);
        let (batch, positions, width) = match (self.pooling, shape) {
            (Pooling::None, [batch, width]) => (size(batch), Some(1), size(width)),
            (_, [batch, positions, width]) => (size(batch), size(positions), size(width)),
            _ => return Err(misfit().into()),
        };
        let (Some(batch), Some(positions), Some(width)) = (batch, positions, width) else {
            return Err(misfit().into());
        };
        if batch < lengths.len() || values.len() != batch * positions * width {
            return Err(misfit().into());
        }
        let texts = values.chunks_exact(positions * width).zip(lengths);
        for (index, (text, length)) in texts.enumerate() {
            let rows = positions.min(*length);
            let values = &text[..rows * width];
            read(index, TextOutput::Rows { values, width }).map_err(ReadError::Reader)?;
        }
        Ok(())
    }

    fn read_top_k(
        &mut self,
        outputs: &SessionOutputs<'_>,
        weights: usize,
        columns: usize,
        lengths: &[usize],
        mut read: impl FnMut(usize, TextOutput<'_>) -> Result<(), EncodeError>,
    ) -> Result<(), ReadError> {
        let (shape, weights) = floats(outputs, weights, &mut self.widened)?;
        let columns = integers(outputs, columns)?;
        let misfit = || OutputError::Columns {
            shape: shape.to_vec(),
            n_columns: columns.len(),
        };
        let [batch, count] = shape[..] else {
            return Err(misfit().into());
        };
        let (batch, count) = (batch.max(0) as usize, count.max(0) as usize);
        let fits = batch >= lengths.len() && count > 0 && batch * count == weights.len();
        if !fits || weights.len() != columns.len() {
            return Err(misfit().into());
        }
        let vocabulary = self.vocabulary;
        let rows = weights.chunks_exact(count).zip(columns.chunks_exact(count));
        for (index, (weights, columns)) in rows.enumerate().take(lengths.len()) {
            let terms = TermWeights::new(weights, columns, vocabulary)
                .map_err(|column| OutputError::Term { column, vocabulary })?;
            read(index, TextOutput::Terms(terms)).map_err(ReadError::Reader)?;
        }
        Ok(())
    }
}

/// Return an output's shape and its numbers, widened into `space` if they have 16 bits.
fn floats<'a>(
    outputs: &'a SessionOutputs<'_>,
    position: usize,
    space: &'a mut Vec<f32>,
) -> Result<(&'a [i64], &'a [f32]), OutputError> {
    let output = &outputs[position];
    let failed = |error: ort::Error| OutputError::Runtime(message(&error));
    let element = match output.dtype() {
        ValueType::Tensor { ty, .. } => *ty,
        other => return Err(OutputError::NoTensor(other.to_string())),
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

fn integers(outputs: &SessionOutputs<'_>, position: usize) -> Result<Vec<i64>, OutputError> {
    let output = &outputs[position];
    if let Ok((_, values)) = output.try_extract_tensor::<i32>() {
        return Ok(values.iter().map(|value| i64::from(*value)).collect());
    }
    let values = output.try_extract_tensor::<i64>();
    let (_, values) = values.map_err(|error| OutputError::Runtime(message(&error)))?;
    Ok(values.to_vec())
}
