//! Why an index cannot be searched.

use crate::batch::EncoderKind;
use crate::encode::{EncodeError, OtherEncoder};
use crate::store::StoreError;
use crate::store::locate::LocateError;
use crate::store::query::QueryError;

/// One variant for each thing that a caller may do differently. Messages name no flags.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Name another path, or build the index.
    #[error(transparent)]
    NoIndex(#[from] LocateError),
    /// A database is missing, damaged or of another format; [`verify`](crate::verify) tells more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Choose the encoder that the index was built with.
    #[error(transparent)]
    OtherEncoder(Box<OtherEncoder>),
    /// The index does not record its encoders in a form that this version reads: search it with
    /// [`Mode::Lexical`](super::Mode::Lexical), or build it again.
    #[error("the index does not record its encoders in a form that this version reads")]
    UnknownEncoders,
    /// The index was built without these vectors: choose another mode.
    #[error("the index has no {kind} vectors")]
    NoVectors {
        kind: EncoderKind,
        /// The vectors that it has.
        has: Option<EncoderKind>,
    },
    /// The mode needs an encoder and [`ModelSource::None`](crate::profile::encoders::ModelSource::None) is chosen.
    #[error("a {kind} search needs a {kind} encoder, and none is chosen")]
    NoEncoder { kind: EncoderKind },
    /// A model or the runtime cannot be used. [`Mode::Lexical`](super::Mode::Lexical) needs neither.
    #[error(transparent)]
    EncoderUnavailable(EncodeError),
    /// The text of this query cannot be encoded.
    #[error(transparent)]
    Encoding(EncodeError),
    /// The encoder gives this text no vector, such as a text without any word that it knows.
    #[error("the {kind} encoder knows no word of the text, or there is no such encoder")]
    NoQueryVector { kind: EncoderKind },
    /// Nothing of the text can be searched for, such as only signs.
    #[error("the text has no words to search for")]
    NoWords,
    /// A [`Filter`](super::Filter) names a shard that the index does not have.
    #[error("the index has no shard `{label}`")]
    NoShard { label: String, known: Vec<String> },
    /// A [`Filter`](super::Filter) names a language in which the index has no file.
    #[error("the index has no file in `{language}`")]
    NoLanguage {
        language: String,
        known: Vec<String>,
    },
    /// [`Scope::Routed`](super::Scope::Routed) of an index without a routing database.
    #[error("only a sharded index routes queries; ask this one without routing")]
    NotRouted,
}

impl From<QueryError> for SearchError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Store(error) => Self::Store(error),
            QueryError::NoVector { kind } => Self::NoQueryVector { kind },
            QueryError::NoWords => Self::NoWords,
            QueryError::NoShard { label, known } => Self::NoShard { label, known },
            QueryError::NoLanguage { language, known } => Self::NoLanguage { language, known },
            QueryError::NotRouted => Self::NotRouted,
        }
    }
}
