//! How large the models are and whether they are quantized, for choosing workers and devices.

use super::error::EncodeError;
use super::model::{Graph, Model};
use super::source::resolve;
use crate::batch::EncoderKind;
use crate::profile::encoders::{Device, EncoderChoice};

/// Bytes of the models' graphs and weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelBytes {
    pub sparse: u64,
    pub dense: u64,
}

/// Return the size of each model's files, without reading them.
///
/// # Errors
/// Those of [`super::describe()`] that the directory alone shows.
pub fn model_bytes(choice: &EncoderChoice) -> Result<ModelBytes, EncodeError> {
    let one = |kind, source| {
        let model = resolve(kind, source)?;
        model.map_or(Ok(0), |model| graph_bytes(&model))
    };
    Ok(ModelBytes {
        sparse: one(EncoderKind::Sparse, &choice.sparse)?,
        dense: one(EncoderKind::Dense, &choice.dense)?,
    })
}

/// Which models make no use of a device: those that quantize their activations to 8 bits, and static ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuantizedKinds {
    pub sparse: bool,
    pub dense: bool,
}

/// Look at the graphs for quantized activations and tables, without reading weights.
///
/// # Errors
/// As [`model_bytes`].
pub fn quantized_kinds(choice: &EncoderChoice) -> Result<QuantizedKinds, EncodeError> {
    let one = |kind, source| {
        Ok(resolve(kind, source)?
            .is_some_and(|m| m.quantized || matches!(m.graph, Graph::Table(_))))
    };
    Ok(QuantizedKinds {
        sparse: one(EncoderKind::Sparse, &choice.sparse)?,
        dense: one(EncoderKind::Dense, &choice.dense)?,
    })
}

fn graph_bytes(model: &Model) -> Result<u64, EncodeError> {
    let path = match &model.graph {
        Graph::Embedded(bytes) => return Ok(bytes.len() as u64),
        Graph::File(path) => path,
        Graph::Table(table) => &table.path,
    };
    let size = |path: &std::path::PathBuf| {
        let data = std::fs::metadata(path);
        data.map(|data| data.len())
            .map_err(|error| EncodeError::missing(model.kind, path, error))
    };
    std::iter::once(path).chain(&model.weights).map(size).sum()
}

impl ModelBytes {
    /// Bytes of both models.
    pub fn all(self) -> u64 {
        self.sparse + self.dense
    }

    /// Bytes of the models on `device`.
    pub fn on(self, device: Device, choice: &EncoderChoice) -> u64 {
        let kinds = [
            (choice.sparse_device, self.sparse),
            (choice.dense_device, self.dense),
        ];
        let there = kinds.iter().filter(|(at, _)| *at == device);
        there.map(|(_, bytes)| bytes).sum()
    }
}
