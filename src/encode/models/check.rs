//! Checks a model: loads it and encodes a few texts on the CPU. Changes nothing.

use super::choice::single_encoder;
use crate::batch::EncoderKind;
use crate::encode::dense;
use crate::encode::dense_encoder::DenseEncoder;
use crate::encode::describe::describe;
use crate::encode::digest::file_sha256;
use crate::encode::directory::{self, Surroundings};
use crate::encode::encoders::Encoders;
use crate::encode::error::EncodeError;
use crate::encode::model::{Model, Pooling};
use crate::encode::output::declared;
use crate::encode::similarity::similarity;
use crate::encode::static_table::StaticTable;
use crate::ids::Digest;
use crate::platform;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a model is, how it was detected and what it costs.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    pub name: String,
    pub kind: String,
    pub pooling: &'static str,
    /// The file that states it.
    pub pooling_from: String,
    /// As the runtime states them; `?` is a size that varies by run.
    pub outputs: Vec<String>,
    pub inputs: Vec<String>,
    /// The file with the graph, below the directory.
    pub graph: String,
    /// The output that is used.
    pub read: String,
    /// Text in front of queries.
    pub query_prefix: String,
    /// Text in front of chunks.
    pub passage_prefix: String,
    /// The table of token weights by which queries are encoded; `None`: they go through the graph.
    pub query_table: Option<String>,
    pub max_len: usize,
    /// Entries of the tokenizer.
    pub vocabulary: usize,
    /// Dimensions of a vector.
    pub dim: u32,
    /// Number of terms of each of the two texts; empty for a dense model.
    pub terms: Vec<usize>,
    /// Length of the first text's vector before it is normalised; of a dense model.
    pub norm: Option<f64>,
    /// Cosine of the two texts.
    pub similarity: f64,
    pub tokens_per_cpu_second: f64,
    /// Of the graph and its weights.
    pub file_bytes: u64,
    /// Growth of this process when the model was loaded and run.
    pub memory_bytes: Option<u64>,
    pub quantized: bool,
    pub licence: Option<String>,
    /// Of the graph's file.
    pub sha256: Option<String>,
    /// Identifies the model in an index.
    pub hash: String,
    /// Keys of the library's files that have no effect, as `file: key = value`.
    pub unused: Vec<String>,
    pub advice: Vec<String>,
}

/// Two texts with the same meaning in different words.
const TEXTS: [&str; 2] = [
    "The build stopped because the disk was full.",
    "There was no space left on the drive, so compilation failed.",
];
/// About 200 tokens, as a chunk of source code has.
const LONG_TEXT: &str = "fn read_header(input: &mut impl Read) -> io::Result<Header> { let mut bytes = [0; 16]; \
    input.read_exact(&mut bytes)?; let version = u32::from_le_bytes(bytes[..4].try_into().unwrap()); \
    if version != VERSION { return Err(io::Error::other(format!(\"version {version} is not known\"))); } \
    // The length of the table follows, then its entries, sorted by name. \n";

/// Load the model in `dir`, of the kind that its files state, and encode a few texts.
///
/// # Errors
/// What is wrong with the model, as [`describe()`] and [`Encoders::open`] report it.
pub fn check_model(dir: &Path, ort_lib: Option<&Path>) -> Result<ModelReport, EncodeError> {
    let kind = directory::kind(dir);
    let choice = single_encoder(kind, dir, ort_lib);
    let info = describe(&choice)?;
    let info = info.sparse.or(info.dense);
    let (hash, dim) = info.map_or((Digest([0; 32]), 0), |info| (info.hash, info.dim));
    let model = directory::read(kind, dir)?;
    let files = files(&model);
    let graph = model.graph.path();
    let around = graph.map(|path| directory::surroundings(kind, dir, path));
    let before = platform::resident_memory_bytes();
    let mut encoders = Encoders::open(&choice)?;
    if let Some(warning) = encoders.warnings.pop() {
        return Err(warning);
    }
    let encoded = [
        encoders.encode_text(TEXTS[0])?,
        encoders.encode_text(TEXTS[1])?,
    ];
    let tokens_per_cpu_second = speed(&mut encoders)?;
    let grown = before.and_then(|before| platform::resident_memory_bytes()?.checked_sub(before));
    let tokenizer = encoders.tokenizer.of(kind);
    let vocabulary = tokenizer.map_or(0, |tokenizer| tokenizer.vocabulary().len());
    let norm = norm(&mut encoders)?;
    let not_open = || EncodeError::bad(kind, "", "it was not opened");
    let read = Reading::of(&encoders, kind).ok_or_else(not_open)?;
    Ok(ModelReport {
        kind: kind.to_string(),
        pooling: read.pooling.name(),
        pooling_from: directory::pooling_source(dir, read.pooling),
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
        sha256: graph.map(|path| file_sha256(kind, path)).transpose()?,
        hash: crate::ids::hex(&hash.0),
        advice: advice(&model, read.pooling, around.as_ref()),
        read: read.read,
        outputs: read.outputs,
        inputs: read.inputs,
        unused: around
            .as_ref()
            .map(|around| around.unused.clone())
            .unwrap_or_default(),
        graph: around.map(|around| around.graph).unwrap_or_default(),
        query_prefix: model.query_prefix,
        passage_prefix: model.passage_prefix,
        query_table: model.query_table.map(|table| table.file),
        quantized: model.quantized,
        licence: model.licence,
        name: model.name,
    })
}

