//! Whose a file is, before a build replaces or deletes it.
//!
//! The one rule: a build replaces or deletes what carries its own mark, and nothing else. A database carries it in its
//! rows (`build_meta`), one that is too damaged to be read in the records beside it; temporary files, segments and
//! manifests carry it in their names and first bytes ([`marks`]). Everything that replaces or deletes asks here.

use super::connect::{self, log_beside, open_read_only};
use super::error::StoreError;
use super::ledger::{digest_of, meta, roots_of, spelled_value};
use super::maker::{Maker, maker_by, tables};
use super::registered::RegisteredShard;
use super::schema::FORMAT_VERSION;
use super::shard::Root;
use crate::ids::Digest;
use crate::named_file;
use crate::platform;
use crate::report::marks;
use rusqlite::OptionalExtension as _;
use rusqlite::types::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What lies where a database of ours may be put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    Nothing,
    Ours(Mark),
    /// Written by another version of this program, with this format number; `by` is the version, as it says.
    OtherFormat {
        format: String,
        by: String,
    },
    /// A file that cannot be read as a database, or an index that does not say any more what it is.
    Unreadable,
    /// Somebody else's: what it is, in words.
    Foreign(&'static str),
}

/// What one of our databases says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub label: String,
    pub roots: Vec<Root>,
    /// `None` when it is no hash.
    pub encoders: Option<Digest>,
    /// Of its rows, as it says; `None` when it is no hash.
    pub digest: Option<Digest>,
}

/// Looks at what lies at `path`; opens nothing but regular files.
pub fn look(path: &Path) -> Result<Holding, StoreError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Holding::Nothing),
        found => found.map_err(StoreError::io(path))?.file_type(),
    };
    if !found.is_file() {
        return Ok(Holding::Foreign(platform::kind_in_words(found)));
    }
    match mark_of(path) {
        Err(StoreError::Corrupt { .. }) => Ok(Holding::Unreadable),
        looked => looked,
    }
}

fn mark_of(path: &Path) -> Result<Holding, StoreError> {
    let conn = open_read_only(path)?;
    let tables = tables(&conn).map_err(StoreError::sql(path))?;
    if tables.is_empty() {
        return Ok(Holding::Unreadable);
    }
    // Without its mark, or with a part of it.
    let unmarked = || match maker_by(&tables) == Maker::Us {
        true => Holding::Unreadable,
        false => Holding::Foreign("another program's database"),
    };
    let or_unmarked = |error| match error {
        StoreError::Sql { .. } => Ok(unmarked()),
        error => Err(error),
    };
    let format = conn
        .query_row(
            "SELECT value FROM build_meta WHERE key = 'format'",
            [],
            |row| row.get::<_, Value>(0),
        )
        .optional();
    match format {
        Ok(Some(Value::Integer(FORMAT_VERSION))) => {}
        Ok(Some(value)) if is_format(&value) || unmarked() == Holding::Unreadable => {
            let by = meta(&conn, path, "tool_version").unwrap_or_default();
            let format = spelled_value(value);
            return Ok(Holding::OtherFormat { format, by });
        }
        Ok(_) => return Ok(unmarked()),
        Err(error) => return or_unmarked(StoreError::sql(path)(error)),
    }
    let mark = || {
        Ok(Mark {
            label: meta(&conn, path, "label")?,
            roots: roots_of(&conn).map_err(StoreError::sql(path))?,
            encoders: digest_of(&conn, path, "encoder_fingerprint").ok(),
            digest: digest_of(&conn, path, "digest").ok(),
        })
    };
    mark().map(Holding::Ours).or_else(or_unmarked)
}

/// Whether a value of `build_meta` may be the format number of some version.
fn is_format(value: &Value) -> bool {
    match value {
        Value::Integer(_) => true,
        Value::Text(text) => text.trim().parse::<i64>().is_ok(),
        _ => false,
    }
}

