//! `serve`: answers requests over an index until it is asked to end.
//!
//! [`serve`](crate::serve) does the work. Never writes.

use super::index_choice;
use super::output;
use super::query::failed;
use super::settings;
use crate::cli::{GlobalFlags, ServeArgs};
use crate::exit_code::{Exit, ExitCode};
use crate::search::{ModelInfo, SearchError};
use crate::serve::{EncoderServer, Listening, ServeError, serve_encoders, serve_mcp};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

const USAGE: &str = "serve INDEX";

pub fn run(args: &ServeArgs, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
    let encoders = settings::encoder_choice(&args.models)?;
    let named = args.index.as_deref();
    let Some(address) = args.encoders else {
        let index = index_choice::choose(named, USAGE)?;
        // A wrong path ends the program now; an agent would not show the reason before its first search.
        crate::store::locate::locate(&index)
            .map_err(|error| index_choice::not_found(&index, error))?;
        serve_mcp(index, encoders).map_err(explained)?;
        return Ok(ExitCode::Success);
    };
    refuse_remote(address, args.allow_remote)?;
    let index = index_choice::choose_if_any(named, USAGE)?;
    if index.is_none() {
        settings::require_encoder(&encoders)?;
    }
    let server = EncoderServer {
        index,
        encoders,
        address,
    };
    let announce = |listening: &Listening| announce(listening, server.index.as_deref(), global);
    serve_encoders(&server, announce).map_err(explained)?;
    Ok(ExitCode::Success)
}

fn refuse_remote(address: SocketAddr, is_allowed: bool) -> anyhow::Result<()> {
    if address.ip().is_loopback() || is_allowed {
        return Ok(());
    }
    let text = format!(
        "--encoders {address}: other machines could reach this address; add --allow-remote if they should"
    );
    Err(Exit::error(ExitCode::Usage, text))
}

/// Print where the server listens. A standard output that nobody reads is no reason to end.
fn announce(listening: &Listening, index: Option<&Path>, global: &GlobalFlags) {
    let name = |model: &Option<ModelInfo>| model.as_ref().map(|model| model.name.clone());
    let dim = listening.dense.as_ref().map(|model| model.dim);
    let (sparse, dense) = (name(&listening.sparse), name(&listening.dense));
    let url = format!("http://{}", listening.address);
    let _ = output::text(|out| {
        if global.json {
            let line = serde_json::json!({"url": url, "sparse": sparse, "dense": dense, "dense_dim": dim,
                "index": index.map(|index| index.display().to_string())});
            return output::json_line(out, "listening", &line);
        }
        let sparse = sparse.as_deref().unwrap_or("none");
        let dense = match (&dense, dim) {
            (Some(name), Some(dim)) => format!("{name}, {dim} dimensions"),
            _ => "none".to_owned(),
        };
        let at = match index {
            Some(index) => format!("of {} at {url}", index.display()),
            None => format!("at {url}, without an index"),
        };
        writeln!(out, "encoders {at} (sparse: {sparse}; dense: {dense})")
    });
}

fn explained(error: ServeError) -> anyhow::Error {
    match error {
        // Encoders have no modes: an index without those that it was built with cannot be served.
        ServeError::Index(error @ SearchError::UnknownEncoders) => Exit::error(
            ExitCode::FingerprintMismatch,
            format!("{error}: build the index again"),
        ),
        ServeError::Index(SearchError::EncoderUnavailable(error)) => {
            Exit::error(ExitCode::Unavailable, error.to_string())
        }
        ServeError::Index(error) => failed(error),
        ServeError::NoVectors => Exit::error(
            ExitCode::Usage,
            "the index has no vectors: build it with encoders, or serve it with --mcp",
        ),
        ServeError::Listen { .. } => Exit::error(
            ExitCode::Unavailable,
            format!("{error}; choose another port"),
        ),
        error => error.into(),
    }
}
