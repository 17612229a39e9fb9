//! Static models: one vector per token, and a text is the mean of its tokens. As model2vec and sentence transformers
//! (`StaticEmbedding`) save them.

use super::files::{Files, is_inside};
use super::statements::{Module, Statements};
use crate::encode::error::EncodeError;
use crate::encode::model::TableFile;
use std::path::{Path, PathBuf};

/// The class of sentence transformers.
pub(super) const STATIC: &str = "StaticEmbedding";
/// What `config.json` calls a model of model2vec.
const MODEL2VEC: &str = "model2vec";
const FILE: &str = "model.safetensors";

/// Return the class of a module, without its package.
pub(super) fn module_name(module: &Module) -> &str {
    module.class.rsplit('.').next().unwrap_or_default()
}

/// Whether the files describe a static model, by the graph that `helix-model.toml` names if it names one.
pub(super) fn is_static(stated: &Statements) -> bool {
    match &stated.overrides.file {
        Some(file) => file.extension().is_some_and(|e| e == "safetensors"),
        None => {
            stated.config.model_type == MODEL2VEC
                || stated.modules.iter().any(|m| module_name(m) == STATIC)
        }
    }
}

/// Return the file with the vectors.
///
/// # Errors
/// `ModelMissing` if there is none, `ModelBad` for a module that this program does not follow.
pub(super) fn table(files: &Files<'_>, stated: &Statements) -> Result<TableFile, EncodeError> {
    let known = [STATIC, "Normalize"];
    let mut modules = stated.modules.iter();
    if let Some(other) = modules.find(|module| !known.contains(&module_name(module))) {
        return Err(files.bad(format!(
            "modules.json lists {} beside {STATIC}, which this program does not follow: name another model",
            other.class
        )));
    }
    if let Some(file) = stated.overrides.file.as_deref().filter(|f| !is_inside(f)) {
        return Err(files.outside("file", file));
    }
    let mut modules = stated.modules.iter();
    let module = modules.find(|module| module_name(module) == STATIC);
    let folder = module.and_then(|module| module.path.clone());
    let folder = folder
        .filter(|folder| is_inside(folder) && folder != Path::new("."))
        .unwrap_or_default();
    let named = stated.overrides.file.clone();
    let candidates = match named {
        Some(file) => vec![file],
        None => vec![folder.join(FILE), PathBuf::from(FILE)],
    };
    let paths = candidates.iter().map(|file| files.dir.join(file));
    if let Some(path) = paths.clone().find(|path| path.exists()) {
        return Ok(TableFile { path });
    }
    let first = files.dir.join(&candidates[0]);
    let reason = match first.with_file_name("pytorch_model.bin").is_file() {
        true => "no such file; there is pytorch_model.bin: save the model with safetensors",
        false => "no such file; fetch it, or save the model again",
    };
    Err(EncodeError::missing(files.kind, &first, reason))
}

/// Whether a folder looks like a static model, by its small files.
pub(super) fn looks_static(dir: &Path) -> bool {
    let kind = crate::batch::EncoderKind::Dense;
    let stated = Files::new(kind, dir).readable_statements();
    is_static(&stated)
}
