//! Errors of ONNX files.

use std::path::PathBuf;

/// Why a graph cannot be read or edited.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    #[error("{path} cannot be read ({source})")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// It is shorter than its lengths state.
    #[error("{path} ends too early; fetch or export it again")]
    Truncated { path: PathBuf },
    #[error("{path} is not an ONNX graph; export or fetch it again")]
    Foreign { path: PathBuf },
    /// It names a file for weights outside of the model's directory.
    #[error("{path} names the file {location} for weights, which is not below its directory")]
    Outside { path: PathBuf, location: String },
    /// A valid graph that cannot be edited.
    #[error("{0}")]
    Unsupported(String),
    #[error("writing the graph: {0}")]
    Unwritten(std::io::Error),
}
