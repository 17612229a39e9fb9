//! The routing database against the shards it registers.

use super::chunks;
use super::fault::{FaultKind, Finder};
use super::file::{self, Stamp};
use super::level::Level;
use super::manifest::ManifestRecord;
use super::queries::{self, Check};
use super::schema_check::{self, ExpectedSchema};
use super::server_schema::ServerSchema;
use crate::store::connect::open_read_only;
use crate::store::registered::RegisteredShard;
use crate::store::schema;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement};
use serde::Deserialize;
use std::path::Path;

/// Servers find shards only through rows, and a row of no shard sends them nowhere.
const ROUTING: &[Check] = &[
    Check {
        level: Level::Quick,
        kind: FaultKind::Routing,
        table: "fingerprint_index",
        sql: "SELECT shard_name, 'rows of a shard that is not registered'
              FROM (SELECT DISTINCT shard_name FROM fingerprint_index) AS f
              WHERE NOT EXISTS (SELECT 1 FROM shards AS s WHERE s.shard_name = f.shard_name)",
    },
    Check {
        level: Level::Quick,
        kind: FaultKind::Routing,
        table: "source_index",
        sql: "SELECT shard_name, 'rows of a shard that is not registered'
              FROM (SELECT DISTINCT shard_name FROM source_index) AS f
              WHERE NOT EXISTS (SELECT 1 FROM shards AS s WHERE s.shard_name = f.shard_name)",
    },
    Check {
        level: Level::Quick,
        kind: FaultKind::Routing,
        table: "orgs",
        sql: "SELECT 'local', 'the row is missing' WHERE NOT EXISTS (SELECT 1 FROM orgs WHERE org_id = 'local')",
    },
];

/// The rows of `shards`.
pub struct Rows<'a> {
    pub ours: &'a [RegisteredShard],
    /// Whether other programs registered something. They write to the database then, as servers do.
    pub has_foreign: bool,
}

pub fn check(
    path: &Path,
    shards: &Rows<'_>,
    manifest: &ManifestRecord,
    level: Level,
    finder: &mut Finder<'_>,
) {
    let stamp = Stamp::of(path);
    file::header(path, finder);
    match open_read_only(path) {
        Ok(connection) => {
            let was_written = rows(&connection, path, shards, level, finder);
            let is_mounted = stamp.is_some_and(Stamp::has_log);
            if let (false, false, Some(noted)) =
                (was_written, is_mounted, manifest.of_routing(path))
                && level == Level::Full
            {
                file::bytes(path, noted, finder);
            }
        }
        Err(error) => file::unreadable(path, &error, finder),
    }
    if let Some(stamp) = stamp {
        stamp.check_unchanged(path, finder);
    }
}

static SCHEMA: ExpectedSchema = ExpectedSchema::new(
    &[
        schema::COMMON_TABLES,
        schema::COMMON_INDEXES,
        schema::ROUTING_SCHEMA,
    ],
    ServerSchema::Routing,
);

/// Return whether a server has written.
fn rows(
    connection: &Connection,
    path: &Path,
    shards: &Rows<'_>,
    level: Level,
    finder: &mut Finder<'_>,
) -> bool {
    let held = schema_check::compare(connection, &SCHEMA, finder);
    file::structure(connection, path, level, finder);
    if !held.has_tables {
        return false;
    }
    queries::run(connection, ROUTING, level, finder);
    for shard in shards.ours {
        entry(shard, finder);
        // One that cannot be read at all is told by the shard's own check.
        let opened = open_read_only(&shard.path).ok();
        let Some(opened) = opened.filter(|opened| opened.table_exists(None, "genes") == Ok(true))
        else {
            continue;
        };
        match one_shard(connection, &opened, shard, level, finder) {
            Ok(()) => {}
            Err(Failed::Routing(error)) => finder.on_error("fingerprint_index", Err(error)),
            Err(Failed::Shard(error)) => {
                let mut finder = Finder {
                    shard: &shard.name,
                    faults: finder.faults,
                };
                finder.on_error("genes", Err(error));
            }
        }
    }
    let rows = connection.query_row(SERVER_ROWS, [], |row| row.get::<_, i64>(0));
    !matches!(rows, Ok(0)) || held.of_server > 0 || shards.has_foreign
}

/// Rows that only a server writes; a server registers chunks without raising `gene_count`.
const SERVER_ROWS: &str = "
SELECT (SELECT count(*) FROM claims) + (SELECT count(*) FROM claim_edges)
     + (SELECT count(*) FROM parties) + (SELECT count(*) FROM participants)
     + (SELECT count(*) FROM agents) + (SELECT count(*) FROM orgs WHERE org_id <> 'local')
     + (SELECT count(*) FROM health_log) + (SELECT count(*) FROM gene_attribution)
     + (SELECT count(*) FROM hitl_events) + (SELECT count(*) FROM cwola_log)
     + (SELECT count(*) FROM session_delivery_log) + (SELECT count(*) FROM sqlite_sequence)
     + (SELECT count(*) FROM genes)
     + abs((SELECT count(*) FROM fingerprint_index) - (SELECT coalesce(sum(gene_count), 0) FROM shards))
     + abs((SELECT count(*) FROM source_index) - (SELECT coalesce(sum(gene_count), 0) FROM shards))";

