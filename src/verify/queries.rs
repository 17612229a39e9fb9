//! Invariants that are one query each: every row the query returns is a fault.

use super::fault::{FaultKind, Finder};
use super::level::Level;
use rusqlite::Connection;

/// A query whose rows are faults: the row's name, and what is wrong with it, both as text.
pub struct Check {
    pub level: Level,
    pub kind: FaultKind,
    pub table: &'static str,
    pub sql: &'static str,
}

const fn quick(kind: FaultKind, table: &'static str, sql: &'static str) -> Check {
    Check {
        level: Level::Quick,
        kind,
        table,
        sql,
    }
}

const fn full(kind: FaultKind, table: &'static str, sql: &'static str) -> Check {
    Check {
        level: Level::Full,
        kind,
        table,
        sql,
    }
}

/// Run the checks of `level` and below.
pub fn run(connection: &Connection, checks: &[Check], level: Level, finder: &mut Finder<'_>) {
    for check in checks.iter().filter(|check| check.level <= level) {
        let ran = run_one(connection, check, finder);
        finder.on_error(check.table, ran);
    }
}

fn run_one(
    connection: &Connection,
    check: &Check,
    finder: &mut Finder<'_>,
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(check.sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name = String::from_utf8_lossy(row.get_ref(0)?.as_bytes().unwrap_or_default());
        let what: String = row.get(1)?;
        finder.fault(check.kind, check.table, name, what);
    }
    Ok(())
}

