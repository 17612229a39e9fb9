//! A model directory tried out: what it is, how that was told, what it costs, and what is wrong with it.
//!
//! Loads the model and encodes a few texts on the CPU. Changes nothing.

use super::directory;
use super::error::EncodeError;
use super::model::{Graph, Model};
use super::output::declared;
use super::session::ModelSession;
use super::{Encoded, Encoders, dense, describe, sha256_of};
use crate::batch::EncoderKind;
use crate::ids::Digest;
use crate::platform;
use crate::profile::encoders::{EncoderChoice, ModelSource};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a model directory is.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    pub name: String,
    pub kind: String,
    pub pooling: &'static str,
    /// What said so.
    pub pooling_from: &'static str,
    /// As the runtime states them; `?` is a size that a run decides.
    pub outputs: Vec<String>,
    pub inputs: Vec<String>,
    /// The output that is read.
    pub read: String,
    pub max_len: usize,
    /// Entries of the tokenizer.
    pub vocabulary: usize,
    /// Numbers in a vector.
    pub dim: u32,
    /// Terms of each of the two texts; a dense model has none.
    pub terms: Vec<usize>,
    /// Length of the first text's vector before it is normalised; of a dense model.
    pub norm: Option<f64>,
    /// Cosine of the two texts.
    pub similarity: f64,
    pub tokens_per_cpu_second: f64,
    /// Of the graph, its weights, and the tokenizer.
    pub file_bytes: u64,
    /// By which this process grew when the model was loaded and run.
    pub memory_bytes: Option<u64>,
    pub quantized: bool,
    pub licence: Option<String>,
    /// Of the graph's file.
    pub sha256: Option<String>,
    /// What identifies the model in an index.
    pub hash: String,
    pub advice: Vec<String>,
}

/// Two texts about one thing in other words.
const TEXTS: [&str; 2] = [
    "The build stopped because the disk was full.",
    "There was no space left on the drive, so compilation failed.",
];
/// About 200 tokens, as a chunk of source code has.
const LONG: &str = "fn read_header(input: &mut impl Read) -> io::Result<Header> { let mut bytes = [0; 16]; \
    input.read_exact(&mut bytes)?; let version = u32::from_le_bytes(bytes[..4].try_into().unwrap()); \
    if version != VERSION { return Err(io::Error::other(format!(\"version {version} is not known\"))); } \
    // The length of the table follows, then its entries, sorted by name. \n";

/// Tries out the model in `dir`, of the kind that its files tell.
///
/// # Errors
/// What is wrong with it, as of [`describe()`] and [`Encoders::open`].
pub fn try_model(dir: &Path, ort_lib: Option<&Path>) -> Result<Trial, EncodeError> {
    let kind = directory::kind(dir);
    let choice = choice(kind, dir, ort_lib);
    let info = describe(&choice)?;
    let info = info.sparse.or(info.dense);
    let (hash, dim) = info.map_or((Digest([0; 32]), 0), |info| (info.hash, info.dim));
    let model = directory::read(kind, dir)?;
    let files = files(&model);
    let before = platform::resident_memory_bytes();
    let mut encoders = Encoders::open(&choice)?;
    if let Some(fault) = encoders.take_fault() {
        return Err(fault);
    }
    let encoded = [
        encoders.encode_text(TEXTS[0])?,
        encoders.encode_text(TEXTS[1])?,
    ];
    let tokens_per_cpu_second = speed(&mut encoders)?;
    let grown = before.and_then(|before| platform::resident_memory_bytes()?.checked_sub(before));
    let tokenizer = match kind {
        EncoderKind::Sparse => encoders.preparer.sparse_tokenizer(),
        EncoderKind::Dense => encoders.preparer.dense_tokenizer(),
    };
    let vocabulary = tokenizer.map_or(0, |tokenizer| tokenizer.vocabulary().len());
    let norm = norm(&mut encoders)?;
    let session = encoders.session(kind)?;
    let outputs = declared(&session.session);
    let read = outputs.get(session.output.position());
    Ok(Trial {
        kind: kind.to_string(),
        pooling: session.output.pooling.name(),
        pooling_from: directory::pooling_from(dir, session.output.pooling),
        read: read.map(|output| output.name.clone()).unwrap_or_default(),
        outputs: outputs.iter().map(ToString::to_string).collect(),
        inputs: session.input_names(),
        max_len: model.max_len,
        vocabulary,
        dim,
        terms: encoded
            .iter()
            .filter_map(|e| Some(e.sparse.as_ref()?.0.len()))
            .collect(),
        norm,
        similarity: similarity(&encoded[0], &encoded[1]),
        tokens_per_cpu_second,
        file_bytes: files
            .iter()
            .filter_map(|f| Some(f.metadata().ok()?.len()))
            .sum(),
        memory_bytes: grown,
        sha256: match &model.graph {
            Graph::File(path) => Some(sha256_of(kind, path)?),
            Graph::Embedded(_) => None,
        },
        hash: crate::ids::hex(&hash.0),
        advice: advice(&model, session),
        quantized: model.quantized,
        licence: model.licence,
        name: model.name,
    })
}

