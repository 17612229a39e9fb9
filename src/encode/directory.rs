//! Reads a model directory as exporters write them.
//!
//! Needed: `model.onnx` or `onnx/model.onnx`, and `tokenizer.json`, beside either. Used where
//! present: `config.json`, `sentence_bert_config.json`, `modules.json`, `1_Pooling/config.json`,
//! `1_SpladePooling/config.json`, and `helix-model.toml`, which overrides all of them. What they say
//! is compared with what the graph's file says.

use super::check::{self, Facts};
use super::describe;
use super::error::{EncodeError, Kind};
use super::model::{Graph, Model, Pooling};
use super::onnx;
use super::output::{self, Declared};
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
    quantized: Option<Quantized>,
    /// A note of `models prepare` for people; it has no effect.
    #[serde(default, rename = "made_from")]
    _made_from: Option<toml::Table>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Quantized {
    Int8,
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

/// `1_SpladePooling/config.json`.
#[derive(Default, Deserialize)]
struct SpladeConfig {
    pooling_strategy: Option<String>,
    activation_function: Option<String>,
}

/// One entry of `modules.json`.
#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    class: String,
}

/// Where sentence transformers keep what a sparse encoder does with its logits; the second is of those
/// that treat queries another way.
const SPLADE_FOLDERS: [&str; 2] = ["1_SpladePooling", "document_1_SpladePooling"];

/// Without any statement, what BERT allows.
const DEFAULT_MAX_LEN: usize = 512;

/// The model in `dir`.
///
/// # Errors
/// `ModelMissing` for a file that is needed and not there, `ModelBad` for one that makes no sense,
/// `WrongKind` when the directory says that it holds the other kind.
pub(super) fn read(kind: Kind, dir: &Path) -> Result<Model, EncodeError> {
    let files = Files {
        kind,
        dir: &home(dir),
    };
    let overrides = files.overrides()?;
    let config: Config = files.json("config.json")?.unwrap_or_default();
    let sentence: SentenceConfig = files.json("sentence_bert_config.json")?.unwrap_or_default();
    let pooling: PoolingConfig = files.json("1_Pooling/config.json")?.unwrap_or_default();
    let modules: Vec<Module> = files.json("modules.json")?.unwrap_or_default();
    files.check_kind(&overrides, &modules)?;
    let mut of_logits = Pooling::Splade;
    if overrides.pooling.is_none() {
        of_logits = files.of_logits()?;
        files.check_modules(&modules)?;
    }
    let graph = files.graph(overrides.file.as_deref())?;
    check::check_head(kind, &graph)?;
    let facts = check::look(kind, &graph).map_err(|error| {
        // Another file than the one that was meant is what is wrong first.
        let stated = overrides.sha256.as_deref();
        let other = stated.and_then(|wanted| describe::check_sha256(kind, &graph, wanted).err());
        other.unwrap_or(error)
    })?;
    let max_len = files.max_len(&overrides, &sentence, &config, &facts)?;
    let stated = match kind {
        Kind::Sparse => config.vocab_size,
        Kind::Dense => pooling.word_embedding_dimension.or(config.hidden_size),
    };
    let mut model = Model {
        kind,
        name: files.name(),
        tokenizer: Cow::Owned(files.tokenizer(&graph)?),
        graph: Graph::File(graph),
        weights: facts.weights,
        pooling: overrides.pooling.or_else(|| declared(kind, &pooling)),
        of_logits,
        max_len,
        n_tokens: facts.n_tokens,
        quantized: facts.is_quantized || overrides.quantized == Some(Quantized::Int8),
        dim: overrides.dim.or(stated),
        query_prefix: overrides.query_prefix,
        passage_prefix: overrides.passage_prefix,
        char_cap: overrides.char_cap,
        licence: overrides.licence,
        sha256: overrides.sha256,
    };
    if let (Kind::Dense, Some(width)) = (kind, width(&model, &facts.outputs)) {
        let bad = |reason| Err(EncodeError::bad(kind, &model.name, reason));
        match (overrides.dim, stated) {
            (Some(dim), _) if dim > width => {
                return bad(format!(
                    "helix-model.toml sets dim = {dim}, and its vectors have {width} numbers; \
                     set a smaller dim, or none"
                ));
            }
            (Some(_), _) => {}
            // A graph that pools may project as well.
            (None, _) if model.pooling.is_none_or(|p| p == Pooling::None) => {
                model.dim = Some(width)
            }
            (None, Some(stated)) if stated != width => {
                return bad(format!(
                    "config.json says that its vectors have {stated} numbers, and the graph gives {width}; \
                     the two are of different models, or set dim in helix-model.toml"
                ));
            }
            (None, _) => model.dim = Some(width),
        }
    }
    Ok(model)
}

