//! One model as the only encoder.

use crate::batch::EncoderKind;
use crate::profile::encoders::{EncoderChoice, ModelSource};
use std::path::Path;

/// Choose the model in `dir` as the only encoder, on the CPU.
pub(in crate::encode) fn single_encoder(
    kind: EncoderKind,
    dir: &Path,
    ort_lib: Option<&Path>,
) -> EncoderChoice {
    let source = ModelSource::Directory(dir.to_owned());
    let (sparse, dense) = match kind {
        EncoderKind::Sparse => (source, ModelSource::None),
        EncoderKind::Dense => (ModelSource::None, source),
    };
    EncoderChoice {
        sparse,
        dense,
        ort_lib: ort_lib.map(Path::to_owned),
        ..EncoderChoice::default()
    }
}
