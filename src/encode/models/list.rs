//! What a list of models shows of each, without loading it.

use crate::batch::EncoderKind;
use crate::encode::directory;
use crate::encode::error::EncodeError;
use std::path::Path;

/// Return kind and licence of the model in `dir`, from its files alone.
///
/// # Errors
/// What is wrong with the model, as far as its files show.
pub fn list_model(dir: &Path) -> Result<(EncoderKind, Option<String>), EncodeError> {
    let kind = directory::kind(dir);
    directory::read(kind, dir).map(|model| (kind, model.licence))
}