/// Numbers in a row of the output that will be read, when the graph's file says so.
fn width(model: &Model, outputs: &[onnx::ValueInfo]) -> Option<usize> {
    let outputs: Option<Vec<Declared>> = outputs.iter().map(Declared::in_file).collect();
    let outputs = outputs?;
    // Every width is below such a vocabulary. What does not fit is told when the model is opened.
    let chosen = output::choose(model, &outputs, usize::MAX).ok()?;
    outputs[chosen.position()].shape.last().copied()?
}

/// The directory that was meant: that above, for an `onnx` folder that only holds graphs.
fn home(dir: &Path) -> Cow<'_, Path> {
    let holds = |dir: &Path| dir.join("tokenizer.json").is_file();
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match absolute.parent() {
        Some(above) if absolute.ends_with("onnx") && !holds(dir) && holds(above) => {
            Cow::Owned(above.to_owned())
        }
        _ => Cow::Borrowed(dir),
    }
}

/// Which kind of encoder a directory holds: as its files state it, else as its graph's outputs look. What
/// does not fit is told when it is read as that kind.
pub(super) fn kind(dir: &Path) -> Kind {
    let dir = home(dir);
    let files = Files {
        kind: Kind::Sparse,
        dir: &dir,
    };
    let overrides = files.overrides().unwrap_or_default();
    let modules: Vec<Module> = files
        .json("modules.json")
        .ok()
        .flatten()
        .unwrap_or_default();
    if let Some(kind) = files.stated_kind(&overrides, &modules) {
        return kind;
    }
    let graph = files.graph(overrides.file.as_deref());
    let Some(facts) = graph
        .ok()
        .and_then(|path| check::look(Kind::Sparse, &path).ok())
    else {
        return Kind::Dense;
    };
    let config: Config = files.json("config.json").ok().flatten().unwrap_or_default();
    let vocabulary = facts.n_tokens.or(config.vocab_size);
    let is_sparse = facts
        .outputs
        .iter()
        .filter_map(Declared::in_file)
        .any(|output| {
            let width = output.shape.last().copied().flatten();
            output.numbers == Some(output::Numbers::Integer)
                || output.name == "logits"
                || width
                    .is_some_and(|width| vocabulary.is_some_and(|vocabulary| width >= vocabulary))
        });
    match is_sparse {
        true => Kind::Sparse,
        false => Kind::Dense,
    }
}

/// Kind and licence of the model in `dir`, by its files alone.
///
/// # Errors
/// What can be told to be wrong without loading it.
pub fn glance(dir: &Path) -> Result<(Kind, Option<String>), EncodeError> {
    let kind = kind(dir);
    read(kind, dir).map(|model| (kind, model.licence))
}

/// Whether `dir` has one of the files that make a folder a model directory.
pub fn looks_like_model(dir: &Path) -> bool {
    let files = ["helix-model.toml", "model.onnx", "onnx/model.onnx"];
    files.iter().any(|file| dir.join(file).is_file())
}

/// Which of a directory's files states the pooling.
pub(super) fn pooling_from(dir: &Path, chosen: Pooling) -> &'static str {
    let dir = home(dir);
    let files = Files {
        kind: Kind::Dense,
        dir: &dir,
    };
    let pooling: PoolingConfig = files
        .json("1_Pooling/config.json")
        .ok()
        .flatten()
        .unwrap_or_default();
    match files.overrides() {
        Ok(overrides) if overrides.pooling.is_some() => "helix-model.toml",
        _ if declared(Kind::Dense, &pooling).is_some() => "1_Pooling/config.json",
        // Nothing but that folder asks for it.
        _ if chosen == Pooling::SpladeLog1p => "1_SpladePooling/config.json",
        _ => "the graph's outputs",
    }
}

