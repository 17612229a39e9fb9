//! Why a query was not answered.

use crate::batch::EncoderKind;
use crate::store::error::StoreError;

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A database is missing or broken; `verify` tells more.
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the text has no words to search for")]
    NoWords,
    #[error("the {kind} encoder knows no word of the text, or there is no such encoder")]
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
