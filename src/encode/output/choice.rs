//! Chooses which of a graph's outputs is read and how it is pooled.
//!
//! Knows the names and shapes that exporters write. Looks at no number.

use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::model::{Model, Pooling};
use crate::encode::onnx::{Element, ValueInfo};
use ort::session::Session;
use ort::value::{TensorElementType, ValueType};

/// Positions among the graph's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Rows of numbers.
    Rows(usize),
    /// The heaviest terms: weights [B, K] and their columns [B, K] in the vocabulary.
    TopK { weights: usize, columns: usize },
}

impl Form {
    /// Position of the output with the numbers.
    pub fn position(self) -> usize {
        match self {
            Self::Rows(position) => position,
            Self::TopK { weights, .. } => weights,
        }
    }
}

/// An output as the graph declares it.
#[derive(Clone, Debug)]
pub struct Declared {
    pub name: String,
    /// `None` for other types.
    pub numbers: Option<Numbers>,
    /// `None` for a size that varies by run.
    pub shape: Vec<Option<usize>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    Float,
    Integer,
}

/// The output that is read, and how.
#[derive(Debug)]
pub struct Chosen {
    pub form: Form,
    pub pooling: Pooling,
}

impl Chosen {
    /// Position of the output with the numbers.
    pub fn position(&self) -> usize {
        self.form.position()
    }

    /// Whether it gives the heaviest terms only.
    pub fn is_top_k(&self) -> bool {
        matches!(self.form, Form::TopK { .. })
    }
}

/// Return the outputs of a session.
pub fn declared(session: &Session) -> Vec<Declared> {
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
    /// Return the output as a graph's file declares it; `None` if it leaves the shape to the runtime.
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

/// Choose the output to read and how to pool it.
///
/// # Errors
/// As [`super::OutputReader::choose`].
pub fn choose(
    model: &Model,
    outputs: &[Declared],
    vocabulary: usize,
) -> Result<Chosen, EncodeError> {
    let pooling = Pooling::None;
    if let Some(form) = top_k(model, outputs) {
        return Ok(Chosen { form, pooling });
    }
    let mut unpooled = false;
    let mut best: Option<(usize, usize, Pooling)> = None;
    for (index, output) in outputs.iter().enumerate() {
        let width = output.shape.last().copied().flatten();
        // Without a width, only a run shows.
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

/// Find a pair of outputs [B, K], of floats and of integers: the heaviest terms. Their names vary.
fn top_k(model: &Model, outputs: &[Declared]) -> Option<Form> {
    if model.kind != EncoderKind::Sparse || !matches!(model.pooling, None | Some(Pooling::None)) {
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
        Some(Form::TopK {
            weights: position(weights)?,
            columns: position(columns)?,
        })
    })
}

/// Return how an output of this rank is pooled; `None` if it cannot be.
fn pooling_for(model: &Model, rank: usize) -> Option<Pooling> {
    match (rank, model.pooling, model.kind) {
        (2, None | Some(Pooling::None), _) => Some(Pooling::None),
        (3, None, EncoderKind::Sparse) => Some(model.of_logits),
        (3, Some(Pooling::Splade | Pooling::SpladeLog1p), EncoderKind::Sparse) => model.pooling,
        // Neither the mean nor the first position is a safe guess: the files must state it.
        (3, Some(Pooling::Mean | Pooling::Cls | Pooling::Last), EncoderKind::Dense) => {
            model.pooling
        }
        _ => None,
    }
}

/// Whether rows of `width` numbers are vectors of this kind. The graph may pad the vocabulary.
pub fn fits(kind: EncoderKind, width: usize, vocabulary: usize) -> bool {
    match kind {
        EncoderKind::Sparse => width >= vocabulary,
        EncoderKind::Dense => width < vocabulary,
    }
}

/// BERT's head for sentence pairs: it has the right shape, but is not an embedding.
const POOLER: &str = "pooler_output";

/// Rank an output by its name: pooled vectors before hidden states, unknown names last.
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