/// RoBERTa-like models number their positions from 2, so two of the table are never used.
fn usable_positions(config: &Config, rows: usize) -> usize {
    let offset = match config.model_type.as_str() {
        "roberta" | "xlm-roberta" | "camembert" | "mpnet" => 2,
        _ => 0,
    };
    rows.saturating_sub(offset)
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

    /// `tokenizer.json` of the directory, or that beside the graph.
    fn tokenizer(&self, graph: &Path) -> Result<Vec<u8>, EncodeError> {
        let first = self.dir.join("tokenizer.json");
        let second = graph.with_file_name("tokenizer.json");
        let path = if !first.exists() && second.exists() {
            second
        } else {
            first
        };
        check::check_head(self.kind, &path)?;
        std::fs::read(&path).map_err(|error| EncodeError::missing(self.kind, &path, error))
    }

    /// As it is stated, but never beyond the positions that the model has.
    fn max_len(
        &self,
        overrides: &Overrides,
        sentence: &SentenceConfig,
        config: &Config,
        facts: &Facts,
    ) -> Result<usize, EncodeError> {
        let rows = [config.max_position_embeddings, facts.n_positions];
        let rows = rows.into_iter().flatten().min();
        let limit = rows.map(|rows| usable_positions(config, rows));
        match (overrides.max_len, limit) {
            (Some(max_len), Some(limit)) if max_len > limit => Err(self.bad(format!(
                "helix-model.toml sets max_len = {max_len}, and the model has {limit} positions; \
                 set {limit} or less"
            ))),
            (Some(max_len), _) => Ok(max_len),
            (None, limit) => {
                let stated = sentence.max_seq_length.or(limit).unwrap_or(DEFAULT_MAX_LEN);
                Ok(stated.min(limit.unwrap_or(usize::MAX)))
            }
        }
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

    fn graph(&self, named: Option<&Path>) -> Result<PathBuf, EncodeError> {
        let candidates = match named {
            Some(file) => vec![self.dir.join(file)],
            None => ["model.onnx", "onnx/model.onnx"]
                .map(|file| self.dir.join(file))
                .to_vec(),
        };
        if let Some(found) = candidates.iter().find(|path| path.is_file()) {
            return Ok(found.clone());
        }
        let others = self.other_graphs();
        let reason = match (named, others.as_slice()) {
            (Some(_), []) => "no such file; helix-model.toml names it".to_owned(),
            (None, []) => "no such file, nor onnx/model.onnx; export the model to ONNX".to_owned(),
            (_, others) => format!(
                "no such file; there are {}: name one as `file` in helix-model.toml",
                others.join(", ")
            ),
        };
        Err(EncodeError::missing(self.kind, &candidates[0], reason))
    }

    /// Graphs under other names, as quantised ones have.
    fn other_graphs(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["", "onnx"] {
            for entry in self
                .dir
                .join(folder)
                .read_dir()
                .into_iter()
                .flatten()
                .flatten()
            {
                let name = Path::new(folder).join(entry.file_name());
                if name
                    .extension()
                    .is_some_and(|extension| extension == "onnx")
                {
                    found.push(name.display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    /// Without any statement, the graph's outputs tell when it is opened.
    fn stated_kind(&self, overrides: &Overrides, modules: &[Module]) -> Option<Kind> {
        let has_module = |class: &str| modules.iter().any(|m| m.class.ends_with(class));
        Some(match (overrides.kind, overrides.pooling) {
            (Some(DeclaredKind::Sparse), _) => Kind::Sparse,
            (Some(DeclaredKind::Dense), _) => Kind::Dense,
            (None, Some(Pooling::Splade | Pooling::SpladeLog1p)) => Kind::Sparse,
            (None, Some(Pooling::Cls | Pooling::Mean)) => Kind::Dense,
            _ if SPLADE_FOLDERS.iter().any(|f| self.dir.join(f).is_dir()) => Kind::Sparse,
            _ if has_module("SpladePooling") => Kind::Sparse,
            // Sentence transformers have this folder.
            _ if self.dir.join("1_Pooling").is_dir() => Kind::Dense,
            _ => return None,
        })
    }

    fn check_kind(&self, overrides: &Overrides, modules: &[Module]) -> Result<(), EncodeError> {
        let Some(declared) = self.stated_kind(overrides, modules) else {
            return Ok(());
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

    /// What sentence transformers' files say is done with a sparse encoder's logits.
    fn of_logits(&self) -> Result<Pooling, EncodeError> {
        for folder in SPLADE_FOLDERS {
            let file = format!("{folder}/config.json");
            let Some(splade) = self.json::<SpladeConfig>(&file)? else {
                continue;
            };
            let is_max = splade.pooling_strategy.is_none_or(|s| s == "max");
            return match splade.activation_function.as_deref() {
                None | Some("relu") if is_max => Ok(Pooling::Splade),
                Some("log1p_relu") if is_max => Ok(Pooling::SpladeLog1p),
                _ => Err(self.bad(format!(
                    "{file} asks for something else than the maximum of ln(1 + relu(x)), or of ln(1 + that); \
                     export the whole pipeline with weights [batch, vocabulary] as its output and set \
                     pooling = \"none\" in helix-model.toml"
                ))),
            };
        }
        Ok(Pooling::Splade)
    }

    fn bad(&self, reason: String) -> EncodeError {
        EncodeError::bad(self.kind, &self.name(), reason)
    }
}
