//! The encoders of a process, and texts encoded by both kinds.

use super::dense_encoder::DenseEncoder;
use super::encoder::Raw;
use super::error::EncodeError;
use super::raw::{Encoded, FinishSpace, RawEncoded};
use super::server::Sent;
use super::server_encoders::ServerEncoder;
use super::session::{BatchEvent, ModelSession, RunCost};
use super::sparse::QUERY_TERMS;
use super::sparse_encoder::{SparseEncoder, with_windows};
use super::table_queries::TableQueries;
use super::text::{TextTokenizer, TokenizedText};
use crate::batch::EncoderKind;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// The loaded encoders of one process. Opening them takes as long as loading the models, so open them once.
pub struct Encoders {
    pub(super) tokenizer: Arc<TextTokenizer>,
    pub(super) sparse: Option<SparseEncoder>,
    pub(super) dense: Option<DenseEncoder>,
    /// Terms of a chunk's sparse vector at most.
    pub(super) document_terms: usize,
    /// Encodes the sparse vectors of queries instead of `sparse`.
    pub(super) query_table: Option<TableQueries>,
    pub(super) device_name: String,
    pub(super) warnings: Vec<EncodeError>,
}

/// What a text is encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRole {
    /// With the query's prefix.
    Query,
    /// As a chunk of a build.
    Passage,
}

/// How both kinds of encoder run over the same texts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Schedule {
    OneAfterTheOther,
    /// One kind runs on a device and the other on the CPU, or a server encodes one of them.
    InParallel,
}

impl Encoders {
    /// Return the tokenizer for texts that these encoders encode. Share it with a thread pool.
    pub fn tokenizer(&self) -> Arc<TextTokenizer> {
        Arc::clone(&self.tokenizer)
    }

    pub fn has_sparse(&self) -> bool {
        self.sparse.is_some()
    }

    pub fn has_dense(&self) -> bool {
        self.dense.is_some()
    }

    /// Return the name of the device that the sessions run on, for people and the ledger.
    pub fn device_name(&self) -> String {
        self.device_name.clone()
    }

    /// Terms of a chunk's sparse vector at most.
    pub fn document_terms(&self) -> usize {
        self.document_terms
    }

    /// Return what is wrong with models that work but whose vectors are useless: every text has the same one.
    pub fn warnings(&self) -> &[EncodeError] {
        &self.warnings
    }

    /// Whether to encode many texts at a time: a kind runs on a device or on a server.
    pub fn is_batched(&self) -> bool {
        self.sessions().any(ModelSession::is_batched) || self.servers().next().is_some()
    }

    /// Release memory whenever the counter `requests` has increased: the next run of each session returns the unused
    /// memory of its arena. After runs of many shapes an arena is larger than any one run needs.
    pub fn on_release_request(&mut self, requests: &Arc<AtomicU32>) {
        let sparse = self.sparse.as_mut().and_then(SparseEncoder::session_mut);
        let dense = self.dense.as_mut().and_then(DenseEncoder::session_mut);
        for session in [sparse, dense].into_iter().flatten() {
            session.on_release_request(requests);
        }
    }

    /// Encode a text tokenized by this instance's [`Self::tokenizer`]. The result depends only on the text, the models and
    /// the kind of processor or device.
    ///
    /// # Errors
    /// `TextRefused`, `RunFailed` and `BadOutput`; retry the second when memory was short.
    pub fn encode(&mut self, text: &TokenizedText) -> Result<Encoded, EncodeError> {
        self.encode_one(text, TextRole::Passage, self.document_terms)
    }

