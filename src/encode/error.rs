//! What can go wrong with encoders: one variant for each thing that a caller may do differently.

use crate::batch::EncoderKind;
use crate::profile::encoders::Device;
use std::path::{Path, PathBuf};

/// Failure of [`super::Encoders`] and its parts. `TextRefused`, `RunFailed` and `BadOutput` concern one text; the user or
/// the administrator of the machine must fix all others.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// This binary contains no runtime library and none was named.
    #[error(
        "no ONNX Runtime library: this program was built without one; name a 1.31 library with \
         --ort-lib or ORT_DYLIB_PATH (pip install onnxruntime==1.31.1 has it in onnxruntime/capi)"
    )]
    RuntimeMissing,
    /// The library exists but is damaged, too old or no ONNX Runtime.
    #[error(
        "the ONNX Runtime library {path} cannot be used ({reason}); name another with --ort-lib"
    )]
    RuntimeBad { path: PathBuf, reason: String },
    /// The embedded library could not be unpacked anywhere.
    #[error(
        "the embedded ONNX Runtime cannot be used from {tried} ({reason}); set XDG_CACHE_HOME or TMPDIR to a \
         folder with some space from which programs may be run, or name a library with --ort-lib"
    )]
    RuntimeUnpack { tried: String, reason: String },
    /// The process has loaded another library, and can load only one.
    #[error(
        "this process already runs the ONNX Runtime library {loaded}; start a new one for {wanted}"
    )]
    RuntimeTaken { loaded: String, wanted: String },
    /// A file that the encoder needs does not exist or is not readable.
    #[error("the {kind} encoder needs {path} ({reason})")]
    ModelMissing {
        kind: EncoderKind,
        path: PathBuf,
        reason: String,
    },
    /// A file is not what its name says.
    #[error("the {kind} encoder cannot use {path}: {reason}")]
    FileBad {
        kind: EncoderKind,
        path: PathBuf,
        reason: String,
    },
    /// A model directory cannot be written.
    #[error("{path} cannot be written: {reason}")]
    Unwritten { path: PathBuf, reason: String },
    /// A model or a file that describes it is unusable.
    #[error("the {kind} encoder {name} cannot be used: {reason}")]
    ModelBad {
        kind: EncoderKind,
        name: String,
        reason: String,
    },
    /// The model makes the other kind of vector.
    #[error(
        "{name} is given as the {wanted} encoder but is not one: {reason}; pass it as the other kind"
    )]
    WrongKind {
        name: String,
        wanted: EncoderKind,
        reason: String,
    },
    /// `tokenizer.json` is not a tokenizer.
    #[error("the tokenizer of the {kind} encoder {name} cannot be used: {reason}")]
    TokenizerBad {
        kind: EncoderKind,
        name: String,
        reason: String,
    },
    /// A tokenizer refused one text; it may accept others.
    #[error("a tokenizer refused the text: {reason}")]
    TextRefused { reason: String },
    /// A session failed on one input: out of memory, or a defect of the model.
    #[error("the {kind} encoder failed on {n_tokens} tokens: {reason}")]
    RunFailed {
        kind: EncoderKind,
        n_tokens: usize,
        reason: String,
    },
    /// The session returned NaN or infinite numbers.
    #[error("the {kind} encoder gave numbers that are not finite for {n_tokens} tokens")]
    BadOutput { kind: EncoderKind, n_tokens: usize },
    /// The requested device cannot be used at all.
    #[error(
        "device {device} cannot be used: {reason}; `helix-build doctor` says what is missing, or pass --device cpu"
    )]
    DeviceUnusable { device: Device, reason: String },
    /// No answer came from an encoder server for as long as there was patience. It may be back later.
    #[error("the {kind} encoder at {url} does not answer ({waited_s} s): {reason}")]
    ServerAway {
        kind: EncoderKind,
        url: String,
        waited_s: u64,
        reason: String,
    },
    /// An index names an encoder server on another machine, and the user does not: it may be somebody else's index.
    #[error(
        "the index names {url} as its {kind} encoder, and texts are sent to another machine only if you name it too: with \
         --{kind}-model"
    )]
    ServerNotNamed { kind: EncoderKind, url: String },
    /// An encoder server answers, but cannot be used.
    #[error("the {kind} encoder at {url} cannot be used: {reason}")]
    ServerBad {
        kind: EncoderKind,
        url: String,
        reason: String,
    },
    /// An encoder server has another model than at the beginning.
    #[error(
        "the {kind} encoder at {url} was changed under way: {reason}; give it the first model again and repeat the \
         command, or build everything with the new one by --rebuild"
    )]
    ServerChanged {
        kind: EncoderKind,
        url: String,
        reason: String,
    },
    /// A device has no memory for even one window.
    #[error(
        "the {kind} encoder has no memory left on {device} for a run of {shape} tokens: {reason}"
    )]
    OutOfMemory {
        kind: EncoderKind,
        device: Device,
        /// Rows and tokens in each.
        shape: String,
        reason: String,
    },
    /// A device failed. This process cannot use it any longer.
    #[error("the {kind} encoder has lost {device}: {reason}")]
    DeviceLost {
        kind: EncoderKind,
        device: Device,
        reason: String,
    },
}

/// Return the message of a runtime's error on one line. Its debug form contains addresses.
pub(super) fn message<R>(error: &ort::Error<R>) -> String {
    let lines = error.message().lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

impl EncodeError {
    /// Return the encoder that the error concerns; `None`: both, or neither.
    pub fn kind(&self) -> Option<EncoderKind> {
        match self {
            Self::ModelMissing { kind, .. }
            | Self::FileBad { kind, .. }
            | Self::ModelBad { kind, .. }
            | Self::WrongKind { wanted: kind, .. }
            | Self::TokenizerBad { kind, .. }
            | Self::RunFailed { kind, .. }
            | Self::BadOutput { kind, .. }
            | Self::OutOfMemory { kind, .. }
            | Self::ServerAway { kind, .. }
            | Self::ServerNotNamed { kind, .. }
            | Self::ServerBad { kind, .. }
            | Self::ServerChanged { kind, .. }
            | Self::DeviceLost { kind, .. } => Some(*kind),
            Self::RuntimeMissing
            | Self::RuntimeBad { .. }
            | Self::RuntimeUnpack { .. }
            | Self::RuntimeTaken { .. }
            | Self::Unwritten { .. }
            | Self::TextRefused { .. }
            | Self::DeviceUnusable { .. } => None,
        }
    }

    pub(super) fn missing(kind: EncoderKind, path: &Path, reason: impl ToString) -> Self {
        Self::ModelMissing {
            kind,
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn file(kind: EncoderKind, path: &Path, reason: impl Into<String>) -> Self {
        Self::FileBad {
            kind,
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn bad(kind: EncoderKind, name: &str, reason: impl Into<String>) -> Self {
        Self::ModelBad {
            kind,
            name: name.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn wrong_kind(wanted: EncoderKind, name: &str, reason: impl Into<String>) -> Self {
        Self::WrongKind {
            name: name.to_owned(),
            wanted,
            reason: reason.into(),
        }
    }

    pub(super) fn tokenizer(kind: EncoderKind, name: &str, reason: impl ToString) -> Self {
        Self::TokenizerBad {
            kind,
            name: name.to_owned(),
            reason: reason.to_string(),
        }
    }
}