/// What an encoder takes and what is read of what it gives.
struct Reading {
    inputs: Vec<String>,
    outputs: Vec<String>,
    read: String,
    pooling: Pooling,
}

impl Reading {
    fn of(encoders: &Encoders, kind: EncoderKind) -> Option<Self> {
        if let Some(session) = encoders.session(kind) {
            let outputs = declared(&session.session);
            let read = outputs.get(session.output.position());
            return Some(Self {
                inputs: session.input_names(),
                read: read.map(|output| output.name.clone()).unwrap_or_default(),
                outputs: outputs.iter().map(ToString::to_string).collect(),
                pooling: session.output.pooling,
            });
        }
        let shape = static_table(encoders)?.shape();
        Some(Self {
            inputs: Vec::new(),
            outputs: vec![format!("{} [{}, {}]", shape.name, shape.rows, shape.dim)],
            read: shape.name.to_owned(),
            pooling: Pooling::Mean,
        })
    }
}

/// Return the table of a static model.
fn static_table(encoders: &Encoders) -> Option<&StaticTable> {
    match &encoders.dense {
        Some(DenseEncoder::Tables(tables)) => tables.static_table(),
        _ => None,
    }
}

/// Return the graph's file and its weights.
fn files(model: &Model) -> Vec<PathBuf> {
    let mut files = model.weights.clone();
    files.extend(model.graph.path().map(Path::to_owned));
    files
}

/// Return the tokens of a chunk-sized text per second of CPU time, measured over half a second or two runs.
fn speed(encoders: &mut Encoders) -> Result<f64, EncodeError> {
    let text = encoders.tokenizer.tokenize(&LONG_TEXT.repeat(2));
    let n_tokens = text.n_tokens();
    // The first run of a length allocates memory.
    encoders.encode(&text)?;
    let start = platform::process_cpu_time();
    let mut runs = 0;
    let mut spent = Duration::ZERO;
    while runs < 2 || spent < Duration::from_millis(500) {
        encoders.encode(&text)?;
        runs += 1;
        spent = platform::process_cpu_time().saturating_sub(start);
    }
    Ok((runs * n_tokens) as f64 / spent.as_secs_f64().max(1e-6))
}

/// Return the length of the first text's vector as the model gives it; `None` for a sparse model.
fn norm(encoders: &mut Encoders) -> Result<Option<f64>, EncodeError> {
    let text = encoders.tokenizer.tokenize(TEXTS[0]);
    let windows = text.windows(EncoderKind::Dense);
    let Some((ids, _)) = windows.and_then(|windows| windows.iter().next()) else {
        return Ok(None);
    };
    let vector = match static_table(encoders) {
        Some(table) => table.window(ids),
        None => {
            let session = encoders.dense.as_mut();
            let Some(session) = session.and_then(DenseEncoder::session_mut) else {
                return Ok(None);
            };
            let pooling = session.output.pooling;
            session.run(ids, |output, width| Ok(dense::pool(pooling, output, width)))?
        }
    };
    let squares = vector.iter().map(|v| f64::from(*v).powi(2));
    Ok(Some(squares.sum::<f64>().sqrt()))
}

/// Return advice on the model, for people.
fn advice(model: &Model, pooling: Pooling, around: Option<&Surroundings>) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(around) = around.filter(|around| !around.other_graphs.is_empty()) {
        advice.push(format!(
            "it also has {}: `file` in helix-model.toml chooses another graph",
            around.other_graphs.join(", ")
        ));
    }
    if pooling.logarithms().is_some() {
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
