//! ONNX files as data: reads, edits and writes graphs.
//!
//! Weights stay in their files until they are needed: the tensor of a file is a range in it ([`Data`]), so that reading the
//! graph of a gigabyte takes milliseconds and no memory. Only what edits need is parsed; all other fields are kept as bytes.
//!
//! Field numbers are those of `onnx.proto` (IR version 11).
//!
//! Imports, from the bottom: `error`, `wire`, `tensor`, `graph`, `read` and `write`, `attribute`, then the edits `float16`,
//! `fold`, `fuse`, `pool` and `quantize`, none of which imports another.

mod attribute;
mod error;
mod float16;
mod fold;
mod fuse;
mod graph;
mod pool;
mod quantize;
mod read;
mod tensor;
mod width;
mod wire;
mod write;

pub use error::OnnxError;
pub use float16::to_float16;
pub use fold::{Fold, Folded, Form, fold};
pub use fuse::{PARTS, fuse_attention, fuse_norms, split_maximum};
#[cfg(test)]
pub use graph::Attribute;
pub use graph::{Graph, Node, Proto, ValueInfo};
pub use pool::{Rows, pool_rows};
pub use quantize::{Quantized, quantize};
pub use read::read;
#[cfg(test)]
pub use tensor::Tensor;
pub use tensor::{Data, Element};
#[cfg(test)]
pub use wire::{Field, Value};
pub use write::{write, write_beside};
