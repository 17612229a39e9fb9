//! Finding what an output path is: a sharded index, a single database, or nothing we know.
//!
//! Reads directory entries, the names of a database's tables and, for a sharded index, the `shards` table of
//! its routing database. Never writes, never opens a registered shard. Used by everything that reads a
//! finished index.

use super::connect::open_read_only;
use super::error::StoreError;
use super::ledger::read_text;
use super::maker::{Maker, maker_of};
use super::surroundings::Surroundings;
use crate::named_file;
use crate::platform;
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

/// The name by which servers recognise a routing database.
pub const ROUTING_NAME: &str = "main.genome.db";

/// Folder beside the routing database in which our shards lie.
pub const SHARDS_FOLDER: &str = "shards";

/// The first bytes of every SQLite database.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A finished index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    /// A routing database and the shards registered in it, by name.
    Sharded {
        routing: PathBuf,
        shards: Vec<Registered>,
    },
    /// One database: a blob, or one shard looked at alone.
    Single { path: PathBuf },
}

/// One row of the routing database's `shards` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// `shards.shard_name`: the shard's label.
    pub name: String,
    /// Where it lies. In an index that was copied or moved that is beside its routing database, though
    /// servers open the path as it is recorded; `verify` reports such a row.
    pub path: PathBuf,
    /// The text of `shards.path`.
    pub recorded_path: String,
    /// Servers consult only shards whose health is `ok`.
    pub health: String,
    pub gene_count: i64,
    /// JSON, written by the publisher.
    pub metadata: Option<String>,
}

impl Index {
    /// The database that names the index: the routing database, or the only one.
    pub fn database(&self) -> &Path {
        match self {
            Self::Sharded { routing: path, .. } | Self::Single { path } => path,
        }
    }

    /// Where the build that wrote the index keeps what belongs to it.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings::of(self.database())
    }

    /// [`Self::databases`] without those that other programs registered.
    pub fn databases_of_ours(&self) -> Vec<(String, PathBuf)> {
        let foreign = self.foreign();
        let mut databases = self.databases();
        databases.retain(|(label, _)| !foreign.contains(label));
        databases
    }

    /// Labels under which other programs registered something: rows without a record of a build, unless the file is
    /// our shard of that label, and rows with the record of another row, whose shard's copy they name.
    pub fn foreign(&self) -> BTreeSet<String> {
        let Self::Sharded { shards, .. } = self else {
            return BTreeSet::new();
        };
        let digests: Vec<_> = shards.iter().map(Registered::noted_digest).collect();
        let mut by_digest: HashMap<&str, Vec<&str>> = HashMap::new();
        for (shard, digest) in shards.iter().zip(&digests) {
            if let Some(digest) = digest {
                by_digest.entry(digest).or_default().push(&shard.name);
            }
        }
        let is_foreign = |(shard, digest): (&Registered, &Option<String>)| {
            let label = || read_text(&shard.path, "label").ok();
            let is_foreign = match digest.as_deref().map(|digest| &by_digest[digest]) {
                None => label().as_ref() != Some(&shard.name),
                Some(names) if names.len() == 1 => false,
                Some(names) => label()
                    .is_some_and(|label| label != shard.name && names.contains(&label.as_str())),
            };
            is_foreign.then(|| shard.name.clone())
        };
        shards.iter().zip(&digests).filter_map(is_foreign).collect()
    }

    /// Every database with its label, in the order of the labels.
    pub fn databases(&self) -> Vec<(String, PathBuf)> {
        match self {
            Self::Sharded { shards, .. } => shards
                .iter()
                .map(|shard| (shard.name.clone(), shard.path.clone()))
                .collect(),
            Self::Single { path } => vec![(label_of(path), path.clone())],
        }
    }
}

impl Registered {
    /// The digest that publishing noted beside the shard. `None` when another program registered it.
    fn noted_digest(&self) -> Option<String> {
        noted_digest(self.metadata.as_deref())
    }
}

