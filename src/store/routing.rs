//! The routing database: which shards there are, and which chunks and sources each holds.
//!
//! Registering a shard reads everything from the shard itself, so it can be redone at any time, and
//! replaces what was known of it in one durable transaction. A server may have the database open
//! meanwhile. Rows that servers keep in other tables are left alone.

use super::build_meta::{check_format, digest_of, meta};
use super::connect::{self, Log, open_read_only};
use super::digest::ContentDigest;
use super::error::StoreError;
use super::registered::{BuildRecord, RegisteredShard, read_registered};
use super::{schema, transfer};
use crate::ids::FileHash;
use crate::report::marks::ATTEMPT;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Row, Statement, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Under which a server lists a shard: the closed set of the format's `shards.category`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShardCategory {
    Participant,
    Agent,
    /// What is built from files.
    #[default]
    Reference,
    Org,
    Cold,
}

impl ShardCategory {
    const ALL: [Self; 5] = [
        Self::Participant,
        Self::Agent,
        Self::Reference,
        Self::Org,
        Self::Cold,
    ];

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Participant => "participant",
            Self::Agent => "agent",
            Self::Reference => "reference",
            Self::Org => "org",
            Self::Cold => "cold",
        }
    }
}

/// The routing database, open for registering.
#[derive(Debug)]
pub struct RoutingDb {
    conn: Connection,
    /// The file that is open: the database itself, or its copy in a scratch folder.
    path: PathBuf,
    /// Where the copy goes at the end.
    target: Option<PathBuf>,
    category: ShardCategory,
}

impl RoutingDb {
    /// Open the database at `path`, creating what is missing. `epoch` (seconds since 1970) dates
    /// the one row that a new one holds.
    pub fn open_or_create(path: &Path, epoch: f64) -> Result<Self, StoreError> {
        let mut conn = connect::open_shared(path).map_err(damaged)?;
        let create = |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(schema::COMMON_TABLES)?;
            transaction.execute_batch(schema::COMMON_INDEXES)?;
            transaction.execute_batch(schema::ROUTING_SCHEMA)?;
            for column in schema::ROUTING_WIDENED {
                if !transaction.column_exists(None, "participants", column)? {
                    let sql = format!("ALTER TABLE participants ADD COLUMN {column} TEXT");
                    transaction.execute_batch(&sql)?;
                }
            }
            transaction.execute(schema::INSERT_LOCAL_ORG, [epoch])?;
            transaction.commit()
        };
        create(&mut conn)
            .map_err(StoreError::sql(path))
            .map_err(damaged)?;
        Ok(Self {
            conn,
            path: path.to_path_buf(),
            target: None,
            category: ShardCategory::default(),
        })
    }

    /// Do the same with a copy in the folder `scratch`, which [`Self::finish`] puts in place: SQLite's log needs locks and
    /// shared memory, which shared file systems may not have. A database that a program has open is opened itself.
    pub fn open_or_create_in(scratch: &Path, path: &Path, epoch: f64) -> Result<Self, StoreError> {
        if Log::beside(path) != Log::None {
            return Self::open_or_create(path, epoch);
        }
        let copy = scratch.join(path.file_name().unwrap_or_default());
        connect::remove_database(&copy)?;
        match std::fs::copy(path, &copy) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(StoreError::io(path)(error));
            }
            _ => {}
        }
        let opened = Self::open_or_create(&copy, epoch)?;
        let target = Some(path.to_path_buf());
        Ok(Self { target, ..opened })
    }

    /// Open the database of an index that is there.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, StoreError> {
        drop(open_read_only(path)?);
        Ok(Self {
            conn: connect::open_shared(path).map_err(damaged)?,
            path: path.to_path_buf(),
            category: ShardCategory::default(),
            target: None,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.conn
    }

    /// Return the category under which servers list what is registered from now on.
    #[must_use]
    pub fn with_category(mut self, category: ShardCategory) -> Self {
        self.category = category;
        self
    }

    /// Write the shard at `shard`, which is absolute, and the rows of its chunks. Everything comes
    /// from the shard but the hash of its file, which is known while no server has written to it.
    pub fn register(
        &mut self,
        shard: &Path,
        file_hash: Option<FileHash>,
    ) -> Result<(), StoreError> {
        let source = open_read_only(shard)?;
        check_format(&source, shard)?;
        let build = BuildRecord {
            fingerprint: digest_of(&source, shard, "fingerprint")?,
            digest: digest_of(&source, shard, "digest")?,
            content: ContentDigest::from_digest(digest_of(&source, shard, "content_digest")?),
            file_hash,
        };
        let bytes = std::fs::metadata(shard)
            .map_err(StoreError::io(shard))?
            .len();
        let entry = Entry {
            name: meta(&source, shard, "label")?,
            path: shard,
            epoch: meta(&source, shard, "epoch")?,
            bytes: bytes as i64,
            category: self.category.as_str(),
            metadata: build.to_metadata(),
        };
        entry
            .replace(&mut self.conn, &source)
            .map_err(StoreError::sql(&self.path))
    }

    /// Remove every shard that `keep` refuses, with its rows. The shards' files are not touched.
    pub fn unregister(
        &mut self,
        keep: impl Fn(&RegisteredShard) -> bool,
    ) -> Result<(), StoreError> {
        let gone: Vec<String> = self
            .shards()?
            .into_iter()
            .filter(|shard| !keep(shard))
            .map(|shard| shard.name)
            .collect();
        let remove = |conn: &mut Connection| {
            let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for name in &gone {
                delete_rows(&transaction, name)?;
                transaction.execute("DELETE FROM shards WHERE shard_name = ?1", [name])?;
            }
            transaction.commit()
        };
        remove(&mut self.conn).map_err(StoreError::sql(&self.path))
    }

    /// Return the registered shards, in the order of their names.
    pub fn shards(&self) -> Result<Vec<RegisteredShard>, StoreError> {
        let place = self.target.as_ref().unwrap_or(&self.path);
        let folder = place.parent().unwrap_or(Path::new(""));
        read_registered(&self.conn, folder).map_err(StoreError::sql(&self.path))
    }

    /// Fold the log into the file. Without a server that has the database open, nothing is left
    /// beside it.
    pub fn finish(self) -> Result<(), StoreError> {
        let failed = StoreError::sql(&self.path);
        let busy: bool = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(&failed)?;
        if busy {
            return Err(StoreError::Busy {
                path: self.path.clone(),
            });
        }
        self.conn.close().map_err(|(_, error)| failed(error))?;
        let Some(target) = &self.target else {
            return Ok(());
        };
        transfer::put(&self.path, target, |n| attempt_beside(target, n))?;
        connect::remove_database(&self.path)
    }
}

