//! Tensors of a graph, and where their numbers are.

use super::error::OnnxError;
use super::wire::{Field, Value};
use crate::named_file;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// Types of elements, as ONNX numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element(pub u64);

impl Element {
    pub const FLOAT: Self = Self(1);
    pub const INT8: Self = Self(3);
    pub const INT32: Self = Self(6);
    pub const INT64: Self = Self(7);
    pub const BOOL: Self = Self(9);
    pub const FLOAT16: Self = Self(10);
    pub const DOUBLE: Self = Self(11);
    pub const BFLOAT16: Self = Self(16);

    /// Bytes of one element; `None` for texts, complex numbers and those below a byte.
    fn size(self) -> Option<u64> {
        Some(match self.0 {
            2 | 3 | 9 | 17..=20 => 1,
            4 | 5 | 10 | 16 => 2,
            1 | 6 | 12 => 4,
            7 | 11 | 13 => 8,
            _ => return None,
        })
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Extent {
    pub path: PathBuf,
    pub offset: u64,
    pub length: u64,
}

/// The numbers of a tensor, row-major, little-endian.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    Here(Vec<u8>),
    /// In the graph's own file, or in one beside it.
    There(Extent),
    /// In one of the fields for single types, which are kept as they are.
    Typed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub dims: Vec<u64>,
    pub element: Element,
    pub data: Data,
    /// The numbers are in another file than the graph.
    pub is_external: bool,
    pub rest: Vec<Field>,
}

impl Tensor {
    pub fn new(name: &str, element: Element, dims: &[u64], data: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            dims: dims.to_vec(),
            element,
            data: Data::Here(data),
            is_external: false,
            rest: Vec::new(),
        }
    }

    pub fn floats(name: &str, dims: &[u64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(name, Element::FLOAT, dims, bytes)
    }

    /// One dimension of 64-bit integers, as shapes and axes are given.
    pub fn integers(name: &str, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(name, Element::INT64, &[values.len() as u64], bytes)
    }

    /// Bytes of all elements, by type and dimensions.
    pub fn size(&self) -> Option<u64> {
        let size = self.element.size()?;
        self.dims
            .iter()
            .try_fold(size, |n, dim| n.checked_mul(*dim))
    }

    /// All numbers of a tensor of 32-bit floats.
    ///
    /// # Errors
    /// `Unreadable` when they are in a file that cannot be read, `Unsupported` for another type.
    pub fn read_floats(&self) -> Result<Vec<f32>, OnnxError> {
        if self.element != Element::FLOAT || self.data == Data::Typed {
            let text = format!("the tensor {} is not one of plain 32-bit floats", self.name);
            return Err(OnnxError::Unsupported(text));
        }
        let numbers = |bytes: &[u8]| {
            let number = |four: &[u8]| f32::from_le_bytes(four.try_into().expect("four bytes"));
            bytes.chunks_exact(4).map(number).collect()
        };
        match &self.data {
            Data::Here(bytes) => Ok(numbers(bytes)),
            Data::There(extent) => Ok(numbers(&extent.read()?)),
            Data::Typed => Ok(Vec::new()),
        }
    }

    /// Moves numbers that have fields of their own into the common one, where that is the same.
    pub(super) fn normalize(&mut self) {
        const FLOATS: u32 = 4;
        const INTEGERS: u32 = 7;
        if self.data != Data::Here(Vec::new()) {
            return;
        }
        let mut bytes = Vec::new();
        for field in &self.rest {
            match (&field.value, field.number, self.element) {
                (Value::Bytes(packed), FLOATS, Element::FLOAT) => bytes.extend(packed),
                (Value::Fixed32(one), FLOATS, Element::FLOAT) => bytes.extend(one),
                (_, INTEGERS, Element::INT64) => {
                    bytes.extend(field.varints().iter().flat_map(|v| v.to_le_bytes()));
                }
                _ => {}
            }
        }
        if Some(bytes.len() as u64) == self.size() {
            self.rest
                .retain(|f| f.number != FLOATS && f.number != INTEGERS);
            self.data = Data::Here(bytes);
        } else if self
            .rest
            .iter()
            .any(|f| matches!(f.number, 4..=7 | 10 | 11))
        {
            self.data = Data::Typed;
        }
    }
}

impl Extent {
    pub fn open(&self) -> std::io::Result<std::io::Take<File>> {
        let mut file = named_file::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.length))
    }

    fn read(&self) -> Result<Vec<u8>, OnnxError> {
        let mut bytes = Vec::new();
        let read = self
            .open()
            .and_then(|mut part| part.read_to_end(&mut bytes));
        match read {
            Ok(n) if n as u64 == self.length => Ok(bytes),
            Ok(_) => Err(OnnxError::Truncated {
                path: self.path.clone(),
            }),
            Err(source) => Err(OnnxError::Unreadable {
                path: self.path.clone(),
                source,
            }),
        }
    }
}