fn noted_digest(metadata: Option<&str>) -> Option<String> {
    let noted: serde_json::Value = serde_json::from_str(metadata?).ok()?;
    Some(noted["build"]["digest"].as_str()?.to_owned())
}

/// Why a path is no index. The caller decides on the exit code.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error("no index at {}: {found}", path.display())]
    NotFound { path: PathBuf, found: Found },
    #[error("{} holds more than one index, name one of them: {found}", path.display())]
    Ambiguous { path: PathBuf, found: Found },
    #[error("{} is not an SQLite database", path.display())]
    NotADatabase { path: PathBuf },
    /// A FIFO, a device, a socket.
    #[error("no index at {}: it is {kind}", path.display())]
    Odd { path: PathBuf, kind: &'static str },
    /// A sound database of another program.
    #[error("no index at {}: it is an SQLite database without an index's tables", path.display())]
    Foreign { path: PathBuf },
    /// An index that another builder wrote: it can be searched, and no more is known of it.
    #[error("no index of helix-build at {}: another program wrote it", path.display())]
    OfAnotherBuilder { path: PathBuf },
    /// The routing database is there and cannot be read: a fault of the index, not of the path.
    #[error("reading the routing database {}", path.display())]
    Routing {
        path: PathBuf,
        #[source]
        source: Box<StoreError>,
    },
    #[error("reading {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What lay at a path instead of one index, for the message; at most [`Found::SHOWN`] are spelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found(pub Vec<PathBuf>);

impl Found {
    const SHOWN: usize = 12;
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing is there");
        }
        let shown: Vec<_> = self
            .0
            .iter()
            .take(Self::SHOWN)
            .map(|p| p.display().to_string())
            .collect();
        write!(f, "found {}", shown.join(", "))?;
        match self.0.len().saturating_sub(Self::SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Finds the index that `out` names: a `main.genome.db`, a folder holding one, a folder with one
/// such profile folder below, a database file, or a folder with exactly one `.db`. Where `out`
/// itself is none of these, the build's own spelling `<out>-sharded` is tried.
pub fn locate(out: &Path) -> Result<Index, LocateError> {
    read_index(find(out)?)
}

/// [`locate`], for what shows or checks what only this builder writes.
pub fn locate_ours(out: &Path) -> Result<Index, LocateError> {
    let index = locate(out)?;
    match &index {
        Index::Single { path } if maker_of(path) == Maker::AnotherBuilder => {
            Err(LocateError::OfAnotherBuilder { path: path.clone() })
        }
        _ => Ok(index),
    }
}

/// The database of the index that `out` names; see [`locate`]. Opens none.
pub fn find(out: &Path) -> Result<PathBuf, LocateError> {
    match database_at(out)? {
        Place::One(database) => Ok(database),
        Place::Many(found) => Err(LocateError::Ambiguous {
            path: out.to_path_buf(),
            found,
        }),
        Place::None(found) => match database_at(&sharded_sibling(out))? {
            Place::One(database) => Ok(database),
            Place::Many(found) => Err(LocateError::Ambiguous {
                path: sharded_sibling(out),
                found,
            }),
            Place::None(_) => Err(LocateError::NotFound {
                path: out.to_path_buf(),
                found,
            }),
        },
    }
}

/// The label of a database that no routing database names: its file name without `.genome.db`
/// or `.db`.
pub fn label_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".db").unwrap_or(&name);
    stem.strip_suffix(".genome").unwrap_or(stem).to_string()
}

/// The registered shards of an open routing database, by name.
pub fn registered_shards(
    routing: &Connection,
    folder: &Path,
) -> Result<Vec<Registered>, rusqlite::Error> {
    let mut statement = routing.prepare(
        "SELECT shard_name, path, health, gene_count, metadata FROM shards ORDER BY shard_name",
    )?;
    let rows = statement.query_map([], |row| {
        // Other programs may write anything, and what is none of ours must not hide what is.
        let text = |at| -> rusqlite::Result<Option<String>> {
            Ok(row
                .get_ref(at)?
                .as_str_or_null()
                .ok()
                .flatten()
                .map(str::to_owned))
        };
        let recorded_path = text(1)?.unwrap_or_default();
        let metadata = text(4)?;
        // Another program means the path that it wrote.
        let path = match noted_digest(metadata.as_deref()) {
            Some(_) => shard_path(folder, &recorded_path),
            None => folder.join(&recorded_path),
        };
        Ok(Registered {
            name: text(0)?.unwrap_or_default(),
            path,
            recorded_path,
            health: text(2)?.unwrap_or_default(),
            gene_count: row.get_ref(3)?.as_i64().unwrap_or_default(),
            metadata,
        })
    })?;
    rows.collect()
}