/// What the row of `shards` says by itself.
fn entry(shard: &RegisteredShard, finder: &mut Finder<'_>) {
    if !shard.recorded_path.is_absolute() {
        let what = format!("the path {} is not absolute", shard.recorded_path.display());
        finder.fault(FaultKind::Routing, "shards", &shard.name, what);
    }
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(&shard.path).is_some() && real(&shard.path) != real(&shard.recorded_path) {
        let what = elsewhere(&shard.recorded_path, &shard.path);
        finder.advise(FaultKind::Routing, ("shards", &shard.name), &what, IF_MOVED);
    }
    if shard.health != "ok" {
        let what = format!("health is {}, so servers skip the shard", shard.health);
        finder.fault(FaultKind::Routing, "shards", &shard.name, what);
    }
}

/// What to do about an index that lies at another place than the one it is registered at.
const IF_MOVED: &str = "nothing is damaged: run helix-build relocate on the index, which registers its shards where they lie and encodes nothing; a build with its folder as --out-dir does the same";

/// Say where servers look for a shard and where it is. The shards of a moved index have the same folders: verify prints
/// what is said of all of them once.
fn elsewhere(recorded: &Path, found: &Path) -> String {
    let folders = (recorded.parent(), found.parent());
    match folders {
        (Some(recorded_in), Some(found_in)) if recorded.file_name() == found.file_name() => {
            format!(
                "the index was moved or copied: servers look in {}, the shard is in {}",
                recorded_in.display(),
                found_in.display()
            )
        }
        _ => format!(
            "servers open {}, the shard of this index is {}",
            recorded.display(),
            found.display()
        ),
    }
}

/// Which of the two databases could not be read.
enum Failed {
    Routing(rusqlite::Error),
    Shard(rusqlite::Error),
}

fn one_shard(
    routing: &Connection,
    opened: &Connection,
    shard: &RegisteredShard,
    level: Level,
    finder: &mut Finder<'_>,
) -> Result<(), Failed> {
    let number = |connection: &Connection, sql: &str| -> Result<i64, rusqlite::Error> {
        connection.query_row(sql, [], |row| row.get(0))
    };
    let ours = number(opened, "SELECT count(*) FROM build_routes").map_err(Failed::Shard)?;
    let all = number(opened, "SELECT count(*) FROM genes").map_err(Failed::Shard)?;
    // Chunks that a server adds to a shard are registered by its own rules, or not at all.
    let mut compare = |table: &str, found: i64| {
        if !(ours..=all).contains(&found) {
            let what = format!("{found} chunks are registered, the shard holds {all}");
            finder.fault(FaultKind::Routing, table, &shard.name, what);
        }
    };
    compare("shards", shard.chunks);
    for table in ["fingerprint_index", "source_index"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE shard_name = ?1");
        compare(
            table,
            routing
                .query_row(&sql, [&shard.name], |row| row.get(0))
                .map_err(Failed::Routing)?,
        );
    }
    let sql = "SELECT value FROM build_meta WHERE key = 'fingerprint'";
    let fingerprint: Option<String> = opened
        .query_row(sql, [], |row| row.get(0))
        .optional()
        .map_err(Failed::Shard)?;
    // A missing one is told by the shard's own check.
    if fingerprint.is_some() && shard.recorded("fingerprint") != fingerprint {
        let what = "the recorded fingerprint differs from the shard's";
        finder.fault(FaultKind::Routing, "shards", &shard.name, what);
    }
    if level == Level::Full {
        every_chunk(routing, opened, shard, finder)?;
        links(routing, opened, finder)?;
    }
    Ok(())
}

/// Rows that a server has replaced are told by the shard's own check.
fn chunks_of_ours() -> String {
    format!(
        "SELECT g.gene_id, g.source_id, g.key_values, NOT coalesce(g.is_fragment, 0), g.content_hash,
                g.promoter, r.terms
         FROM build_routes AS r JOIN genes AS g ON g.gene_id = r.gene_id
         WHERE g.gene_id NOT IN ({}) ORDER BY r.rowid",
        chunks::REPLACED
    )
}

/// `IS` compares NULLs too.
const FINGERPRINT: &str = "
SELECT domains, entities FROM fingerprint_index
WHERE gene_id = ?1 AND shard_name = ?2 AND source_id IS ?3 AND key_values IS ?4 AND is_parent = ?5";

const SOURCE: &str = "
SELECT 1 FROM source_index
WHERE gene_id = ?1 AND shard_name = ?2 AND source_id IS ?3 AND content_hash IS ?4";