/// Whether a build may register shards in what lies at `path`: a routing database, whoever made it, or a file that
/// holds nothing. `Err` in the result: what else it is, in words.
pub fn is_routing(path: &Path) -> Result<Result<(), &'static str>, StoreError> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(())),
        found => found.map_err(StoreError::io(path))?,
    };
    if !found.is_file() {
        return Ok(Err(platform::kind_in_words(found.file_type())));
    }
    let head = named_file::head(path, marks::HEAD_BYTES).map_err(StoreError::io(path))?;
    if !marks::is_blank(&head) && !marks::is_database(&head) {
        return Ok(Err("a file that is no database"));
    }
    let conn = open_read_only(path)?;
    let tables = match tables(&conn).map_err(StoreError::sql(path)) {
        // Opening it for writing says what is wrong with it.
        Err(StoreError::Corrupt { .. }) => return Ok(Ok(())),
        tables => tables?,
    };
    let columns = "SELECT shard_name, category, path, created_at, updated_at, gene_count, byte_size, health, metadata
                   FROM shards LIMIT 0";
    let is_routing = tables.is_empty() || conn.prepare(columns).is_ok();
    Ok(match is_routing {
        true => Ok(()),
        false => Err("another program's database"),
    })
}

/// What an output's own records say of the files in it.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// In its routing database.
    pub registered: Vec<RegisteredShard>,
    /// Databases that its manifest lists, with their digests in hexadecimal.
    pub listed: BTreeMap<PathBuf, String>,
    /// Spelled paths of the roots that it was built from.
    pub roots: BTreeSet<String>,
    /// The user has said that whatever another profile built here may be replaced.
    pub taken_over: bool,
}

/// Why a build must not replace what lies somewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error(
        "{} is {what}, which this program did not write and will not replace: move it away with its -wal and -shm, or choose another --out-dir",
        path.display()
    )]
    Foreign { path: PathBuf, what: String },
    #[error(
        "{} is the log of a database that is not there, and may hold what is nowhere else: move it away to its database, or choose another --out-dir",
        path.display()
    )]
    Log { path: PathBuf },
    #[error(
        "{} is the shard of another profile, from other folders: move it away, choose another --out-dir, or replace it with --take-over",
        path.display()
    )]
    OfAnotherProfile { path: PathBuf },
    #[error(
        "{} was written by another version of this program ({by}, format {format}): --rebuild builds it afresh, another --out-dir keeps both",
        path.display()
    )]
    OtherFormat {
        path: PathBuf,
        format: String,
        by: String,
    },
}

/// What is done with a database of another version of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherFormats {
    Keep,
    Replace,
}

impl Records {
    /// Whether the shard `label` may be put at `path`, in place of `holding`, which lies there.
    pub fn may_replace(
        &self,
        path: &Path,
        holding: &Holding,
        label: &str,
        others: OtherFormats,
    ) -> Result<(), NotOurs> {
        let foreign = |what: String| {
            let path = path.to_path_buf();
            Err(NotOurs::Foreign { path, what })
        };
        match holding {
            Holding::Nothing => match log_beside(path) {
                None => Ok(()),
                Some(path) => Err(NotOurs::Log { path }),
            },
            Holding::Ours(mark) if mark.label == label => {
                match self.taken_over || self.made(path, mark) {
                    true => Ok(()),
                    false => Err(NotOurs::OfAnotherProfile {
                        path: path.to_path_buf(),
                    }),
                }
            }
            Holding::Ours(mark) => foreign(format!("a copy of the shard {}", mark.label)),
            Holding::OtherFormat { .. } if others == OtherFormats::Replace => Ok(()),
            Holding::OtherFormat { format, by } => Err(NotOurs::OtherFormat {
                path: path.to_path_buf(),
                format: format.clone(),
                by: by.clone(),
            }),
            Holding::Unreadable if self.is_recorded(path) => Ok(()),
            Holding::Unreadable => foreign("a file that is no index".to_owned()),
            Holding::Foreign(what) => foreign((*what).to_owned()),
        }
    }

    /// Whether the shard at `path`, which holds `holding` and is not planned any more, may be deleted. `name_of` is the
    /// path of the shard of a label. One that nobody registered was put there by a build that was killed before it
    /// could, or by somebody: its roots tell.
    pub fn may_delete(
        &self,
        path: &Path,
        holding: &Holding,
        name_of: impl Fn(&str) -> PathBuf,
    ) -> bool {
        let rows = || {
            let same = |row: &&RegisteredShard| row.path.file_name() == path.file_name();
            self.registered.iter().filter(same)
        };
        if rows().any(|row| row.build.is_none()) {
            return false;
        }
        let registered = rows().next().is_some();
        match holding {
            Holding::Ours(mark) => {
                let known = |root: &Root| self.roots.contains(&root.path);
                name_of(&mark.label) == path && (registered || mark.roots.iter().all(known))
            }
            Holding::Unreadable => registered,
            Holding::Nothing | Holding::OtherFormat { .. } | Holding::Foreign(_) => false,
        }
    }