/// The shard of that file name in the index's own folder, else the path as recorded.
fn shard_path(folder: &Path, recorded: &str) -> PathBuf {
    let own = Path::new(recorded)
        .file_name()
        .map(|name| folder.join(SHARDS_FOLDER).join(name));
    match own {
        Some(own) if own.is_file() => own,
        _ => folder.join(recorded),
    }
}

enum Place {
    One(PathBuf),
    Many(Found),
    None(Found),
}

fn sharded_sibling(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_os_string();
    name.push("-sharded");
    PathBuf::from(name)
}

fn database_at(path: &Path) -> Result<Place, LocateError> {
    let kind = match std::fs::metadata(path) {
        Ok(kind) => kind,
        Err(e) if missing(&e) => return Ok(Place::None(Found::default())),
        Err(source) => return Err(io_error(path, source)),
    };
    if !kind.is_dir() && !kind.is_file() {
        return Err(LocateError::Odd {
            path: path.to_path_buf(),
            kind: platform::kind_in_words(kind.file_type()),
        });
    }
    if !kind.is_dir() {
        return match has_magic(path)? {
            true => Ok(Place::One(path.to_path_buf())),
            false => Err(LocateError::NotADatabase {
                path: path.to_path_buf(),
            }),
        };
    }
    let routing = path.join(ROUTING_NAME);
    if routing.is_file() {
        return Ok(Place::One(routing));
    }
    database_in(path)
}

/// Looks into a folder without a routing database of its own.
fn database_in(folder: &Path) -> Result<Place, LocateError> {
    let entries = entries_of(folder)?;
    let mut found: Vec<_> = entries
        .iter()
        .map(|entry| entry.join(ROUTING_NAME))
        .filter(|routing| routing.is_file())
        .collect();
    found.extend(
        entries
            .iter()
            .filter(|entry| entry.extension().is_some_and(|e| e == "db") && entry.is_file())
            .cloned(),
    );
    Ok(match found.len() {
        0 => Place::None(Found(entries)),
        1 => Place::One(found.remove(0)),
        _ => Place::Many(Found(found)),
    })
}

fn entries_of(folder: &Path) -> Result<Vec<PathBuf>, LocateError> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| io_error(folder, e))? {
        entries.push(entry.map_err(|e| io_error(folder, e))?.path());
    }
    entries.sort();
    Ok(entries)
}

fn read_index(database: PathBuf) -> Result<Index, LocateError> {
    if !is_routing(&database) {
        return match maker_of(&database) {
            Maker::AnotherProgram => Err(LocateError::Foreign { path: database }),
            // What cannot be read is damaged, and a check says more.
            _ => Ok(Index::Single { path: database }),
        };
    }
    let folder = database.parent().unwrap_or(Path::new(""));
    let shards = open_read_only(&database).and_then(|routing| {
        registered_shards(&routing, folder).map_err(StoreError::sql(&database))
    });
    match shards {
        Ok(shards) => Ok(Index::Sharded {
            shards,
            routing: database,
        }),
        Err(_) if maker_of(&database) == Maker::AnotherProgram => {
            Err(LocateError::Foreign { path: database })
        }
        Err(source) => Err(LocateError::Routing {
            path: database,
            source: Box::new(source),
        }),
    }
}

pub(super) fn is_routing(database: &Path) -> bool {
    database
        .file_name()
        .is_some_and(|name| name == ROUTING_NAME)
}

