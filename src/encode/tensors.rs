//! Tensors of a safetensors file.

use super::error::EncodeError;
use super::graph_file::check_head;
use crate::batch::EncoderKind;
use crate::named_file;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};

/// Largest file that is read whole: the largest published static model has 1 GB.
const MOST_BYTES: u64 = 8 << 30;

/// A file in memory.
pub(super) struct TensorFile {
    kind: EncoderKind,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// One tensor of it.
pub(super) struct Tensor<'a> {
    file: &'a TensorFile,
    name: String,
    view: safetensors::tensor::TensorView<'a>,
}

impl TensorFile {
    /// Read the file.
    ///
    /// # Errors
    /// `ModelMissing` if it cannot be read, `FileBad` if it is no safetensors file.
    pub fn open(kind: EncoderKind, path: &Path) -> Result<Self, EncodeError> {
        check_head(kind, path)?;
        let bytes = named_file::read(path, MOST_BYTES)
            .map_err(|error| EncodeError::missing(kind, path, error))?;
        let file = Self {
            kind,
            path: path.to_owned(),
            bytes,
        };
        file.tensors()?;
        Ok(file)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let tensors = self.tensors();
        let mut names: Vec<String> = tensors.map_or_else(
            |_| Vec::new(),
            |tensors| tensors.names().into_iter().map(str::to_owned).collect(),
        );
        names.sort();
        names
    }

    /// Return the tensor of this name.
    ///
    /// # Errors
    /// `FileBad` if it has none.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, EncodeError> {
        let view = self.tensors()?.tensor(name).map_err(|_| {
            let names = self.names().join(", ");
            self.bad(format!("it has no tensor {name}, but {names}"))
        })?;
        Ok(Tensor {
            file: self,
            name: name.to_owned(),
            view,
        })
    }

    fn tensors(&self) -> Result<SafeTensors<'_>, EncodeError> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| {
            self.bad(format!(
                "it is no safetensors file, or cut off ({error}); fetch it again"
            ))
        })
    }

    fn bad(&self, reason: String) -> EncodeError {
        EncodeError::file(self.kind, &self.path, reason)
    }
}

impl Tensor<'_> {
    pub fn shape(&self) -> &[usize] {
        self.view.shape()
    }

    /// Return its numbers in 32 bits, row-major.
    ///
    /// # Errors
    /// `FileBad` for other types than floats of 64, 32 or 16 bits and integers of 8 bits.
    pub fn floats(&self) -> Result<Vec<f32>, EncodeError> {
        let data = self.view.data();
        Ok(match self.view.dtype() {
            Dtype::F64 => each(data, |b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => each(data, f32::from_le_bytes),
            Dtype::F16 => each(data, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => each(data, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::I8 => each(data, |b| f32::from(i8::from_le_bytes(b))),
            other => return Err(self.wrong_type(other, "floats")),
        })
    }

    fn wrong_type(&self, found: Dtype, wanted: &str) -> EncodeError {
        self.file.bad(format!(
            "its tensor {} has numbers of the type {found:?}, not {wanted}; export it again",
            self.name
        ))
    }
}

/// Read `N` bytes for each number.
fn each<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = data.as_chunks::<N>();
    numbers.iter().map(|bytes| read(*bytes)).collect()
}
