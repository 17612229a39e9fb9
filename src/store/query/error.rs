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
    #[error("only a sharded index routes queries; ask this one without routing")]
    NotRouted,
}
