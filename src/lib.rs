//! Builds search indexes from folders of code and text, searches them and checks them.
//!
//! An index is one or more SQLite databases. Each file is cut into chunks, and each chunk is stored with its text, tags, a
//! full-text index, a learned-sparse vector and a dense vector. Builds run in worker processes, resume after a crash,
//! and give an index of the same digest for the same input, however many workers run. The `helix-build` program is this
//! library with a command line; another program can build, search and verify in the same way.
//!
//! # The flow
//!
//! ```text
//!  folders                                                         an index
//!  ───────                                                         ────────
//!  Profile ──> BuildRequest ──> engine::build ──────────────────>  main.genome.db, shards/*.genome.db
//!  (which      (output, models,   │                                   │
//!   files)      limits)           ├─ scan     find eligible files     ├─> search::Search    ──> Hit
//!                                 ├─ plan     shards, segments        └─> verify::verify    ──> Report
//!                                 ├─ work     worker processes:
//!                                 │           read, chunk, tag, encode
//!                                 └─ publish  load, check, rename
//!                                 │
//!                                 └──> BuildEvent while it runs, BuildOutcome at the end
//! ```
//!
//! # Example
//!
//! Build an index of a folder, then search it. A build starts worker processes; here this program is its own worker.
//!
//! ```standalone_crate
//! use helix_build::engine::{self, BuildControl, BuildEvent, BuildOutcome, BuildRequest, ProcessCommand};
//! use helix_build::profile::{Profile, encoders::ModelSource};
//! use helix_build::search::{Mode, Scope, Search, SearchOptions};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     if std::env::args().nth(1).as_deref() == Some("worker") {
//!         return Ok(engine::worker::run()?);
//!     }
//!     let folder = tempfile::tempdir()?;
//!     let notes = folder.path().join("notes");
//!     std::fs::create_dir(&notes)?;
//!     std::fs::write(notes.join("zebra.md"), "# Feeding\n\nThe zebra eats twice a day, never after sunset.\n")?;
//!     std::fs::write(notes.join("lion.md"), "# Feeding\n\nThe lion eats once a day, and sleeps after lunch.\n")?;
//!
//!     let mut profile = Profile::of_folder(&notes)?;
//!     // Full text only. Leave these lines out to get the vectors of the embedded models, too.
//!     profile.sparse = ModelSource::None;
//!     profile.dense = ModelSource::None;
//!     let output = folder.path().join("index");
//!     let request = BuildRequest::new(profile, &output, ProcessCommand::this_program("worker")?)?;
//!     let outcome = engine::build(&request, &BuildControl::new(), &mut |event| {
//!         if let BuildEvent::ShardPublished { chunks, bytes, .. } = event {
//!             println!("published a shard: {chunks} chunks, {bytes} bytes");
//!         }
//!     })?;
//!     assert!(matches!(outcome, BuildOutcome::Complete(_)));
//!
//!     let mut search = Search::open(&output, SearchOptions::of(Mode::Lexical))?;
//!     let hits = search.query("when does the zebra eat", 3, Scope::Everywhere)?;
//!     println!("{:.3} {}: {}", hits[0].score, hits[0].path, hits[0].text);
//!     assert!(hits[0].path.ends_with("zebra.md"));
//!     Ok(())
//! }
//! ```
//!
//! # Modules
//!
//! - [`profile`]: which folders, and which of their files. From a TOML file or [`Profile::of_folder`](profile::Profile::of_folder).
//! - [`engine`]: a build as a function, from [`BuildRequest`](engine::BuildRequest) to [`BuildOutcome`](engine::BuildOutcome).
//! - [`report`]: the events of a build, its summary and its metrics.
//! - [`search`]: lexical, sparse, dense and hybrid queries.
//! - [`verify`]: checks every row of an index against what can be computed again.
//!
//! docs/architecture.md maps the modules behind these and the layers that hold between them.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the documents are for those who work on the code, and are built with private items"
)]

// The library's interface.
pub mod engine;
pub mod ids;
pub mod profile;
pub mod report;
pub mod search;
pub mod verify;

// Public for the tests and benchmarks of this repository alone, which drive single stages. Their interfaces may change
// with any commit. The engine's own interface exports again what it takes from them.
#[doc(hidden)]
pub mod artifact;
#[doc(hidden)]
pub mod batch;
#[doc(hidden)]
pub mod chunk;
#[doc(hidden)]
pub mod encode;
#[doc(hidden)]
pub mod failure;
#[doc(hidden)]
pub mod file;
#[doc(hidden)]
pub mod language;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod platform;
#[doc(hidden)]
pub mod protocol;
#[doc(hidden)]
pub mod scan;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod tag;
#[doc(hidden)]
pub mod text;

#[doc(hidden)]
pub mod cli;
mod commands;
mod credential;
mod device;
mod evaluation;
#[doc(hidden)]
pub mod exit_code;
mod failpoint;
mod gpu;
mod http;
mod hub;
mod named_file;
mod progress;
mod random;
mod ranking;
mod serve;
mod telemetry;
mod terminal;
#[cfg(test)]
mod test_folder;
mod vector;
mod words;

/// The `helix-build` program, for `src/main.rs`.
#[doc(hidden)]
pub use commands::program::run as program;