fn every_chunk(
    routing: &Connection,
    opened: &Connection,
    shard: &RegisteredShard,
    finder: &mut Finder<'_>,
) -> Result<(), Failed> {
    let mut fingerprint = routing.prepare(FINGERPRINT).map_err(Failed::Routing)?;
    let mut source = routing.prepare(SOURCE).map_err(Failed::Routing)?;
    let mut chunks = opened.prepare(&chunks_of_ours()).map_err(Failed::Shard)?;
    let mut chunks = chunks.query([]).map_err(Failed::Shard)?;
    while let Some(chunk) = chunks.next().map_err(Failed::Shard)? {
        let chunk = ChunkRow::read(chunk).map_err(Failed::Shard)?;
        let gene_id = &chunk.gene_id;
        let row = format!("{} {gene_id}", shard.name);
        if let Some(what) =
            fingerprint_fault(&mut fingerprint, &chunk, &shard.name).map_err(Failed::Routing)?
        {
            finder.fault(FaultKind::Routing, "fingerprint_index", &row, what);
        }
        let wanted = (gene_id, &shard.name, &chunk.source_id, &chunk.hash);
        if !source.exists(wanted).map_err(Failed::Routing)? {
            let what = "the row is missing, or differs from the chunk";
            finder.fault(FaultKind::Routing, "source_index", &row, what);
        }
    }
    Ok(())
}

/// What of a chunk the routing database repeats.
struct ChunkRow {
    gene_id: String,
    source_id: Option<String>,
    key_values: Option<String>,
    is_parent: bool,
    hash: Option<String>,
    promoter: String,
    routes: String,
}

impl ChunkRow {
    /// Read a row of [`chunks_of_ours`].
    fn read(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            gene_id: row.get(0)?,
            source_id: row.get(1)?,
            key_values: row.get(2)?,
            is_parent: row.get(3)?,
            hash: row.get(4)?,
            promoter: row.get(5)?,
            routes: row.get(6)?,
        })
    }
}

/// Return what is wrong with a chunk's row, if anything.
fn fingerprint_fault(
    fingerprint: &mut Statement<'_>,
    chunk: &ChunkRow,
    shard: &str,
) -> Result<Option<&'static str>, rusqlite::Error> {
    let mut rows = fingerprint.query((
        &chunk.gene_id,
        shard,
        &chunk.source_id,
        &chunk.key_values,
        chunk.is_parent,
    ))?;
    let Some(row) = rows.next()? else {
        return Ok(Some("the row is missing, or differs from the chunk"));
    };
    let list = |text: Option<String>| serde_json::from_str(&text.unwrap_or_default()).ok();
    let found: (Option<Vec<String>>, Option<Vec<String>>) = (list(row.get(0)?), list(row.get(1)?));
    let (domains, entities) = words(&chunk.promoter, &chunk.routes);
    let same = found == (Some(domains), Some(entities));
    Ok((!same).then_some("the words differ from the chunk's domains, entities and routing words"))
}

/// Return the words that lead to a chunk: its domains, and its entities followed by the routing words that
/// are not among them, ASCII case aside.
fn words(promoter: &str, routes: &str) -> (Vec<String>, Vec<String>) {
    #[derive(Default, Deserialize)]
    struct Tags {
        domains: Vec<String>,
        entities: Vec<String>,
    }
    // A promoter that does not parse is told by the shard's own check.
    let tags: Tags = serde_json::from_str(promoter).unwrap_or_default();
    let routes: Vec<String> = serde_json::from_str(routes).unwrap_or_default();
    let mut words = tags.entities;
    for route in routes {
        if !words.iter().any(|word| word.eq_ignore_ascii_case(&route)) {
            words.push(route);
        }
    }
    (tags.domains, words)
}

/// Harmonic links may lead to another shard; servers find it through the fingerprint rows.
fn links(routing: &Connection, opened: &Connection, finder: &mut Finder<'_>) -> Result<(), Failed> {
    let mut known = routing
        .prepare("SELECT 1 FROM fingerprint_index WHERE gene_id = ?1")
        .map_err(Failed::Routing)?;
    let mut foreign = opened
        .prepare(
            "SELECT DISTINCT gene_id_b FROM harmonic_links AS l
             WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = l.gene_id_b)",
        )
        .map_err(Failed::Shard)?;
    let mut foreign = foreign.query([]).map_err(Failed::Shard)?;
    while let Some(row) = foreign.next().map_err(Failed::Shard)? {
        let gene_id: String = row.get(0).map_err(Failed::Shard)?;
        if !known.exists([&gene_id]).map_err(Failed::Routing)? {
            let what = "a link leads to a chunk that no shard holds";
            finder.fault(FaultKind::Orphan, "harmonic_links", gene_id, what);
        }
    }
    Ok(())
}
