//! Names of files and folders by which servers and builds recognise the parts of an index.

use std::path::Path;

/// The name by which servers recognise a routing database.
pub const ROUTING_NAME: &str = "main.genome.db";

/// Folder beside the routing database in which our shards lie.
pub const SHARDS_FOLDER: &str = "shards";

/// Return whether the file has the name of a routing database.
pub fn is_routing(database: &Path) -> bool {
    database
        .file_name()
        .is_some_and(|name| name == ROUTING_NAME)
}
