//! Finding what an output path is: a sharded index, a single database, or nothing we know.
//!
//! Reads directory entries, the names of a database's tables and, for a sharded index, the `shards` table of
//! its routing database. Never writes, never opens a registered shard. Used by everything that reads a
//! finished index.

use super::error::StoreError;
use super::index::Index;
use super::maker::{Maker, maker_of};
use super::names::{ROUTING_NAME, is_routing};
use super::registered::registered_shards;
use crate::named_file;
use crate::platform;
use std::fmt;
use std::path::{Path, PathBuf};

/// The first bytes of every SQLite database.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Why a path is not an index. The caller decides on the exit code.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error("no index at {}: {}", path.display(), missing_index(path, found))]
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

/// Say what lies at `path` in place of an index.
fn missing_index(path: &Path, found: &Found) -> String {
    match (path.is_dir(), found.0.is_empty()) {
        (true, true) => format!("the folder is empty, without {ROUTING_NAME} or another database"),
        (true, false) => format!("no {ROUTING_NAME} and no other database in it; {found}"),
        (false, _) => found.to_string(),
    }
}

/// Find the index that `out` names: a `main.genome.db`, a folder holding one, a folder with one
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

/// Return the database of the index that `out` names; see [`locate`]. Opens none.
pub fn find(out: &Path) -> Result<PathBuf, LocateError> {
    match database_at(out)? {
        Candidates::One(database) => Ok(database),
        Candidates::Many(found) => Err(LocateError::Ambiguous {
            path: out.to_path_buf(),
            found,
        }),
        Candidates::None(found) => match database_at(&sharded_sibling(out))? {
            Candidates::One(database) => Ok(database),
            Candidates::Many(found) => Err(LocateError::Ambiguous {
                path: sharded_sibling(out),
                found,
            }),
            Candidates::None(_) => Err(LocateError::NotFound {
                path: out.to_path_buf(),
                found,
            }),
        },
    }
}

/// Return the databases of all indexes in an output folder, those of its sharded sibling first, each in the order of
/// their names. Leaves out databases of other programs.
///
/// # Errors
/// `Io` if a folder cannot be listed.
pub fn all_in(out: &Path) -> Result<Vec<PathBuf>, LocateError> {
    let mut all = Vec::new();
    for folder in [&sharded_sibling(out), out] {
        let found = match std::fs::metadata(folder) {
            Ok(found) if found.is_dir() => databases_in(folder)?.0,
            Ok(_) => continue,
            Err(error) if missing(&error) => continue,
            Err(error) => return Err(io_error(folder, error)),
        };
        let is_index = |path: &PathBuf| is_routing(path) || has_magic(path).unwrap_or(true);
        let found = found.into_iter().filter(is_index);
        all.extend(found.filter(|path| maker_of(path) != Maker::AnotherProgram));
    }
    Ok(all)
}

/// The databases that a path names by itself.
enum Candidates {
    One(PathBuf),
    Many(Found),
    None(Found),
}

fn sharded_sibling(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_os_string();
    name.push("-sharded");
    PathBuf::from(name)
}

fn database_at(path: &Path) -> Result<Candidates, LocateError> {
    let kind = match std::fs::metadata(path) {
        Ok(kind) => kind,
        Err(e) if missing(&e) => return Ok(Candidates::None(Found::default())),
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
            true => Ok(Candidates::One(path.to_path_buf())),
            false => Err(LocateError::NotADatabase {
                path: path.to_path_buf(),
            }),
        };
    }
    let routing = path.join(ROUTING_NAME);
    if routing.is_file() {
        return Ok(Candidates::One(routing));
    }
    database_in(path)
}

/// Look into a folder without a routing database of its own.
fn database_in(folder: &Path) -> Result<Candidates, LocateError> {
    let (mut found, entries) = databases_in(folder)?;
    Ok(match found.len() {
        0 => Candidates::None(Found(entries)),
        1 => Candidates::One(found.remove(0)),
        _ => Candidates::Many(Found(found)),
    })
}

/// Return the routing databases of the folders in a folder, then its files with the ending of a database; and all that lies
/// in it.
fn databases_in(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), LocateError> {
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
    Ok((found, entries))
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
    match registered_shards(&database) {
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
    use rusqlite::Connection;

    fn database(path: &Path) {
        std::fs::create_dir_all(path.parent().expect("below a folder")).expect("folder");
        let sql = "CREATE TABLE shards (shard_name, path, health, gene_count, byte_size, metadata, category);
                   INSERT INTO shards VALUES ('b','/x/b.genome.db','ok',1,1,NULL,''), ('a','a.genome.db','ok',2,1,NULL,'')";
        let connection = Connection::open(path).expect("new database");
        connection.execute_batch(sql).expect("plain SQL");
    }

    #[test]
    fn every_way_to_name_a_sharded_index_finds_it() {
        let dir = crate::test_folder::create();
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
        let dir = crate::test_folder::create();
        let path = dir.path().join("medium.db");
        database(&path);
        std::fs::write(dir.path().join("manifest.json"), "{}").expect("write");
        let index = Index::Single { path: path.clone() };
        assert_eq!(locate(&path).expect("file"), index);
        assert_eq!(locate(dir.path()).expect("folder"), index);
        assert_eq!(index.databases(), [("medium".to_string(), path)]);
    }

    #[test]
    fn two_indexes_or_none_are_told_with_what_was_found() {
        let dir = crate::test_folder::create();
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
        let dir = crate::test_folder::create();
        let routing = dir.path().join(ROUTING_NAME);
        database(&routing);
        let mut bytes = std::fs::read(&routing).expect("read");
        bytes[100..].fill(0xee);
        std::fs::write(&routing, bytes).expect("write");
        let error = locate(dir.path()).expect_err("unreadable");
        assert!(matches!(error, LocateError::Routing { .. }), "{error}");
    }
}
