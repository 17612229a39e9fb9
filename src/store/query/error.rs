//! Why a query was not answered.

use crate::batch::EncoderKind;
use crate::store::error::StoreError;

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A database is missing or broken; `verify` tells more.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a {kind} query needs a {kind} vector, and the index or the encoder has none")]
    NoVector { kind: EncoderKind },
    /// A filter names a shard that the index does not have.
    #[error("the index has no shard `{label}`")]
    NoShard { label: String, known: Vec<String> },
    /// A filter names a language in which the index has no file.
    #[error("the index has no file in `{language}`")]
    NoLanguage {
        language: String,
        known: Vec<String>,
    },
    #[error("only a sharded index routes queries; ask this one without routing")]
    NotRouted,
}