    /// Encode a query, with its prefix and fewer terms.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_query(&mut self, text: &str) -> Result<Encoded, EncodeError> {
        let text = self.tokenizer.tokenize_query(text);
        self.encode_one(&text, TextRole::Query, QUERY_TERMS)
    }

    /// Encode texts tokenized by this instance's [`Self::tokenizer`], in order. On a device their windows run in batches,
    /// and both kinds run in parallel if one of them is on the CPU. On the CPU this equals encoding them one by one.
    /// `observe` is called for each run, from any thread.
    ///
    /// # Errors
    /// As [`Self::encode`]: the first error, which does not say of which text.
    pub fn encode_many(
        &mut self,
        texts: &[&TokenizedText],
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<Vec<Encoded>, EncodeError> {
        let raw = self.run_many(texts, observe)?;
        Ok(raw.finish(texts, &mut FinishSpace::default()))
    }

    /// The first half of [`Self::encode_many`], which needs the encoders: [`RawEncoded::finish`] is the other, for which any
    /// thread will do.
    ///
    /// # Errors
    /// As [`Self::encode_many`].
    pub fn run_many(
        &mut self,
        texts: &[&TokenizedText],
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<RawEncoded, EncodeError> {
        self.run_all(texts, TextRole::Passage, self.document_terms, observe)
    }

    /// Tokenize and encode texts of one role, the sparse vectors with at most `n_terms` terms. In order.
    ///
    /// # Errors
    /// As [`Self::encode_many`].
    pub fn encode_texts(
        &mut self,
        texts: &[&str],
        role: TextRole,
        n_terms: usize,
    ) -> Result<Vec<Encoded>, EncodeError> {
        let tokenizer = self.tokenizer();
        let tokenize = |text: &&str| match role {
            TextRole::Query => tokenizer.tokenize_query(text),
            TextRole::Passage => tokenizer.tokenize(text),
        };
        let tokenized: Vec<TokenizedText> = texts.iter().map(tokenize).collect();
        let tokenized: Vec<&TokenizedText> = tokenized.iter().collect();
        self.encode_all(&tokenized, role, n_terms)
    }

    /// Tokenize and encode a text.
    pub(super) fn encode_text(&mut self, text: &str) -> Result<Encoded, EncodeError> {
        let text = self.tokenizer.tokenize(text);
        self.encode(&text)
    }

    /// Return the session of one kind; `None` without that encoder, and for a built-in one on the CPU.
    pub(super) fn session(&self, kind: EncoderKind) -> Option<&ModelSession> {
        match kind {
            EncoderKind::Sparse => self.sparse.as_ref().and_then(SparseEncoder::session),
            EncoderKind::Dense => self.dense.as_ref().and_then(DenseEncoder::session),
        }
    }

    /// Return the name of the model of one kind, unless tables of this program are the encoder.
    pub(super) fn checked_model(&self, kind: EncoderKind) -> Option<&str> {
        let session = self.session(kind).map(ModelSession::name);
        match (kind, &self.dense) {
            (EncoderKind::Dense, Some(DenseEncoder::Tables(tables))) => {
                tables.static_table().map(|_| tables.name())
            }
            _ => session,
        }
    }

    fn sessions(&self) -> impl Iterator<Item = &ModelSession> {
        let kinds = [EncoderKind::Sparse, EncoderKind::Dense];
        kinds.into_iter().filter_map(|kind| self.session(kind))
    }

    /// The servers that encode.
    pub(super) fn servers(&self) -> impl Iterator<Item = &ServerEncoder> {
        let sparse = self.sparse.as_ref().and_then(SparseEncoder::server);
        let dense = self.dense.as_ref().and_then(DenseEncoder::server);
        sparse.into_iter().chain(dense)
    }

    fn schedule(&self) -> Schedule {
        if self.servers().next().is_some() {
            return Schedule::InParallel;
        }
        let mut batched = self.sessions().map(ModelSession::is_batched);
        match (batched.next(), batched.next()) {
            (Some(sparse), Some(dense)) if sparse != dense => Schedule::InParallel,
            _ => Schedule::OneAfterTheOther,
        }
    }

    fn encode_one(
        &mut self,
        text: &TokenizedText,
        role: TextRole,
        n_terms: usize,
    ) -> Result<Encoded, EncodeError> {
        let encoded = self.encode_all(&[text], role, n_terms)?;
        Ok(encoded.into_iter().next().unwrap_or_default())
    }

    fn encode_all(
        &mut self,
        texts: &[&TokenizedText],
        role: TextRole,
        n_terms: usize,
    ) -> Result<Vec<Encoded>, EncodeError> {
        let raw = self.run_all(texts, role, n_terms, &|_| ())?;
        Ok(raw.finish(texts, &mut FinishSpace::default()))
    }

    fn run_all(
        &mut self,
        texts: &[&TokenizedText],
        role: TextRole,
        n_terms: usize,
        observe: &(dyn Fn(BatchEvent) + Sync),
    ) -> Result<RawEncoded, EncodeError> {
        if let Some(reason) = texts.iter().find_map(|text| text.refused.clone()) {
            return Err(EncodeError::TextRefused { reason });
        }
        let schedule = self.schedule();
        let table = self
            .query_table
            .as_ref()
            .filter(|_| role == TextRole::Query);
        let sent = match role {
            TextRole::Query => Sent::Query,
            TextRole::Passage => Sent::Passage,
        };
        let sparse = self.sparse.as_mut().map(|encoder| {
            move || {
                let raw = match table {
                    Some(table) => Raw::Vectors(table.encode_many(&with_windows(texts), n_terms)),
                    None => encoder.run(texts, (sent, n_terms), observe)?,
                };
                Ok::<_, EncodeError>((raw, encoder.take_cost()))
            }
        });
        let dense = self.dense.as_mut().map(|encoder| {
            move || {
                let raw = encoder.run(texts, sent, observe)?;
                Ok::<_, EncodeError>((raw, encoder.take_cost()))
            }
        });
        let (sparse, dense) = match (sparse, dense, schedule) {
            (Some(sparse), Some(mut dense), Schedule::InParallel) => std::thread::scope(|scope| {
                let sparse = scope.spawn(sparse);
                let dense = dense();
                let sparse = sparse.join().unwrap_or_else(|panic| resume_unwind(panic));
                (Some(sparse), Some(dense))
            }),
            (sparse, dense, _) => (sparse.map(|mut run| run()), dense.map(|mut run| run())),
        };
        let (sparse, sparse_cost) = sparse.transpose()?.unzip();
        let (dense, dense_cost) = dense.transpose()?.unzip();
        let costs: Vec<RunCost> = sparse_cost.into_iter().chain(dense_cost).collect();
        Ok(RawEncoded {
            sparse,
            dense,
            cost: RunCost {
                busy: busy(&costs, schedule),
                run_tokens: costs.iter().map(|cost| cost.run_tokens).sum(),
                padded_tokens: costs.iter().map(|cost| cost.padded_tokens).sum(),
            },
        })
    }
}

/// Return the time during which at least one kind was running.
fn busy(costs: &[RunCost], schedule: Schedule) -> Duration {
    let each = costs.iter().map(|cost| cost.busy);
    match schedule {
        Schedule::InParallel => each.max().unwrap_or_default(),
        Schedule::OneAfterTheOther => each.sum(),
    }
}
