//! Makes a smaller model directory of another: pooling and cut in the graph, weights in 8 or 16 bits.
//!
//! The new directory appears whole or not at all, after both models have encoded the same texts and
//! agreed. The given one is only read.

use super::directory;
use super::error::EncodeError;
use super::model::{Graph, Model, Pooling};
use super::onnx::{self, Fold, Folded, Form, OnnxError, Quantized};
use super::output::{self, Declared};
use super::sparse::Terms;
use super::tokenizer::Tokenizer;
use super::trial::{choice, similarity};
use super::{Encoded, Encoders, sha256_of};
use crate::batch::EncoderKind;
use crate::platform;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Smaller weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantization {
    /// Weights of products and large tables in 8 bits, for the CPU alone.
    Int8,
    /// Everything in 16-bit floats, for devices.
    Fp16,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct RefitOrder<'a> {
    pub dir: &'a Path,
    /// Must not exist.
    pub out: &'a Path,
    /// Terms that the graph hands out; of a sparse model.
    pub top_k: usize,
    /// `None`: weights stay as they are.
    pub quantize: Option<Quantization>,
    pub ort_lib: Option<&'a Path>,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct Refitted {
    pub kind: String,
    pub out: PathBuf,
    /// Where pooling was folded into the graph: `product`, `logits`, `cut`; none of a dense model.
    pub folded: Option<&'static str>,
    /// Matrix products in 8 bits.
    pub products: usize,
    /// Tables of embeddings in 8 bits.
    pub tables: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Lowest cosine of a text's two vectors.
    pub similarity: f64,
    pub sha256: String,
}

/// Spare terms for those whose weights become equal when they are rounded.
pub const TOP_K: usize = 192;

/// `helix-model.toml` of the new directory.
#[derive(Serialize)]
struct Described<'a> {
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
    char_cap: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<&'a str>,
    sha256: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantized: Option<&'a str>,
    made_from: MadeFrom<'a>,
}

#[derive(Serialize)]
struct MadeFrom<'a> {
    name: &'a str,
    sha256: &'a str,
}

/// Texts that both models encode.
const SAMPLES: [&str; 6] = [
    "The quick brown fox jumps over the lazy dog, twice a day.",
    "fn main() { println!(\"{}\", 6 * 7); }",
    "How are files cut into chunks, and what happens to those that cannot be read?",
    "SELECT name, count(*) FROM orders JOIN customers USING (id) GROUP BY name HAVING count(*) > 3;",
    "Copyright notice: redistribution in source and binary forms, with or without modification, is permitted.",
    "word",
];

/// Makes the directory.
///
/// # Errors
/// Those of reading and opening the model; `ModelBad` when there is nothing to do, or when the two models
/// disagree; `Unwritten`.
pub fn refit(order: &RefitOrder<'_>) -> Result<Refitted, EncodeError> {
    let kind = directory::kind(order.dir);
    let unwritten = |error: io::Error| EncodeError::Unwritten {
        path: order.out.to_owned(),
        reason: error.to_string(),
    };
    if order.out.symlink_metadata().is_ok() {
        let reason = "it exists; choose another or remove it".to_owned();
        let path = order.out.to_owned();
        return Err(EncodeError::Unwritten { path, reason });
    }
    let model = directory::read(kind, order.dir)?;
    let Graph::File(graph) = &model.graph else {
        return Err(EncodeError::bad(kind, &model.name, "it has no files"));
    };
    let source_sha256 = sha256_of(kind, graph)?;
    let known = encoded_samples(kind, order.dir, order.ort_lib)?;
    let named = |error: OnnxError| match error {
        OnnxError::Unsupported(reason) => EncodeError::bad(kind, &model.name, reason),
        OnnxError::Unwritten(error) => unwritten(error),
        other => super::check::graph_error(kind, other),
    };

    let mut proto = onnx::read(graph).map_err(named)?;
    let folded = match kind {
        EncoderKind::Sparse => fold(&model, &mut proto, order.top_k, &named)?,
        EncoderKind::Dense => None,
    };
    let mut quantized = Quantized::default();
    match order.quantize {
        Some(Quantization::Int8) => quantized = onnx::quantize(&mut proto).map_err(named)?,
        Some(Quantization::Fp16) => onnx::to_float16(&mut proto).map_err(named)?,
        None if folded.is_none() => {
            let reason = "there is nothing to fold into its graph; --quantize int8 (CPU) or fp16 (GPU) makes it smaller";
            return Err(EncodeError::bad(kind, &model.name, reason));
        }
        None => {}
    }
    let is_int8 = order.quantize == Some(Quantization::Int8) || model.quantized;

    let parent = std::path::absolute(order.out).map_err(unwritten)?;
    let parent = parent.parent().unwrap_or(Path::new("/"));
    platform::create_folders(parent).map_err(unwritten)?;
    let draft = tempfile::Builder::new()
        .prefix(".helix-model-")
        .tempdir_in(parent)
        .map_err(unwritten)?;
    let new_graph = draft.path().join("model.onnx");
    let mut file = BufWriter::new(File::create_new(&new_graph).map_err(unwritten)?);
    onnx::write(&proto, &mut file).map_err(named)?;
    let file = file
        .into_inner()
        .map_err(|error| unwritten(error.into_error()))?;
    file.sync_all().map_err(unwritten)?;
    let bytes_after = file.metadata().map_err(unwritten)?.len();
    // On Windows the runtime opens no file that somebody may write to.
    drop(file);
    let sha256 = sha256_of(kind, &new_graph)?;
    write_synced(draft.path(), "tokenizer.json", &model.tokenizer).map_err(unwritten)?;
    let described = Described {
        kind: &kind.to_string(),
        pooling: match kind {
            EncoderKind::Sparse => Some(Pooling::None.name()),
            EncoderKind::Dense => model.pooling.map(Pooling::name),
        },
        max_len: model.max_len,
        dim: model.dim,
        query_prefix: &model.query_prefix,
        passage_prefix: &model.passage_prefix,
        char_cap: model.char_cap,
        licence: model.licence.as_deref(),
        sha256: &sha256,
        quantized: is_int8.then_some("int8"),
        made_from: MadeFrom {
            name: &model.name,
            sha256: &source_sha256,
        },
    };
    let text = toml::to_string(&described).map_err(|e| unwritten(io::Error::other(e)))?;
    write_synced(draft.path(), "helix-model.toml", text.as_bytes()).map_err(unwritten)?;

    let found = encoded_samples(kind, draft.path(), order.ort_lib)?;
    if order.quantize.is_none() {
        agree(&known, &found).map_err(|reason| EncodeError::bad(kind, &model.name, reason))?;
    }
    let similarity = known
        .iter()
        .zip(&found)
        // Two vectors without a term have no direction, but are the same.
        .filter(|(one, other)| one.sparse != other.sparse || one.dense != other.dense)
        .map(|(one, other)| similarity(one, other))
        .fold(1.0, f64::min);
    platform::sync_directory(draft.path()).map_err(unwritten)?;
    open_to_readers(draft.path()).map_err(unwritten)?;
    let draft = draft.keep();
    if let Err(error) = std::fs::rename(&draft, order.out) {
        // The error that is told is the first one.
        let _ = std::fs::remove_dir_all(&draft);
        return Err(unwritten(error));
    }
    platform::sync_directory(parent).map_err(unwritten)?;
    let sizes = std::iter::once(graph).chain(&model.weights);
    Ok(Refitted {
        kind: kind.to_string(),
        out: order.out.to_owned(),
        folded: folded.map(|folded| match folded {
            Folded::Product => "product",
            Folded::Logits => "logits",
            Folded::Cut => "cut",
        }),
        products: quantized.products,
        tables: quantized.tables,
        bytes_before: sizes.filter_map(|f| Some(f.metadata().ok()?.len())).sum(),
        bytes_after,
        similarity,
        sha256,
    })
}

