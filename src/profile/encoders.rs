//! Which encoders a build uses and where they run: the choice, not the loaded model.
//!
//! Plain values, sent to workers as they are. `encode` turns them into sessions.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where an encoder comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSource {
    /// The small model inside the binary.
    #[default]
    Embedded,
    /// A directory with an ONNX file and its `tokenizer.json`.
    Directory(#[serde(with = "crate::platform::wire_path")] PathBuf),
    /// Build without this kind of vector.
    None,
}

/// Where sessions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    #[default]
    Cpu,
    /// A CUDA device by its index.
    Cuda(u32),
}

/// Everything a process needs to open its encoders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderChoice {
    pub sparse: ModelSource,
    pub dense: ModelSource,
    pub coverage: super::recipe::Coverage,
    /// ONNX Runtime library to load in place of the embedded one.
    #[serde(with = "crate::platform::wire_path")]
    pub ort_lib: Option<PathBuf>,
}