fn has_magic(path: &Path) -> Result<bool, LocateError> {
    let start = named_file::head(path, 16).map_err(|e| io_error(path, e))?;
    Ok(start == SQLITE_MAGIC)
}

fn missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn io_error(path: &Path, source: std::io::Error) -> LocateError {
    LocateError::Io {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(path: &Path) {
        std::fs::create_dir_all(path.parent().expect("below a folder")).expect("folder");
        let sql = "CREATE TABLE shards (shard_name, path, health, gene_count, metadata);
                   INSERT INTO shards VALUES ('b','/x/b.genome.db','ok',1,NULL), ('a','a.genome.db','ok',2,NULL)";
        let connection = Connection::open(path).expect("new database");
        connection.execute_batch(sql).expect("plain SQL");
    }

    #[test]
    fn every_way_to_name_a_sharded_index_finds_it() {
        let dir = tempfile::tempdir().expect("temp folder");
        let routing = dir.path().join("out-sharded/medium/main.genome.db");
        database(&routing);
        for name in [
            "out",
            "out-sharded",
            "out-sharded/medium",
            "out-sharded/medium/main.genome.db",
        ] {
            let index = locate(&dir.path().join(name)).expect(name);
            let Index::Sharded { routing: r, shards } = index else {
                panic!("{name} is sharded");
            };
            assert_eq!(r, routing, "{name}");
            let names: Vec<_> = shards.iter().map(|s| s.name.as_str()).collect();
            assert_eq!(names, ["a", "b"]);
            // On Windows such a path names a place on a drive.
            assert_eq!(shards[1].path, routing.with_file_name("/x/b.genome.db"));
            assert_eq!(shards[0].path, r.with_file_name("a.genome.db"));
        }
    }

    #[test]
    fn a_single_database_is_found_by_itself_or_by_its_folder() {
        let dir = tempfile::tempdir().expect("temp folder");
        let path = dir.path().join("medium.db");
        database(&path);
        std::fs::write(dir.path().join("manifest.json"), "{}").expect("write");
        let index = Index::Single { path: path.clone() };
        assert_eq!(locate(&path).expect("file"), index);
        assert_eq!(locate(dir.path()).expect("folder"), index);
        assert_eq!(index.databases(), [("medium".to_string(), path)]);
        assert_eq!(label_of(Path::new("/x/src-a.genome.db")), "src-a");
    }

    #[test]
    fn two_indexes_or_none_are_told_with_what_was_found() {
        let dir = tempfile::tempdir().expect("temp folder");
        database(&dir.path().join("out-sharded/medium/main.genome.db"));
        database(&dir.path().join("out-sharded/small/main.genome.db"));
        let error = locate(&dir.path().join("out-sharded")).expect_err("two profiles");
        assert!(matches!(&error, LocateError::Ambiguous { found, .. } if found.0.len() == 2));
        let second = Path::new("small").join("main.genome.db");
        let second = second.to_string_lossy();
        assert!(error.to_string().contains(&*second), "{error}");

        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).expect("folder");
        std::fs::write(empty.join("notes.txt"), "hello").expect("write");
        let error = locate(&empty).expect_err("no index");
        assert!(matches!(error, LocateError::NotFound { .. }));
        assert!(error.to_string().contains("notes.txt"), "{error}");
        let absent = locate(&dir.path().join("absent")).expect_err("nothing");
        assert!(absent.to_string().contains("nothing is there"), "{absent}");
        let text = locate(&empty.join("notes.txt")).expect_err("a text file");
        assert!(matches!(text, LocateError::NotADatabase { .. }));
    }

    #[test]
    fn a_broken_routing_database_is_a_fault_of_the_index() {
        let dir = tempfile::tempdir().expect("temp folder");
        let routing = dir.path().join(ROUTING_NAME);
        database(&routing);
        let mut bytes = std::fs::read(&routing).expect("read");
        bytes[100..].fill(0xee);
        std::fs::write(&routing, bytes).expect("write");
        let error = locate(dir.path()).expect_err("unreadable");
        assert!(matches!(error, LocateError::Routing { .. }), "{error}");
    }
}
