//! Every row of `genes` against what can be computed again from it: ids from texts, tags from the
//! promoter, path keys and file stems from the file that owns the chunk, links from the tags.
//!
//! One pass in the order of `build_routes`, which is the order in which the builder met the texts, beside
//! one pass over the places of all files. Rows that a server added (no row in `build_routes`) are
//! counted and left alone.

use super::columns::{self, Column, Epigenetics, Promoter};
use super::fault::{FaultKind, Finder};
use super::owners::{ChunkOwner, Owners, SOURCES};
use super::relations::ExpectedRelations;
use super::server_edits::ServerEdits;
use super::side_tables::SideTables;
use crate::ids::ContentHash;
use crate::store::digest::Tiers;
use crate::tag::Tags;
use crate::vector::DenseVector;
use rusqlite::{Connection, Row};
use std::collections::BTreeSet;

/// How far a dense vector's length may be from 1. The format's tolerance.
const NORM_TOLERANCE: f64 = 1e-3;

/// What the pass saw besides faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkSummary {
    /// Bytes of text in the builder's chunks.
    pub text_bytes: u64,
    /// Chunks that a server added.
    pub server_chunks: u64,
    /// Builder's chunks that a server has delivered since.
    pub touched_chunks: u64,
    /// Builder's chunks in whose place a server has put a row of its own.
    pub replaced_chunks: u64,
    /// Columns and links of ours that a server has written.
    pub server_edits: u64,
    /// Lengths of dense vectors, in values.
    pub dense_dims: BTreeSet<usize>,
}

impl ChunkSummary {
    /// Return whether a server has written to the shard, as far as rows that it shares with us tell.
    pub fn was_written(&self) -> bool {
        self.server_chunks + self.touched_chunks + self.replaced_chunks + self.server_edits > 0
    }
}

const GENES: &str = "
SELECT r.rowid, g.gene_id, g.content, g.complement, g.codons, g.promoter, g.epigenetics,
       g.chromatin, g.is_fragment, g.source_id, g.mtime, g.content_hash, g.key_values,
       g.embedding_dense_v2, g.compression_tier, g.observed_at,
       g.last_verified_at, g.last_seen, g.live_truth_score, g.rowid
FROM build_routes AS r CROSS JOIN genes AS g ON g.gene_id = r.gene_id ORDER BY r.rowid";

const OUR_CHUNKS: &str = "SELECT count(*) FROM build_routes";

const SERVER_CHUNKS: &str = "
SELECT count(*) FROM genes AS g
WHERE NOT EXISTS (SELECT 1 FROM build_routes AS r WHERE r.gene_id = g.gene_id)";

/// Chunks of ours whose row a server has replaced by one of its own, which it does when it takes the
/// same text in again: the row moves behind all of ours, and its times are the server's.
pub const REPLACED: &str = "
SELECT g.gene_id FROM genes AS g JOIN build_routes AS r ON r.gene_id = g.gene_id
WHERE g.rowid > (SELECT count(*) FROM build_routes)
  AND g.observed_at IS NOT (SELECT value FROM build_meta WHERE key = 'epoch')";

/// What a server puts in a text's place when it compacts the chunk.
const COMPACTED: &str = "[COMPRESSED:";

/// A build does not look for such texts.
const COMPACTED_ADVICE: &str = "nothing is damaged: a server compacted the chunk; to restore the builder's row, delete the shard and run the build again";

/// Check every chunk. Errors of SQLite become faults; the rest of the rows is then not checked.
/// `put_away` are the tiers of chunks that a server has moved to its cold tier, as they were built.
pub fn check(connection: &Connection, put_away: &Tiers, finder: &mut Finder<'_>) -> ChunkSummary {
    let mut seen = ChunkSummary {
        server_edits: put_away.len() as u64,
        ..ChunkSummary::default()
    };
    let checked = walk(connection, put_away, &mut seen, finder);
    finder.on_error("genes", checked);
    seen
}

