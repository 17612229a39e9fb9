//! The encoders of an index, or of no index, over HTTP, as Helix/Cymatix servers ask an encoder daemon.
//!
//! A server needs them to search vectors: it encodes its queries there, and chunks that it adds itself. The protocol is
//! that of `cymatix_context.backends.encoder_client`, version 0.11:
//!
//! - `GET /ready`: 200 with the models, or 503 with the reason while the index cannot be used
//! - `POST /encode/dense` `{"texts": [..], "task": "query" | "passage"}` gives `{"vectors": [[..]]}`, of unit length; zeros
//!   for a text without a direction
//! - `POST /encode/splade` `{"texts": [..], "top_k": n}` gives `{"sparse": [{term: weight}]}`. The protocol does not say
//!   what the texts are; they are encoded as queries, unless `"task": "passage"` says otherwise
//! - everything else is 404; what is wrong with a request is in `{"detail": ..}`. `/encode/sema`, for 20 values along axes
//!   of the server's own, is asked for only with `sema_embed_on_ingest`, which is off by default
//!
//! A client that sends or reads too slowly is given up after a minute, and all requests and answers together take a
//! limited part of the memory.
//!
//! Imports, from the bottom: `stream`, `room`, `lane`, `loaded`, `wire`, `routes`, `connections`, this file.

mod connections;
mod lane;
mod loaded;
mod room;
mod routes;
mod stream;
mod wire;

use super::error::ServeError;
use super::runtime;
use crate::profile::encoders::EncoderChoice;
use crate::search::ModelInfo;
use loaded::Loaded;
use routes::Service;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How often the index is looked at. A rebuild with other models is noticed this late.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct EncoderServer {
    /// A database, a folder that holds one, or the output folder of a build. `None`: the encoders are not those of an index.
    pub index: Option<PathBuf>,
    /// The encoders of the index, or those to serve without one.
    pub encoders: EncoderChoice,
    /// Port 0 takes a free one.
    pub address: SocketAddr,
}

/// A server that accepts requests.
#[derive(Clone, Debug)]
pub struct Listening {
    pub address: SocketAddr,
    /// `None`: the index has no such vectors.
    pub sparse: Option<ModelInfo>,
    pub dense: Option<ModelInfo>,
}

/// Load the encoders, listen, call `started`, and answer until SIGINT or SIGTERM. Requests that have begun are then
/// finished, within ten seconds.
///
/// # Errors
/// See [`ServeError`]; only before `started`.
pub fn serve_encoders(
    server: &EncoderServer,
    started: impl FnOnce(&Listening),
) -> Result<(), ServeError> {
    let runtime = runtime::runtime()?;
    runtime.block_on(async {
        let stop = runtime::stop_requested()?;
        let address = server.address;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| ServeError::Listen { address, source })?;
        let loaded = Loaded::load(server.index.as_deref(), &server.encoders, None)?;
        started(&Listening {
            address: listener.local_addr()?,
            sparse: loaded.info.sparse.clone(),
            dense: loaded.info.dense.clone(),
        });
        let service = Arc::new(Service::new(loaded));
        let watching = tokio::spawn(watch(Arc::clone(&service), server.clone()));
        connections::serve(listener, service, stop).await;
        watching.abort();
        Ok(())
    })
}

/// Look at the index from time to time, and load its encoders again when a build has replaced them.
async fn watch(service: Arc<Service>, server: EncoderServer) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let (service, server) = (Arc::clone(&service), server.clone());
        let looked = tokio::task::spawn_blocking(move || {
            service.renew(server.index.as_deref(), &server.encoders);
        });
        if looked.await.is_err() {
            tracing::error!("looking at the index failed; a rebuild will not be noticed");
            return;
        }
    }
}
