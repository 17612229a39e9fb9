//! Shows what an index holds of a shard, a file or a chunk, as plain values to print or serialise.
//!
//! Reads only. For people and scripts that ask why a search found something, or did not; nothing in
//! the build depends on it.

mod chunk;
mod each;
mod file;
mod shard;

#[cfg(test)]
mod tests;

pub use chunk::{ChunkView, TermView, inspect_chunk};
pub use file::{FileChunkView, FileView, inspect_file, lines_of};
pub use shard::{
    ContentsView, RootView, SegmentView, ShardView, TableView, inspect_contents, inspect_shards,
};