/// `genes` counts through a small index, so that no chunk text is read.
pub const SHARD: &[Check] = &[
    quick(FaultKind::Counts, "genes_fts", "
        SELECT '', 'the full-text index has ' || f || ' rows and genes has ' || g
        FROM (SELECT (SELECT count(*) FROM genes_fts_docsize) AS f, (SELECT count(*) FROM genes) AS g)
        WHERE f <> g"),
    quick(FaultKind::Counts, "build_meta", "
        SELECT key, key || ' is ' || quote(value) || ', the rows say ' || n
        FROM (SELECT 'files' AS k, (SELECT count(*) FROM build_files) AS n
              UNION ALL SELECT 'chunks', (SELECT count(*) FROM build_routes))
        LEFT JOIN build_meta ON key = k WHERE value IS NOT n"),
    full(FaultKind::SideTable, "sync_tracked", "
        SELECT path, 'the row is of the build and differs from the ledger' FROM (
            SELECT path, root, sha256, mtime, size FROM sync_tracked
            WHERE synced_at = (SELECT value FROM build_meta WHERE key = 'epoch')
            EXCEPT
            SELECT rtrim(r.path, '/') || '/' || f.path, r.path, lower(hex(f.sha256)),
                   CAST((f.mtime_ns - f.ns) / 1000000000 AS REAL) + 1e-9 * f.ns, f.size
            FROM (SELECT *, (mtime_ns % 1000000000 + 1000000000) % 1000000000 AS ns FROM build_files) AS f
            JOIN build_roots AS r ON r.root_id = f.root_id)"),
    quick(FaultKind::Counts, "build_segments", "
        SELECT '', 'segments hold ' || f || ' files and ' || c || ' chunks, the ledger ' || bf || ' and ' || bs
        FROM (SELECT coalesce(sum(files), 0) AS f, coalesce(sum(chunks), 0) AS c,
                     (SELECT count(*) FROM build_files) AS bf, (SELECT count(*) FROM build_sources) AS bs
              FROM build_segments)
        WHERE f <> bf OR c <> bs"),
    quick(FaultKind::Ledger, "build_meta", "
        SELECT k, 'the entry is missing or of another type' FROM (
            SELECT 'format' AS k, 'integer' AS t UNION ALL SELECT 'tool_version', 'text'
            UNION ALL SELECT 'label', 'text' UNION ALL SELECT 'fingerprint', 'text'
            UNION ALL SELECT 'encoder', 'text' UNION ALL SELECT 'recipe', 'text'
            UNION ALL SELECT 'epoch', 'real')
        LEFT JOIN build_meta ON key = k WHERE typeof(value) <> t"),
    quick(FaultKind::Ledger, "build_routes", "
        SELECT gene_id, 'the chunk is no longer in genes' FROM build_routes AS r
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = r.gene_id)"),
    quick(FaultKind::Orphan, "promoter_index", "
        SELECT gene_id, 'tags of a chunk that is not there'
        FROM (SELECT DISTINCT gene_id FROM promoter_index) AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id)"),
    quick(FaultKind::Orphan, "entity_graph", "
        SELECT gene_id, 'an entity of a chunk that is not there'
        FROM (SELECT DISTINCT gene_id FROM entity_graph) AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id)"),
    quick(FaultKind::Orphan, "path_key_index", "
        SELECT gene_id, 'a path key of a chunk that is not there'
        FROM (SELECT DISTINCT gene_id FROM path_key_index) AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id)"),
    quick(FaultKind::Orphan, "filename_index", "
        SELECT gene_id, 'the file stem ' || filename_stem || ' of a chunk that is not there'
        FROM filename_index AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id)"),
    quick(FaultKind::Orphan, "splade_terms", "
        SELECT gene_id, 'terms of a chunk that is not there'
        FROM (SELECT DISTINCT gene_id FROM splade_terms) AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id)"),
    quick(FaultKind::Orphan, "symbol_defs", "
        SELECT gene_id, 'the symbol ' || symbol || ' of a chunk that is not there'
        FROM symbol_defs AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id)"),
    quick(FaultKind::Orphan, "gene_relations", "
        SELECT gene_id_a || ' ' || gene_id_b, 'a relation with a chunk that is not there'
        FROM gene_relations AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id_a)
           OR NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id_b)"),
    quick(FaultKind::Orphan, "harmonic_links", "
        SELECT gene_id_a || ' ' || gene_id_b, 'a link from a chunk that is not there'
        FROM harmonic_links AS t
        WHERE NOT EXISTS (SELECT 1 FROM genes AS g WHERE g.gene_id = t.gene_id_a)"),
    quick(FaultKind::Counts, "orgs", "
        SELECT 'local', 'the row is missing' WHERE NOT EXISTS (SELECT 1 FROM orgs WHERE org_id = 'local')"),
    full(FaultKind::SideTable, "promoter_index", "
        SELECT gene_id, 'a tag of the unknown type ' || quote(tag_type) FROM promoter_index
        WHERE tag_type IS NULL OR tag_type NOT IN ('domain', 'entity')"),
    full(FaultKind::Column, "gene_relations", "
        SELECT gene_id_a || ' ' || gene_id_b, 'relation or confidence out of range' FROM gene_relations
        WHERE typeof(relation) <> 'integer' OR typeof(confidence) <> 'real' OR confidence <= 0 OR confidence > 1"),
    full(FaultKind::Column, "harmonic_links", "
        SELECT gene_id_a || ' ' || gene_id_b, 'weight is not a positive number' FROM harmonic_links
        WHERE typeof(weight) <> 'real' OR weight <= 0"),
    full(FaultKind::Ledger, "build_files", "
        SELECT path, 'its root ' || root_id || ' is not there' FROM build_files AS f
        WHERE NOT EXISTS (SELECT 1 FROM build_roots AS r WHERE r.root_id = f.root_id)"),
    full(FaultKind::Ledger, "build_sources", "
        SELECT 'file ' || file_id, 'places of a file that is not in the ledger'
        FROM (SELECT DISTINCT file_id FROM build_sources) AS s
        WHERE NOT EXISTS (SELECT 1 FROM build_files AS f WHERE f.file_id = s.file_id)"),
    full(FaultKind::Ledger, "build_files", "
        SELECT path, 'an indexed file has no encoding, or a skipped one has an encoding or a language' FROM build_files
        WHERE (encoding IS NULL) <> (skip_reason IS NOT NULL) OR (language IS NOT NULL AND skip_reason IS NOT NULL)
           OR typeof(encoding) NOT IN ('text', 'null') OR typeof(language) NOT IN ('text', 'null')"),
    full(FaultKind::Ledger, "build_sources", "
        SELECT 'file ' || s.file_id || ', chunk ' || s.seq,
               'its bytes or lines cannot be in the file, or its symbols are not a list'
        FROM build_sources AS s JOIN build_files AS f ON f.file_id = s.file_id
        WHERE typeof(line_start) <> 'integer' OR typeof(line_end) <> 'integer' OR line_start < 1 OR line_end < line_start
           OR (byte_start IS NULL) <> (byte_end IS NULL)
           OR typeof(byte_start) NOT IN ('integer', 'null') OR typeof(byte_end) NOT IN ('integer', 'null')
           OR byte_start < 0 OR byte_end <= byte_start OR byte_end > f.size
           OR NOT json_valid(symbols) OR json_type(iif(json_valid(symbols), symbols, '[]')) <> 'array'"),
    full(FaultKind::Ledger, "build_sources", "
        SELECT 'file ' || file_id || ', chunk ' || seq, 'it begins before the end of the chunk before it'
        FROM (SELECT file_id, seq, byte_start, line_start,
                     lag(byte_end) OVER before AS bytes_before, lag(line_end) OVER before AS lines_before
              FROM build_sources WINDOW before AS (PARTITION BY file_id ORDER BY seq))
        WHERE byte_start < bytes_before OR line_start < lines_before"),
    full(FaultKind::Ledger, "build_files", "
        SELECT f.path, 'says ' || f.chunks || ' chunks and has ' || count(s.seq) || ' places, the last numbered '
               || coalesce(max(s.seq), -1)
        FROM build_files AS f LEFT JOIN build_sources AS s ON s.file_id = f.file_id
        GROUP BY f.file_id
        HAVING f.chunks <> count(s.seq)
               -- The compat chunker counts blank chunks, which are not stored.
               OR coalesce(max(s.seq), -1) <> f.chunks - 1
                  AND NOT coalesce((SELECT value ->> 'chunker' = 'compat' FROM build_meta WHERE key = 'recipe'), 0)"),
];
