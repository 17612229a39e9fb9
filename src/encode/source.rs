//! From the name of a model to the [`Model`]: embedded, or in a directory.

use super::directory;
use super::error::EncodeError;
use super::model::Model;
use crate::batch::EncoderKind;
use crate::profile::encoders::ModelSource;

/// Return the model that `source` names; `None` if this machine needs none.
///
/// # Errors
/// As [`directory::read`].
pub(super) fn resolve(
    kind: EncoderKind,
    source: &ModelSource,
) -> Result<Option<Model>, EncodeError> {
    match source {
        // A server has the model, and its files.
        ModelSource::None | ModelSource::Server(_) => Ok(None),
        ModelSource::Embedded => Ok(Some(Model::embedded(kind))),
        ModelSource::Directory(dir) => directory::read(kind, dir).map(Some),
    }
}
