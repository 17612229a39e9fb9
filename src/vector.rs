//! Sparse and dense vectors as they are stored, independent of the model that made them.
//!
//! Values only: no encoder, no database. `encode` makes them, `store` keeps them.

use serde::{Deserialize, Serialize};

/// What the encoders of a build say of one chunk. The default is what a build without encoders has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// `None` when the build has no sparse encoder.
    pub sparse: Option<SparseVector>,
    /// `None` when the build has no dense encoder, or the vector has no direction.
    pub dense: Option<DenseVector>,
    /// Words that lead queries to the chunk's shard: at most 24, lower case, heaviest first. Empty
    /// when the build has no sparse encoder.
    pub route_words: Vec<String>,
}

/// One dimension of a sparse vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseTerm {
    /// WordPiece string, with its `##` where it continues a word.
    pub term: String,
    /// Weight in units of 1e-4 (the format keeps 4 decimals); never 0.
    pub weight_e4: u32,
}

impl SparseTerm {
    /// Return the weight as the database holds it.
    pub fn weight(&self) -> f64 {
        f64::from(self.weight_e4) / 1e4
    }
}

/// A sparse vector: distinct terms, heaviest first, equal weights in the order of their terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseVector(pub Vec<SparseTerm>);

impl SparseVector {
    /// Put distinct terms in the order of a vector.
    pub fn new(mut terms: Vec<SparseTerm>) -> Self {
        terms.sort_unstable_by(|a, b| {
            b.weight_e4
                .cmp(&a.weight_e4)
                .then_with(|| a.term.cmp(&b.term))
        });
        Self(terms)
    }
}

/// A dense vector of unit length (L2), tolerance 1e-3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DenseVector(pub Vec<f32>);

impl DenseVector {
    /// Cut to the first `dim` values (Matryoshka) and scale to unit length. Return `None` for a zero or
    /// non-finite vector: it has no direction.
    pub fn normalized(mut values: Vec<f32>, dim: usize) -> Option<Self> {
        values.truncate(dim);
        let norm = values
            .iter()
            .map(|v| f64::from(*v) * f64::from(*v))
            .sum::<f64>()
            .sqrt();
        if !norm.is_finite() || norm == 0.0 {
            return None;
        }
        for value in &mut values {
            *value = (f64::from(*value) / norm) as f32;
        }
        Some(Self(values))
    }

    /// Return little-endian IEEE f32, `4 * dim` bytes (`genes.embedding_dense_v2`).
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// Read what [`Self::to_le_bytes`] wrote. Return `None` when the length is not a multiple of 4.
    pub fn from_le_bytes(bytes: &[u8]) -> Option<Self> {
        let chunks = bytes.chunks_exact(4);
        if !chunks.remainder().is_empty() {
            return None;
        }
        Some(Self(
            chunks
                .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_vectors_are_cut_then_scaled() {
        let vector = DenseVector::normalized(vec![3.0, 4.0, 100.0], 2).expect("has a direction");
        assert_eq!(vector, DenseVector(vec![0.6, 0.8]));
        assert_eq!(
            DenseVector::from_le_bytes(&vector.to_le_bytes()),
            Some(vector)
        );
    }

    #[test]
    fn a_vector_without_direction_is_refused() {
        assert_eq!(DenseVector::normalized(vec![0.0; 4], 4), None);
        assert_eq!(DenseVector::normalized(vec![f32::NAN; 4], 4), None);
        assert_eq!(DenseVector::from_le_bytes(&[0; 5]), None);
    }
}