/// Return the name of a temporary file beside a database, from a number.
pub fn attempt_beside(database: &Path, number: u64) -> PathBuf {
    connect::sidecar(database, &format!("{ATTEMPT}{number}-0"))
}

/// Say what to do with a routing database that cannot be read: no build replaces it, since others keep rows in it.
fn damaged(error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt { path, detail } => StoreError::corrupt(
            &path,
            format!(
                "{detail}; move it away, with its -wal and -shm, and run the build again, which registers the shards anew"
            ),
        ),
        error => error,
    }
}

/// A row of `shards` about to be written.
struct Entry<'a> {
    name: String,
    path: &'a Path,
    epoch: f64,
    bytes: i64,
    category: &'static str,
    metadata: String,
}

impl Entry<'_> {
    fn replace(&self, conn: &mut Connection, shard: &Connection) -> rusqlite::Result<()> {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        delete_rows(&transaction, &self.name)?;
        let mut fingerprint = transaction.prepare(INSERT_FINGERPRINT)?;
        let mut source = transaction.prepare(INSERT_SOURCE)?;
        let mut genes = shard.prepare(SELECT_GENES)?;
        let mut rows = genes.query([])?;
        let mut chunks = 0;
        while let Some(row) = rows.next()? {
            self.insert_fingerprint(&mut fingerprint, row)?;
            self.insert_source(&mut source, row)?;
            chunks += 1;
        }
        drop((fingerprint, source));
        transaction.execute(
            UPSERT_SHARD,
            params![
                self.name,
                self.category,
                self.path.to_string_lossy(),
                self.epoch,
                chunks,
                self.bytes,
                self.metadata
            ],
        )?;
        transaction.commit()
    }

    fn insert_fingerprint(
        &self,
        insert: &mut Statement<'_>,
        row: &Row<'_>,
    ) -> rusqlite::Result<()> {
        let (domains, entities) = routing_words(
            row.get_ref(2)?.as_str_or_null()?.unwrap_or("{}"),
            row.get_ref(3)?.as_str_or_null()?.unwrap_or("[]"),
        );
        let is_fragment: bool = row.get(5)?;
        insert.raw_bind_parameter(1, ToSqlOutput::Borrowed(row.get_ref(0)?))?;
        insert.raw_bind_parameter(2, &self.name)?;
        insert.raw_bind_parameter(3, ToSqlOutput::Borrowed(row.get_ref(1)?))?;
        insert.raw_bind_parameter(4, domains)?;
        insert.raw_bind_parameter(5, entities)?;
        insert.raw_bind_parameter(6, ToSqlOutput::Borrowed(row.get_ref(4)?))?;
        insert.raw_bind_parameter(7, !is_fragment)?;
        insert.raw_bind_parameter(8, self.epoch)?;
        insert.raw_execute().map(drop)
    }

    fn insert_source(&self, insert: &mut Statement<'_>, row: &Row<'_>) -> rusqlite::Result<()> {
        insert.raw_bind_parameter(1, ToSqlOutput::Borrowed(row.get_ref(0)?))?;
        insert.raw_bind_parameter(2, &self.name)?;
        insert.raw_bind_parameter(3, ToSqlOutput::Borrowed(row.get_ref(1)?))?;
        for column in 6..12 {
            insert.raw_bind_parameter(column - 2, ToSqlOutput::Borrowed(row.get_ref(column)?))?;
        }
        insert.raw_bind_parameter(10, self.epoch)?;
        insert.raw_execute().map(drop)
    }
}

