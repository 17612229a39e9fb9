//! Queries without an encoder: each distinct token of a question has the weight that a table gives it.

use super::files::{Files, LARGEST_TABLE_BYTES, is_inside};
use super::router::{ROUTER, Side};
use super::statements::Statements;
use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::model::QueryTable;
use crate::encode::tensors::TensorFile;
use crate::encode::tokenizer::Tokenizer;
use crate::named_file;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Classes that the library has had for such a table.
const CLASSES: [&str; 2] = ["SparseStaticEmbedding", "IDF"];

/// The tensor in a table of safetensors.
const TENSOR: &str = "weight";

/// Return the table of a sparse model's queries; `None`: queries go through the encoder, as documents do.
///
/// # Errors
/// `ModelBad` for a query side that this program cannot follow, `ModelMissing` for a table that does not exist.
pub(super) fn read(
    files: &Files<'_>,
    stated: &Statements,
    tokenizer: &[u8],
) -> Result<Option<QueryTable>, EncodeError> {
    let file = match &stated.overrides.query_table {
        Some(_) if files.kind == EncoderKind::Dense => {
            return Err(files.bad(
                "helix-model.toml sets query_table, which is for sparse encoders: remove it"
                    .to_owned(),
            ));
        }
        Some(file) if !is_inside(file) => {
            return Err(files.outside("query_table", file));
        }
        Some(file) => Some(files.dir.join(file)),
        None => routed(files, stated, tokenizer)?,
    };
    let Some(file) = file else { return Ok(None) };
    let weights = match file
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        true => of_json(files, &file, tokenizer)?,
        false => of_tensors(files, &file)?,
    };
    if !weights.iter().all(|weight| weight.is_finite()) {
        let reason = "it has weights that are not finite; fetch or export it again";
        return Err(EncodeError::file(files.kind, &file, reason));
    }
    let name = file.strip_prefix(files.dir).unwrap_or(&file);
    Ok(Some(QueryTable {
        file: name.display().to_string(),
        weights,
    }))
}

/// Return the table that the router's query side is, if it is one.
fn routed(
    files: &Files<'_>,
    stated: &Statements,
    tokenizer: &[u8],
) -> Result<Option<PathBuf>, EncodeError> {
    let Some(router) = &stated.router else {
        return Ok(None);
    };
    let query = router.modules(Side::Query);
    if query == router.modules(Side::Document) {
        return Ok(None);
    }
    let [module] = query[..] else {
        let classes: Vec<&str> = query.iter().map(|module| module.class).collect();
        return Err(files.bad(unknown_side(&classes.join(" and "))));
    };
    if !CLASSES.contains(&module.class) {
        return Err(files.bad(unknown_side(module.class)));
    }
    check_tokenizer(files, module.folder, tokenizer)?;
    let folder = files.dir.join(module.folder);
    let stated_path = files
        .json::<HashMap<String, Value>>(&format!("{}/config.json", module.folder))?
        .and_then(|config| Some(PathBuf::from(config.get("path")?.as_str()?)))
        .filter(|path| is_inside(path));
    let mut candidates = vec![folder.join("model.safetensors")];
    if let Some(path) = stated_path {
        candidates.extend([folder.join(&path), files.dir.join(&path)]);
    }
    candidates.extend([folder.join("idf.json"), files.dir.join("idf.json")]);
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(Some(found.clone()));
    }
    let reason = match folder.join("pytorch_model.bin").is_file() {
        true => {
            "no such file; there is pytorch_model.bin: save the model with safetensors".to_owned()
        }
        false => format!("no such file, nor idf.json; {ROUTER} says that queries need it"),
    };
    Err(EncodeError::missing(files.kind, &candidates[0], reason))
}

fn unknown_side(classes: &str) -> String {
    format!(
        "{ROUTER} sends queries through {classes}; this program sends them through the encoder of the documents, \
         or takes their weights from a table (SparseStaticEmbedding): name a table as query_table in helix-model.toml, \
         or another model"
    )
}

/// Check that the query side has the tokenizer of the documents: both count their terms by its ids.
fn check_tokenizer(
    files: &Files<'_>,
    folder: &str,
    of_documents: &[u8],
) -> Result<(), EncodeError> {
    let path = files.dir.join(folder).join("tokenizer.json");
    if !path.exists() {
        return Ok(());
    }
    let of_queries = named_file::read(&path, named_file::MOST_TOKENIZER_BYTES)
        .map_err(|error| EncodeError::missing(files.kind, &path, error))?;
    if of_queries == of_documents {
        return Ok(());
    }
    // How a text was cut or padded when the library saved the file says nothing about ids.
    let rules = |bytes: &[u8]| {
        let mut file: Value = serde_json::from_slice(bytes).ok()?;
        let object = file.as_object_mut()?;
        object.remove("truncation");
        object.remove("padding");
        Some(file)
    };
    match (rules(&of_queries), rules(of_documents)) {
        (Some(one), Some(other)) if one == other => Ok(()),
        _ => Err(EncodeError::file(
            files.kind,
            &path,
            "queries have another tokenizer than documents, which this program does not support: \
             take the files of one model",
        )),
    }
}

/// Read `weight` (`[V]`) by token id.
fn of_tensors(files: &Files<'_>, path: &Path) -> Result<Vec<f32>, EncodeError> {
    let file = TensorFile::open(files.kind, path)?;
    let tensor = file.tensor(TENSOR)?;
    match tensor.shape() {
        [_] => tensor.floats(),
        shape => Err(EncodeError::file(
            files.kind,
            path,
            format!(
                "its tensor {TENSOR} has the shape {shape:?}, and a table of queries has one weight per token"
            ),
        )),
    }
}

/// Read weights by token.
fn of_json(files: &Files<'_>, path: &Path, tokenizer: &[u8]) -> Result<Vec<f32>, EncodeError> {
    let bad = |reason: String| EncodeError::file(files.kind, path, reason);
    let text = named_file::read_text(path, LARGEST_TABLE_BYTES)
        .map_err(|error| EncodeError::missing(files.kind, path, error))?;
    let table: HashMap<String, f32> = serde_json::from_str(&text)
        .map_err(|error| bad(format!("it is no table of tokens and weights: {error}")))?;
    let tokenizer = Tokenizer::from_bytes(tokenizer)
        .map_err(|error| EncodeError::tokenizer(files.kind, &files.name(), error))?;
    let vocabulary = tokenizer.vocabulary();
    let weights: Vec<f32> = vocabulary
        .iter()
        .map(|term| table.get(term).copied().unwrap_or(0.0))
        .collect();
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(bad(
            "none of its tokens with a weight is in the model's tokenizer; take the table that came with the model"
                .to_owned(),
        ));
    }
    Ok(weights)
}