/// Folds what is not folded yet; `None` when the graph gives the heaviest terms already.
fn fold(
    model: &Model,
    proto: &mut onnx::Proto,
    top_k: usize,
    named: &impl Fn(OnnxError) -> EncodeError,
) -> Result<Option<Folded>, EncodeError> {
    let tokenizer = Tokenizer::from_bytes(&model.tokenizer)
        .map_err(|error| EncodeError::tokenizer(model.kind, &model.name, error))?;
    let outputs: Option<Vec<Declared>> =
        proto.graph.outputs.iter().map(Declared::in_file).collect();
    let outputs = outputs.ok_or_else(|| {
        let reason = "its graph does not state the shapes of its outputs; export it with them";
        EncodeError::bad(model.kind, &model.name, reason)
    })?;
    let chosen = output::choose(model, &outputs, tokenizer.vocabulary_len())?;
    if chosen.is_cut() {
        return Ok(None);
    }
    let output = &outputs[chosen.position()];
    let width = output.shape.last().copied().flatten().or(model.n_tokens);
    let mut kept = Terms::new(tokenizer.vocabulary()).kept().to_vec();
    // Columns that only fill up the graph's vocabulary.
    kept.resize(width.unwrap_or(kept.len()), false);
    let form = match chosen.pooling.logarithms() {
        Some(logarithms) => Form::Logits { logarithms },
        None => Form::Weights,
    };
    let order = Fold {
        output: &output.name,
        form,
        kept: &kept,
        top_k,
    };
    onnx::fold(proto, &order).map(Some).map_err(named)
}

fn encoded_samples(
    kind: EncoderKind,
    dir: &Path,
    ort_lib: Option<&Path>,
) -> Result<Vec<Encoded>, EncodeError> {
    let mut encoders = Encoders::open(&choice(kind, dir, ort_lib))?;
    SAMPLES
        .iter()
        .map(|text| encoders.encode_text(text))
        .collect()
}

/// Whether the terms are the same, and the weights to one unit of the last digit, which the order of
/// additions in another kernel may move.
fn agree(known: &[Encoded], found: &[Encoded]) -> Result<(), String> {
    for ((known, found), text) in known.iter().zip(found).zip(SAMPLES) {
        let terms = |encoded: &Encoded| {
            let terms = encoded.sparse.clone().unwrap_or_default().0;
            let mut terms: Vec<_> = terms.into_iter().map(|t| (t.term, t.weight_e4)).collect();
            terms.sort();
            terms
        };
        let (known, found) = (terms(known), terms(found));
        // One that only just is among the heaviest may change places with one that only just is not.
        let last = known.iter().map(|(_, weight)| *weight).min().unwrap_or(0);
        let lacks = |these: &[(String, u32)], those: &[(String, u32)]| {
            let stray = these.iter().find(|(term, weight)| {
                let other = those.iter().find(|(other, _)| other == term);
                match other {
                    Some((_, other)) => weight.abs_diff(*other) > 1,
                    None => weight.abs_diff(last) > 1,
                }
            });
            stray.map(|(term, weight)| format!("{term} {:.4}", f64::from(*weight) / 1e4))
        };
        if let Some(term) = lacks(&known, &found).or_else(|| lacks(&found, &known)) {
            return Err(format!(
                "the folded graph gives other terms for {text:?} ({term}); nothing was written"
            ));
        }
    }
    Ok(())
}

fn write_synced(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(dir.join(name))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Temporary folders are for their owner alone; a model is for whoever may read what is beside it.
fn open_to_readers(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}
