//! ONNX files as data: read, looked at, edited, written.
//!
//! Weights stay where they are until they are needed: a tensor of a file is a place in it ([`Data`]),
//! so that looking at a graph of a gigabyte takes milliseconds and no memory. Only what an edit needs
//! to know is taken apart; all else is kept as it came. Runs nothing: that is the runtime's part.
//!
//! Field numbers are those of `onnx.proto` (IR version 11).

mod float16;
mod fold;
mod graph;
mod pool;
mod quantize;
mod read;
mod tensor;
mod wire;
mod write;

pub use float16::to_float16;
pub use fold::{Fold, Folded, Form, fold};
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

use std::path::PathBuf;

/// Why a graph cannot be read or edited.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error("{path} cannot be read ({source})")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// It ends before its own lengths say.
    #[error("{path} ends too early; fetch or export it again")]
    Truncated { path: PathBuf },
    #[error("{path} is no ONNX graph; export or fetch it again")]
    Foreign { path: PathBuf },
    /// Weights in another file, by a path that leads out of the model's directory.
    #[error("{path} names the file {location} for weights, which is not below its directory")]
    Outside { path: PathBuf, location: String },
    /// A valid graph of another build than is known here.
    #[error("{0}")]
    Unsupported(String),
    #[error("writing the graph: {0}")]
    Unwritten(std::io::Error),
}

/// Refuses graphs of operators that are too old to be edited: slices, `TopK` and others take their sizes as
/// inputs since version 11, and activations are quantised since then.
fn check_opset(proto: &Proto) -> Result<(), OnnxError> {
    const OLDEST: u64 = 11;
    let opset = proto.opset();
    if opset >= OLDEST {
        return Ok(());
    }
    Err(OnnxError::Unsupported(format!(
        "the graph has operator set {opset}; export it with {OLDEST} or a later one"
    )))
}
