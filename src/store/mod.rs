//! The SQLite store: segments while building, shards and the routing database when done.
//!
//! This is the one module that speaks SQL. A worker's sink writes a [segment], publishing
//! loads segments into a [shard] and [registers](routing) it, and later builds read both
//! back for [what is unchanged](ledger) and for [vectors to reuse](reuse). Callers decide what to build
//! and when to publish. It never writes into a shard after its indexes are
//! built; a server that mounts the shard does.

pub(crate) mod build_meta;
pub(crate) mod chromatin;
pub(crate) mod connect;
pub mod digest;
pub(crate) mod error;
mod fts;
pub mod index;
pub mod inspect;
pub mod ledger;
pub(crate) mod ledger_row;
pub mod locate;
mod maker;
pub mod names;
pub mod ownership;
pub mod paths;
pub mod provenance;
pub mod query;
pub mod registered;
pub mod relations;
pub mod relocate;
pub mod reuse;
mod root;
pub mod routing;
pub mod schema;
pub mod segment;
pub mod shard;
pub mod surroundings;
pub mod transfer;

pub use connect::{
    hash_file, log_beside, most_open_databases, open_read_only, remove_database, remove_log,
    spill_into,
};
pub use error::{StoreError, is_full};

#[cfg(test)]
pub mod tests;
