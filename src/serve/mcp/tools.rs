//! The tools, as agents see them.

use super::reader::Reader;
use super::values::{
    GetArguments, GetResult, SearchArguments, SearchResult, StatusArguments, StatusResult,
};
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use std::sync::{Arc, Mutex, PoisonError};

const INSTRUCTIONS: &str = "\
Searches an index of code and text, by words and by meaning. Call `search` with a question or with names; call `get` with \
the path and lines of a hit to read more of the file as it was indexed; `status` says what the index holds. Paths are \
absolute. The index is only read.";

/// Calls run one at a time on a thread of their own: the index is one.
#[derive(Clone)]
pub struct Tools {
    reader: Arc<Mutex<Reader>>,
}

#[tool_router]
impl Tools {
    pub fn new(reader: Reader) -> Self {
        Self {
            reader: Arc::new(Mutex::new(reader)),
        }
    }

    #[tool(
        description = "Search the index by words and meaning; returns chunks of files with path, lines and text, best first.",
        annotations(title = "Search", read_only_hint = true, open_world_hint = false)
    )]
    async fn search(
        &self,
        Parameters(arguments): Parameters<SearchArguments>,
    ) -> Result<Json<SearchResult>, String> {
        self.read(move |reader| reader.search(&arguments)).await
    }

    #[tool(
        description = "Read a file as it was indexed: its lines, or the outline of its chunks.",
        annotations(title = "Get a file", read_only_hint = true, open_world_hint = false)
    )]
    async fn get(
        &self,
        Parameters(arguments): Parameters<GetArguments>,
    ) -> Result<Json<GetResult>, String> {
        self.read(move |reader| reader.get(&arguments)).await
    }

    #[tool(
        description = "Say what the index holds: folders, files, chunks, encoders, when it was built.",
        annotations(title = "Status", read_only_hint = true, open_world_hint = false)
    )]
    async fn status(
        &self,
        Parameters(arguments): Parameters<StatusArguments>,
    ) -> Result<Json<StatusResult>, String> {
        self.read(move |reader| reader.status(&arguments)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T, String> + Send + 'static,
    ) -> Result<Json<T>, String> {
        let reader = Arc::clone(&self.reader);
        let done = tokio::task::spawn_blocking(move || {
            // A panic leaves at most an open index behind, which the next call checks.
            read(&mut reader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let done = done
            .await
            .map_err(|error| format!("internal error: {error}"))?;
        done.map(Json)
    }
}

#[tool_handler]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let mut about = Implementation::new("helix-build", env!("CARGO_PKG_VERSION"));
        about.title = Some("helix-build index".to_owned());
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(about)
            .with_instructions(INSTRUCTIONS)
    }
}
