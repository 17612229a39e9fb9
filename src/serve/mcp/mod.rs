//! An index over the Model Context Protocol, on standard input and output.
//!
//! Agents search, read what they found, and ask what the index holds. Nothing is written. A call opens the index again if
//! a build has replaced it.
//!
//! Imports, from the bottom: `values`, `reader`, `tools`, this file.

mod reader;
mod tools;
mod values;

use super::error::ServeError;
use super::runtime;
use crate::platform;
use crate::profile::encoders::EncoderChoice;
use reader::Reader;
use rmcp::ServiceExt as _;
use std::path::PathBuf;
use tools::Tools;

/// Answer calls until standard input ends, or until SIGINT or SIGTERM. The index is opened with the first call; standard
/// output carries nothing but the protocol from now on.
///
/// # Errors
/// [`ServeError::System`] and [`ServeError::Protocol`]. What is wrong with the index is the answer to a call.
pub fn serve_mcp(index: PathBuf, encoders: EncoderChoice) -> Result<(), ServeError> {
    let output = platform::claim_stdout()?;
    let runtime = runtime::runtime()?;
    let served = runtime.block_on(async {
        let stop = runtime::stop_requested()?;
        let streams = (tokio::io::stdin(), tokio::fs::File::from_std(output));
        let tools = Tools::new(Reader::new(index, encoders));
        let conversation = async {
            let service = tools.serve(streams).await;
            let service = service.map_err(|error| ServeError::Protocol(error.to_string()))?;
            let ended = service.waiting().await;
            ended.map_err(|error| ServeError::Protocol(error.to_string()))?;
            Ok(())
        };
        tokio::select! {
            ended = conversation => ended,
            () = stop => Ok(()),
        }
    });
    // A thread may still wait for standard input, which cannot be interrupted.
    runtime.shutdown_background();
    served
}
