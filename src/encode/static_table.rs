//! The encoder of static models: the mean of the vectors of a text's tokens, without ONNX Runtime.
//!
//! Every sum has a fixed order, so the bits are the same on every machine.

use super::error::EncodeError;
use super::model::{Model, TableFile};
use super::tensors::{RawTensor, TensorFile};
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use std::path::Path;

/// Raise it when a change of this module changes any vector.
pub(super) const VERSION: u64 = 1;

/// Names of the table in files of model2vec and of sentence transformers.
const TABLES: [&str; 2] = ["embeddings", "embedding.weight"];
/// A token's row in the table, and what its row is multiplied by, both by token id.
const MAPPING: &str = "mapping";
const WEIGHTS: &str = "weights";

/// What the head of a table's file states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableShape {
    /// The tensor with the vectors.
    pub name: &'static str,
    /// Token ids with a vector.
    pub n_tokens: usize,
    pub rows: usize,
    pub dim: usize,
}

/// The vectors of all tokens.
pub(super) struct StaticTable {
    file: TensorFile,
    shape: TableShape,
    vectors: RawTensor,
    /// Rows by token id; `None`: the ids themselves.
    rows: Option<Vec<usize>>,
    /// Factors by token id; `None`: all 1.
    weights: Option<Vec<f32>>,
    /// model2vec leaves the unknown token out; sentence transformers do not.
    left_out: Option<i64>,
}

impl TableShape {
    /// Read the shape of the table in a file of which only the head is read.
    ///
    /// # Errors
    /// `ModelMissing` or `FileBad`.
    pub fn read(kind: EncoderKind, path: &Path) -> Result<Self, EncodeError> {
        let shapes = TensorFile::shapes(kind, path)?;
        let of = |name: &str| shapes.get(name).map(Vec::as_slice);
        let bad = |reason: String| Err(EncodeError::file(kind, path, reason));
        let Some((name, found)) = TABLES.iter().find_map(|name| Some((*name, of(name)?))) else {
            let names: Vec<&str> = shapes.keys().map(String::as_str).collect();
            return bad(format!(
                "it has no tensor {}, but {}; it is no static model's",
                TABLES.join(" or "),
                names.join(", ")
            ));
        };
        let [rows, dim] = *found else {
            return bad(format!(
                "its tensor {name} has the shape {found:?}, not [tokens, numbers]"
            ));
        };
        let lists = [MAPPING, WEIGHTS].map(|name| (name, of(name)));
        if let Some((name, Some(shape))) = lists
            .iter()
            .find(|(_, shape)| shape.is_some_and(|shape| shape.len() != 1))
        {
            return bad(format!(
                "its tensor {name} has the shape {shape:?}, not [tokens]"
            ));
        }
        let [mapping, weights] = lists.map(|(_, shape)| shape.map(|shape| shape[0]));
        let n_tokens = mapping.unwrap_or(rows);
        if let Some(n_weights) = weights.filter(|n| *n < n_tokens) {
            return bad(format!(
                "it has {n_weights} weights for {n_tokens} tokens; fetch or save it again"
            ));
        }
        Ok(Self {
            name,
            n_tokens,
            rows,
            dim,
        })
    }
}

impl StaticTable {
    /// Read the file.
    ///
    /// # Errors
    /// `FileBad` for a file that does not hold together.
    pub fn read(
        model: &Model,
        file: &TableFile,
        tokenizer: &Tokenizer,
    ) -> Result<Self, EncodeError> {
        let kind = model.kind;
        let shape = TableShape::read(kind, &file.path)?;
        let file = TensorFile::open(kind, &file.path)?;
        let has = |name: &str| file.names().iter().any(|known| known == name);
        let rows = match has(MAPPING) {
            true => Some(file.tensor(MAPPING)?.indices(shape.rows)?),
            false => None,
        };
        let weights = match has(WEIGHTS) {
            true => Some(file.tensor(WEIGHTS)?.floats()?),
            false => None,
        };
        let vectors = file.tensor(shape.name)?.raw()?;
        Ok(Self {
            left_out: match shape.name == TABLES[0] {
                true => tokenizer.unknown(),
                false => None,
            },
            file,
            shape,
            vectors,
            rows,
            weights,
        })
    }

    pub fn shape(&self) -> TableShape {
        self.shape
    }

    /// Return the mean of the vectors of a window's tokens; zeros without any.
    pub fn window(&self, ids: &[i64]) -> Vec<f32> {
        let mut sums = vec![0.0_f32; self.shape.dim];
        let mut n_tokens = 0;
        for id in ids.iter().filter(|id| Some(**id) != self.left_out) {
            let Some(id) = usize::try_from(*id)
                .ok()
                .filter(|id| *id < self.shape.n_tokens)
            else {
                continue;
            };
            n_tokens += 1;
            let row = self.rows.as_ref().map_or(id, |rows| rows[id]);
            let weight = self.weights.as_ref().map_or(1.0, |weights| weights[id]);
            let start = row * self.shape.dim;
            self.vectors.add(&self.file, start, weight, &mut sums);
        }
        let divisor = n_tokens.max(1) as f32;
        for sum in &mut sums {
            *sum /= divisor;
        }
        sums
    }
}
