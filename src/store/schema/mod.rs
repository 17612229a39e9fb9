//! Every object of a shard and of the routing database.
//!
//! The names, columns and indexes are the published format, with what later servers (up to 0.11)
//! would add to it: a server that mounts the files adds nothing to them. Tables that only a server fills are created empty. Our own tables carry the
//! prefix `build_`; a server leaves them alone.
//!
//! Tables come before the rows and indexes after them, since an index over finished rows is sorted
//! once instead of being split page by page.

mod common;
mod routing;
mod server;
mod shard;

pub use common::{COMMON_INDEXES, COMMON_TABLES, INSERT_LOCAL_ORG};
pub use routing::{ROUTING_SCHEMA, ROUTING_WIDENED};
pub use server::{FILL_SYNC_TRACKED, SERVER_INDEXES, SERVER_TABLES};
pub use shard::{
    BUILD_TABLES, DROP_STAGING_TABLES, PATH_KEYS, RELATIONS, SHARD_INDEXES, SHARD_TABLES,
    STAGING_TABLES, STATISTICS,
};

/// `build_meta.format` and `PRAGMA user_version`-like number of our own tables. A shard with
/// another number is built anew.
pub const FORMAT_VERSION: i64 = 4;

/// Bytes in a page of every database we write; the format asks for it.
pub const PAGE_BYTES: u32 = 4096;