    /// Whether this output made the database at `path`: it is the one that is recorded, or, made by a build that was
    /// killed before it could record it, of roots that the output knows.
    fn made(&self, path: &Path, mark: &Mark) -> bool {
        let of_known_roots = || {
            let known = |root: &Root| self.roots.contains(&root.path);
            !mark.roots.is_empty() && mark.roots.iter().all(known)
        };
        let is_registered = |digest: Digest| {
            let mut rows = self.registered.iter();
            rows.any(|row| {
                row.path.file_name() == path.file_name()
                    && row.build.is_some_and(|build| build.digest == digest)
            })
        };
        let is_listed = |digest: Digest| self.listed.get(path) == Some(&digest.to_string());
        let is_recorded = |digest: Digest| is_registered(digest) || is_listed(digest);
        of_known_roots() || mark.digest.is_some_and(is_recorded)
    }

    /// Whether our records name the database at `path`.
    pub fn is_recorded(&self, path: &Path) -> bool {
        let ours =
            |row: &RegisteredShard| row.build.is_some() && row.path.file_name() == path.file_name();
        self.listed.contains_key(path) || self.registered.iter().any(ours)
    }
}

/// What in the folder of segments is not a build's own; it is never emptied then. No such folder: nothing.
pub fn foreign_in_segments(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    let is_foreign = |entry: &fs::DirEntry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let begins_so = || match named_file::head(&entry.path(), marks::HEAD_BYTES) {
            Ok(head) => marks::is_blank(&head) || marks::is_database(&head),
            // Told by the worker that opens it.
            Err(_) => true,
        };
        let is_segment =
            || marks::is_segment_name(name) && (!marks::is_segment_itself(name) || begins_so());
        !is_file || !is_segment()
    };
    Ok(entries(folder)?
        .into_iter()
        .find(is_foreign)
        .map(|entry| entry.path()))
}

/// Removes the segments in `folder`, and the folder, unless something else lies in it.
pub fn remove_segments(folder: &Path) -> Result<(), StoreError> {
    for entry in entries(folder)? {
        let path = entry.path();
        if entry
            .file_name()
            .to_str()
            .is_some_and(marks::is_segment_name)
        {
            remove(&path)?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(folder)(error)),
        _ => Ok(()),
    }
}

/// Whose temporary files in a folder nobody works on any more.
#[derive(Clone, Copy, Debug)]
pub enum Stale<'a> {
    /// All: the folder belongs to one output.
    All,
    /// Those of this database: others in the folder are other outputs, which may be built right now.
    Of(&'a Path),
}

