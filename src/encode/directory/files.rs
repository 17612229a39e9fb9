//! Finds and reads the files of a model directory.

use super::router::{ROUTER, Router, Side};
use super::statements::{Overrides, Statements};
use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::graph_file;
use crate::named_file;
use crate::profile::toml_message;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

/// What sentence transformers say of a whole model.
pub(super) const LIBRARY: &str = "config_sentence_transformers.json";

/// Limit for a table of tokens and weights in JSON.
pub(super) const LARGEST_TABLE_BYTES: u64 = named_file::MOST_TOKENIZER_BYTES;

/// A directory being read as one kind of encoder.
pub(super) struct Files<'a> {
    pub kind: EncoderKind,
    pub dir: &'a Path,
    /// Folder of the transformer below `dir`, if a router puts it elsewhere.
    transformer: Option<PathBuf>,
}

impl<'a> Files<'a> {
    pub fn new(kind: EncoderKind, dir: &'a Path) -> Self {
        let mut files = Self {
            kind,
            dir,
            transformer: None,
        };
        let router = files.router().ok().flatten();
        let folder =
            router.and_then(|r| r.folder(Side::Document, "Transformer").map(PathBuf::from));
        files.transformer = folder.filter(|folder| !folder.as_os_str().is_empty());
        files
    }

    /// Read how queries and documents are routed; `None` for other models.
    ///
    /// # Errors
    /// `ModelBad` for a file that cannot be read, or that names folders outside of the directory.
    pub fn router(&self) -> Result<Option<Router>, EncodeError> {
        let router: Option<Router> = self.json(ROUTER)?;
        let outside = router.as_ref().and_then(|router| {
            let mut folders = router.folders();
            folders.find(|folder| !is_inside(Path::new(folder)))
        });
        match outside {
            Some(outside) => Err(self.bad(format!(
                "{ROUTER} names the folder {outside:?}, which is not below its directory"
            ))),
            None => Ok(router),
        }
    }

    /// Return the path, below the directory, of a file of the transformer.
    pub fn of_transformer(&self, file: &str) -> PathBuf {
        let routed = self.transformer.iter().map(|folder| folder.join(file));
        let mut found = routed.filter(|path| self.dir.join(path).is_file());
        found.next().unwrap_or_else(|| file.into())
    }

    /// Return the directory's last component.
    pub fn name(&self) -> String {
        let dir = self.dir.canonicalize();
        let dir = dir.as_deref().unwrap_or(self.dir);
        let name = dir.file_name().unwrap_or(dir.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Read the `tokenizer.json` of the directory, or else the one beside the graph.
    pub fn tokenizer(&self, graph: &Path) -> Result<Vec<u8>, EncodeError> {
        let first = self.dir.join(self.of_transformer("tokenizer.json"));
        let second = graph.with_file_name("tokenizer.json");
        let path = if !first.exists() && second.exists() {
            second
        } else {
            first
        };
        if !path.exists() {
            return Err(EncodeError::missing(self.kind, &path, self.no_tokenizer()));
        }
        graph_file::check_head(self.kind, &path)?;
        named_file::read(&path, named_file::MOST_TOKENIZER_BYTES)
            .map_err(|error| EncodeError::missing(self.kind, &path, error))
    }

    /// Say how to get a `tokenizer.json`.
    fn no_tokenizer(&self) -> String {
        const OLDER: [&str; 5] = [
            "vocab.txt",
            "sentencepiece.bpe.model",
            "spiece.model",
            "tokenizer.model",
            "vocab.json",
        ];
        match OLDER.into_iter().find(|file| self.dir.join(file).exists()) {
            Some(older) => format!(
                "no such file; there is {older}, from which the Python library makes it: \
                 `from transformers import AutoTokenizer; \
                 AutoTokenizer.from_pretrained(\"{dir}\").save_pretrained(\"{dir}\")`",
                dir = self.dir.display()
            ),
            None => {
                "no such file; copy the one that came with the model, or export it again".to_owned()
            }
        }
    }

    /// Read a file; `None` if it does not exist.
    fn optional(&self, file: impl AsRef<Path>) -> Result<Option<String>, EncodeError> {
        let path = self.dir.join(file);
        match named_file::read_text(&path, named_file::MOST_TEXT_BYTES) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EncodeError::missing(self.kind, &path, error)),
        }
    }

