//! Dense vectors of texts: a session and its output pooled over windows, tables, or a server.

use super::builtin::DenseTables;
use super::dense;
use super::encoder::{Encoder, Metered, Raw, RunsSession};
use super::error::EncodeError;
use super::meter::{Meter, without_tables};
use super::model::{Model, Pooling, TableFile};
use super::output::TextOutput;
use super::server::Sent;
use super::session::{BatchEvent, ModelSession, SessionConfig};
use super::sparse;
use super::static_table::StaticTable;
use super::text::{TokenizedText, Windows};
use super::tokenizer::Tokenizer;
use crate::batch::EncoderKind;
use crate::vector::DenseVector;
use ort::environment::Environment;

pub(super) type DenseEncoder = Encoder<DenseSession, TableDense>;

pub(super) type RawDense = Raw<Option<DenseVector>, DenseWindows>;

/// The vectors that batches gave, and what it takes to make vectors of texts of them.
pub(super) struct DenseWindows {
    /// One for each window, in the order of texts and windows.
    vectors: Vec<Vec<f32>>,
    /// Numbers of a text's vector.
    dim: usize,
}

impl DenseEncoder {
    /// Run over the texts.
    pub fn run(
        &mut self,
        texts: &[&TokenizedText],
        sent: Sent,
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<RawDense, EncodeError> {
        match self {
            Self::Session(encoder) => encoder.run(&windows_of(texts), observe),
            Self::Tables(encoder) => {
                let vectors = encoder.encode_many(&windows_of(texts), observe)?;
                Ok(Raw::Vectors(vectors))
            }
            Self::Server(encoder) => Ok(Raw::Vectors(encoder.dense(texts, sent, observe)?)),
        }
    }
}

impl RawDense {
    /// Return one vector for each text; `None` for a text without a direction. `texts` are those of [`DenseEncoder::run`].
    pub fn finish(self, texts: &[&TokenizedText]) -> Vec<Option<DenseVector>> {
        match self {
            Self::Vectors(vectors) => vectors,
            Self::Windows(DenseWindows { vectors, dim }) => {
                let mut vectors = vectors.into_iter();
                let windows = windows_of(texts).into_iter();
                windows
                    .map(|windows| combine(windows, &mut vectors, dim))
                    .collect()
            }
        }
    }
}

fn windows_of<'t>(texts: &[&'t TokenizedText]) -> Vec<&'t Windows> {
    let texts = texts.iter();
    texts
        .filter_map(|text| text.windows(EncoderKind::Dense))
        .collect()
}

impl RunsSession for DenseSession {
    fn session(&self) -> &ModelSession {
        &self.session
    }

    fn session_mut(&mut self) -> &mut ModelSession {
        &mut self.session
    }
}

impl Metered for TableDense {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

/// A model of tables: the built-in one, or a static one of the user.
pub(super) struct TableDense {
    tables: Tables,
    dim: usize,
    meter: Meter,
}

enum Tables {
    BuiltIn(DenseTables),
    Static(StaticTable),
}

impl TableDense {
    /// Find the tables of the built-in model in its graph's file.
    ///
    /// # Errors
    /// `ModelBad` if it has none.
    pub fn built_in(model: &Model, file: &'static [u8]) -> Result<Self, EncodeError> {
        let tables = DenseTables::new(file, model.max_len);
        let tables = tables.ok_or_else(|| without_tables(model))?;
        Ok(Self::new(model, Tables::BuiltIn(tables)))
    }

    /// Read the table of a static model.
    ///
    /// # Errors
    /// As [`StaticTable::read`].
    pub fn read(
        model: &Model,
        file: &TableFile,
        tokenizer: &Tokenizer,
    ) -> Result<Self, EncodeError> {
        let table = StaticTable::read(model, file, tokenizer)?;
        Ok(Self::new(model, Tables::Static(table)))
    }

    fn new(model: &Model, tables: Tables) -> Self {
        Self {
            tables,
            dim: model.dim.unwrap_or(usize::MAX),
            meter: Meter::new(model),
        }
    }

    /// The table of a static model; `None` for the built-in one.
    pub fn static_table(&self) -> Option<&StaticTable> {
        match &self.tables {
            Tables::BuiltIn(_) => None,
            Tables::Static(table) => Some(table),
        }
    }

    /// The model's name, for messages.
    pub fn name(&self) -> &str {
        self.meter.name()
    }

