//! Tensors as values of attributes, which are read and written as those of a graph are.

use super::graph::Attribute;
use super::tensor::Tensor;
use super::wire::Value;
use super::{read, write};

impl Attribute {
    /// Build an attribute from a tensor whose numbers are in memory.
    pub fn tensor(name: &str, tensor: &Tensor) -> Self {
        Self::of(name, 4, [(5, Value::Bytes(write::tensor_bytes(tensor)))])
    }

    /// Return the tensor of this attribute; `None` if it has none.
    pub fn as_tensor(&self) -> Option<Tensor> {
        let field = self.fields.iter().find(|field| field.number == 5)?;
        match &field.value {
            Value::Bytes(bytes) => read::tensor(bytes).ok(),
            _ => None,
        }
    }
}
