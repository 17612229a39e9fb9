//! Reads a model directory as exporters write them.
//!
//! Needed: `model.onnx` or `onnx/model.onnx`, and `tokenizer.json`. Used where present:
//! `config.json`, `sentence_bert_config.json`, `modules.json`, `1_Pooling/config.json`, and
//! `helix-model.toml`, which overrides all of them.

use super::error::{EncodeError, Kind};
use super::model::{Graph, Model, Pooling};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// `helix-model.toml`: what the exporter's files do not say or say wrongly.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overrides {
    kind: Option<DeclaredKind>,
    file: Option<PathBuf>,
    pooling: Option<Pooling>,
    max_len: Option<usize>,
    dim: Option<usize>,
    #[serde(default)]
    query_prefix: String,
    #[serde(default)]
    passage_prefix: String,
    char_cap: Option<usize>,
    licence: Option<String>,
    sha256: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DeclaredKind {
    Sparse,
    Dense,
}

/// `config.json` of a transformer.
#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    model_type: String,
    hidden_size: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
}

/// `sentence_bert_config.json`.
#[derive(Default, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

/// `1_Pooling/config.json`.
#[derive(Default, Deserialize)]
struct PoolingConfig {
    word_embedding_dimension: Option<usize>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

/// One entry of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    class: String,
}

/// Without any statement, what BERT allows.
const DEFAULT_MAX_LEN: usize = 512;

/// The model in `dir`.
///
/// # Errors
/// `ModelMissing` for a file that is needed and not there, `ModelBad` for one that makes no sense,
/// `WrongKind` when the directory says that it holds the other kind.
pub(super) fn read(kind: Kind, dir: &Path) -> Result<Model, EncodeError> {
    let files = Files { kind, dir };
    let overrides = files.overrides()?;
    let config: Config = files.json("config.json")?.unwrap_or_default();
    let sentence: SentenceConfig = files.json("sentence_bert_config.json")?.unwrap_or_default();
    let pooling: PoolingConfig = files.json("1_Pooling/config.json")?.unwrap_or_default();
    let modules: Vec<Module> = files.json("modules.json")?.unwrap_or_default();
    files.check_kind(&overrides)?;
    if overrides.pooling.is_none() {
        files.check_modules(&modules)?;
    }
    let max_len = (overrides.max_len)
        .or(sentence.max_seq_length)
        .or_else(|| positions(&config))
        .unwrap_or(DEFAULT_MAX_LEN);
    let dim = match kind {
        Kind::Sparse => overrides.dim.or(config.vocab_size),
        Kind::Dense => (overrides.dim)
            .or(pooling.word_embedding_dimension)
            .or(config.hidden_size),
    };
    Ok(Model {
        kind,
        name: files.name(),
        graph: Graph::File(files.graph(overrides.file)?),
        tokenizer: Cow::Owned(files.needed("tokenizer.json")?),
        pooling: overrides.pooling.or_else(|| declared(kind, &pooling)),
        max_len,
        dim,
        query_prefix: overrides.query_prefix,
        passage_prefix: overrides.passage_prefix,
        char_cap: overrides.char_cap,
        licence: overrides.licence,
        sha256: overrides.sha256,
    })
}

/// RoBERTa-like models number their positions from 2, so two of the table are never used.
fn positions(config: &Config) -> Option<usize> {
    let offset = match config.model_type.as_str() {
        "roberta" | "xlm-roberta" | "camembert" | "mpnet" => 2,
        _ => 0,
    };
    config.max_position_embeddings?.checked_sub(offset)
}

/// What `1_Pooling/config.json` asks for.
fn declared(kind: Kind, config: &PoolingConfig) -> Option<Pooling> {
    match kind {
        Kind::Sparse => None,
        Kind::Dense if config.pooling_mode_cls_token => Some(Pooling::Cls),
        Kind::Dense if config.pooling_mode_mean_tokens => Some(Pooling::Mean),
        Kind::Dense => None,
    }
}

