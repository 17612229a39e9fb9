//! Why an index cannot be served.

use crate::search::SearchError;
use std::io;
use std::net::SocketAddr;

/// One variant for each thing that a caller may do differently.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The index or its encoders cannot be used.
    #[error(transparent)]
    Index(#[from] SearchError),
    /// The index was built without any encoder: there is nothing to serve.
    #[error("the index has no vectors")]
    NoVectors,
    /// Choose another address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    /// The system gives no threads, signals or streams.
    #[error("starting the server: {0}")]
    System(#[from] io::Error),
    /// The other end of standard input and output does not speak the protocol.
    #[error("standard input: {0}")]
    Protocol(String),
}
