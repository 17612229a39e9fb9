//! Finds and reads the files of a model directory.

use super::statements::Overrides;
use crate::batch::EncoderKind;
use crate::encode::check;
use crate::encode::error::EncodeError;
use crate::named_file;
use crate::profile::toml_said;
use serde::de::DeserializeOwned;
use std::path::{Component, Path, PathBuf};

/// A directory being read as one kind of encoder.
pub(super) struct Files<'a> {
    pub kind: EncoderKind,
    pub dir: &'a Path,
}

impl Files<'_> {
    /// The directory's last component.
    pub fn name(&self) -> String {
        let dir = self.dir.canonicalize();
        let dir = dir.as_deref().unwrap_or(self.dir);
        let name = dir.file_name().unwrap_or(dir.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// `tokenizer.json` of the directory, or that beside the graph.
    pub fn tokenizer(&self, graph: &Path) -> Result<Vec<u8>, EncodeError> {
        let first = self.dir.join("tokenizer.json");
        let second = graph.with_file_name("tokenizer.json");
        let path = if !first.exists() && second.exists() {
            second
        } else {
            first
        };
        check::check_head(self.kind, &path)?;
        named_file::read(&path, named_file::MOST_TOKENIZER_BYTES)
            .map_err(|error| EncodeError::missing(self.kind, &path, error))
    }

    /// A file that may be absent, but not unreadable.
    fn optional(&self, file: &str) -> Result<Option<String>, EncodeError> {
        let path = self.dir.join(file);
        match named_file::read_text(&path, named_file::MOST_TEXT_BYTES) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EncodeError::missing(self.kind, &path, error)),
        }
    }

    pub fn json<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, EncodeError> {
        let Some(text) = self.optional(file)? else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| self.bad(format!("{file} cannot be read: {error}")))
    }

    pub fn overrides(&self) -> Result<Overrides, EncodeError> {
        let text = self.optional("helix-model.toml")?.unwrap_or_default();
        let overrides: Overrides = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = 1 + before.unwrap_or_default().matches('\n').count();
            let reason = toml_said(&text, &error);
            self.bad(format!("helix-model.toml:{line} cannot be read: {reason}"))
        })?;
        if overrides.dim == Some(0) || overrides.char_cap == Some(0) {
            return Err(self.bad("helix-model.toml gives 0 for dim or char_cap".to_owned()));
        }
        Ok(overrides)
    }

    pub fn graph(&self, named: Option<&Path>) -> Result<PathBuf, EncodeError> {
        let candidates = match named {
            Some(file) if !is_inside(file) => {
                return Err(self.bad(format!(
                    "helix-model.toml names {} as file, which is not below its directory: \
                     put the graph there, and name it without `..`",
                    file.display()
                )));
            }
            Some(file) => vec![self.dir.join(file)],
            None => ["model.onnx", "onnx/model.onnx"]
                .map(|file| self.dir.join(file))
                .to_vec(),
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

    pub fn bad(&self, reason: String) -> EncodeError {
        EncodeError::bad(self.kind, &self.name(), reason)
    }
}

/// Whether a path that a directory's file names stays below it. Links there are the user's own.
fn is_inside(file: &Path) -> bool {
    file.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