/// One encoder alone, on the CPU.
pub(super) fn choice(kind: EncoderKind, dir: &Path, ort_lib: Option<&Path>) -> EncoderChoice {
    let source = ModelSource::Directory(dir.to_owned());
    let (sparse, dense) = match kind {
        EncoderKind::Sparse => (source, ModelSource::None),
        EncoderKind::Dense => (ModelSource::None, source),
    };
    EncoderChoice {
        sparse,
        dense,
        ort_lib: ort_lib.map(Path::to_owned),
        ..EncoderChoice::default()
    }
}

impl Encoders {
    pub(super) fn encode_text(&mut self, text: &str) -> Result<Encoded, EncodeError> {
        let prepared = self.preparer.prepare(text);
        self.encode(&prepared)
    }

    fn session(&self, kind: EncoderKind) -> Result<&ModelSession, EncodeError> {
        let session = match kind {
            EncoderKind::Sparse => self.sparse.as_ref().map(|e| &e.session),
            EncoderKind::Dense => self.dense.as_ref().map(|e| &e.session),
        };
        session.ok_or_else(|| EncodeError::bad(kind, "", "it was not opened"))
    }
}

/// The graph's files and the tokenizer's.
fn files(model: &Model) -> Vec<PathBuf> {
    let mut files = model.weights.clone();
    if let Graph::File(path) = &model.graph {
        files.push(path.clone());
    }
    files
}

/// Cosine of two texts, of whichever kind of vector there is.
pub(super) fn similarity(one: &Encoded, other: &Encoded) -> f64 {
    let sparse = |a: &Encoded, b: &Encoded| -> Option<f64> {
        let (a, b) = (&a.sparse.as_ref()?.0, &b.sparse.as_ref()?.0);
        let weight = |term: &str| b.iter().find(|t| t.term == term).map(|t| t.weight());
        Some(
            a.iter()
                .filter_map(|t| Some(t.weight() * weight(&t.term)?))
                .sum(),
        )
    };
    let dense = |a: &Encoded, b: &Encoded| -> Option<f64> {
        let (a, b) = (&a.dense.as_ref()?.0, &b.dense.as_ref()?.0);
        Some(
            a.iter()
                .zip(b)
                .map(|(x, y)| f64::from(*x) * f64::from(*y))
                .sum(),
        )
    };
    let dot = |a: &Encoded, b: &Encoded| sparse(a, b).or_else(|| dense(a, b)).unwrap_or(0.0);
    let lengths = (dot(one, one) * dot(other, other)).sqrt();
    match lengths > 0.0 {
        true => dot(one, other) / lengths,
        false => 0.0,
    }
}

/// Tokens of a chunk-sized text per second of processor time. Half a second of it, or two runs.
fn speed(encoders: &mut Encoders) -> Result<f64, EncodeError> {
    let prepared = encoders.preparer.prepare(&LONG.repeat(2));
    let n_tokens = prepared.n_tokens();
    // The first run of a length plans memory.
    encoders.encode(&prepared)?;
    let start = platform::process_cpu_time();
    let mut runs = 0;
    let mut spent = Duration::ZERO;
    while runs < 2 || spent < Duration::from_millis(500) {
        encoders.encode(&prepared)?;
        runs += 1;
        spent = platform::process_cpu_time().saturating_sub(start);
    }
    Ok((runs * n_tokens) as f64 / spent.as_secs_f64().max(1e-6))
}

/// Of the first text's vector, as the model gives it.
fn norm(encoders: &mut Encoders) -> Result<Option<f64>, EncodeError> {
    let prepared = encoders.preparer.prepare(TEXTS[0]);
    let (Some(encoder), Some(windows)) = (&mut encoders.dense, prepared.dense()) else {
        return Ok(None);
    };
    let pooling = encoder.session.output.pooling;
    let Some((ids, _)) = windows.iter().next() else {
        return Ok(None);
    };
    let vector = encoder
        .session
        .run(ids, |output, width| Ok(dense::pool(pooling, output, width)))?;
    let squares = vector.iter().map(|v| f64::from(*v).powi(2));
    Ok(Some(squares.sum::<f64>().sqrt()))
}

fn advice(model: &Model, session: &ModelSession) -> Vec<String> {
    let mut advice = Vec::new();
    if session.output.pooling.logarithms().is_some() {
        advice.push(
            "it gives logits for every token: `helix-build models prepare` makes a model of it that \
             needs less memory and gives the same terms"
                .to_owned(),
        );
    }
    if model.quantized {
        advice.push(
            "8-bit numbers with one scale for a run: it is only run on the CPU, one text at a time"
                .to_owned(),
        );
    }
    if model.licence.is_none() {
        advice.push(
            "nothing states its licence; set `licence` in helix-model.toml, which indexes record"
                .to_owned(),
        );
    }
    if model.n_tokens.is_none() {
        advice.push(
            "its table of embeddings was not recognised, so that it was not compared with the tokenizer"
                .to_owned(),
        );
    }
    advice
}
