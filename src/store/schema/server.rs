//! Tables and indexes of a shard that only a server fills.

/// Tables of a shard that only a server fills.
pub const SERVER_TABLES: &str = "
CREATE TABLE okf_links (
    bundle_id TEXT NOT NULL,
    source_concept_id TEXT NOT NULL,
    target_concept_id TEXT NOT NULL,
    resolved_source_gene_id TEXT NOT NULL,
    resolved_target_gene_id TEXT,
    link_text TEXT
);
CREATE TABLE genome_calibration (
    key TEXT PRIMARY KEY,
    value_json TEXT NOT NULL,
    computed_at REAL NOT NULL
);
CREATE TABLE parties (
    party_id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    trust_domain TEXT NOT NULL DEFAULT 'local',
    created_at REAL NOT NULL,
    metadata TEXT,
    org_id TEXT REFERENCES orgs(org_id),
    timezone TEXT
);
CREATE TABLE bed_provenance (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_utc TEXT NOT NULL,
    event TEXT NOT NULL,
    provenance_version INTEGER NOT NULL,
    cymatix_version TEXT NOT NULL,
    git_sha TEXT,
    git_dirty INTEGER,
    ingest_c INTEGER,
    config_json TEXT,
    gene_count INTEGER,
    fts_count INTEGER,
    identity_sha256 TEXT,
    corpus_id TEXT,
    notes TEXT
);
CREATE TABLE sync_tracked (
    path TEXT PRIMARY KEY,
    root TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    mtime REAL NOT NULL,
    size INTEGER NOT NULL,
    synced_at REAL NOT NULL
);
CREATE TABLE sync_lock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    heartbeat_at REAL NOT NULL
);
";

/// The files as a server that follows folders notes them (0.11): it leaves those of the same time and size alone, and
/// those of the same bytes. `?1`: the build's time. `mtime` is rounded as Python rounds it, since servers compare for
/// equality. A file below two roots is noted once.
pub const FILL_SYNC_TRACKED: &str = "
INSERT OR IGNORE INTO sync_tracked (path, root, sha256, mtime, size, synced_at)
SELECT rtrim(r.path, '/') || '/' || f.path, r.path, lower(hex(f.sha256)),
       CAST((f.mtime_ns - f.ns) / 1000000000 AS REAL) + 1e-9 * f.ns, f.size, ?1
FROM (SELECT *, (mtime_ns % 1000000000 + 1000000000) % 1000000000 AS ns FROM build_files) AS f
JOIN build_roots AS r ON r.root_id = f.root_id
WHERE f.sha256 IS NOT NULL ORDER BY f.file_id";

/// Indexes of the tables that only a server fills; all of them empty.
pub const SERVER_INDEXES: &str = "
CREATE INDEX idx_okf_links_bundle ON okf_links(bundle_id);
CREATE INDEX idx_orgs_trust_domain ON orgs(trust_domain);
CREATE INDEX idx_parties_trust_domain ON parties(trust_domain);
CREATE INDEX idx_participants_party ON participants(party_id);
CREATE INDEX idx_participants_heartbeat ON participants(last_heartbeat);
CREATE INDEX idx_participants_handle ON participants(handle);
CREATE INDEX idx_participants_status ON participants(status);
CREATE INDEX idx_agents_participant ON agents(participant_id);
CREATE INDEX idx_agents_handle ON agents(handle);
CREATE INDEX idx_agents_kind ON agents(kind);
CREATE INDEX idx_bed_provenance_at ON bed_provenance(at_utc);
CREATE INDEX idx_sync_tracked_root ON sync_tracked(root);
";