fn walk(
    connection: &Connection,
    put_away: &Tiers,
    seen: &mut ChunkSummary,
    finder: &mut Finder<'_>,
) -> Result<(), rusqlite::Error> {
    let epoch = connection.query_row(
        "SELECT value FROM build_meta WHERE key = 'epoch'",
        [],
        |row| row.get(0),
    )?;
    let mut genes = connection.prepare(GENES)?;
    let mut sources = connection.prepare(SOURCES)?;
    let mut genes = genes.query([])?;
    let replaced = replaced(connection)?;
    seen.replaced_chunks = replaced.len() as u64;
    let our_chunks: i64 = connection.query_row(OUR_CHUNKS, [], |row| row.get(0))?;
    seen.server_chunks =
        connection.query_row(SERVER_CHUNKS, [], |row| row.get::<_, i64>(0))? as u64;
    let mut owners = Owners::new(connection, sources.query([])?)?;
    let mut edits = ServerEdits::new(epoch);
    let mut side_tables = SideTables::prepare(connection)?;
    let mut relations = ExpectedRelations::prepare(connection)?;
    while let Some(row) = genes.next()? {
        let place: i64 = row.get(0)?;
        let gene_id = columns::text(row, 1).unwrap_or_default();
        if replaced.contains(gene_id) {
            let what = "a server indexed the same text and replaced the row";
            finder.fault(FaultKind::Replaced, "genes", gene_id, what);
            continue;
        }
        if !(1..=our_chunks).contains(&row.get(19)?) {
            let what = "the number of the row is none that the builder gives";
            finder.fault(FaultKind::Column, "genes", gene_id, what);
        }
        let owner = owners.of(gene_id, place, finder)?;
        let tags = row_itself(row, gene_id, seen, finder);
        dated(row, gene_id, epoch, &tags, finder);
        edits.gene(row, gene_id, [6, 16, 17, 18], finder);
        match &owner {
            Some(owner) => against_owner(row, gene_id, owner, &tags, finder),
            None => {
                let what = "no file owns the chunk at this row";
                finder.fault(FaultKind::Ledger, "build_sources", gene_id, what);
            }
        }
        side_tables.check(gene_id, &tags.tags, owner.as_ref(), finder)?;
        if !replaced.is_empty() {
            continue; // The order of the chunks, from which links follow, is no longer known.
        }
        let tier = match put_away.get(gene_id) {
            Some(built) => Some(i64::from(*built)),
            None => columns::integer(row, 14),
        };
        relations.check(gene_id, &tags.tags, tier, finder)?;
    }
    edits.relations(connection, finder)?;
    edits.files(connection, finder)?;
    seen.server_edits += edits.found;
    owners.rest(finder)?;
    if !replaced.is_empty() {
        return Ok(());
    }
    side_tables.finish(connection, finder)?;
    let is_pristine = seen.server_chunks == 0 && seen.touched_chunks == 0;
    relations.finish(connection, is_pristine, finder)
}

fn replaced(connection: &Connection) -> Result<BTreeSet<String>, rusqlite::Error> {
    let mut statement = connection.prepare(REPLACED)?;
    let ids = statement.query_map([], |row| row.get(0))?;
    ids.collect()
}

/// The chunk's tags as stored, with the place in the file that its promoter gives.
struct Stored {
    tags: Tags,
    sequence: Option<u32>,
    created_at: Option<f64>,
}

/// Everything that one row of `genes` says about itself.
fn row_itself(
    row: &Row<'_>,
    gene_id: &str,
    seen: &mut ChunkSummary,
    finder: &mut Finder<'_>,
) -> Stored {
    let content = columns::text(row, 2).unwrap_or_default();
    seen.text_bytes += content.len() as u64;
    let hash = ContentHash::of(content);
    if content.starts_with(COMPACTED) && hash.chunk_id().to_string() != gene_id {
        let what = "a server replaced the text with a note";
        let at = ("genes", gene_id);
        finder.advise(FaultKind::Replaced, at, what, COMPACTED_ADVICE);
    } else if hash.chunk_id().to_string() != gene_id {
        let what = "the id is not the start of the SHA-256 of the content";
        finder.fault(FaultKind::ChunkId, "genes", gene_id, what);
    }
    let stored_hash = columns::text(row, 11);
    if !content.starts_with(COMPACTED) && stored_hash != Some(hash.to_hex().as_str()) {
        let what = "content_hash is not the SHA-256 of the content";
        finder.fault(FaultKind::ChunkId, "genes", gene_id, what);
    }
    let mut column = Column {
        row,
        gene_id,
        finder,
    };
    column.required_text(3, "complement");
    let codons = column.json::<Vec<String>>(4, "codons").unwrap_or_default();
    let promoter = column.json::<Promoter>(5, "promoter").unwrap_or_default();
    let epigenetics = column.json::<Epigenetics>(6, "epigenetics");
    let key_values = column.optional_list(12, "key_values");
    let is_touched = epigenetics.as_ref().is_some_and(Epigenetics::is_touched);
    seen.touched_chunks += u64::from(is_touched);
    tier(row, gene_id, is_touched, finder);
    seen.dense_dims.extend(dense(row, gene_id, finder));
    Stored {
        sequence: promoter.sequence_index,
        created_at: epigenetics.map(|epigenetics| epigenetics.created_at),
        tags: Tags {
            domains: promoter.domains,
            entities: promoter.entities,
            key_values,
            labels: codons,
            ..Tags::default()
        },
    }
}

