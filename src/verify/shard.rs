//! All checks of one database of chunks, in order.

use super::fault::{FaultKind, Faults, Finder};
use super::file::{self, Stamp};
use super::level::Level;
use super::manifest::ManifestRecord;
use super::schema_check::{self, ExpectedSchema};
use super::server_schema::ServerSchema;
use super::{
    chunks, full_text, indexes, ledger, put_away, queries, server_edits, sparse, statistics,
};
use crate::ids::Digest;
use crate::store::build_meta::check_format;
use crate::store::connect::open_read_only;
use crate::store::digest::{ContentDigest, ShardDigest, Tiers};
use crate::store::error::StoreError;
use crate::store::provenance;
use crate::store::registered::RegisteredShard;
use crate::store::schema;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a shard holds, as its rows say. Zeros where it could not be read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShardReport {
    pub label: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// Files of the ledger, skipped ones included.
    pub files: i64,
    /// Distinct chunks that the builder wrote.
    pub chunks: i64,
    /// Whether a server has written, and has the database open or has left its log.
    pub is_mounted: bool,
    /// Level full only, as are the following: bytes of text.
    pub text_bytes: u64,
    /// Chunks that a server added.
    pub server_chunks: u64,
    /// Chunks that a server has delivered or aged.
    pub touched_chunks: u64,
    pub dense_dims: BTreeSet<usize>,
    /// Whether the file's bytes were compared with the hash noted of them; not when a server has written to
    /// it, nor when none was noted.
    pub bytes_checked: bool,
    /// Whether a server has written rows or columns.
    #[serde(skip)]
    pub was_written: bool,
    #[serde(serialize_with = "as_text")]
    pub digest: Option<Digest>,
    #[serde(skip)]
    pub content: Option<ContentDigest>,
}

fn as_text<S: serde::Serializer>(digest: &Option<Digest>, to: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => to.collect_str(digest),
        None => to.serialize_none(),
    }
}

/// Check the shard at `path`; `entry` is its row in the routing database, if it has one.
pub fn check(
    label: &str,
    path: &Path,
    entry: Option<&RegisteredShard>,
    manifest: &ManifestRecord,
    level: Level,
) -> (ShardReport, Faults) {
    let mut faults = Faults::default();
    let mut finder = Finder {
        shard: label,
        faults: &mut faults,
    };
    let mut report = ShardReport {
        label: label.to_string(),
        path: path.to_path_buf(),
        ..ShardReport::default()
    };
    let Some(stamp) = Stamp::of(path) else {
        let what = format!("{} is not there", path.display());
        finder.fault(FaultKind::Missing, "", file::file_name(path), what);
        return (report, faults);
    };
    report.bytes = stamp.bytes();
    report.is_mounted = stamp.has_log();
    file::neighbours(path, &mut finder);
    if !file::header(path, &mut finder) {
        return (report, faults);
    }
    match open_read_only(path) {
        Ok(connection) => {
            let noted = (entry, manifest);
            rows(&connection, noted, level, &mut report, &mut finder);
        }
        Err(error) => file::unreadable(path, &error, &mut finder),
    }
    stamp.check_unchanged(path, &mut finder);
    (report, faults)
}

static SCHEMA: ExpectedSchema = ExpectedSchema::new(
    &[
        schema::COMMON_TABLES,
        schema::SHARD_TABLES,
        schema::BUILD_TABLES,
        schema::SERVER_TABLES,
        schema::SHARD_INDEXES,
        schema::COMMON_INDEXES,
        schema::SERVER_INDEXES,
        schema::STATISTICS,
    ],
    ServerSchema::Shard,
);

fn rows(
    connection: &Connection,
    noted: (Option<&RegisteredShard>, &ManifestRecord),
    level: Level,
    report: &mut ShardReport,
    finder: &mut Finder<'_>,
) {
    if let Err(error @ StoreError::Format { .. }) = check_format(connection, &report.path) {
        finder.fault(FaultKind::Format, "build_meta", "format", error.to_string());
        return;
    }
    let held = schema_check::compare(connection, &SCHEMA, finder);
    file::structure(connection, &report.path, level, finder);
    if !held.has_tables {
        return;
    }
    report.was_written = statistics::check(connection, finder) || held.of_server > 0;
    queries::run(connection, queries::SHARD, level, finder);
    let counted = counts(connection, report);
    finder.on_error("build_files", counted);
    if level == Level::Full {
        full(connection, noted, report, finder);
    }
}

