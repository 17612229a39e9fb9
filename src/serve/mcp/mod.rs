//! An index over the Model Context Protocol, on standard input and output.
//!
//! Agents search, read what they found, and ask what the index holds. Nothing is written. A call opens the index again if
//! a build has replaced it.
//!
//! Imports, from the bottom: `lines`, `values`, `arguments`, `reader`, `tools`, this file.

mod arguments;
mod lines;
mod reader;
mod tools;
mod values;

use super::error::ServeError;
use super::runtime;
use crate::platform;
use crate::profile::encoders::EncoderChoice;
use lines::Lines;
use reader::Reader;
use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use std::io::{self, BufReader};
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
        let lines = Lines::open(BufReader::new(io::stdin()), output)?;
        let tools = Tools::new(Reader::new(index, encoders));
        let conversation = async {
            let service = match tools.serve(lines).await {
                Ok(service) => service,
                // The agent has gone before it said anything.
                Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
                Err(error) => return Err(ServeError::Protocol(error.to_string())),
            };
            let ended = service.waiting().await;
            ended.map_err(|error| ServeError::Protocol(error.to_string()))?;
            Ok(())
        };
        tokio::select! {
            ended = conversation => ended,
            () = stop => Ok(()),
        }
    });
    // A search may still run; the process ends without it.
    runtime.shutdown_background();
    served
}
