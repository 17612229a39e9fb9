//! The new model directory: written beside its final path, published by a rename.

use crate::batch::EncoderKind;
use crate::encode::error::EncodeError;
use crate::encode::graph_file::graph_error;
use crate::encode::model::{Model, Pooling};
use crate::encode::onnx::{self, OnnxError, Proto};
use crate::platform;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// A directory that is deleted on drop unless it is published.
pub(super) struct Draft {
    folder: tempfile::TempDir,
    kind: EncoderKind,
    /// The final path.
    out: PathBuf,
}

/// Name of the table by which queries are encoded.
const QUERY_TABLE: &str = "query_table.safetensors";

/// What `helix-model.toml` states besides the properties of the original model.
pub(super) struct Description<'a> {
    pub sha256: &'a str,
    pub quantized: Option<&'a str>,
    pub made_from: MadeFrom<'a>,
}

#[derive(Serialize)]
pub(super) struct MadeFrom<'a> {
    pub name: &'a str,
    pub sha256: &'a str,
}

/// The new `helix-model.toml`.
#[derive(Serialize)]
struct ModelToml<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooling: Option<&'a str>,
    max_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    dim: Option<usize>,
    #[serde(skip_serializing_if = "str::is_empty")]
    query_prefix: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    passage_prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_table: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    char_cap: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<&'a str>,
    sha256: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantized: Option<&'a str>,
    made_from: &'a MadeFrom<'a>,
}

impl Draft {
    /// Create an empty directory beside `out`, and the folders above it.
    pub fn create(out: &Path, kind: EncoderKind) -> Result<Self, EncodeError> {
        let create = || {
            let parent = parent(out)?;
            platform::create_folders(&parent)?;
            tempfile::Builder::new()
                .prefix(".helix-model-")
                .tempdir_in(parent)
        };
        Ok(Self {
            folder: create().map_err(|error| unwritten(out, &error))?,
            kind,
            out: out.to_owned(),
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn graph_path(&self) -> PathBuf {
        self.path().join("model.onnx")
    }

    /// Write the graph with its weights. Return its size in bytes.
    pub fn write_graph(&self, model: &Model, graph: &Proto) -> Result<u64, EncodeError> {
        let failed = |error: io::Error| unwritten(&self.out, &error);
        let file = File::create_new(self.graph_path()).map_err(failed)?;
        let mut file = BufWriter::new(file);
        onnx::write(graph, &mut file).map_err(|error| match error {
            OnnxError::Unwritten(error) => failed(error),
            other => graph_error(self.kind, &model.name, other),
        })?;
        let file = file.into_inner();
        let file = file.map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        // The file is closed here: on Windows the runtime opens no file that is open for writing.
        Ok(file.metadata().map_err(failed)?.len())
    }

    /// Write the tokenizer and `helix-model.toml`.
    pub fn write_description(
        &self,
        model: &Model,
        description: &Description<'_>,
    ) -> Result<(), EncodeError> {
        let kind = self.kind.to_string();
        let described = ModelToml {
            kind: &kind,
            pooling: match self.kind {
                EncoderKind::Sparse => Some(Pooling::None.name()),
                EncoderKind::Dense => model.pooling.map(Pooling::name),
            },
            max_len: model.max_len,
            dim: model.dim,
            query_prefix: &model.query_prefix,
            passage_prefix: &model.passage_prefix,
            query_table: model.query_table.as_ref().map(|_| QUERY_TABLE),
            char_cap: model.char_cap,
            licence: model.licence.as_deref(),
            sha256: description.sha256,
            quantized: description.quantized,
            made_from: &description.made_from,
        };
        let write = || {
            write_synced(self.path(), "tokenizer.json", &model.tokenizer)?;
            if let Some(table) = &model.query_table {
                write_synced(self.path(), QUERY_TABLE, &table_file(&table.weights)?)?;
            }
            let text = toml::to_string(&described).map_err(io::Error::other)?;
            write_synced(self.path(), "helix-model.toml", text.as_bytes())
        };
        write().map_err(|error| unwritten(&self.out, &error))
    }

    /// Rename the directory to its final path, durably.
    pub fn publish(self) -> Result<(), EncodeError> {
        let Self { folder, out, .. } = self;
        let publish = || {
            platform::sync_directory(folder.path())?;
            make_readable(folder.path())?;
            let folder = folder.keep();
            if let Err(error) = std::fs::rename(&folder, &out) {
                // Report the first error.
                let _ = std::fs::remove_dir_all(&folder);
                return Err(error);
            }
            platform::sync_directory(&parent(&out)?)
        };
        publish().map_err(|error| unwritten(&out, &error))
    }
}

/// Return the folder that will contain `out`.
fn parent(out: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(out)?;
    Ok(absolute.parent().unwrap_or(Path::new("/")).to_owned())
}

fn unwritten(out: &Path, error: &io::Error) -> EncodeError {
    EncodeError::Unwritten {
        path: out.to_owned(),
        reason: error.to_string(),
    }
}

fn write_synced(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(dir.join(name))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Let everyone read the model: only its owner may enter a temporary directory.
fn make_readable(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

/// The bytes of a safetensors file with the tensor `weight` (`[V]`).
fn table_file(weights: &[f32]) -> io::Result<Vec<u8>> {
    let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    let tensor = TensorView::new(Dtype::F32, vec![weights.len()], &bytes);
    let tensor = tensor.map_err(io::Error::other)?;
    safetensors::serialize([("weight", tensor)], None).map_err(io::Error::other)
}
