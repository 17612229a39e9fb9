//! Serves an index from one long-lived process: its encoders over HTTP, or searches over MCP.
//!
//! The only module with asynchronous code. It never writes: the index is opened read-only, and it is opened again when a
//! build has replaced it. A process answers one protocol:
//!
//! - [`serve_encoders`]: the encoder protocol of Helix/Cymatix servers, so that these search the index's vectors
//! - [`serve_mcp`]: the Model Context Protocol on standard input and output, for agents
//!
//! Imports, from the bottom: `error`, `stamp`, `runtime`, then `encoders` and `mcp`.

mod encoders;
mod error;
mod mcp;
mod runtime;
mod stamp;

pub use encoders::{EncoderServer, Listening, serve_encoders};
pub use error::ServeError;
pub use mcp::serve_mcp;
