//! Absolute paths of an index, rewritten.
//!
//! A shard is rewritten in a copy that the caller moves into place, the routing database in one transaction. Everything
//! else of the rows stays, so digests do: no digest covers an absolute path.

use super::build_meta::{check_format, roots_of};
use super::connect::{close_as_wal, open_owned, open_read_only, open_shared};
use super::error::StoreError;
use super::registered::RegisteredShard;
use super::root::Root;
use super::routing::RoutingDb;
use crate::ids::FileHash;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A root that has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedRoot {
    pub label: String,
    /// Absolute, as the index spells it.
    pub from: String,
    pub to: String,
}

/// Where a registered shard lies, and the hash of its file.
pub struct Placed {
    pub label: String,
    pub path: PathBuf,
    pub hash: FileHash,
}

/// Return a path of the index at its new place; `None` if it lies below no root that has moved. Of nested roots the
/// innermost counts.
pub fn moved(roots: &[MovedRoot], path: &str) -> Option<String> {
    let below = roots.iter().filter_map(|root| {
        let rest = path.strip_prefix(root.from.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then_some((root, rest))
    });
    let (root, rest) = below.min_by_key(|(_, rest)| rest.len())?;
    Some(format!("{}{rest}", root.to.trim_end_matches('/')))
}

/// Return the roots of the shard at `path`.
pub fn roots(path: &Path) -> Result<Vec<Root>, StoreError> {
    let connection = open_read_only(path)?;
    check_format(&connection, path)?;
    roots_of(&connection).map_err(StoreError::sql(path))
}

/// Return the roots of a shard that have moved and are still where they were.
pub fn outdated(roots: &[MovedRoot], path: &Path) -> Result<Vec<MovedRoot>, StoreError> {
    let known = self::roots(path)?;
    let is_here = |root: &&MovedRoot| {
        let is_it = |known: &Root| known.label == root.label && known.path == root.from;
        root.from != root.to && known.iter().any(is_it)
    };
    Ok(roots.iter().filter(is_here).cloned().collect())
}

/// Fold the log of a server that was killed into its database.
///
/// # Errors
/// [`StoreError::Busy`] while a server has the database open.
pub fn fold_log(path: &Path) -> Result<(), StoreError> {
    let connection = open_shared(path)?;
    let busy: bool = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(StoreError::sql(path))?;
    let closed = connection.close();
    closed.map_err(|(_, error)| StoreError::sql(path)(error))?;
    match busy || super::log_beside(path).is_some() {
        true => Err(StoreError::Busy {
            path: path.to_path_buf(),
        }),
        false => Ok(()),
    }
}

/// Rewrite the paths of a shard, which no other process has open.
pub fn rewrite(path: &Path, roots: &[MovedRoot]) -> Result<(), StoreError> {
    let mut connection = open_owned(path)?;
    let write = |connection: &mut Connection| {
        register(connection, roots)?;
        let transaction = connection.transaction()?;
        for root in roots {
            transaction.execute(
                "UPDATE build_roots SET path = ?3 WHERE label = ?1 AND path = ?2",
                params![root.label, root.from, root.to],
            )?;
        }
        transaction.execute_batch(
            "UPDATE genes SET source_id = moved(source_id) WHERE moved(source_id) IS NOT NULL;
             UPDATE sync_tracked SET path = coalesce(moved(path), path), root = coalesce(moved(root), root)
             WHERE moved(path) IS NOT NULL OR moved(root) IS NOT NULL;",
        )?;
        transaction.commit()
    };
    write(&mut connection).map_err(StoreError::sql(path))?;
    close_as_wal(connection, path)
}

/// Make the SQL function `moved` known: [`moved`], NULL for what stays.
fn register(connection: &Connection, roots: &[MovedRoot]) -> rusqlite::Result<()> {
    let roots = roots.to_vec();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("moved", 1, flags, move |context| {
        let path = context.get_raw(0).as_str_or_null().ok().flatten();
        Ok(path.and_then(|path| moved(&roots, path)))
    })
}

impl RoutingDb {
    /// Return whether all of these are registered where they lie, with the hash of their files.
    pub fn has_placed(&self, shards: &[Placed]) -> Result<bool, StoreError> {
        let known = self.shards()?;
        let is_it = |placed: &Placed, known: &RegisteredShard| {
            let hash = known.build.and_then(|build| build.file_hash);
            known.name == placed.label
                && known.recorded_path == placed.path
                && hash == Some(placed.hash)
        };
        Ok(shards
            .iter()
            .all(|placed| known.iter().any(|known| is_it(placed, known))))
    }

    /// Rewrite the paths of these shards and of their chunks, in one durable transaction.
    pub fn relocate(&mut self, shards: &[Placed], roots: &[MovedRoot]) -> Result<(), StoreError> {
        let known = self.shards()?;
        let path = self.path().to_path_buf();
        let mut rows = Vec::new();
        for placed in shards {
            let known = known.iter().find(|known| known.name == placed.label);
            let Some(mut build) = known.and_then(|known| known.build) else {
                continue;
            };
            build.file_hash = Some(placed.hash);
            let bytes = std::fs::metadata(&placed.path)
                .map_err(StoreError::io(&placed.path))?
                .len();
            let place = placed.path.to_str().ok_or_else(|| {
                StoreError::corrupt(&placed.path, "the path is not Unicode, as servers need it")
            })?;
            rows.push((
                placed.label.clone(),
                place.to_owned(),
                bytes as i64,
                build.to_metadata(),
            ));
        }
        let write = |connection: &mut Connection| {
            register(connection, roots)?;
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (label, place, bytes, metadata) in &rows {
                transaction.execute(
                    "UPDATE shards SET path = ?2, byte_size = ?3, metadata = ?4 WHERE shard_name = ?1",
                    params![label, place, bytes, metadata],
                )?;
                for table in ["fingerprint_index", "source_index"] {
                    let sql = format!(
                        "UPDATE {table} SET source_id = moved(source_id)
                         WHERE shard_name = ?1 AND moved(source_id) IS NOT NULL"
                    );
                    transaction.execute(&sql, [label])?;
                }
            }
            transaction.commit()
        };
        write(self.connection()).map_err(StoreError::sql(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_root_moves_a_path() {
        let root = |label: &str, from: &str, to: &str| MovedRoot {
            label: label.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let roots = [
            root("a", "/a", "/x"),
            root("b", "/a/b", "/y"),
            root("c", "/x", "/z"),
        ];
        let of = |path| moved(&roots, path);
        assert_eq!(of("/a/f"), Some("/x/f".to_owned()));
        assert_eq!(of("/a/b/f"), Some("/y/f".to_owned()));
        assert_eq!(of("/a/bc"), Some("/x/bc".to_owned()));
        assert_eq!(of("/a"), Some("/x".to_owned()));
        assert_eq!(of("/x/f"), Some("/z/f".to_owned()));
        assert_eq!(of("/ab/f"), None);
        assert_eq!(of("server:note"), None);
    }
}