    /// Read a JSON file; `None` if it does not exist.
    pub fn json<T: DeserializeOwned>(
        &self,
        file: impl AsRef<Path>,
    ) -> Result<Option<T>, EncodeError> {
        let file = file.as_ref();
        let Some(text) = self.optional(file)? else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| self.bad(format!("{} cannot be read: {error}", file.display())))
    }

    /// Read what all files state.
    pub fn statements(&self) -> Result<Statements, EncodeError> {
        Ok(Statements {
            overrides: self.overrides()?,
            config: self.stated_by_transformer("config.json")?,
            sentence: self.stated_by_transformer("sentence_bert_config.json")?,
            library: self.json(LIBRARY)?.unwrap_or_default(),
            tokenizer: self.stated_by_transformer("tokenizer_config.json")?,
            pooling: self.json("1_Pooling/config.json")?.unwrap_or_default(),
            modules: self.json("modules.json")?.unwrap_or_default(),
            router: self.router()?,
        })
    }

    /// Read what the readable files state.
    pub fn readable_statements(&self) -> Statements {
        Statements {
            overrides: self.overrides().unwrap_or_default(),
            config: self
                .stated_by_transformer("config.json")
                .unwrap_or_default(),
            sentence: self
                .stated_by_transformer("sentence_bert_config.json")
                .unwrap_or_default(),
            library: self.json_if_readable(LIBRARY),
            tokenizer: self
                .stated_by_transformer("tokenizer_config.json")
                .unwrap_or_default(),
            pooling: self.json_if_readable("1_Pooling/config.json"),
            modules: self.json_if_readable("modules.json"),
            router: self.router().ok().flatten(),
        }
    }

    /// Read a JSON file of the transformer; one that does not exist states the defaults.
    fn stated_by_transformer<T: DeserializeOwned + Default>(
        &self,
        file: &str,
    ) -> Result<T, EncodeError> {
        Ok(self.json(self.of_transformer(file))?.unwrap_or_default())
    }

    fn json_if_readable<T: DeserializeOwned + Default>(&self, file: &str) -> T {
        self.json(file).ok().flatten().unwrap_or_default()
    }

    fn overrides(&self) -> Result<Overrides, EncodeError> {
        let text = self.optional("helix-model.toml")?.unwrap_or_default();
        let overrides: Overrides = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = 1 + before.unwrap_or_default().matches('\n').count();
            let reason = toml_message(&text, &error);
            self.bad(format!("helix-model.toml:{line} cannot be read: {reason}"))
        })?;
        if overrides.dim == Some(0) || overrides.char_cap == Some(0) {
            return Err(self.bad("helix-model.toml gives 0 for dim or char_cap".to_owned()));
        }
        Ok(overrides)
    }

    /// Return the graph: the `named` one, or one of the usual names.
    pub fn graph(&self, named: Option<&Path>) -> Result<PathBuf, EncodeError> {
        let candidates = match named {
            Some(file) if !is_inside(file) => {
                return Err(self.outside("file", file));
            }
            Some(file) => vec![self.dir.join(file)],
            None => {
                let folders = self.transformer.iter().map(PathBuf::as_path);
                let folders = std::iter::once(Path::new("")).chain(folders);
                let names = ["model.onnx", "onnx/model.onnx"];
                folders
                    .flat_map(|folder| names.map(|file| self.dir.join(folder).join(file)))
                    .collect()
            }
        };
        if let Some(found) = candidates.iter().find(|path| path.exists()) {
            return match named_file::open(found) {
                Ok(_) => Ok(found.clone()),
                Err(error) => Err(EncodeError::missing(self.kind, found, error)),
            };
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

    /// Return graphs with other names, which quantized ones often have.
    pub fn other_graphs(&self) -> Vec<String> {
        let mut found = Vec::new();
        let routed = self.transformer.iter();
        let routed = routed.flat_map(|folder| [folder.clone(), folder.join("onnx")]);
        let usual = ["", "onnx"].map(PathBuf::from);
        for folder in usual.into_iter().chain(routed) {
            for entry in self
                .dir
                .join(&folder)
                .read_dir()
                .into_iter()
                .flatten()
                .flatten()
            {
                let name = folder.join(entry.file_name());
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

    /// Return the error for a file that a key of `helix-model.toml` names outside of the directory.
    pub fn outside(&self, key: &str, file: &Path) -> EncodeError {
        self.bad(format!(
            "helix-model.toml names {} as {key}, which is not below its directory: \
             put the file there, and name it without `..`",
            file.display()
        ))
    }

    /// Return an error about this model.
    pub fn bad(&self, reason: String) -> EncodeError {
        EncodeError::bad(self.kind, &self.name(), reason)
    }
}

/// Whether a path that a file of the directory names stays below the directory. Links in it are the user's choice.
pub(super) fn is_inside(file: &Path) -> bool {
    file.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Return the directory that was meant: the parent of an `onnx` folder that only holds graphs.
pub(super) fn model_root(dir: &Path) -> Cow<'_, Path> {
    let has_tokenizer = |dir: &Path| dir.join("tokenizer.json").is_file();
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match absolute.parent() {
        Some(parent)
            if absolute.ends_with("onnx") && !has_tokenizer(dir) && has_tokenizer(parent) =>
        {
            Cow::Owned(parent.to_owned())
        }
        _ => Cow::Borrowed(dir),
    }
}
