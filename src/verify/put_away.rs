//! Chunks of ours that a server has moved to its cold tier: on request (`/admin/genes/tombstone`), and when it follows folders
//! and a file is changed or gone. It writes 2 into `chromatin` and `compression_tier`, and the digest covers the latter.
//!
//! What the builder had written there follows from the rules. The digest proves it: the tiers count only if the digest
//! with them is the one that publishing noted.

use super::columns::Promoter;
use crate::file::RelPath;
use crate::profile::recipe::Recipe;
use crate::store::build_meta::meta;
use crate::store::chromatin;
use crate::store::digest::{ShardDigest, Tiers, digest_connection, digest_with};
use crate::store::error::StoreError;
use crate::tag::Tags;
use crate::tag::visibility::visibility;
use rusqlite::Connection;
use std::path::Path;

/// Chunks of ours in the cold tier, with the path of the first file that holds them.
const COLD: &str = "
SELECT g.gene_id, g.content, coalesce(g.complement, ''), coalesce(g.promoter, ''), coalesce(g.key_values, '[]'), f.path
FROM (SELECT gene_id, min(file_id) AS file_id FROM build_sources GROUP BY gene_id) AS s
JOIN genes AS g ON g.gene_id = s.gene_id JOIN build_files AS f ON f.file_id = s.file_id
WHERE g.chromatin = 2 AND g.compression_tier = 2";

/// Return the digest of the rows, with the tiers that the builder gave to chunks that a server has put away; none if the digest
/// is not `noted` with them either.
///
/// # Errors
/// Those of reading the database.
pub fn digest(
    connection: &Connection,
    path: &Path,
    noted: Option<&str>,
) -> Result<(ShardDigest, Tiers), StoreError> {
    let found = digest_connection(connection, path)?;
    let is_noted = |found: &ShardDigest| noted == Some(found.digest.to_string().as_str());
    if is_noted(&found) {
        return Ok((found, Tiers::new()));
    }
    let tiers = built(connection, path)?;
    if tiers.is_empty() {
        return Ok((found, tiers));
    }
    let with = digest_with(connection, path, &tiers)?;
    match is_noted(&with) {
        true => Ok((with, tiers)),
        false => Ok((found, Tiers::new())),
    }
}

/// Return the chunks whose tier is 2 and, by the rules, was not, with the tier that the rules give them.
///
/// # Errors
/// Those of reading the database.
pub fn built(connection: &Connection, path: &Path) -> Result<Tiers, StoreError> {
    let recipe: String = meta(connection, path, "recipe")?;
    // What does not parse is told by other checks.
    let Ok(recipe) = serde_json::from_str::<Recipe>(&recipe) else {
        return Ok(Tiers::new());
    };
    let read = || -> rusqlite::Result<Tiers> {
        let mut statement = connection.prepare(COLD)?;
        let mut rows = statement.query([])?;
        let mut tiers = Tiers::new();
        while let Some(row) = rows.next()? {
            let (text, extract): (String, String) = (row.get(1)?, row.get(2)?);
            let (promoter, key_values): (String, String) = (row.get(3)?, row.get(4)?);
            let promoter: Promoter = serde_json::from_str(&promoter).unwrap_or_default();
            let file: String = row.get(5)?;
            let Some(file) = RelPath::from_spelling(&file) else {
                continue;
            };
            let tags = Tags {
                domains: promoter.domains,
                entities: promoter.entities,
                key_values: serde_json::from_str(&key_values).unwrap_or_default(),
                extract,
                ..Tags::default()
            };
            let tier = chromatin::of(visibility(&file, &recipe, &tags, &text));
            if tier != 2 {
                tiers.insert(row.get(0)?, tier);
            }
        }
        Ok(tiers)
    };
    read().map_err(StoreError::sql(path))
}
