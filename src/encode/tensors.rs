//! Tensors of a safetensors file.

use super::error::EncodeError;
use super::graph_file::check_head;
use crate::batch::EncoderKind;
use crate::named_file;
use half::{bf16, f16};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Largest file that is read whole: the largest published static model has 1 GB.
const MOST_BYTES: u64 = 8 << 30;
/// Largest head that is read: names, types and places of all tensors.
const MOST_HEAD_BYTES: u64 = 64 << 20;

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
    view: TensorView<'a>,
}

/// Where the numbers of a tensor are in its file, and what they are.
pub(super) struct RawTensor {
    bytes: Range<usize>,
    numbers: Numbers,
}

#[derive(Clone, Copy)]
enum Numbers {
    F64,
    F32,
    F16,
    Bf16,
    I8,
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

    /// Return the shapes of all tensors by name, from the head of the file and its length.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn shapes(
        kind: EncoderKind,
        path: &Path,
    ) -> Result<BTreeMap<String, Vec<usize>>, EncodeError> {
        check_head(kind, path)?;
        let missing = |error| EncodeError::missing(kind, path, error);
        let file = named_file::open(path).map_err(missing)?;
        let length = file.metadata().map_err(missing)?.len();
        let mut length_of_head = Vec::new();
        let mut reader = file.take(8);
        reader.read_to_end(&mut length_of_head).map_err(missing)?;
        let n_head = length_of_head
            .first_chunk()
            .map_or(0, |n| u64::from_le_bytes(*n));
        let mut head = Vec::new();
        reader.set_limit(n_head.min(MOST_HEAD_BYTES));
        reader.read_to_end(&mut head).map_err(missing)?;
        let bad = |reason: String| EncodeError::file(kind, path, foreign(&reason));
        let metadata: Metadata =
            serde_json::from_slice(&head).map_err(|error| bad(error.to_string()))?;
        let tensors = metadata.tensors();
        let end = tensors.values().map(|info| info.data_offsets.1).max();
        let wanted = (8 + n_head).saturating_add(end.unwrap_or(0) as u64);
        if length < wanted {
            return Err(bad(format!("{length} of {wanted} bytes")));
        }
        let shapes = tensors.into_iter();
        Ok(shapes
            .map(|(name, info)| (name, info.shape.clone()))
            .collect())
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
        SafeTensors::deserialize(&self.bytes).map_err(|error| self.bad(foreign(&error.to_string())))
    }

    fn bad(&self, reason: String) -> EncodeError {
        EncodeError::file(self.kind, &self.path, reason)
    }
}

fn foreign(reason: &str) -> String {
    format!("it is no safetensors file, or cut off ({reason}); fetch it again")
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
        let raw = self.raw()?;
        let n_numbers = self.shape().iter().product();
        let mut numbers = vec![0.0; n_numbers];
        raw.add(self.file, 0, 1.0, &mut numbers);
        Ok(numbers)
    }

    /// Return where its numbers are.
    ///
    /// # Errors
    /// As [`Self::floats`].
    pub fn raw(&self) -> Result<RawTensor, EncodeError> {
        let numbers = match self.view.dtype() {
            Dtype::F64 => Numbers::F64,
            Dtype::F32 => Numbers::F32,
            Dtype::F16 => Numbers::F16,
            Dtype::BF16 => Numbers::Bf16,
            Dtype::I8 => Numbers::I8,
            other => return Err(self.wrong_type(other, "floats")),
        };
        let data = self.view.data();
        let start = data.as_ptr().addr() - self.file.bytes.as_ptr().addr();
        Ok(RawTensor {
            bytes: start..start + data.len(),
            numbers,
        })
    }

    /// Return its integers, each of which must be below `limit`.
    ///
    /// # Errors
    /// `FileBad` for other types and for larger or negative numbers.
    pub fn indices(&self, limit: usize) -> Result<Vec<usize>, EncodeError> {
        let data = self.view.data();
        let numbers: Vec<i128> = match self.view.dtype() {
            Dtype::I64 => each(data, |b| i64::from_le_bytes(b).into()),
            Dtype::U64 => each(data, |b| u64::from_le_bytes(b).into()),
            Dtype::I32 => each(data, |b| i32::from_le_bytes(b).into()),
            Dtype::U32 => each(data, |b| u32::from_le_bytes(b).into()),
            Dtype::I16 => each(data, |b| i16::from_le_bytes(b).into()),
            Dtype::U16 => each(data, |b| u16::from_le_bytes(b).into()),
            other => return Err(self.wrong_type(other, "integers")),
        };
        let index = |number: i128| {
            let index = usize::try_from(number).ok();
            index.filter(|index| *index < limit).ok_or_else(|| {
                let name = &self.name;
                self.file.bad(format!(
                    "its tensor {name} names the row {number} of {limit}; fetch it again"
                ))
            })
        };
        numbers.into_iter().map(index).collect()
    }

    fn wrong_type(&self, found: Dtype, wanted: &str) -> EncodeError {
        self.file.bad(format!(
            "its tensor {} has numbers of the type {found:?}, not {wanted}; export it again",
            self.name
        ))
    }
}

impl RawTensor {
    /// Add `weight` times the numbers from number `start` on to `sums`.
    pub fn add(&self, file: &TensorFile, start: usize, weight: f32, sums: &mut [f32]) {
        let data = &file.bytes[self.bytes.clone()];
        match self.numbers {
            Numbers::F64 => add(data, start, weight, sums, |b| f64::from_le_bytes(b) as f32),
            Numbers::F32 => add(data, start, weight, sums, f32::from_le_bytes),
            Numbers::F16 => add(data, start, weight, sums, |b| {
                f16::from_le_bytes(b).to_f32()
            }),
            Numbers::Bf16 => add(data, start, weight, sums, |b| {
                bf16::from_le_bytes(b).to_f32()
            }),
            Numbers::I8 => add(data, start, weight, sums, |b| i8::from_le_bytes(b).into()),
        }
    }
}

fn add<const N: usize>(
    data: &[u8],
    start: usize,
    weight: f32,
    sums: &mut [f32],
    read: impl Fn([u8; N]) -> f32,
) {
    let (numbers, _) = data[start * N..].as_chunks::<N>();
    for (sum, bytes) in sums.iter_mut().zip(numbers) {
        *sum += weight * read(*bytes);
    }
}

/// Read `N` bytes for each number.
fn each<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = data.as_chunks::<N>();
    numbers.iter().map(|bytes| read(*bytes)).collect()
}
