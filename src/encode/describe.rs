//! Describes the encoders of a build: hashes, dimensions, licences. Runs nothing and loads no runtime.

use super::builtin;
use super::digest::{check_sha256, read_in_pieces};
use super::error::EncodeError;
use super::graph_file::check_vocabulary;
use super::model::{Graph, Model, Pooling};
use super::server::{Server, ServerInfo};
use super::source::resolve;
use super::static_table;
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use crate::ids::Digest;
use crate::profile::encoders::{EncoderChoice, ModelSource, Precision};
use crate::profile::recipe::Coverage;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Raise it when a change of the code changes any vector of an unchanged model.
const RULES: u32 = 2;

/// The same for texts that are sent to a server: how they are cut, and how vectors of pieces are put together.
const SERVER_RULES: u32 = 1;

/// The same for which tokens of a user's model may be terms.
const TERM_RULES: u32 = 1;

/// The encoders of a build, for its fingerprint and its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderInfo {
    /// `None`: the index has no sparse vectors.
    pub sparse: Option<ModelInfo>,
    /// `None`: the index has no dense vectors.
    pub dense: Option<ModelInfo>,
}

impl EncoderInfo {
    /// The precision of the user's models on a device: one setting for both kinds.
    pub fn precision(&self) -> Precision {
        let models = [&self.sparse, &self.dense].into_iter().flatten();
        let mut precisions = models.map(|model| model.precision);
        let reduced = precisions.find(|precision| !precision.is_fp32());
        reduced.unwrap_or_default()
    }

    /// The hashes of both models, sparse and dense, of which fingerprints consist.
    pub fn hashes(&self) -> [Option<Digest>; 2] {
        [&self.sparse, &self.dense].map(|model| model.as_ref().map(|model| model.hash))
    }
}

/// One encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The directory's name, or the embedded model's.
    pub name: String,
    /// BLAKE3 over the model's files, its tokenizer, and every rule that shapes its vectors.
    pub hash: Digest,
    /// Dimensions: the whole vocabulary, or those of a dense vector as it is stored.
    pub dim: u32,
    /// As the model's directory states it.
    pub licence: Option<String>,
    /// Its precision on a device.
    #[serde(default, skip_serializing_if = "Precision::is_fp32")]
    pub precision: Precision,
    /// The server that encoded; `None`: this program did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerInfo>,
}

/// Hash and describe the chosen encoders. Read each model's files once and load no runtime. A server is asked.
///
/// # Errors
/// `ModelMissing`, `ModelBad`, `WrongKind` or `TokenizerBad`, for what the files show; `ServerAway` or `ServerBad`.
pub fn describe(choice: &EncoderChoice) -> Result<EncoderInfo, EncodeError> {
    let one = |kind, source: &ModelSource| {
        if let Some(address) = source.server() {
            let server = Server::open(kind, address, choice.server_patience_s)?;
            return Ok(Some(describe_server(&server, choice.coverage)));
        }
        let model = resolve(kind, source)?;
        model
            .map(|m| describe_model(&m, choice.coverage, choice.precision))
            .transpose()
    };
    Ok(EncoderInfo {
        sparse: one(EncoderKind::Sparse, &choice.sparse)?,
        dense: one(EncoderKind::Dense, &choice.dense)?,
    })
}

fn describe_model(
    model: &Model,
    coverage: Coverage,
    precision: Precision,
) -> Result<ModelInfo, EncodeError> {
    // The embedded models always compute in 32 bits.
    let precision = match &model.graph {
        Graph::Embedded(_) | Graph::Table(_) => Precision::Fp32,
        Graph::File(_) => precision,
    };
    if let (Some(path), Some(wanted)) = (model.graph.path(), &model.sha256) {
        check_sha256(model.kind, path, wanted)?;
    }
    let dim = match &model.graph {
        // Stated in the code, so no tokenizer is needed.
        Graph::Embedded(_) => dim(model, None)?,
        Graph::File(_) | Graph::Table(_) => {
            let tokenizer = Tokenizer::from_bytes(&model.tokenizer)
                .map_err(|error| EncodeError::tokenizer(model.kind, &model.name, error))?;
            check_vocabulary(model.kind, &model.name, &tokenizer, model.n_tokens)?;
            dim(model, Some(&tokenizer))?
        }
    };
    let hash = match &model.graph {
        Graph::Embedded(_) => embedded_hash(model.kind, coverage),
        Graph::File(_) | Graph::Table(_) => model_hash(model, dim, coverage, precision)?,
    };
    Ok(ModelInfo {
        name: model.name.clone(),
        hash,
        dim: u32::try_from(dim)
            .map_err(|_| EncodeError::bad(model.kind, &model.name, "dim is out of range"))?,
        licence: model.licence.clone(),
        precision,
        server: None,
    })
}

