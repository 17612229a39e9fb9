//! The inputs of a graph, and the tensors of a run.

use crate::encode::batch::Shape;
use ort::session::SessionInputValue;
use ort::value::{Outlet, Tensor, TensorElementType, TensorRef, ValueType};

/// An input of the graph.
pub(super) struct Input {
    pub name: String,
    pub role: InputRole,
    width: IntegerWidth,
}

/// What an input takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum InputRole {
    Ids,
    Mask,
    Types,
    Positions,
}

#[derive(Clone, Copy)]
enum IntegerWidth {
    Bits32,
    Bits64,
}

/// The tensors of one run, row-major.
pub(super) struct Tensors<'a> {
    pub ids: &'a [i64],
    pub mask: &'a [i64],
    pub types: &'a [i64],
    /// Empty if no input takes them.
    pub positions: &'a [i64],
    pub shape: Shape,
}

/// An input that a text cannot fill.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error(
        "its graph asks for an input {name}; \
         export it with input_ids, attention_mask, token_type_ids and position_ids only"
    )]
    Unknown { name: String },
    #[error(
        "its input {name} has the shape [{}], and texts are of any length: export it with dynamic axes \
         [batch, sequence]",
        .sizes.join(", ")
    )]
    FixedShape { name: String, sizes: Vec<String> },
    #[error("its input {name} is of type {found}; export it with integers of 64 or 32 bits")]
    Type { name: String, found: String },
}

impl Input {
    pub fn new(input: &Outlet) -> Result<Self, InputError> {
        let name = input.name().to_owned();
        let role = match name.as_str() {
            "input_ids" => InputRole::Ids,
            "attention_mask" => InputRole::Mask,
            "token_type_ids" => InputRole::Types,
            "position_ids" => InputRole::Positions,
            _ => return Err(InputError::Unknown { name }),
        };
        if let ValueType::Tensor { shape, .. } = input.dtype()
            && (shape.len() != 2 || shape[1] > 0 || shape[0] > 1)
        {
            let sizes = shape.iter().map(|size| match size {
                1.. => size.to_string(),
                _ => "?".to_owned(),
            });
            let sizes = sizes.collect();
            return Err(InputError::FixedShape { name, sizes });
        }
        let element = match input.dtype() {
            ValueType::Tensor { ty, .. } => Some(*ty),
            _ => None,
        };
        let width = match element {
            Some(TensorElementType::Int64) => IntegerWidth::Bits64,
            Some(TensorElementType::Int32) => IntegerWidth::Bits32,
            _ => {
                let found = input.dtype().to_string();
                return Err(InputError::Type { name, found });
            }
        };
        Ok(Self { name, role, width })
    }

    /// Build this input's tensor for a run.
    pub fn tensor<'a>(&self, tensors: &Tensors<'a>) -> ort::Result<SessionInputValue<'a>> {
        let values = match self.role {
            InputRole::Ids => tensors.ids,
            InputRole::Mask => tensors.mask,
            InputRole::Types => tensors.types,
            InputRole::Positions => tensors.positions,
        };
        let dims = [tensors.shape.rows, tensors.shape.len];
        match self.width {
            IntegerWidth::Bits64 => Ok(TensorRef::from_array_view((dims, values))?.into()),
            IntegerWidth::Bits32 => {
                // Token ids have 32 bits, and positions are below 2^31.
                let narrowed: Vec<i32> = values.iter().map(|value| *value as i32).collect();
                Ok(Tensor::from_array((dims, narrowed))?.into())
            }
        }
    }
}