const UPSERT_SHARD: &str = "
INSERT INTO shards
    (shard_name, category, path, created_at, updated_at, gene_count, byte_size, health, metadata)
VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, 'ok', ?7)
ON CONFLICT (shard_name) DO UPDATE SET
    category = excluded.category, path = excluded.path, updated_at = excluded.updated_at,
    gene_count = excluded.gene_count, byte_size = excluded.byte_size, health = 'ok',
    metadata = excluded.metadata";

const INSERT_FINGERPRINT: &str = "
INSERT INTO fingerprint_index
    (gene_id, shard_name, source_id, domains, entities, key_values, is_parent, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const INSERT_SOURCE: &str = "
INSERT INTO source_index
    (gene_id, shard_name, source_id, repo_root, source_kind, observed_at, mtime, content_hash,
     last_verified_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Every chunk of the shard, those that a server added included: all of them must route. In the order of their ids, which
/// are hashes and begin the primary keys of both tables: rows in another order hit pages all over two indexes, again and
/// again. 50,000 rows more in a database of a million took 2.9 instead of 5.4 CPU seconds (`tools/scale_routing.py`). The
/// shard is read through its own index, which costs less than sorting its rows: its pages are in memory, since it was just
/// written or hashed.
const SELECT_GENES: &str = "
SELECT g.gene_id, g.source_id, g.promoter, r.terms, g.key_values, coalesce(g.is_fragment, 0),
       g.repo_root, g.source_kind, g.observed_at, g.mtime, g.content_hash, g.last_verified_at
FROM genes AS g LEFT JOIN build_routes AS r ON r.gene_id = g.gene_id
ORDER BY g.gene_id";

fn delete_rows(conn: &Connection, shard: &str) -> rusqlite::Result<()> {
    conn.execute(
        "DELETE FROM fingerprint_index WHERE shard_name = ?1",
        [shard],
    )?;
    conn.execute("DELETE FROM source_index WHERE shard_name = ?1", [shard])?;
    Ok(())
}

/// JSON arrays of a chunk's domains, and of its entities followed by its routing words. Readers look
/// for a word between its quotes, ignoring ASCII case, so a word is listed once and not escaped.
fn routing_words(promoter: &str, routes: &str) -> (String, String) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Promoter {
        domains: Vec<String>,
        entities: Vec<String>,
    }
    // Rows that a server wrote may hold anything; they then route by what can be read.
    let promoter: Promoter = serde_json::from_str(promoter).unwrap_or_default();
    let routes: Vec<String> = serde_json::from_str(routes).unwrap_or_default();
    let mut words = promoter.entities;
    for route in routes {
        if !words.iter().any(|word| word.eq_ignore_ascii_case(&route)) {
            words.push(route);
        }
    }
    (json(&promoter.domains), json(&words))
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("strings and lists always have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routing_words_are_listed_once_and_unescaped() {
        let (domains, entities) = routing_words(
            r#"{"domains":["Käse"],"entities":["Parser","io"],"other":1}"#,
            r#"["parser","naïve"]"#,
        );
        assert_eq!(domains, r#"["Käse"]"#);
        assert_eq!(entities, r#"["Parser","io","naïve"]"#);
        assert_eq!(routing_words("not json", "[]"), ("[]".into(), "[]".into()));
    }
}