/// Return what [`model_hash`] says of an embedded model, as constants: hashing 5 MB took a fifth of a query of a small index.
/// A test compares them.
fn embedded_hash(kind: EncoderKind, coverage: Coverage) -> Digest {
    let hash = match (kind, coverage) {
        (EncoderKind::Sparse, Coverage::Whole) => {
            "15f8c468254a837effc3b1b01288e1e1e23ab3eb2ec060f14f0f5b047009c39e"
        }
        (EncoderKind::Dense, Coverage::Whole) => {
            "46b9a4be6c9a19cf549efd86513b9271dae34e44f54face5b2d3dab881ff5d9c"
        }
        (EncoderKind::Sparse, Coverage::Head) => {
            "05c9fa8d96ee07029b2fba9c83e57fd9b0bd66dd8976908e271fb2a313a5b380"
        }
        (EncoderKind::Dense, Coverage::Head) => {
            "babe0b2f6df975403353d0a71076f4345771339f78577a08338a8bc81ddb22e7"
        }
    };
    Digest::parse(hash).expect("64 hexadecimal digits")
}

/// Return the hash over a model's files, its tokenizer, and every rule that shapes its vectors.
fn model_hash(
    model: &Model,
    dim: usize,
    coverage: Coverage,
    precision: Precision,
) -> Result<Digest, EncodeError> {
    let mut hash = Fields::default();
    hash.number(RULES.into());
    hash.text(&model.kind.to_string());
    match &model.graph {
        Graph::Embedded(bytes) => {
            hash.bytes(bytes);
            hash.number(builtin::VERSION);
        }
        Graph::Table(table) => {
            hash.bytes(&hash_of(model.kind, &table.path)?);
            hash.text("static");
            hash.number(static_table::VERSION);
        }
        Graph::File(path) => {
            // Large models keep their weights in `model.onnx_data` or the like.
            for path in std::iter::once(path).chain(&model.weights) {
                hash.bytes(&hash_of(model.kind, path)?);
            }
        }
    }
    hash.bytes(&model.tokenizer);
    hash.text(match (model.pooling, model.of_logits) {
        (Some(pooling), _) => pooling.name(),
        (None, Pooling::SpladeLog1p) => "by outputs, splade-log1p",
        (None, _) => "by outputs",
    });
    hash.number(model.max_len as u64);
    hash.number(dim as u64);
    hash.text(&model.query_prefix);
    hash.text(&model.passage_prefix);
    hash.number(model.char_cap.map_or(u64::MAX, |chars| chars as u64));
    hash.number(model.document_terms() as u64);
    hash.text(coverage_name(coverage));
    if let (EncoderKind::Sparse, Graph::File(_)) = (model.kind, &model.graph) {
        hash.number(TERM_RULES.into());
    }
    if let Some(table) = &model.query_table {
        hash.text("query table");
        hash.number(table.weights.len() as u64);
        table
            .weights
            .iter()
            .for_each(|w| hash.number(w.to_bits().into()));
    }
    if !precision.is_fp32() {
        hash.text(precision.name());
    }
    Ok(Digest(hash.0.finalize().into()))
}

/// Describe a server by what it tells of its model. The hash does not depend on where the server is.
fn describe_server(server: &Server, coverage: Coverage) -> ModelInfo {
    let mut hash = Fields::default();
    hash.text("server");
    hash.number(SERVER_RULES.into());
    hash.text(&server.kind().to_string());
    server.identity().iter().for_each(|field| hash.text(field));
    hash.number(server.dim() as u64);
    hash.text(coverage_name(coverage));
    ModelInfo {
        name: server.model().to_owned(),
        hash: Digest(hash.0.finalize().into()),
        dim: server.dim() as u32,
        licence: None,
        precision: Precision::Fp32,
        server: Some(server.info()),
    }
}

fn coverage_name(coverage: Coverage) -> &'static str {
    match coverage {
        Coverage::Whole => "whole",
        Coverage::Head => "head",
    }
}

/// Return the BLAKE3 hash of a file.
fn hash_of(kind: EncoderKind, path: &Path) -> Result<[u8; 32], EncodeError> {
    let mut file = blake3::Hasher::new();
    read_in_pieces(kind, path, |bytes| {
        file.update(bytes);
    })?;
    Ok(file.finalize().into())
}

/// Return the dimensions of a vector as the files state them.
fn dim(model: &Model, tokenizer: Option<&Tokenizer>) -> Result<usize, EncodeError> {
    match (model.dim, model.kind, tokenizer) {
        (Some(dim), ..) => Ok(dim),
        (None, EncoderKind::Sparse, Some(tokenizer)) => Ok(tokenizer.vocabulary().len()),
        (None, ..) => Err(EncodeError::bad(
            model.kind,
            &model.name,
            "no file says how long its vectors are; set dim in helix-model.toml",
        )),
    }
}

/// A hash over fields, each with its length, so that no two lists of fields look alike.
#[derive(Default)]
struct Fields(blake3::Hasher);

impl Fields {
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_hashes_of_the_embedded_models() {
        for kind in [EncoderKind::Sparse, EncoderKind::Dense] {
            for coverage in [Coverage::Whole, Coverage::Head] {
                let model = Model::embedded(kind);
                let dim = dim(&model, None).expect("is stated");
                let hash = model_hash(&model, dim, coverage, Precision::Fp32).expect("no file");
                assert_eq!(embedded_hash(kind, coverage), hash, "{kind} {coverage:?}");
            }
        }
    }
}