/// A directory being read as one kind of encoder.
struct Files<'a> {
    kind: Kind,
    dir: &'a Path,
}

impl Files<'_> {
    /// The directory's last component.
    fn name(&self) -> String {
        let dir = self.dir.canonicalize();
        let dir = dir.as_deref().unwrap_or(self.dir);
        let name = dir.file_name().unwrap_or(dir.as_os_str());
        name.to_string_lossy().into_owned()
    }

    fn needed(&self, file: &str) -> Result<Vec<u8>, EncodeError> {
        let path = self.dir.join(file);
        std::fs::read(&path).map_err(|error| EncodeError::missing(self.kind, &path, error))
    }

    /// A file that may be absent, but not unreadable.
    fn optional(&self, file: &str) -> Result<Option<String>, EncodeError> {
        let path = self.dir.join(file);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EncodeError::missing(self.kind, &path, error)),
        }
    }

    fn json<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, EncodeError> {
        let Some(text) = self.optional(file)? else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| self.bad(format!("{file} cannot be read: {error}")))
    }

    fn overrides(&self) -> Result<Overrides, EncodeError> {
        let text = self.optional("helix-model.toml")?.unwrap_or_default();
        let overrides: Overrides = toml::from_str(&text)
            .map_err(|error| self.bad(format!("helix-model.toml cannot be read: {error}")))?;
        if overrides.dim == Some(0) || overrides.char_cap == Some(0) {
            return Err(self.bad("helix-model.toml gives 0 for dim or char_cap".to_owned()));
        }
        Ok(overrides)
    }

    fn graph(&self, named: Option<PathBuf>) -> Result<PathBuf, EncodeError> {
        let candidates = match named {
            Some(file) => vec![file],
            None => vec!["model.onnx".into(), Path::new("onnx").join("model.onnx")],
        };
        let paths = candidates.iter().map(|file| self.dir.join(file));
        paths.clone().find(|path| path.is_file()).ok_or_else(|| {
            let first = paths.clone().next().unwrap_or_default();
            let reason = "no such file, nor onnx/model.onnx; name another in helix-model.toml";
            EncodeError::missing(self.kind, &first, reason)
        })
    }

    /// Statements about the kind; without any, the graph's outputs tell when it is opened.
    fn check_kind(&self, overrides: &Overrides) -> Result<(), EncodeError> {
        let declared = match overrides.kind {
            Some(DeclaredKind::Sparse) => Kind::Sparse,
            Some(DeclaredKind::Dense) => Kind::Dense,
            None if overrides.pooling == Some(Pooling::Splade) => Kind::Sparse,
            None if matches!(overrides.pooling, Some(Pooling::Cls | Pooling::Mean)) => Kind::Dense,
            // Sentence transformers have this folder; sparse ones call theirs 1_SpladePooling.
            None if self.dir.join("1_Pooling").is_dir() => Kind::Dense,
            None => return Ok(()),
        };
        if declared == self.kind {
            return Ok(());
        }
        let reason = format!("its files describe a {declared} encoder");
        Err(EncodeError::wrong_kind(self.kind, &self.name(), reason))
    }

    /// A projection after the pooling is not part of the exported graph, so the vectors would not
    /// be the model's.
    fn check_modules(&self, modules: &[Module]) -> Result<(), EncodeError> {
        let foreign = modules
            .iter()
            .find(|module| module.class.ends_with(".Dense"));
        match foreign {
            Some(module) if self.kind == Kind::Dense => Err(self.bad(format!(
                "modules.json lists {}, which is not in the graph; export the whole pipeline with a \
                 sentence_embedding output and set pooling = \"none\" in helix-model.toml",
                module.class
            ))),
            _ => Ok(()),
        }
    }

    fn bad(&self, reason: String) -> EncodeError {
        EncodeError::bad(self.kind, &self.name(), reason)
    }
}