fn full(
    connection: &Connection,
    (entry, manifest): (Option<&RegisteredShard>, &ManifestRecord),
    report: &mut ShardReport,
    finder: &mut Finder<'_>,
) {
    indexes::check(connection, finder);
    full_text::against_view(connection, finder);
    let noted_digest = stored_digest(connection).ok().flatten();
    let digested = put_away::digest(connection, &report.path, noted_digest.as_deref());
    let none = Tiers::new();
    let put_away = digested.as_ref().map_or(&none, |(_, tiers)| tiers);
    for gene_id in put_away.keys() {
        let what = "a server hides the chunk: its file was changed or gone, or it was asked to";
        finder.fault(FaultKind::Replaced, "genes", gene_id, what);
    }
    let seen = chunks::check(connection, put_away, finder);
    report.text_bytes = seen.text_bytes;
    report.server_chunks = seen.server_chunks;
    report.touched_chunks = seen.touched_chunks;
    report.was_written |= seen.was_written();
    if seen.dense_dims.len() > 1 {
        let what = format!("dense vectors of different lengths: {:?}", seen.dense_dims);
        finder.fault(FaultKind::DenseVector, "genes", "embedding_dense_v2", what);
    }
    report.dense_dims = seen.dense_dims;
    let foreign = seen.server_chunks + seen.replaced_chunks;
    sparse::check(connection, foreign, finder);
    let checked = provenance_row(connection, finder);
    finder.on_error("bed_provenance", checked);
    ledger::check(connection, finder);
    let digested = digested.map(|(digest, _)| digest);
    digests(
        connection,
        digested,
        (entry, seen.replaced_chunks),
        report,
        finder,
    );
    let noted = match entry {
        Some(entry) => entry.recorded("file_blake3"),
        None => manifest.of_single(&report.path, report.digest),
    };
    bytes(connection, noted, report, finder);
}

/// Check the row that says what made the database. Rows of servers follow it.
fn provenance_row(connection: &Connection, finder: &mut Finder<'_>) -> Result<(), rusqlite::Error> {
    if !provenance::is_noted(connection)? {
        let what = "the row does not tell the chunks of the build";
        finder.fault(FaultKind::SideTable, "bed_provenance", "1", what);
    }
    Ok(())
}

fn counts(connection: &Connection, report: &mut ShardReport) -> Result<(), rusqlite::Error> {
    let count = |table| {
        let sql = format!("SELECT count(*) FROM {table}");
        connection.query_row(&sql, [], |row| row.get(0))
    };
    report.files = count("build_files")?;
    report.chunks = count("build_routes")?;
    Ok(())
}

/// Compare the recomputed digests with what publishing noted.
fn digests(
    connection: &Connection,
    digested: Result<ShardDigest, StoreError>,
    (entry, replaced_chunks): (Option<&RegisteredShard>, u64),
    report: &mut ShardReport,
    finder: &mut Finder<'_>,
) {
    let found = match digested {
        Ok(found) => found,
        Err(error) => {
            finder.fault(FaultKind::Unreadable, "build_meta", "", error.to_string());
            return;
        }
    };
    report.digest = Some(found.digest);
    report.content = Some(found.content);
    if replaced_chunks > 0 {
        return; // Rows of a server's among the builder's: told, and no digest knows them.
    }
    if let Ok(Some(stored)) = stored_digest(connection)
        && stored != found.digest.to_string()
    {
        let what = format!("the rows give {}, the shard records {stored}", found.digest);
        finder.fault(FaultKind::Digest, "build_meta", "digest", what);
    }
    let Some(entry) = entry else { return };
    // Rows that are as the shard itself says are not what is wrong.
    let is_as_noted =
        stored_digest(connection).is_ok_and(|stored| stored == Some(found.digest.to_string()));
    let advice = match is_as_noted {
        true => FaultKind::Routing.advice(),
        false => FaultKind::Digest.advice(),
    };
    let recomputed = [
        ("digest", found.digest.to_string()),
        ("content_digest", found.content.to_digest().to_string()),
    ];
    for (key, found) in recomputed {
        match entry.recorded(key) {
            Some(noted) if noted == found => {}
            Some(noted) => {
                let what = format!("the rows give {found}, the routing database records {noted}");
                finder.advise(FaultKind::Digest, ("shards", key), &what, advice);
            }
            None => {
                let what = "the routing database records no digest to compare the rows with";
                finder.fault(FaultKind::Routing, "shards", key, what);
            }
        }
    }
}

fn stored_digest(connection: &Connection) -> Result<Option<String>, rusqlite::Error> {
    let sql = "SELECT value FROM build_meta WHERE key = 'digest'";
    connection.query_row(sql, [], |row| row.get(0)).optional()
}

/// Compare the file with the hash that publishing noted, while no server has written to it. This
/// alone sees damage in bytes that no row lies in: free space of pages, header counters.
fn bytes(
    connection: &Connection,
    noted: Option<String>,
    report: &mut ShardReport,
    finder: &mut Finder<'_>,
) {
    let Some(noted) = noted else {
        return;
    };
    let is_pristine = !report.was_written
        && !report.is_mounted
        && matches!(server_edits::server_rows(connection), Ok(0))
        && matches!(
            server_edits::held_lease(connection, &report.path),
            Ok(false)
        );
    if is_pristine {
        file::bytes(&report.path, &noted, finder);
        report.bytes_checked = true;
    }
}

/// Return whether the shard's file is another than the one that was registered, as its own notes say.
pub fn is_ahead_of(entry: &RegisteredShard) -> bool {
    let Ok(connection) = open_read_only(&entry.path) else {
        return false; // Told by its check.
    };
    let stored = stored_digest(&connection).ok().flatten();
    stored.is_some() && stored != entry.recorded("digest")
}