    fn encode_many(
        &mut self,
        texts: &[&Windows],
        observe: &dyn Fn(BatchEvent),
    ) -> Result<Vec<Option<DenseVector>>, EncodeError> {
        let Self { tables, dim, meter } = self;
        let encode = |windows: &&Windows| {
            meter.text(windows, observe, || {
                let mut vectors = Vec::with_capacity(windows.iter().len());
                for (ids, n_tokens) in windows.iter() {
                    let vector = match tables {
                        Tables::BuiltIn(tables) => tables.window(ids),
                        Tables::Static(table) => table.window(ids),
                    };
                    check_finite(&vector, n_tokens)?;
                    vectors.push(vector);
                }
                Ok(combine(windows, &mut vectors.into_iter(), *dim))
            })
        };
        texts.iter().map(encode).collect()
    }
}

/// A model that ONNX Runtime runs.
pub(super) struct DenseSession {
    pub session: ModelSession,
    dim: usize,
}

impl DenseSession {
    pub fn open(
        environment: &Environment,
        model: &Model,
        tokenizer: &Tokenizer,
        config: SessionConfig,
    ) -> Result<Self, EncodeError> {
        let n_terms = tokenizer.vocabulary_len();
        let session = ModelSession::open(environment, model, n_terms, config, tokenizer.pad)?;
        let dim = model.dim.unwrap_or(session.width);
        if session.width < dim {
            let reason = format!("its vectors have {} numbers, not {dim}", session.width);
            return Err(EncodeError::bad(EncoderKind::Dense, &model.name, reason));
        }
        Ok(Self { session, dim })
    }

    fn run(
        &mut self,
        texts: &[&Windows],
        observe: &dyn Fn(BatchEvent),
    ) -> Result<RawDense, EncodeError> {
        let pooling = self.session.output.pooling;
        if !self.session.is_batched() {
            let encode = |windows: &&Windows| {
                let mut vectors = Vec::new();
                let before = self.session.busy();
                observe(self.session.text_begun(windows));
                for (ids, n_tokens) in windows.iter() {
                    let read = |output: &[f32], width| pool(pooling, output, width, n_tokens);
                    vectors.push(self.session.run(ids, read)?);
                }
                observe(self.session.text_done(windows, before));
                Ok(combine(windows, &mut vectors.into_iter(), self.dim))
            };
            let vectors = texts.iter().map(encode);
            return Ok(Raw::Vectors(vectors.collect::<Result<_, _>>()?));
        }
        let windows: Vec<_> = texts.iter().flat_map(|w| w.iter()).collect();
        let ids: Vec<&[i64]> = windows.iter().map(|(ids, _)| *ids).collect();
        let mut vectors = vec![Vec::new(); ids.len()];
        let mut keep = |window: usize, output: TextOutput<'_>| {
            let mut space = Vec::new();
            let (values, width) = output.rows(&mut space);
            vectors[window] = pool(pooling, values, width, windows[window].1)?;
            Ok(())
        };
        self.session.run_many(&ids, &mut keep, observe)?;
        let dim = self.dim;
        Ok(Raw::Windows(DenseWindows { vectors, dim }))
    }
}

/// Combine the next of `vectors`, one for each window of a text, in their order, on which sums of floats depend.
fn combine(
    windows: &Windows,
    vectors: &mut impl Iterator<Item = Vec<f32>>,
    dim: usize,
) -> Option<DenseVector> {
    let n_windows = windows.iter().len();
    let mut sums: Vec<f32> = Vec::new();
    for ((_, n_tokens), vector) in windows.iter().zip(vectors) {
        if n_windows == 1 {
            return DenseVector::normalized(vector, dim);
        }
        sums.resize(vector.len(), 0.0);
        dense::add_direction(&mut sums, &vector, n_tokens as f32);
    }
    DenseVector::normalized(sums, dim)
}

fn pool(
    pooling: Pooling,
    output: &[f32],
    width: usize,
    n_tokens: usize,
) -> Result<Vec<f32>, EncodeError> {
    check_finite(output, n_tokens)?;
    Ok(dense::pool(pooling, output, width))
}

fn check_finite(output: &[f32], n_tokens: usize) -> Result<(), EncodeError> {
    let kind = EncoderKind::Dense;
    match sparse::all_finite(output) {
        true => Ok(()),
        false => Err(EncodeError::BadOutput { kind, n_tokens }),
    }
}