/// The times that a server leaves alone are the build's. JSON numbers are read to within a few units
/// of the last place.
fn dated(row: &Row<'_>, gene_id: &str, epoch: f64, stored: &Stored, finder: &mut Finder<'_>) {
    let observed_at = row.get_ref(15).ok().and_then(|value| value.as_f64().ok());
    let created = stored.created_at.unwrap_or(epoch);
    // Not a number is near nothing.
    let is_near = (created - epoch).abs() < 1e-3;
    if observed_at != Some(epoch) || !is_near {
        let what = "observed_at or the creation time differs from the time of the build";
        finder.fault(FaultKind::Column, "genes", gene_id, what);
    }
}

/// A server sets `chromatin` of what it delivers or ages, never `compression_tier` alone.
fn tier(row: &Row<'_>, gene_id: &str, is_touched: bool, finder: &mut Finder<'_>) {
    let (chromatin, tier) = (columns::integer(row, 7), columns::integer(row, 14));
    if !matches!(chromatin, Some(0..=2)) || !matches!(tier, Some(0..=2)) {
        let what = "chromatin or compression_tier is not 0, 1 or 2";
        finder.fault(FaultKind::Column, "genes", gene_id, what);
    } else if chromatin != tier && !is_touched {
        let what = "chromatin and compression_tier differ, and no server has touched the chunk";
        finder.fault(FaultKind::Column, "genes", gene_id, what);
    }
}

/// Return the vector's length in values, when there is one.
fn dense(row: &Row<'_>, gene_id: &str, finder: &mut Finder<'_>) -> Option<usize> {
    let value = row.get_ref(13).ok()?;
    if value == rusqlite::types::ValueRef::Null {
        return None;
    }
    let vector = value.as_blob().ok().and_then(DenseVector::from_le_bytes);
    let Some(vector) = vector else {
        let what = "the dense vector is not a sequence of 4-byte numbers";
        finder.fault(FaultKind::DenseVector, "genes", gene_id, what);
        return None;
    };
    let squares = vector.0.iter().map(|v| f64::from(*v) * f64::from(*v));
    let norm = squares.sum::<f64>().sqrt();
    // Not a number is near nothing.
    let is_unit = (norm - 1.0).abs() <= NORM_TOLERANCE;
    if !is_unit {
        let what = format!("the dense vector has length {norm}, expected 1");
        finder.fault(FaultKind::DenseVector, "genes", gene_id, what);
    }
    Some(vector.0.len())
}

fn against_owner(
    row: &Row<'_>,
    gene_id: &str,
    owner: &ChunkOwner,
    stored: &Stored,
    finder: &mut Finder<'_>,
) {
    let source = format!("{}/{}", owner.root_path.trim_end_matches('/'), owner.path);
    let mtime = owner.mtime_ns as f64 / 1e9;
    let same = [
        ("source_id", columns::text(row, 9) == Some(source.as_str())),
        (
            "mtime",
            row.get_ref(10).ok().and_then(|v| v.as_f64().ok()) == Some(mtime),
        ),
        (
            "is_fragment",
            columns::integer(row, 8) == Some(owner.is_fragment.into()),
        ),
        (
            "promoter.sequence_index",
            stored.sequence.map(i64::from) == Some(owner.sequence),
        ),
    ];
    for (column, _) in same.iter().filter(|(_, same)| !same) {
        let what = format!("{column} differs from the file that owns the chunk, {source}");
        finder.fault(FaultKind::Column, "genes", gene_id, what);
    }
}