/// Removes what killed builds left in `folder`: temporary files of publications. The caller holds the
/// lock of the output that they belong to and has begun none itself, so none of them is alive. That
/// one carries this process's number says nothing: in containers numbers come again.
pub fn remove_stale_attempts(folder: &Path, which: Stale) -> Result<(), StoreError> {
    for entry in entries(folder)? {
        let name = entry.file_name();
        let Some(target) = name.to_str().and_then(marks::attempt_of) else {
            continue;
        };
        let is_meant = match which {
            Stale::All => marks::is_index_name(target),
            Stale::Of(database) => database.file_name().is_some_and(|name| name == target),
        };
        if is_meant && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a shard for which [`Records::may_delete`] said yes, with what SQLite keeps beside it.
pub fn remove_shard(path: &Path) -> Result<(), StoreError> {
    connect::remove_database(path)
}

/// No such folder: none.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io(folder))?,
    };
    entries
        .map(|entry| entry.map_err(StoreError::io(folder)))
        .collect()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::digest::ContentDigest;
    use crate::store::registered::BuildRecord;
    use rusqlite::Connection;

    fn row(name: &str, ours: bool) -> RegisteredShard {
        let digest = Digest([1; 32]);
        RegisteredShard {
            name: name.to_owned(),
            category: "reference".to_owned(),
            path: format!("/o/shards/{name}.genome.db").into(),
            recorded_path: format!("/o/shards/{name}.genome.db").into(),
            health: "ok".to_owned(),
            chunks: 1,
            bytes: 1,
            metadata: None,
            build: ours.then_some(BuildRecord {
                fingerprint: digest,
                digest,
                content: ContentDigest::from_digest(digest),
                file_hash: None,
            }),
        }
    }

    fn path_of(label: &str) -> PathBuf {
        format!("/o/shards/{label}.genome.db").into()
    }

    fn ours(label: &str, root: &str) -> Holding {
        Holding::Ours(Mark {
            label: label.to_owned(),
            roots: vec![Root {
                label: "r".to_owned(),
                path: root.to_owned(),
            }],
            encoders: None,
            digest: Some(Digest([2; 32])),
        })
    }

    /// Of roots that nobody knows, with this digest.
    fn recorded(label: &str, digest: u8) -> Holding {
        match ours(label, "/elsewhere") {
            Holding::Ours(mark) => Holding::Ours(Mark {
                digest: Some(Digest([digest; 32])),
                ..mark
            }),
            other => other,
        }
    }

    fn other_format(format: i64) -> Holding {
        Holding::OtherFormat {
            format: format.to_string(),
            by: String::new(),
        }
    }

    fn records() -> Records {
        Records {
            registered: vec![row("a", true), row("theirs", false)],
            listed: BTreeMap::from([(path_of("listed"), Digest([3; 32]).to_string())]),
            roots: BTreeSet::from(["/r".to_owned()]),
            taken_over: false,
        }
    }

    #[test]
    fn only_what_carries_the_mark_is_replaced() {
        let may = |label: &str, holding: &Holding| {
            records().may_replace(&path_of(label), holding, label, OtherFormats::Keep)
        };
        for (label, holding) in [
            ("new", Holding::Nothing),
            ("a", ours("a", "/r")),
            ("a", recorded("a", 1)),
            ("listed", recorded("listed", 3)),
            ("a", Holding::Unreadable),
            ("listed", Holding::Unreadable),
        ] {
            assert_eq!(may(label, &holding), Ok(()), "{label} {holding:?}");
        }
        for (label, holding) in [
            ("a", Holding::Foreign("a folder")),
            ("a", ours("a", "/elsewhere")),
            ("listed", ours("listed", "/elsewhere")),
            ("a", recorded("a", 3)),
            ("b", ours("a", "/r")),
            ("b", Holding::Unreadable),
            ("theirs", Holding::Unreadable),
            ("a", other_format(7)),
        ] {
            assert!(may(label, &holding).is_err(), "{label} {holding:?}");
        }
        let taken_over = Records {
            taken_over: true,
            ..records()
        };
        let (path, other) = (path_of("a"), ours("a", "/elsewhere"));
        let replaced = taken_over.may_replace(&path, &other, "a", OtherFormats::Keep);
        assert_eq!(replaced, Ok(()));
        let other = other_format(7);
        let replaced = records().may_replace(&path_of("a"), &other, "a", OtherFormats::Replace);
        assert_eq!(replaced, Ok(()));
    }

    #[test]
    fn only_what_this_output_made_is_deleted() {
        let may = |label: &str, holding: &Holding| {
            records().may_delete(&path_of(label), holding, path_of)
        };
        assert!(may("a", &ours("a", "/elsewhere")));
        assert!(may("a", &Holding::Unreadable));
        // A build that was killed before it could register it.
        assert!(may("b", &ours("b", "/r")));
        for (label, holding) in [
            ("b", ours("b", "/elsewhere")),
            ("backup", ours("a", "/r")),
            ("theirs", ours("theirs", "/r")),
            ("b", Holding::Unreadable),
            ("a", Holding::Foreign("another program's database")),
            ("a", other_format(7)),
        ] {
            assert!(!may(label, &holding), "{label} {holding:?}");
        }
    }

    #[test]
    fn databases_are_told_by_their_rows() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        let make = |name: &str, sql: &str| {
            let conn = Connection::open(at(name)).expect("opened");
            conn.execute_batch(sql).expect("made");
        };
        make("theirs.db", "CREATE TABLE customers (name)");
        make("meta.db", "CREATE TABLE build_meta (key, value)");
        make(
            "later.db",
            "CREATE TABLE build_meta (key, value); INSERT INTO build_meta VALUES ('format', 99)",
        );
        fs::write(at("text"), "no database at all, but a text").expect("written");
        fs::write(at("empty"), "").expect("written");
        fs::create_dir(at("folder")).expect("made");
        let look = |name: &str| look(&at(name)).expect("looked at");
        assert_eq!(look("none"), Holding::Nothing);
        assert_eq!(
            look("theirs.db"),
            Holding::Foreign("another program's database")
        );
        assert_eq!(
            look("meta.db"),
            Holding::Foreign("another program's database")
        );
        assert_eq!(look("later.db"), other_format(99));
        assert_eq!(look("text"), Holding::Unreadable);
        assert_eq!(look("empty"), Holding::Unreadable);
        assert_eq!(look("folder"), Holding::Foreign("a folder"));
        for (name, expected) in [
            ("none", Ok(())),
            ("empty", Ok(())),
            ("theirs.db", Err("another program's database")),
            ("text", Err("a file that is no database")),
            ("folder", Err("a folder")),
        ] {
            assert_eq!(
                is_routing(&at(name)).expect("looked at"),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn attempts_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = format!("b.genome.db.tmp-{}-0", std::process::id());
        let kept = ["a.genome.db", "a.genome.db.tmp-x-1", "notes.tmp-1-1"];
        let gone = ["a.genome.db.tmp-0-1", "a.genome.db.tmp-0-1-wal", &own];
        let write = |names: &[&str]| {
            for name in names {
                fs::write(folder.path().join(name), "x").expect("written");
            }
        };
        let exists = |name: &str| folder.path().join(name).exists();
        write(&kept);
        write(&gone);
        // A folder is none of ours.
        fs::create_dir(folder.path().join("c.genome.db.tmp-1-1")).expect("made");
        remove_stale_attempts(folder.path(), Stale::All).expect("removed");
        assert!(exists("c.genome.db.tmp-1-1"));
        assert!(kept.iter().all(|name| exists(name)));
        assert!(!gone.iter().any(|name| exists(name)));
        remove_stale_attempts(&folder.path().join("missing"), Stale::All).expect("nothing to do");
        write(&gone);
        let database = folder.path().join("a.genome.db");
        remove_stale_attempts(folder.path(), Stale::Of(&database)).expect("removed");
        assert!(exists(&own) && !exists(gone[0]) && !exists(gone[1]));
    }

    #[test]
    fn what_is_no_segment_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let segments = dir.path().join("segments");
        assert_eq!(foreign_in_segments(&segments).expect("none"), None);
        fs::create_dir(&segments).expect("made");
        for name in ["a-1.seg", "a-1.seg-wal", "a-1.seg.lock"] {
            let text = if name == "a-1.seg" {
                "SQLite format 3\0"
            } else {
                "x"
            };
            fs::write(segments.join(name), text).expect("written");
        }
        assert_eq!(foreign_in_segments(&segments).expect("listed"), None);
        for name in ["b-1.seg", "b-1.seg.2"] {
            fs::write(segments.join(name), "my only copy").expect("written");
            let foreign = foreign_in_segments(&segments).expect("listed");
            assert_eq!(foreign, Some(segments.join(name)));
            // As a power cut leaves it.
            fs::write(segments.join(name), [0; 99]).expect("written");
            assert_eq!(foreign_in_segments(&segments).expect("listed"), None);
        }
        fs::write(segments.join("notes.txt"), "x").expect("written");
        let foreign = foreign_in_segments(&segments).expect("listed");
        assert_eq!(foreign, Some(segments.join("notes.txt")));
        assert!(remove_segments(&segments).is_err());
        assert!(segments.join("notes.txt").exists() && !segments.join("a-1.seg").exists());
        fs::remove_file(segments.join("notes.txt")).expect("removed");
        remove_segments(&segments).expect("removed");
        assert!(!segments.exists());
        remove_segments(&segments).expect("nothing to do");
    }
}
